"""Functions of time kept on whole minutes, a day at a time, so that a city asks for each once.

A day's table depends on nothing but the day: values are the same however they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEP_S: Final = 60.0
PER_DAY: Final = 1440
KEPT_DAYS: Final = 40  # of each function


class Grid:
    """``of(t_s)`` on whole minutes, joined by straight lines; ``of`` takes and gives float64[n].

    With ``warmup_days`` it is given so many days more at the front, whose values are thrown away: a
    filter has then forgotten where it began.
    """

    def __init__(self, of: Callable[[Floats], Floats], warmup_days: int = 0) -> None:
        self._of = of
        self._warmup = warmup_days * PER_DAY
        self._days: dict[int, Floats] = {}

    def __call__(self, t_s: Floats) -> Floats:
        """Return the function at Unix seconds of any shape."""
        place = t_s / STEP_S
        minute = np.floor(place).astype(np.int64)
        share = place - minute
        if not minute.size:
            return share
        first, last = int(minute.min()) // PER_DAY, int(minute.max()) // PER_DAY
        if first == last:
            table, at = self._day(first), minute - first * PER_DAY
        else:
            day = minute // PER_DAY
            days = range(first, last + 1) if last - first < 64 else np.unique(day).tolist()
            table = np.concatenate([self._day(d) for d in days])
            number = np.searchsorted(np.asarray(days), day)
            at = number * (PER_DAY + 1) + (minute - day * PER_DAY)
        low = table[at]
        held: Floats = low + (table[at + 1] - low) * share
        return held

    def _day(self, day: int) -> Floats:
        """Return the day's values at its 1 440 minutes and the first of the next, float64[1441]."""
        held = self._days.get(day)
        if held is None:
            minutes = np.arange(day * PER_DAY - self._warmup, (day + 1) * PER_DAY + 1)
            held = self._of(minutes.astype(np.float64) * STEP_S)[self._warmup :]
            if len(self._days) >= KEPT_DAYS:
                self._days.pop(next(iter(self._days)))
            self._days[day] = held
        return held
