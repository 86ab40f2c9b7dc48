"""Gas: chambers beside the pipe, stations, users, what shakes the ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.physics.gas import air_changes, biogas

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

SEWER_BESIDE_M3_H = 0.0004  # biogas that finds its way into a chamber beside a sewer, at 20 Cel


def space(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane in a duct or manhole: background, and a sewer's beside it.

    The sewer's share is the box's equilibrium, q/(nV): it changes over days, the box over hours.
    """
    ground = 0.02 + 0.006 * v.slow(rows, t, 3600) + 0.004 * v.white(rows, t)
    beside = v.flag("near_sewer")[rows]
    if not beside.any():
        return np.maximum(0, ground)
    d = v.drivers
    warmer = d.soil(t) - d.air(t)
    changes = air_changes(1.0, d.wind(t), warmer) * v.design("air_changes_h", 0.2)[rows]
    made = biogas(SEWER_BESIDE_M3_H, d.soil(t), d.demand(t - 7200))
    share = 100 * made / v.design("volume_m3", 3.0)[rows] / changes
    share = np.minimum(share * (1 + 0.1 * v.slow(rows, t, 6 * 3600)), 0.35)
    return np.maximum(0, ground + np.where(beside, share, 0.0))


def room(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane in a regulator's room."""
    return np.maximum(0, 0.03 + 0.01 * v.slow(rows, t, 7200))


def kitchen(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane where people cook: a little unburnt gas at meals."""
    cooking = np.maximum(0, v.drivers.gas_demand(t) - 1) * 0.02
    return np.maximum(0, 0.01 + cooking * (1 + 0.3 * v.slow(rows, t, 900)))


def medium(v: View, rows: Rows, t: Floats) -> Floats:
    """Return medium pressure, kPa: ``P = P_set (1 − R Q²)``; stations of a main move together."""
    q = v.drivers.gas_demand(t) / 2
    shared = 0.002 * v.slow(rows, t, 600, of="site") + 0.002 * v.slow(rows, t, 1800)
    return v.design("set_mp_kpa", 200.0)[rows] * (1 - 0.008 * q**2 + shared)


def low(v: View, rows: Rows, t: Floats) -> Floats:
    """Return regulator outlet pressure, kPa: locks up a little at night."""
    q = v.drivers.gas_demand(t) / 2
    lock_up = 0.1 * np.clip(1 - q / 0.4, 0, 1)
    return v.design("set_lp_kpa", 2.2)[rows] * (1 + lock_up - 0.05 * q**2) + 0.01 * v.white(rows, t)


def flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return gas through a station, m3/h."""
    return 600 * v.drivers.gas_demand(t) * (1 + 0.02 * v.slow(rows, t, 600))


def shaking(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the peak ground velocity of a minute, mm/s: traffic passing."""
    rms = 0.05 + 0.1 * np.minimum(v.drivers.traffic(t), 2.5)
    return rms * (1.8 + 0.25 * v.white(rows, t))
