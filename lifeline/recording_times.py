"""Times and lengths of a recording as people write them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rules.durations import parse_duration
from rules.problems import Invalid, Problem
from simulators.recording import Cut, Play

if TYPE_CHECKING:
    from collections.abc import Sequence

END = (1 << 63) - 1


def cut_of(*, begin: str, end: str, channels: Sequence[str]) -> Cut:
    """Return what is kept of a recording; "" is open.

    Raises
    ------
    Invalid
        A text is no time, or there is nothing between the two.
    """
    times = {"begin_ns": moment_ns("--from", begin, 0), "end_ns": moment_ns("--to", end, END)}
    return Cut(**times, channels=tuple(channels))


def play_of(*, begin: str, end: str, warm: str, loops: int) -> Play:
    """Return how a recording is played; errors as of ``cut_of``."""
    try:
        warm_ns = parse_duration(warm)
    except ValueError as error:
        raise Invalid([Problem(f"--warm {warm}", 0, 0, "", str(error))]) from error
    times = {"begin_ns": moment_ns("--from", begin, 0), "end_ns": moment_ns("--to", end, END)}
    return Play(**times, warm_ns=warm_ns, loops=loops)


def moment_ns(option: str, text: str, absent: int) -> int:
    """Return Unix ns of an ISO 8601 time with its zone; ``absent`` for ""."""
    if not text:
        return absent
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        said = "is no time; write 2026-03-10T08:30:00+08:00"
        raise Invalid([Problem(f"{option} {text}", 0, 0, "", said)]) from error
    if at.tzinfo is None:
        said = "has no zone; write 2026-03-10T08:30:00+08:00"
        raise Invalid([Problem(f"{option} {text}", 0, 0, "", said)])
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000
