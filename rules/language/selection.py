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

HEARTBEAT = "heartbeat"  # probe channels: the watchdog's, judged by no rule


class Selector:
    """Columns of one registry as integer codes, so that a rule costs a few array passes."""

    def __init__(self, registry: Registry) -> None:
        channels, devices, assets = registry.channels, registry.devices, registry.assets
        self.registry = registry
        heartbeat = np.array([q == HEARTBEAT for q in channels.quantity], np.bool_)
        self.live_channels = channels.alive & ~heartbeat
        self.probes: NDArray[np.int32] = np.flatnonzero(channels.alive & heartbeat).astype(np.int32)
        of_asset = {
            "domain": assets.domain,
            "asset_type": assets.asset_type,
            "zone": assets.zone,
            "district": assets.district,
            "site": assets.site,
            "asset": assets.id,
        }
        self._channel: dict[str, _Codes] = {
            **{name: _Codes(column, channels.asset) for name, column in of_asset.items()},
            "quantity": _Codes(channels.quantity),
            "klass": _Codes(channels.klass),
            "channel": _Codes(channels.id),
            "sensor": _Codes([i.rpartition("/")[0] for i in channels.id]),
            "device": _Codes(devices.id, channels.device),
        }
        self._device: dict[str, _Codes] = {
            **{name: _Codes(column, devices.asset) for name, column in of_asset.items()},
            "kind": _Codes(devices.kind),
            "transport": _Codes(devices.transport),
            "device": _Codes(devices.id),
        }
        self._tag: Callable[[str, Any], NDArray[np.bool_]] = cache(self._tagged)

    def channels(self, select: ChannelSelect) -> NDArray[np.bool_]:
        """Return which channel rows match (alive ones)."""
        mask = self._mask(self._channel, select, self.live_channels)
        for key, value in (select.tags or {}).items():
            mask &= self._tag(key, value)
        return mask

    def devices(self, select: DeviceSelect) -> NDArray[np.bool_]:
        """Return which device rows match (alive ones)."""
        return self._mask(self._device, select, self.registry.devices.alive)

    def unknown(self, select: ChannelSelect | DeviceSelect) -> str:
        """Say which words of a select no row has, and what is near them; '' if all are known."""
        held = self._device if hasattr(select, "kind") else self._channel
        names = sorted(select.model_fields_set - {"tags", "domain", "klass", "quantity"})
        return "; ".join(
            f'{name} "{word}" is not registered{nearest(word, held[name].code)}'
            for name in names
            for word in getattr(select, name) or ()
            if not held[name].matching(word)
        )

    @staticmethod
    def _mask(
        held: dict[str, _Codes], select: ChannelSelect | DeviceSelect, alive: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        mask = alive.copy()
        for name in select.model_fields_set - {"tags"}:
            words = getattr(select, name)
            if words is not None:
                mask &= held[name].among(words)
        return mask

    def _tagged(self, key: str, value: Any) -> NDArray[np.bool_]:
        return np.array([_same(t.get(key), value) for t in self.registry.channels.tags], np.bool_)


class _Codes:
    """A text column as integer codes, looked up through ``rows`` (−1: no row, no text)."""

    def __init__(self, column: Sequence[str], rows: NDArray[np.int32] | None = None) -> None:
        self.code = {text: i for i, text in enumerate(dict.fromkeys(column))}
        codes = np.array([self.code[text] for text in column], np.int64)
        self.codes = codes if rows is None else np.append(codes, -1)[rows]

    def among(self, words: Sequence[str]) -> NDArray[np.bool_]:
        return np.isin(self.codes, [code for word in words for code in self.matching(word)])

    def matching(self, word: str) -> list[int]:
        """Return the codes of a word; ``*`` in it stands for any characters."""
        if "*" in word:
            return [code for text, code in self.code.items() if fnmatchcase(text, word)]
        return [self.code[word]] if word in self.code else []


def _same(held: Any, wanted: Any) -> bool:
    """Compare tags: true is not 1."""
    return type(held) is type(wanted) and bool(held == wanted)
