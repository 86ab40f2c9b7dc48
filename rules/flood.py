"""Floods: more announcements than a person can take in. Announcements are folded, never alarms.

After ISA-18.2 and EEMUA 191: a flood begins when more than ten announcements fall into ten minutes,
and is over when fewer than five do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

WINDOW_NS: Final = 600_000_000_000
RED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """When a flood begins (more than) and is over (fewer than), in announcements per ten minutes.

    Raises
    ------
    ValueError
        It would begin and end at once.
    """

    begins: int = 10
    ends: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.ends <= self.begins:
            raise ValueError(f"flood: ends = {self.ends} must lie in 1 … begins = {self.begins}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """When announcements were made, newest last, and the flood that is open, if one is."""

    times_ns: tuple[int, ...] = ()
    since_ns: int = 0  # 0: none is open
    announced: int = 0  # in the open flood, whether they went out or not

    @property
    def is_open(self) -> bool:
        """Tell whether a flood is open."""
        return self.since_ns > 0

    def at(self, now_ns: int, limits: FloodLimits) -> Flood:
        """Return it as it is then: announcements long ago are forgotten, a flood may be over."""
        times = tuple(t for t in self.times_ns if t > now_ns - WINDOW_NS)
        if self.is_open and len(times) < limits.ends:
            return Flood(times_ns=times)
        return replace(self, times_ns=times)

    def announce(self, now_ns: int, limits: FloodLimits) -> Flood:
        """Return it with one announcement more, which may begin a flood."""
        held = self.at(now_ns, limits)
        times = (*held.times_ns, now_ns)
        if held.is_open:
            return replace(held, times_ns=times, announced=held.announced + 1)
        if len(times) > limits.begins:
            return Flood(times_ns=times, since_ns=now_ns, announced=1)
        return replace(held, times_ns=times)

    def folds(self, severity: int) -> bool:
        """Tell whether an announcement of this level stays in the house while the flood lasts."""
        return self.is_open and severity < RED
