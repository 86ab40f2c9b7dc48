"""Tunnels: CO and sight by emission and fresh air, wind, heat, seepage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.physics.tunnels import AMBIENT_PPM, MG_M3_PER_PPM, SIGHT_PER_PPM, steady_co

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

FREE_KM_H = 60.0


def speed(vehicles_h: Floats, capacity_h: float = 5000.0) -> Floats:
    """Return the traffic's speed, km/h: slower as the road fills (BPR, 1964)."""
    held: Floats = FREE_KM_H / (1 + 0.15 * (vehicles_h / capacity_h) ** 4)
    return held


def ppm(v: View, rows: Rows, t: Floats) -> Floats:
    """Return CO along the tunnel, ppm: in balance, growing from portal to portal."""
    sections = v.design("sections", 4.0)[rows]
    length_km = v.design("length_m", 175.0)[rows] / 1000 * sections
    vehicles = v.design("aadt", 40_000.0)[rows] / 24 * v.drivers.traffic(t)
    exit_ppm = _balance(vehicles, length_km)
    along = (v.design("order", 0.0)[rows] + 0.5) / sections
    street = AMBIENT_PPM * (0.5 + v.drivers.traffic(t))  # what comes in at the portal
    return street + (exit_ppm - AMBIENT_PPM) * along


def _balance(vehicles: Floats, length_km: Floats) -> Floats:
    one = steady_co(vehicles, speed(vehicles), 1.0)
    held: Floats = AMBIENT_PPM + (one - AMBIENT_PPM) * length_km
    return held


def co(v: View, rows: Rows, t: Floats) -> Floats:
    """Return carbon monoxide, mg/m3."""
    gusts = 1 + 0.06 * v.slow(rows, t, 900, of="zone")
    return MG_M3_PER_PPM * (ppm(v, rows, t) * gusts + 0.2 * v.white(rows, t))


def visibility(v: View, rows: Rows, t: Floats) -> Floats:
    """Return light extinction, 1/m, moving with the CO."""
    gusts = 1 + 0.06 * v.slow(rows, t, 900, of="zone")
    smoke = SIGHT_PER_PPM * ppm(v, rows, t) * gusts
    return 0.0004 + smoke + 0.00002 * v.white(rows, t)


def wind(v: View, rows: Rows, t: Floats) -> Floats:
    """Return wind along the tunnel, m/s: the traffic's piston."""
    return 1.5 + 0.8 * np.minimum(v.drivers.traffic(t), 3) + 0.2 * v.slow(rows, t, 600)


def heat(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the linear heat detector's maximum, Cel."""
    return 14 + 0.5 * v.drivers.air(t) + v.drivers.traffic(t) + 0.1 * v.slow(rows, t, 1800)


def seepage(v: View, rows: Rows, t: Floats) -> Floats:
    """Return water at a low point or gallery floor, m: two centimetres."""
    return np.maximum(0, 0.02 + 0.003 * v.slow(rows, t, 7200))
