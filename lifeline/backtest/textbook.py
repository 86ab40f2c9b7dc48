"""How often statistical rules alarm on data that are as the textbook has them: independent, normal.

Real samples are not independent, and then the numbers are far too good: with an autocorrelation of
0.5 a cusum of 11 sigma alarms some hundred times as often as it says here. So the number is never
told without the words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.plan import ChannelRule

ASSUMED: Final = "assumes independent samples"
OVERSHOOT: Final = 1.166  # how far a sum passes its limit, on average, on both ends
SINGLE: Final = ("zscore", "ewma", "seasonal")  # kinds whose score is so many sigma, by itself
DAY_NS: Final = 86_400e9


def cusum_run_length(slack: float, limit: float) -> float:
    """Return the samples to the first alarm of a one-sided cusum, both in sigma.

    Siegmund, Sequential Analysis, 1985, with the boundary moved by the overshoot.
    """
    b = limit + OVERSHOOT
    if slack == 0:
        return b * b
    return (math.exp(2 * slack * b) - 2 * slack * b - 1) / (2 * slack * slack)


def single_rate(limit: float, samples: int) -> float:
    """Return how often, a sample, so many on end begin to lie beyond a limit in sigma."""
    p = float(norm.sf(limit))
    return float(p**samples * (1 - p))


def alarms_per_day(side: ChannelRule, interval_ns: NDArray[np.int64]) -> float | None:
    """Return the false alarms a day of one side on all its channels, None where no book has them.

    ``interval_ns`` [n] is of the side's channels. Where limits change by the hour, it is as if the
    hours with the most alarms held all day.
    """
    if side.kind not in (*SINGLE, "cusum"):
        return None
    return max(_of_one_hour(each, interval_ns) for each in side.at_hours())


def _of_one_hour(side: ChannelRule, interval_ns: NDArray[np.int64]) -> float:
    limits = side.side * side.raise_at
    lowest = np.nanargmin(limits, axis=1)
    total = 0.0
    for at, column in enumerate(lowest.tolist()):
        limit, a_day = float(limits[at, column]), DAY_NS / float(interval_ns[at])
        if side.kind == "cusum":
            total += a_day / cusum_run_length(float(side.own["slack"][at]), limit)
            continue
        by_time = math.ceil(int(side.hold_ns[at, column]) / int(interval_ns[at])) + 1
        counted = int(side.hold_samples[at, column])
        total += a_day * single_rate(limit, min(counted, by_time) if counted else by_time)
    return total
