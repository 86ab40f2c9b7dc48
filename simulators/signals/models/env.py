"""Environment stations: particles the city shares, noise by place and hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows


QUIET_UG_M3 = 71.0  # a quiet city has no smog: that is an incident


def pm25(v: View, rows: Rows, t: Floats) -> Floats:
    """Return fine particles, ug/m3: the city's haze, r about 0.9 between stations."""
    shared = v.drivers.haze(t) * np.exp(0.12 * v.slow(rows, t, 6 * 3600))
    return np.minimum(shared, QUIET_UG_M3) + 0.5 * v.white(rows, t)


def pm10(v: View, rows: Rows, t: Floats) -> Floats:
    """Return particles, ug/m3: fine ones and dust that traffic stirs up."""
    dust = 14 + 8 * np.minimum(v.drivers.traffic(t), 2)
    shared = v.drivers.haze(t) * np.exp(0.12 * v.slow(rows, t, 6 * 3600))
    held: Floats = np.minimum(shared, QUIET_UG_M3) + dust
    return held


def laeq(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the equivalent level, dB(A): 10 lg of the traffic, louder at a main road."""
    by_traffic: Floats = 10 * np.log10(np.maximum(v.drivers.traffic(t), 0.02))
    beside: Floats = np.where(v.design("roadside", 0.0)[rows] > 0, 61.0, 52.0)
    held: Floats = beside + 0.8 * by_traffic + 0.6 * v.slow(rows, t, 900)
    return held
