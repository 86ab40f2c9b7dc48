"""Waveforms of a bridge and a main, a piece at a time: what features and transients are made of.

A bridge swings in its modes, each a second-order system driven by white noise (Peeters and De
Roeck, 1999): filtered from rest some time before each whole minute, so that a minute is the same
whoever asks for it. A burst's wave is a front and a decay to the new pressure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import lfilter

from simulators.noise import normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MINUTE_S: Final = 60
RINGS: Final = 12.0  # of a mode's time constants before a minute begins: e^-12 is left of the rest
FRONT_S: Final = 0.05


def swinging(
    key: int, minute: int, rate_hz: int, modes: Sequence[tuple[float, float, float]]
) -> Floats:
    """Return a minute of acceleration, m/s2, float64[60 rate].

    ``modes`` are (hertz, damping ratio, rms m/s2); ``key`` names the sensor's noise, ``minute``
    counts from 1970. Each mode is the sampled impulse response of ``ÿ + 2ζωẏ + ω²y``.
    """
    whole = np.zeros(MINUTE_S * rate_hz)
    for number, (hertz, damping, rms) in enumerate(modes):
        omega = 2 * np.pi * hertz
        warm = int(np.ceil(RINGS / (damping * omega) * rate_hz))
        at = np.arange(minute * MINUTE_S * rate_hz - warm, (minute + 1) * MINUTE_S * rate_hz)
        keep = np.exp(-damping * omega / rate_hz)
        turn = omega * np.sqrt(1 - damping**2) / rate_hz
        a = [1.0, -2 * keep * np.cos(turn), keep**2]
        raw = lfilter([1.0], a, normal(key + number, at))[warm:]
        # the variance of such a filter's output under unit white noise, in closed form
        a1, a2 = a[1], a[2]
        variance = (1 + a2) / ((1 - a2) * ((1 + a2) ** 2 - a1**2))
        whole += rms / np.sqrt(variance) * raw
    return whole


def surge(seconds: Floats, shock_kpa: float, settles_kpa: float, decay_s: float = 15.0) -> Floats:
    """Return the change of pressure at seconds since the front arrives, kPa: down, then less down.

    ``shock_kpa`` is the wave's (``physics.water.shock_kpa``), ``settles_kpa`` what stays.
    """
    front = np.clip(seconds / FRONT_S, 0, 1)
    held: Floats = -front * (
        settles_kpa + (shock_kpa - settles_kpa) * np.exp(-np.maximum(seconds, 0) / decay_s)
    )
    return held
