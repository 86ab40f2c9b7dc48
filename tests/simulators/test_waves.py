"""Waveforms: modes where they should be, a front as steep as it should be, any minute alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from simulators.noise import key_of
from simulators.physics.bridges import first_frequency, softened
from simulators.physics.water import shock_kpa
from simulators.signals.waveforms import surge, swinging

RATE = 50
KEY = key_of(1, "sensor")


def record(f1, minutes=20):
    modes = [(f1, 0.015, 0.01), (2.1 * f1, 0.015, 0.006)]
    return np.concatenate([swinging(KEY, 29_000_000 + m, RATE, modes) for m in range(minutes)])


def peak(wave, low, high):
    f, p = welch(wave, RATE, nperseg=4096)
    inside = (f > low) & (f < high)
    return f[inside][np.argmax(p[inside])]


def test_a_girder_swings_at_its_frequencies_with_its_rms():
    f1 = float(first_frequency(30.0))
    wave = record(f1)
    assert peak(wave, 2, 6) == pytest.approx(f1, rel=0.015)
    assert peak(wave, 6, 12) == pytest.approx(2.1 * f1, rel=0.015)
    assert wave.std() == pytest.approx(np.hypot(0.01, 0.006), rel=0.08)


def test_a_loss_of_stiffness_and_a_warm_day_both_lower_the_peak():
    f1 = float(first_frequency(30.0))
    warm = f1 * float(softened(np.array([35.0]))[0])
    assert warm < f1
    assert peak(record(0.94 * f1), 2, 6) == pytest.approx(0.94 * f1, rel=0.015)
    assert peak(record(warm), 2, 6) == pytest.approx(warm, rel=0.015)


def test_minutes_join_without_a_seam_and_each_is_the_same_alone():
    modes = [(4.0, 0.015, 0.01)]
    alone = swinging(KEY, 29_000_001, RATE, modes)
    assert alone.tobytes() == swinging(KEY, 29_000_001, RATE, modes).tobytes()
    before = swinging(KEY, 29_000_000, RATE, modes)
    steps = np.abs(np.diff(np.concatenate((before, alone))))
    seam = steps[len(before) - 1]
    assert seam <= steps.max()
    # the recursion holds across the seam as within: noise alone is left of the next sample
    keep, turn = np.exp(-0.015 * 8 * np.pi / RATE), 8 * np.pi * np.sqrt(1 - 0.015**2) / RATE
    whole = np.concatenate((before, alone))
    rest = whole[2:] - 2 * keep * np.cos(turn) * whole[1:-1] + keep**2 * whole[:-2]
    assert abs(rest[len(before) - 2]) < 4.5 * rest.std()
    assert abs(rest[len(before) - 1]) < 4.5 * rest.std()


def test_a_burst_sends_a_steep_front_and_settles_lower():
    t = np.arange(-1, 120, 1 / 250)
    wave = surge(t, shock_kpa(50, 300), 30.0)
    assert np.all(wave[t < 0] == 0)
    assert wave.min() == pytest.approx(-shock_kpa(50, 300), rel=0.01)
    assert wave[-1] == pytest.approx(-30, abs=0.5)
    first = t[wave < 0.9 * wave.min()][0]
    assert 0 < first < 0.1
