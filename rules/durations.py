"""Durations as Prometheus writes them: ``60s``, ``5m``, ``1h30m``, ``500ms``, ``7d``, ``0s``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

UNITS_NS: Final = {
    "y": 365 * 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
}
MAX_NS: Final = 10 * UNITS_NS["y"]

_WHOLE: Final = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_TIMES: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x", re.ASCII)


def parse_duration(text: object) -> int:
    """Return nanoseconds.

    Raises
    ------
    ValueError
        Not a duration; the message says how to write one.
    """
    return _parsed(str(text)[:64])


@lru_cache(maxsize=1024)  # a city writes the same few durations a hundred thousand times
def _parsed(said: str) -> int:
    if said == "0":
        return 0
    if said.isdigit():
        raise ValueError(f"{said} has no unit of time: write {said}s or {said}m")
    found = _WHOLE.fullmatch(said.strip())
    if found is None or not any(g is not None for g in found.groups()):
        raise ValueError(f"{said!r} is not a duration: write 60s, 5m or 1h30m")
    parts = zip(found.groups(), UNITS_NS.values(), strict=True)
    total = sum(int(count) * unit for count, unit in parts if count)
    if total > MAX_NS:
        raise ValueError(f"{said!r} is longer than 10y")
    return total


def parse_multiple(text: object) -> float | None:
    """Return 3.0 for ``3x`` (times the registered interval), None for anything else."""
    found = _TIMES.fullmatch(text.strip()) if isinstance(text, str) else None
    return float(found[1]) if found else None


def format_duration(duration_ns: int) -> str:
    """Return the shortest text parse_duration reads back to the same number (whole ms)."""
    if duration_ns <= 0:
        return "0s"
    text, rest = "", duration_ns
    for name, unit in UNITS_NS.items():
        if name in ("y", "w"):
            continue
        count, rest = divmod(rest, unit)
        text += f"{count}{name}" if count else ""
    return text or "0s"
