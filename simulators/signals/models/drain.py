"""Drainage: levels and flows of sewers, gas in them, rain, ponding, covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.physics.drainage import manning_full, normal_depth
from simulators.physics.gas import biogas

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

SLOPE = 0.002
STORM_SHARE = 0.012  # of a pipe's capacity that 1 mm/h of rain brings into a foul sewer


def _share(v: View, rows: Rows, t: Floats) -> Floats:
    """Return flow over what the full pipe carries: sewage two hours after its use, and rain."""
    dry = 0.07 + 0.13 * v.drivers.demand(t - 7200)
    return dry + STORM_SHARE * felt(v, rows, t)


def felt(v: View, rows: Rows, t: Floats) -> Floats:
    """Return rain as it is felt at a place, mm/h: routed by its catchment, moved by the wind."""
    at = t - v.rain_lag[rows]
    near = v.drivers.runoff(at, 15.0)
    far = v.drivers.runoff(at, 35.0)
    share = np.clip((v.design("peak_min", 20.0)[rows] - 15) / 20, 0, 1)
    return near + (far - near) * share


def level(v: View, rows: Rows, t: Floats) -> Floats:
    """Return level, m: the depth of uniform flow in the pipe (Manning)."""
    d = v.design("diameter_m", 1.0)[rows]
    slope = v.design("slope", SLOPE)[rows]
    flow = _share(v, rows, t) * manning_full(d, slope)
    return normal_depth(flow, d, slope) + 0.004 * v.white(rows, t)


def flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return sewage, m3/h."""
    d = v.design("diameter_m", 1.0)[rows]
    full = manning_full(d, v.design("slope", SLOPE)[rows])
    return 3600 * full * _share(v, rows, t) * (1 + 0.03 * v.white(rows, t))


def methane(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane of a sewer: biogas with sewage and warmth, washed out by rain."""
    made = biogas(0.08, v.drivers.soil(t), v.drivers.demand(t - 7200))
    flushed = 1 / (1 + felt(v, rows, t))
    return np.clip(made * flushed + 0.02 * v.slow(rows, t, 1800), 0, 0.4)


def h2s(v: View, rows: Rows, t: Floats) -> Floats:
    """Return hydrogen sulphide of a sewer, below 4 mg/m3."""
    made = biogas(1.2, v.drivers.soil(t), v.drivers.demand(t - 7200))
    return np.clip(made + 0.35 * v.slow(rows, t, 1800), 0, 3.8)


def gauge(v: View, rows: Rows, t: Floats) -> Floats:
    """Return rain, mm/h: it comes over the city from the west, a little different at each gauge."""
    differs = 0.12 * v.slow(rows, t, 1800, of="cell") + 0.04 * v.slow(rows, t, 1800)
    return v.drivers.rain(t - v.rain_lag[rows]) * np.clip(1 + differs, 0.7, 1.3)


def puddle(v: View, rows: Rows, t: Floats) -> Floats:
    """Return ponding, cm: the pumps keep a road dry but for a film."""
    film = 0.12 * v.drivers.runoff(t - v.rain_lag[rows], 10.0)
    return np.clip(film + 0.05 * v.white(rows, t), 0, 2)


def cover(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a cover's tilt, deg: it lies as it was laid."""
    return 1 + (v.own[rows] % 3) + 0.0 * t


def acidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return pH of sewage."""
    return 7.2 + 0.1 * v.slow(rows, t, 7200)


def conductivity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return conductivity of sewage, uS/cm: thinned by rain."""
    thin = 1 / (1 + 0.15 * felt(v, rows, t))
    return 250 + (650 + 120 * v.drivers.demand(t - 7200)) * thin + 15 * v.slow(rows, t, 3600)
