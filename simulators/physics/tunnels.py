"""Road tunnels: what vehicles emit, what the air carries off, a fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CO_G_KM: Final = 0.7  # a vehicle at 60 km/h, of a recent fleet
NATURAL_M3_S: Final = 12.0
MG_M3_PER_PPM: Final = 1.165  # CO at 20 Cel
SECTION_M2: Final = 60.0
SIGHT_PER_PPM: Final = 0.00009  # extinction, 1/m, that comes with each ppm of CO
AMBIENT_PPM: Final = 1.5
FAST, ULTRA_FAST = 0.047, 0.19  # kW/s2, t-squared fires (NFPA 92, annex B)


def emission_factor(speed_km_h: Floats | float) -> Floats:
    """Return CO of a vehicle relative to 60 km/h: slow traffic emits more a kilometre."""
    held: Floats = np.exp(0.03 * (60 - np.asarray(speed_km_h, np.float64)))
    return held


def fresh_air(vehicles_h: Floats, speed_km_h: Floats, fans_m3_s: Floats | float = 0.0) -> Floats:
    """Return air through the tunnel, m3/s: the traffic's piston, nature's and the fans'."""
    held: Floats = 0.0275 * vehicles_h * np.sqrt(speed_km_h / 60) + NATURAL_M3_S + fans_m3_s
    return held


def steady_co(
    vehicles_h: Floats, speed_km_h: Floats, length_km: float, fans_m3_s: Floats | float = 0.0
) -> Floats:
    """Return CO at the exit, ppm: outside, and where emission and fresh air balance."""
    grams_s = CO_G_KM * vehicles_h * length_km / 3600 * emission_factor(speed_km_h)
    held: Floats = (
        AMBIENT_PPM + grams_s * 1000 / fresh_air(vehicles_h, speed_km_h, fans_m3_s) / MG_M3_PER_PPM
    )
    return held


def time_constant_s(
    vehicles_h: float, speed_km_h: float, length_km: float, fans_m3_s: float = 0.0
) -> float:
    """Return the air-change time, s: volume over fresh air."""
    air = fresh_air(np.array([vehicles_h]), np.array([speed_km_h]), fans_m3_s)
    return float(length_km * 1000 * SECTION_M2 / air[0])


def fire_kw(seconds: Floats, growth: float, most_kw: float) -> Floats:
    """Return heat release, kW: a t² up to a greatest."""
    return np.minimum(growth * np.maximum(seconds, 0) ** 2, most_kw)


def ceiling_rise(
    kw: Floats, away_m: Floats | float, height_m: float = 5.5, wind_m_s: float = 2.0
) -> Floats:
    """Return how much warmer the ceiling jet is, K, after Alpert (1972), thinned along the tunnel.

    ``ΔT = 5.38 (Q/r)^(2/3) / H`` outside the plume, r at least 0.18 H; the air's heat over its
    flow bounds it far off.
    """
    r = np.maximum(np.abs(away_m), 0.18 * height_m)
    near = 5.38 * (kw / r) ** (2 / 3) / height_m
    mixed = 0.7 * kw / (1.2 * 1.005 * SECTION_M2 * wind_m_s)
    held: Floats = np.where(r > 30, np.minimum(near, mixed), near)
    thinned: Floats = held * np.exp(-np.maximum(r - 30, 0) / 150)
    return thinned
