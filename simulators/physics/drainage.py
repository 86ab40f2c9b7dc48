"""Drainage: design storms, what roads and pipes make of them, a sag that fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# q = A (1 + C lg P) / (t + b)^n, L/(s ha): form of GB 50014; coefficients as used for Hefei
STORM_A, STORM_C, STORM_B, STORM_N = 3600.0, 0.76, 14.0, 0.84
MM_H_PER_L_S_HA: Final = 0.36
PEAK_SHARE: Final = 0.4  # of the duration, before the peak
ROUGHNESS: Final = 0.013  # Manning, concrete
FULLEST: Final = 0.938  # h/D at which a circular pipe carries most


def design_intensity(period_a: float, minutes: Floats | float) -> Floats:
    """Return the mean intensity of a storm of a return period, mm/h, over a duration."""
    q = STORM_A * (1 + STORM_C * np.log10(period_a)) / (np.asarray(minutes) + STORM_B) ** STORM_N
    held: Floats = q * MM_H_PER_L_S_HA
    return held


def chicago(period_a: float, minutes: float, at_min: Floats) -> Floats:
    """Return the Chicago hyetograph, mm/h, at minutes since its begin (Keifer and Chu, 1957).

    Its mean over any duration round the peak is the design intensity of that duration.
    """
    a = STORM_A * (1 + STORM_C * np.log10(period_a)) * MM_H_PER_L_S_HA
    peak = PEAK_SHARE * minutes
    before = np.maximum(peak - at_min, 0) / PEAK_SHARE
    after = np.maximum(at_min - peak, 0) / (1 - PEAK_SHARE)
    t = np.where(at_min < peak, before, after)
    momentary = a * ((1 - STORM_N) * t + STORM_B) / (t + STORM_B) ** (STORM_N + 1)
    held: Floats = np.where((at_min >= 0) & (at_min <= minutes), momentary, 0.0)
    return held


def routed(rain: Floats, peak_min: float, step_min: float = 1.0) -> Floats:
    """Return rain as a gauge downstream feels it: two equal linear reservoirs (Nash, 1957).

    The unit response is t/K² e^(−t/K), whose peak is at K = ``peak_min``; float64[n], from dry.
    """
    keep = np.exp(-step_min / peak_min)
    once = lfilter([1 - keep], [1, -keep], rain)
    held: Floats = lfilter([1 - keep], [1, -keep], once)
    return held


def rational(runoff: float, intensity_mm_h: Floats | float, area_ha: float) -> Floats:
    """Return the rational method's peak flow, m3/s: C i A (Kuichling, 1889)."""
    held: Floats = np.asarray(runoff * np.asarray(intensity_mm_h) / 3.6e6 * area_ha * 1e4)
    return held


def manning_full(diameter_m: Floats | float, slope: Floats | float) -> Floats:
    """Return what a circular pipe carries when full, m3/s (Manning): A R^(2/3) S^(1/2) / n."""
    d = np.asarray(diameter_m, np.float64)
    held: Floats = np.pi * d**2 / 4 * (d / 4) ** (2 / 3) * np.sqrt(slope) / ROUGHNESS
    return held


def _partial() -> tuple[Floats, Floats]:
    """Return (Q/Qfull, h/D) up to where the pipe carries most."""
    h = np.linspace(0, FULLEST, 400)
    turn = 2 * np.arccos(1 - 2 * h)
    area = (turn - np.sin(turn)) / (2 * np.pi)
    with np.errstate(invalid="ignore", divide="ignore"):
        radius = np.where(turn > 0, (turn - np.sin(turn)) / turn, 0)
    return area * radius ** (2 / 3), h


_SHARE_FLOW, _SHARE_DEPTH = _partial()


def normal_depth(flow_m3_s: Floats, diameter_m: Floats, slope: Floats) -> Floats:
    """Return the depth of uniform flow, m; a pipe asked for more runs full."""
    share = flow_m3_s / manning_full(diameter_m, slope)
    held: Floats = diameter_m * np.interp(share, _SHARE_FLOW, _SHARE_DEPTH)
    return held


def sag_depth(inflow_m3_s: Floats, pump_m3_s: Floats, sag_m: float, step_s: float) -> Floats:
    """Return ponding, m, of a sag of volume a d², ``sag_m`` = a, from dry; float64[n].

    ``dV/dt = inflow − pump``, never below nothing: the running sum less its running least.
    """
    gain = np.concatenate(([0.0], np.cumsum((inflow_m3_s - pump_m3_s)[:-1] * step_s)))
    volume = gain - np.minimum.accumulate(np.minimum(gain, 0))
    held: Floats = np.sqrt(volume / sag_m)
    return held
