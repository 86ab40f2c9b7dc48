"""Waveforms: modes where they should be, a front as steep as it should be, any minute alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from simulators.incidents import KINDS, Onset
from simulators.noise import key_of
from simulators.physics.bridges import first_frequency, softened
from simulators.physics.water import shock_kpa
from simulators.signals.waveforms import surge, swinging
from simulators.stream import City
from simulators.stream.waves import acceleration, fast_pressure

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


def test_blocks_of_a_city_agree_with_its_scalars_incidents_included():
    city = City("demo", seed=3)
    begin_ns = 1_773_100_800_000_000_000
    span = "410100-bridge-sp-000001"
    lost = KINDS["stiffness_loss"](
        city.registry,
        Onset(
            id="x", place=span, begin_ns=begin_ns - 10**12, lasts_s=86_400, options={"shift": 0.1}
        ),
    )
    for under, factor in ((city, 1.0), (city.under(incidents=[lost]), 0.9)):
        minutes = [begin_ns // 60_000_000_000 + m for m in range(20)]
        blocks = [acceleration(under, f"{span}/ac-01/rms", m) for m in minutes]
        wave = np.concatenate([b.samples[0] for b in blocks])
        f1 = (
            3.2
            * factor
            * float(softened(city.signals.drivers.structure(np.array([begin_ns / 1e9])))[0])
        )
        assert peak(wave, 2, 5) == pytest.approx(f1, rel=0.02)
        assert blocks[0].receive_ns > blocks[0].event_ns


def test_the_front_of_a_burst_comes_later_further_off_and_weaker():
    city = City("demo", seed=3)
    begin_ns = 1_773_100_800_000_000_000 + 5 * 10**9
    burst = KINDS["pipe_burst"](
        city.registry,
        Onset(
            id="x",
            place="410100-water-hy-000001",
            begin_ns=begin_ns,
            lasts_s=1800,
            options={"flow_m3_h": 60.0, "drop_kpa": 30.0},
        ),
    )
    under = city.under(incidents=[burst])
    minute = begin_ns // 60_000_000_000
    came, deep = [], []
    for place in ("hy-000001", "hy-000002"):
        wave = fast_pressure(under, f"410100-water-{place}/p-01/mean", minute).samples[0]
        calm = fast_pressure(city, f"410100-water-{place}/p-01/mean", minute).samples[0]
        change = wave - calm
        came.append(np.flatnonzero(change < 0.5 * change.min())[0] / 250)
        deep.append(-change.min())
    assert 5.0 <= came[0] < 5.2
    assert came[1] > came[0]
    assert deep[0] > deep[1] > 20
