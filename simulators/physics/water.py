"""Water mains: what a break loses, how it is heard, the shock before it."""

from __future__ import annotations

from typing import Final

import numpy as np

GRAVITY: Final = 9.80665
WATER_KG_M3: Final = 998.0
ROUND_HOLE: Final = 0.6  # discharge coefficient
WAVE_M_S: Final = 1100.0  # in cast iron and steel


def orifice_flow(diameter_mm: float, head_m: float) -> float:
    """Return the loss through a hole, m3/h (Torricelli): 30 mm at 30 m lose 37."""
    area = np.pi * (diameter_mm / 2000) ** 2
    return float(ROUND_HOLE * area * np.sqrt(2 * GRAVITY * head_m) * 3600)


def leakage(at_mean: float, kpa: float, mean_kpa: float, exponent: float) -> float:
    """Return leakage at a pressure by the FAVAD power law, exponent 0.5 a hole, 1.5 joints."""
    return float(at_mean * (kpa / mean_kpa) ** exponent)


def shock_kpa(flow_m3_h: float, diameter_mm: float, wave_m_s: float = WAVE_M_S) -> float:
    """Return a sudden flow's pressure wave, kPa (Joukowsky), halved as it runs both ways."""
    speed = flow_m3_h / 3600 / (np.pi * (diameter_mm / 2000) ** 2)
    return float(WATER_KG_M3 * wave_m_s * speed / 2 / 1000)


def heard_db(at_leak_db: float, away_m: float, per_m: float = 0.2) -> float:
    """Return a leak's noise along the pipe, dB: metal loses 0.1…0.3 dB a metre."""
    return max(0.0, at_leak_db - per_m * away_m)
