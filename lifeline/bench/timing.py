"""CPU time of pieces of work on one core: this process's seconds, by the median of its laps."""

from __future__ import annotations

import gc
import os
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopwatch:
    """Laps of one program.

    The garbage collector rests meanwhile, as in ``timeit``: it would walk the other programs'
    objects, and its rounds would fall on whichever is running.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.rows: list[int] = []

    @contextmanager
    def lap(self, rows: int) -> Iterator[None]:
        """Measure the body, which takes up ``rows`` readings."""
        was = gc.isenabled()
        gc.disable()
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds.append(time.process_time() - begun)
            self.rows.append(rows)
            if was:
                gc.enable()

    @property
    def readings_per_s(self) -> int:
        """Return the median over the laps: a burst of other work on the machine moves it little."""
        return round(median(n / s for n, s in zip(self.rows, self.seconds, strict=True)))


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core meanwhile, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
