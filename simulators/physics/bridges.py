"""Bridges: natural frequencies, heat, a vehicle's pass, cables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONCRETE_PER_K: Final = 1.0e-5
STEEL_PER_K: Final = 1.2e-5
SOFTER_PER_K: Final = 0.001  # frequency; three times that where it freezes
REFERENCE_CEL: Final = 20.0


def first_frequency(length_m: Floats | float) -> Floats:
    """Return a girder's first vertical frequency, Hz: 95 L^-0.93 (Cantieni, EMPA 211, 1983)."""
    held: Floats = 95 * np.asarray(length_m, np.float64) ** -0.93
    return held


def softened(celsius: Floats) -> Floats:
    """Return the factor a temperature puts on frequencies; 1 at 20 Cel.

    0.1 % a kelvin, three times that below freezing, as asphalt and bearings stiffen (Peeters and
    De Roeck, Earthquake Engineering and Structural Dynamics 30, 2001: the Z24 bridge).
    """
    warm = np.maximum(celsius, 0) - REFERENCE_CEL
    held: Floats = 1 - SOFTER_PER_K * warm - 3 * SOFTER_PER_K * np.minimum(celsius, 0)
    return held


def stiffness_lost(share: float) -> float:
    """Return the factor on frequencies when a share of the stiffness is lost: sqrt(1 − share)."""
    return float(np.sqrt(1 - share))


def joint(celsius: Floats, length_m: Floats, *, per_k: float = CONCRETE_PER_K) -> Floats:
    """Return how far a joint has closed since 20 Cel, mm: αLΔT."""
    held: Floats = per_k * length_m * 1000 * (celsius - REFERENCE_CEL)
    return held


def influence(seconds: Floats, length_m: float, speed_m_s: float) -> Floats:
    """Return a vehicle's influence on mid-span while it passes: half a sine, 0…1."""
    along = seconds * speed_m_s / length_m
    held: Floats = np.where((along > 0) & (along < 1), np.sin(np.pi * np.clip(along, 0, 1)), 0.0)
    return held


def cable_force(kg_per_m: float, length_m: float, hertz: float, mode: int = 1) -> float:
    """Return a taut string's force, kN: 4 m l² (f_n/n)²."""
    return 4 * kg_per_m * length_m**2 * (hertz / mode) ** 2 / 1000
