"""A wall clock that can be set, for our processes alone: import it before anything asks the time.

``set_from`` names a file that holds seconds, "+86400"; while it is there ``time.time`` and
``time.time_ns`` are off by so much, as after somebody set the machine's clock. The steady clocks
are as they are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

LOOK_S: Final = 0.02  # how often the file is looked at, at most
_REAL_NS: Final = time.time_ns
_STATE: Final[dict[str, Any]] = {"file": None, "looked": 0.0, "off_ns": 0}


def _off_ns() -> int:
    now_s = time.monotonic()
    if _STATE["file"] is not None and now_s - _STATE["looked"] > LOOK_S:
        _STATE["looked"] = now_s
        try:
            text = _STATE["file"].read_text(encoding="ascii").strip()
        except FileNotFoundError:
            text = ""
        _STATE["off_ns"] = int(float(text or 0) * 1e9)
    return int(_STATE["off_ns"])


def _time_ns() -> int:
    return _REAL_NS() + _off_ns()


def _time() -> float:
    return _time_ns() / 1e9


def set_from(file: Path) -> None:
    """Follow a file from now on."""
    _STATE["file"] = file


def shift() -> None:
    """Put both in place of the standard library's."""
    time.time_ns, time.time = _time_ns, _time
