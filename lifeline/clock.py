"""The one Clock: it alone stamps receive times and ticks, so they never decrease.

The demo runs the city faster than the wall: every process is given the same ``(wall origin, city
origin, factor)`` and so agrees on the time without talking.

Where the machine's time is set back, ours does not stand still until it is caught up: holds, ticks
and silence would wait with it, and everything a sensor says would be of one instant. It goes on
with the steady clock, a little slower, until the wall is there again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

SLEW: Final = 0.001
"""A second set back is caught up in a quarter of an hour, an hour in six weeks. Not faster: where
the setting back was the mistake, and sensors are right, what they say would lie in our future."""


@dataclass(slots=True)
class Clock:
    """Unix nanoseconds, ``factor`` times as fast as the wall from ``city_origin_ns`` on."""

    wall_origin_ns: int = 0
    city_origin_ns: int = 0
    factor: float = 1.0
    _last_ns: int = field(default=0, repr=False)
    _steady_ns: int = field(default=0, repr=False)  # when _last_ns was told
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def now_ns(self) -> int:
        """Return the time, never less than an answer given before or than ``not_before``."""
        with self._lock:
            wall_ns, steady_ns = time.time_ns(), time.monotonic_ns()
            if self.factor == 1.0 and self.wall_origin_ns == self.city_origin_ns:
                now_ns = wall_ns
            else:
                now_ns = self.city_origin_ns + int((wall_ns - self.wall_origin_ns) * self.factor)
            went_ns = int((steady_ns - self._steady_ns) * self.factor * (1 - SLEW))
            now_ns = max(now_ns, self._last_ns + max(went_ns, 0))
            self._last_ns, self._steady_ns = now_ns, steady_ns
            return now_ns

    def not_before(self, floor_ns: int) -> None:
        """Clamp: after a restart nothing is stamped before what the journal already holds."""
        with self._lock:
            if floor_ns > self._last_ns:
                self._last_ns, self._steady_ns = floor_ns, time.monotonic_ns()

    def wall_s(self, city_ns: int) -> float:
        """Return how many wall seconds ``city_ns`` of city time take."""
        return city_ns / 1e9 / self.factor
