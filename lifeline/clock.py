"""The one Clock: it alone stamps receive times and ticks, so they never decrease.

The demo runs the city faster than the wall: every process is given the same ``(wall origin, city
origin, factor)`` and so agrees on the time without talking.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Unix nanoseconds, ``factor`` times as fast as the wall from ``city_origin_ns`` on."""

    wall_origin_ns: int = 0
    city_origin_ns: int = 0
    factor: float = 1.0
    _last_ns: int = field(default=0, repr=False)

    def now_ns(self) -> int:
        """Return the time, never less than an answer given before or than ``not_before``."""
        wall_ns = time.time_ns()
        if self.factor == 1.0 and self.wall_origin_ns == self.city_origin_ns:
            now_ns = wall_ns
        else:
            now_ns = self.city_origin_ns + int((wall_ns - self.wall_origin_ns) * self.factor)
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns

    def not_before(self, floor_ns: int) -> None:
        """Clamp: after a restart nothing is stamped before what the journal already holds."""
        self._last_ns = max(self._last_ns, floor_ns)

    def wall_s(self, city_ns: int) -> float:
        """Return how many wall seconds ``city_ns`` of city time take."""
        return city_ns / 1e9 / self.factor
