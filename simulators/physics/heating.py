"""District heating: the supply curve, what comes back, what a pipe loses on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROOM_CEL: Final = 20.0
LOWEST_CEL, HIGHEST_CEL = 60.0, 120.0
WATER_J_KG_K: Final = 4186.0
PIPE_W_M_K: Final = 0.35  # a pre-insulated DN300, EN 253
EXPANSION_PER_K: Final = 5.5e-4  # of water near 80 Cel


def supply(air_cel: Floats) -> Floats:
    """Return supply temperature, Cel: 1.6 K warmer for each kelvin of frost, within 60…120."""
    held: Floats = np.clip(75 + 1.6 * (5 - air_cel), LOWEST_CEL, HIGHEST_CEL)
    return held


def returned(supply_cel: Floats, taken: float = 0.45) -> Floats:
    """Return return temperature, Cel: houses take a share of what is above room temperature."""
    return supply_cel - taken * (supply_cel - ROOM_CEL)


def heat_kw(flow_m3_h: Floats, supply_cel: Floats, return_cel: Floats) -> Floats:
    """Return the heat delivered, kW: m cp ΔT, one litre a kilogram."""
    held: Floats = flow_m3_h * 1000 / 3600 * WATER_J_KG_K * (supply_cel - return_cel) / 1000
    return held


def cooled(cel: Floats, soil_cel: Floats, length_m: Floats, flow_m3_h: Floats) -> Floats:
    """Return the temperature at the end of a buried pipe, Cel: exponential towards the soil."""
    mass = np.maximum(flow_m3_h, 1.0) * 1000 / 3600
    share = np.exp(-PIPE_W_M_K * length_m / (mass * WATER_J_KG_K))
    held: Floats = soil_cel + (cel - soil_cel) * share
    return held


def contraction(volume_m3: float, falls_k_h: Floats) -> Floats:
    """Return the make-up a network draws as its water cools and shrinks, m3/h; negative: swells."""
    return volume_m3 * EXPANSION_PER_K * falls_k_h
