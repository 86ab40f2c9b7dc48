"""Which rows of the registry a ``select`` or ``match`` means, by whole columns."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rules.language.models import ChannelSelect, DeviceSelect
    from rules.registry import Registry

OF_ASSET = {
    "domain": "domain",
    "asset_type": "asset_type",
    "zone": "zone",
    "district": "district",
    "site": "site",
    "asset": "id",
}
"""Words of ``select`` that speak of the asset a channel or device is on, and their columns."""
HEARTBEAT = "heartbeat"  # probe channels: the watchdog's, judged by no rule


class Selector:
    """Columns of one registry as integer codes, so that a rule costs a few array passes."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.channel_codes: Callable[[str], Codes] = cache(self._channel_codes)
        self._device_codes: Callable[[str], Codes] = cache(self._codes_of_devices)
        self._tag: Callable[[str, Any], NDArray[np.bool_]] = cache(self._tagged)
        alive = registry.channels.alive
        heartbeat = self.channel_codes("quantity").among([HEARTBEAT])
        self.live_channels = alive & ~heartbeat
        planned = np.array([state == "planned" for state in registry.devices.state], np.bool_)
        self.live_devices = registry.devices.alive & ~planned  # whose silence means something
        self.probes: NDArray[np.int32] = np.flatnonzero(alive & heartbeat).astype(np.int32)

    def _channel_codes(self, name: str) -> Codes:
        """Return the codes of a word of ``select`` for channels; only what rules name is built."""
        channels, ids = self.registry.channels, self.registry.channels.id
        if name in OF_ASSET:
            return self._of_assets(name, channels.asset)
        if name == "channel":
            return Codes(ids, code=self.registry.channel_row)
        if name == "sensor":
            return Codes([i.rpartition("/")[0] for i in ids])
        if name == "device":
            known = self.registry.device_row
            return Codes(self.registry.devices.id, channels.device, code=known)
        return Codes(getattr(channels, name))

    def _codes_of_devices(self, name: str) -> Codes:
        """Return the codes of a word of ``select`` for devices."""
        devices = self.registry.devices
        if name in OF_ASSET:
            return self._of_assets(name, devices.asset)
        if name == "device":
            return Codes(devices.id, code=self.registry.device_row)
        return Codes(getattr(devices, name))

    def _of_assets(self, name: str, rows: NDArray[np.int32]) -> Codes:
        assets = self.registry.assets
        known = self.registry.asset_row if name == "asset" else None
        return Codes(getattr(assets, OF_ASSET[name]), rows, code=known)

    def by_quantity(self, rows: NDArray[np.intp]) -> list[tuple[str, NDArray[np.intp]]]:
        """Return the rows of channels by their quantity, by name."""
        held = self.channel_codes("quantity")
        own = held.codes[rows]
        names = list(held.code)
        parts = [(names[code], rows[own == code]) for code in np.unique(own).tolist()]
        return sorted(parts, key=lambda part: part[0])

    def channels(self, select: ChannelSelect) -> NDArray[np.bool_]:
        """Return which channel rows match (alive ones)."""
        mask = self._mask(self.channel_codes, select, self.live_channels)
        for key, value in (select.tags or {}).items():
            mask &= self._tag(key, value)
        return mask

    def devices(self, select: DeviceSelect) -> NDArray[np.bool_]:
        """Return which device rows match (alive ones that are more than planned)."""
        return self._mask(self._device_codes, select, self.live_devices)

    def unknown(self, select: ChannelSelect | DeviceSelect) -> str:
        """Say which words of a select no row has, and what is near them; '' if all are known."""
        held = self._device_codes if hasattr(select, "kind") else self.channel_codes
        names = sorted(select.model_fields_set - {"tags", "domain", "klass", "quantity"})
        return "; ".join(
            f'{name} "{word}" is not registered{nearest(word, held(name).code)}'
            for name in names
            for word in getattr(select, name) or ()
            if not held(name).matching(word)
        )

    def failing(self, select: ChannelSelect | DeviceSelect, row: int) -> list[str]:
        """Return the keys of a select that one channel or device does not meet, by name."""
        held = self._device_codes if hasattr(select, "kind") else self.channel_codes
        missed = [
            name
            for name in sorted(select.model_fields_set - {"tags"})
            if (words := getattr(select, name)) is not None and not held(name).among(words)[row]
        ]
        wanted = getattr(select, "tags", None) or {}
        return missed + [f"tags.{k}" for k, v in wanted.items() if not self._tag(k, v)[row]]

    @staticmethod
    def _mask(
        held: Callable[[str], Codes],
        select: ChannelSelect | DeviceSelect,
        alive: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        mask = alive.copy()
        for name in select.model_fields_set - {"tags"}:
            words = getattr(select, name)
            if words is not None:
                mask &= held(name).among(words)
        return mask

    def _tagged(self, key: str, value: Any) -> NDArray[np.bool_]:
        tags, bare = self.registry.channels.tags, _same(None, value)
        return np.array([_same(t.get(key), value) if t else bare for t in tags], np.bool_)


class Codes:
    """A text column as integer codes, looked up through ``rows`` (−1: no row, no text).

    ``code``: the row of each text of a column that has each once, where somebody knows it already.
    """

    def __init__(
        self,
        column: Sequence[str],
        rows: NDArray[np.int32] | None = None,
        *,
        code: dict[str, int] | None = None,
    ) -> None:
        if code is not None and len(code) == len(column):
            self.code, codes = code, np.arange(len(column))
        else:
            self.code = {text: i for i, text in enumerate(dict.fromkeys(column))}
            codes = np.fromiter(map(self.code.__getitem__, column), np.int64, len(column))
        self.codes = codes if rows is None else np.append(codes, -1)[rows]
        self._found: dict[str, list[int]] = {}

    def among(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Return which rows have one of the words."""
        return np.isin(self.codes, [code for word in words for code in self.matching(word)])

    def matching(self, word: str) -> list[int]:
        """Return the codes of a word; ``*`` in it stands for any characters."""
        if "*" not in word:
            return [self.code[word]] if word in self.code else []
        if word not in self._found:
            # most texts are told from a pattern by its longest plain piece, 20 times faster
            plain = "" if set(word) & {"?", "["} else max(word.split("*"), key=len)
            self._found[word] = [
                code
                for text, code in self.code.items()
                if plain in text and fnmatchcase(text, word)
            ]
        return self._found[word]


def _same(held: Any, wanted: Any) -> bool:
    """Compare tags: true is not 1."""
    return type(held) is type(wanted) and bool(held == wanted)
