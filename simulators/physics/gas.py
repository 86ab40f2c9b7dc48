"""Gas: flow through a hole, a chamber as a well-mixed box, what a sewer makes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ATMOSPHERE_KPA: Final = 101.325
METHANE_KG_M3: Final = 0.668  # at 20 Cel and one atmosphere
HEAT_RATIO: Final = 1.31  # of methane
GAS_CONSTANT: Final = 8.314462618 / 0.016043  # J/(kg K)
DISCHARGE: Final = 0.62  # of a sharp hole
CRITICAL: Final = (2 / (HEAT_RATIO + 1)) ** (HEAT_RATIO / (HEAT_RATIO - 1))  # 0.544


def hole_flow(diameter_mm: float, gauge_kpa: float, *, celsius: float = 20.0) -> float:
    """Return gas through a round hole, m3/h at one atmosphere.

    Isentropic orifice, choked above 1.84 atmospheres (Perry's Chemical Engineers' Handbook,
    section 10): 5 mm at 0.2 MPa lose 30…45 m3/h.
    """
    area = np.pi * (diameter_mm / 2000) ** 2
    inside = (ATMOSPHERE_KPA + gauge_kpa) * 1000
    kelvin = celsius + 273.15
    ratio = max(ATMOSPHERE_KPA * 1000 / inside, CRITICAL)
    k = HEAT_RATIO
    flux = inside * np.sqrt(
        2 * k / (k - 1) / (GAS_CONSTANT * kelvin) * (ratio ** (2 / k) - ratio ** ((k + 1) / k))
    )
    return float(DISCHARGE * area * flux / METHANE_KG_M3 * 3600)


def air_changes(sealed_h: float, wind_m_s: Floats, warmer_k: Floats) -> Floats:
    """Return air changes of a chamber, 1/h: its cover's, more by wind and by warm air rising."""
    return sealed_h + 0.02 * sealed_h * wind_m_s + 0.01 * sealed_h * np.maximum(0, warmer_k)


def box(source_m3_h: float, volume_m3: float, changes_h: float, hours: Floats) -> Floats:
    """Return concentration, %vol, after ``hours`` of a constant source into clean air.

    ``dC/dt = q (1 − C)/V − n C``: C = C∞ (1 − e^(−kt)), k = n + q/V, C∞ = (q/V)/k (well-mixed
    room; ASHRAE Fundamentals, ventilation).
    """
    per_h = source_m3_h / volume_m3
    k = changes_h + per_h
    held: Floats = 100 * per_h / k * (1 - np.exp(-k * hours))
    return held


def box_series(
    source_m3_h: Floats, volume_m3: float, changes_h: Floats, step_h: float, first: float = 0.0
) -> Floats:
    """Return the same with source and air changes that vary, constant within each step; float64[n].

    Exact at every step: the box decays to its momentary equilibrium. ``first`` is the value at the
    first instant.
    """
    per_h = source_m3_h / volume_m3
    k = changes_h + per_h
    goal = 100 * per_h / np.maximum(k, 1e-12)
    keep = np.exp(-k * step_h)
    held = np.empty(len(per_h))
    c = first
    for i in range(len(held)):
        held[i] = c
        c = goal[i] + (c - goal[i]) * keep[i]
    return held


def seconds_to(limit_vol: float, source_m3_h: float, volume_m3: float, changes_h: float) -> float:
    """Return when a box reaches a limit, s; infinity where it never does."""
    per_h = source_m3_h / volume_m3
    k = changes_h + per_h
    share = limit_vol / (100 * per_h / k) if per_h > 0 else np.inf
    return float(-np.log(1 - share) / k * 3600) if share < 1 else float("inf")


def biogas(at_20: Floats | float, water_celsius: Floats, sewage: Floats) -> Floats:
    """Return what a sewer makes, in the unit of ``at_20``: 7 % more a kelvin, more with sewage."""
    made: Floats = at_20 * 1.07 ** (water_celsius - 20) * (0.6 + 0.4 * sewage)
    return made
