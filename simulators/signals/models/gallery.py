"""Utility tunnels: air, water on the floor, cables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows


def oxygen(v: View, rows: Rows, t: Floats) -> Floats:
    """Return oxygen, %vol."""
    return 20.9 + 0.02 * v.slow(rows, t, 3600)


def methane(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane, %vol: background."""
    return np.maximum(0, 0.02 + 0.006 * v.slow(rows, t, 3600) + 0.004 * v.white(rows, t))


def co(v: View, rows: Rows, t: Floats) -> Floats:
    """Return carbon monoxide, mg/m3."""
    return np.maximum(0, 2.3 + 0.25 * v.slow(rows, t, 3600))


def h2s(v: View, rows: Rows, t: Floats) -> Floats:
    """Return hydrogen sulphide, mg/m3."""
    return np.maximum(0, 1 + 0.15 * v.slow(rows, t, 3600))


def humidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return relative humidity, %: damper in summer, when warm air meets cool walls."""
    damp = 0.4 * np.clip(v.drivers.air(t) - v.drivers.soil(t), -5, 10)
    return 60 + damp + 1.5 * v.slow(rows, t, 3600)


def floor(v: View, rows: Rows, t: Floats) -> Floats:
    """Return water on the floor, m: two centimetres, a little more after rain."""
    wet = 0.002 * np.minimum(v.drivers.runoff(t, 35.0), 5)
    return np.maximum(0, 0.02 + wet + 0.003 * v.slow(rows, t, 7200))


def cable(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a power cable's temperature, Cel, with the load of the day."""
    return 32 + 4 * v.drivers.demand(t) + 0.2 * v.slow(rows, t, 3600)
