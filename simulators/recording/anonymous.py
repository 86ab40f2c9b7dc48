"""A recording without names and places: for somebody who may see values, not whose they are.

Every code, name, district, zone and text of the registry is replaced by one that a secret key
makes from it (HMAC-SHA-256): the same key gives the same replacement in every recording, without
it nobody finds the original by trying names. Positions are moved by up to ``blur_m``. Operators'
commands, raw frames and quarantine are left out: they carry names. What remains is what rules
judge: quantities, units, ranges, intervals, relations, numbers and times, and a sensor's or
channel's own short word (``ch4-01``, ``peak``), by which rules choose. A rule that chooses by the
text of an attribute or a tag finds nothing any more.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import cos, pi, radians, sin, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from rules.readings import Control
from rules.registry_codec import hashed
from simulators.recording.folder import open_recording, refuse, write_recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from rules.readings import Body
    from rules.registry import Registry

DIGITS: Final = 12  # of a replacement: among a million names two are alike once in 500 cities
M_PER_DEGREE: Final = 111_320.0
_CODE: Final = re.compile(r"\d{6}-([a-z]+)-([a-z]+)-\d+")
_WORD: Final = re.compile(r"[a-z]{1,8}\d{0,2}(-\d{1,3})?")  # ch4-01, peak, supply
KEY_BYTES: Final = 32


def anonymise(
    source: Path, out: Path, *, key_file: Path, map_file: Path, blur_m: float = 200.0
) -> dict[str, Any]:
    """Write a recording without names; return its meta.

    ``key_file`` is made, readable by its owner only, where there is none. ``map_file`` (JSON,
    replacement → original) is for whoever may know; neither belongs beside ``out``.

    Raises
    ------
    rules.problems.Invalid
        ``source`` is no recording, ``out`` or the map exists, one of the two would lie inside
        ``out``, or the key is none.
    """
    for what, path in (("key", key_file), ("map", map_file)):
        if out.resolve() in path.resolve().parents:
            raise refuse(
                path, f"lies in the recording that is given away: put the {what} elsewhere"
            )
    if map_file.exists():
        raise refuse(map_file, "exists already: choose another name or remove it")
    names = Names(_key(key_file))
    counts: Counter[str] = Counter()
    with open_recording(source) as recording:
        registry = _anonymous(recording.registry, names, blur_m)
        meta: dict[str, Any] = {"anonymous": True, "blur_m": blur_m}
        done = write_recording(out, registry, _without_commands(recording.admitted(), counts), meta)
    done["commands_left_out"] = counts["commands"]
    _write_private(map_file, orjson.dumps(names.originals, option=orjson.OPT_INDENT_2))
    return done


def _without_commands(steps: Iterable[Body], counts: Counter[str]) -> Iterator[Body]:
    for body in steps:
        if isinstance(body, Control):
            counts["commands"] += 1
        else:
            yield body


def _key(path: Path) -> bytes:
    if not path.exists():
        _write_private(path, secrets.token_hex(KEY_BYTES).encode() + b"\n")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        said = f"is no key ({error}): remove it and a new one is made"
        raise refuse(path, said) from error
    if len(key) < KEY_BYTES:
        raise refuse(path, f"is too short: {2 * KEY_BYTES} hexadecimal digits; remove it")
    return key


def _write_private(path: Path, text: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise refuse(path, f"cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(text)


@dataclass(slots=True)
class Names:
    """Replacements by key, and the originals of those given so far."""

    key: bytes = field(repr=False)
    originals: dict[str, str] = field(default_factory=dict, repr=False)

    def digits(self, text: str) -> str:
        """Return the key's digits of a text."""
        return hmac.new(self.key, text.encode(), sha256).hexdigest()[:DIGITS]

    def of(self, text: str, head: str) -> str:
        """Return ``head`` and the key's digits; "" stays "".

        Raises
        ------
        Invalid
            Two texts would become one.
        """
        if not text:
            return ""
        given = head + self.digits(text)
        if self.originals.setdefault(given, text) != text:
            raise refuse(text, "and another text get the same replacement: use another key")
        return given

    def code(self, text: str) -> str:
        """Return the code of a site, an asset or a device: its kind stays, place and number go."""
        found = _CODE.fullmatch(text)
        return self.of(text, f"000000-{found[1]}-{found[2]}-" if found else "x-")

    def channel(self, text: str) -> str:
        """Return a channel's id ``asset/sensor/channel``; short words of the last two stay."""
        asset, *parts = text.split("/")
        plain = [part if _WORD.fullmatch(part) else self.of(part, "p-") for part in parts]
        given = "/".join([self.code(asset), *plain])
        self.originals.setdefault(given, text)
        return given


def _anonymous(registry: Registry, names: Names, blur_m: float) -> Registry:
    a, d, c = registry.assets, registry.devices, registry.channels
    codes = {text: names.code(text) for text in (*a.id, *d.id, *registry.sites.id)}
    channels = {text: names.channel(text) for text in c.id}

    def plain(value: Any) -> Any:
        """Replace every text in an attribute, a relation or a tag; numbers stay."""
        if isinstance(value, str):
            return codes.get(value) or channels.get(value) or names.of(value, "t-")
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value

    def each(texts: Iterable[str], head: str) -> tuple[str, ...]:
        return tuple(names.of(text, head) for text in texts)

    lon, lat = _blurred(registry, names, blur_m)
    return hashed(
        replace(
            registry,
            sites=replace(
                registry.sites,
                id=tuple(codes[text] for text in registry.sites.id),
                name=each(registry.sites.name, "Site "),
                name_zh=each(registry.sites.name_zh, "站点"),
            ),
            assets=replace(
                a,
                id=tuple(codes[text] for text in a.id),
                site=tuple(codes.get(text) or names.of(text, "x-") for text in a.site),
                name=each(a.name, "Asset "),
                name_zh=each(a.name_zh, "资产"),
                district=each(a.district, "District "),
                zone=each(a.zone, "Zone "),
                lon=lon,
                lat=lat,
                attributes=tuple(plain(held) for held in a.attributes),
            ),
            devices=replace(d, id=tuple(codes[text] for text in d.id)),
            channels=replace(
                c,
                id=tuple(channels[text] for text in c.id),
                key=each(c.key, "k-"),
                tags=tuple(plain(held) for held in c.tags),
                derived=tuple(
                    {**held, "from": channels[held["from"]]} if held else held for held in c.derived
                ),
            ),
        )
    )


def _blurred(
    registry: Registry, names: Names, blur_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions moved, each by its own draw of the key, evenly within ``blur_m``."""
    lon, lat = registry.assets.lon.copy(), registry.assets.lat.copy()
    for row, code in enumerate(registry.assets.id):
        if not np.isfinite(lon[row]):
            continue
        drawn = int(names.digits(f"position {code}"), 16)
        angle = 2 * pi * (drawn & 0xFFFFFF) / 0x1000000
        far_m = blur_m * sqrt(((drawn >> 24) & 0xFFFFFF) / 0x1000000)
        lat[row] += far_m * sin(angle) / M_PER_DEGREE
        lon[row] += far_m * cos(angle) / (M_PER_DEGREE * cos(radians(float(lat[row]))))
    return lon.round(6), lat.round(6)
