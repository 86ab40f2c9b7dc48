"""First-order recurrences over many runs: wave by wave where they are many, compiled where long.

Wave w holds row w of every run that has one. ``y = a*x + (1-a)*y`` is what scipy's lfilter computes
bit for bit, so that a few long runs may take the compiled path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RUN_COST = 4
"""Waves that cost as much as one run through lfilter: few long runs take the latter."""


class Waves:
    """The order in which rows of runs are taken wave by wave."""

    def __init__(self, start: NDArray[np.int64], length: NDArray[np.int64]) -> None:
        if bool((length == length[0]).all()):
            self.order: NDArray[np.int64] | slice = slice(None)
            self.begin, self.size = start, length
        else:
            self.order = np.argsort(-length, kind="stable")
            self.begin, self.size = start[self.order], length[self.order]
        self._falling = -self.size

    def active(self, wave: int) -> int:
        """Return how many runs, the longest first, have a row in this wave."""
        return int(np.searchsorted(self._falling, -wave, side="left"))

    def each(self, *, until_few: bool = False) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield (active runs, places of their rows); ``until_few`` stops where runs go cheaper."""
        longest = int(self.size[0])
        for wave in range(longest):
            active = self.active(wave)
            if until_few and wave > 0 and active * RUN_COST < longest - wave:
                return
            yield active, self.begin[:active] + wave


def recur_before(
    x: NDArray[np.float64],
    alpha: NDArray[np.float64],
    carried: NDArray[np.float64],
    waves: Waves,
    fresh: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """Return, at each row, the recurrence ``y = a*x + (1-a)*y`` over the rows before it.

    ``alpha``, ``carried`` and ``fresh`` [s] are of the runs. The first row of a ``fresh`` run sets
    ``y`` to itself, exactly; None where no run is.
    """
    out = np.empty(len(x))
    a, y = alpha[waves.order], carried[waves.order].copy()
    rest = 1.0 - a
    done = 0
    for active, at in waves.each(until_few=True):
        out[at] = y[:active]
        y[:active] = a[:active] * x[at] + rest[:active] * y[:active]
        if done == 0 and fresh is not None:
            new = np.flatnonzero(fresh[waves.order])
            y[new] = x[waves.begin[new]]
        done += 1
    for i in range(waves.active(done)):
        first, stop = int(waves.begin[i]) + done, int(waves.begin[i] + waves.size[i])
        _recur_long(x, out, slice(first, stop), float(a[i]), float(y[i]))
    return out


def _recur_long(
    x: NDArray[np.float64], out: NDArray[np.float64], span: slice, a: float, y: float
) -> None:
    """Run one long run through lfilter."""
    rest = 1.0 - a
    if not (np.isfinite(y) and np.isfinite(x[span]).all()):
        # lfilter also multiplies by zero, and 0 * inf would be NaN
        for row in range(span.start, span.stop):
            out[row] = y
            y = a * float(x[row]) + rest * y
        return
    run, _ = lfilter([a], [1.0, -rest], x[span], zi=[rest * y])
    out[span.start] = y
    out[span.start + 1 : span.stop] = run[:-1]
