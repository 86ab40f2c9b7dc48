"""District heating: the curve, pressures, circulation, make-up, chambers beside the pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.physics.heating import LOWEST_CEL, contraction, cooled, returned, supply
from simulators.signals.drivers import season

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

WATER_M_S = 1.2  # in the mains
HOURS_OF_WATER = 6.0  # a network holds so many hours of its circulation
LEAST_MAKEUP, MOST_MAKEUP = (
    0.05,
    0.6,
)  # % of circulation, of a tight network while it warms or cools


def circulation(v: View, rows: Rows, t: Floats) -> Floats:
    """Return circulation, m3/h; a third of it out of season."""
    on = np.where(season(v.drivers.day_of_year(t)), 1.0, 0.35)
    return v.design("base_flow", 400.0)[rows] * on


def plant(v: View, t: Floats) -> Floats:
    """Return supply temperature at the plant, Cel: the curve, an hour behind the weather."""
    curve = supply(v.drivers.air(t - 3600))
    return np.where(season(v.drivers.day_of_year(t)), curve, LOWEST_CEL)


def arriving(v: View, rows: Rows, t: Floats) -> Floats:
    """Return supply temperature at a station, Cel: later, and cooled by the way."""
    far = v.design("from_plant_m", 500.0)[rows]
    sent = plant(v, t - far / WATER_M_S)
    return cooled(sent, v.drivers.soil(t), far, circulation(v, rows, t))


def supplied(v: View, rows: Rows, t: Floats) -> Floats:
    """Return what the supply sensor shows, Cel."""
    return arriving(v, rows, t) + 0.4 * v.slow(rows, t, 1800)


def back(v: View, rows: Rows, t: Floats) -> Floats:
    """Return return temperature, Cel."""
    return returned(arriving(v, rows, t)) + 0.4 * v.slow(rows, t, 1800)


def pressure_supply(v: View, rows: Rows, t: Floats) -> Floats:
    """Return supply pressure, kPa."""
    return 1000 + 4 * v.slow(rows, t, 3600, of="zone") + v.white(rows, t)


def pressure_return(v: View, rows: Rows, t: Floats) -> Floats:
    """Return return pressure, kPa."""
    return 400 + 2 * v.slow(rows, t, 3600, of="zone") + 0.5 * v.white(rows, t)


def flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return circulation as metered, m3/h."""
    return circulation(v, rows, t) * (1 + 0.01 * v.slow(rows, t, 1800))


def makeup(v: View, rows: Rows, t: Floats) -> Floats:
    """Return make-up, % of circulation: small losses, and what the water shrinks by as it cools."""
    falls = plant(v, t - 3600) - plant(v, t)  # K/h
    shrink = 100 * contraction(HOURS_OF_WATER, falls)
    return np.clip(0.25 + shrink + 0.03 * v.slow(rows, t, 3600), LEAST_MAKEUP, MOST_MAKEUP)


def humidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return relative humidity in a chamber, %."""
    return 60 + 1.5 * v.slow(rows, t, 3600)
