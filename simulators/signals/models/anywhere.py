"""What every lifeline has: batteries, radio, temperatures, and what no model knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows


def battery(v: View, rows: Rows, t: Floats) -> Floats:
    """Return charge, %: between 60 and 98 by module, cells in the cold a little less."""
    own = 60 + 38 * ((v.asset[rows] % 1000) / 1000)
    return own + 0.05 * (v.drivers.air(t) - 16)


def signal_strength(v: View, rows: Rows, t: Floats) -> Floats:
    """Return received signal strength, dBm."""
    return -95 + 4 * v.slow(rows, t, 1800)


def steady(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a third of the range with a little wander: what no model knows."""
    c = v.registry.channels
    lo, hi = c.range_lo[rows], c.range_hi[rows]
    known = np.isfinite(lo) & np.isfinite(hi)
    middle = np.where(known, lo + (hi - lo) / 3, 0.0)
    return middle + np.where(known, (hi - lo) * 0.001, 0.1) * v.slow(rows, t, 1800)


def heartbeat(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the count that the watchdog's own reading carries, one each 30 s."""
    del v, rows
    return np.floor(t / 30)


def still(v: View, rows: Rows, t: Floats) -> Floats:
    """Return 0: a door that is shut, a pump that rests, a fan that stands."""
    del v, rows
    return np.zeros_like(t)


def air_temperature(v: View, rows: Rows, t: Floats) -> Floats:
    """Return outdoor temperature, Cel."""
    return v.drivers.air(t) + 0.2 * v.slow(rows, t, 1800)


def below_ground(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the temperature of a chamber below ground, Cel: the soil's, hardly the day's."""
    soil = v.drivers.soil(t)
    return soil + 0.1 * (v.drivers.air(t) - soil) + 0.2 * v.slow(rows, t, 7200)
