"""Water: pressures of a solved network, inflow of metered areas, noise at night, quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.hydraulics.tables import HAZEN_WILLIAMS, net3

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

PUMP_SHARE = 0.5  # the second pump runs at half its speed's effect
BACKGROUND = 0.12  # of inflow: leakage at joints
METER_SET_S = 1_700_000_000.0  # when meters showed nothing


def pressure(v: View, rows: Rows, t: Floats) -> Floats:
    """Return network pressure, kPa: solved hydraulics where an asset names its junction.

    Elsewhere the source less friction after Hazen and Williams.
    """
    node = v.design("node", -1.0)[rows]
    solved = node >= 0
    load = v.drivers.demand(t)
    slow = 1.5 * v.slow(rows, t, 300, of="zone") + 0.5 * v.white(rows, t)
    if solved.all():
        pump = PUMP_SHARE * v.drivers.lake_pump(t)
        return net3().pressure(node.astype(np.int64), load, pump) + slow
    far = 0.6 + 0.4 * v.design("chainage_m", 500.0)[rows] / 1000
    held = v.design("source_kpa", 340.0)[rows] - 45 * far * load**HAZEN_WILLIAMS + slow
    if solved.any():
        held[solved] = pressure(v, rows[solved], t[solved])
    return held


def flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a metered area's inflow, m3/h: demand, and leakage that grows as pressure rises."""
    base = np.where(
        v.design("inflow_m3_h", -1.0)[rows] > 0,
        v.design("inflow_m3_h", -1.0)[rows],
        v.design("base_flow", 250.0)[rows],
    )
    load = v.drivers.demand(t)
    leaks = BACKGROUND * (1.15 - 0.15 * load)
    return base * (load * (1 + 0.01 * v.slow(rows, t, 300, of="zone")) + leaks)


def volume(v: View, rows: Rows, t: Floats) -> Floats:
    """Return an inlet meter's total, m3: the day's usual curve summed, which only rises."""
    base = v.design("inflow_m3_h", 250.0)[rows]
    drawn = v.drivers.usual_days(t) * 24 + BACKGROUND * (t - METER_SET_S) / 3600
    return base * drawn


def noise(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the quietest moment of the night at a logger, dB."""
    own = 14 + 8 * ((v.own[rows] % 1000) / 1000)
    return own + 1.2 * v.white(rows, t)


def turbidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return turbidity, NTU."""
    return np.clip(0.2 + 0.02 * v.slow(rows, t, 3600), 0.05, 0.4)


def chlorine(v: View, rows: Rows, t: Floats) -> Floats:
    """Return free chlorine, mg/L: decays sooner in warm water, less where much is drawn."""
    warm = -0.006 * (v.drivers.soil(t) - 16)
    return np.clip(0.45 + warm + 0.03 * v.slow(rows, t, 7200), 0.2, 0.8)


def acidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return pH."""
    return 7.6 + 0.03 * v.slow(rows, t, 7200)


def conductivity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return conductivity, uS/cm."""
    return 520 + 5 * v.slow(rows, t, 7200)
