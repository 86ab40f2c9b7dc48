"""Spectra of segments: those of Welch, whatever the blocks; peaks are a structure's frequencies."""

from __future__ import annotations

import cmath
import math
from random import Random

import numpy as np
import pytest
from scipy.signal import lfilter, welch

from rules.engine import Engine
from rules.problems import Invalid
from rules.readings import Block, Record
from rules.registry_file import registry_of
from rules.waveforms.spectra import hann, peak_of, periodograms
from tests.journals import case
from tests.small_city import SECOND_NS, T0_NS, plan_of
from tests.small_city import registry_of as small

RATE = 50
EVERY_S = 200
START_NS = T0_NS // (EVERY_S * SECOND_NS) * EVERY_S * SECOND_NS  # the grid's


def engine_of(*bands, every_s=EVERY_S, window_s=10.0):
    def derived(ids):
        said = {"from": ids[0], "feature": "peak_frequency", "every_ns": every_s * SECOND_NS}
        said["window_ns"] = int(window_s * SECOND_NS)
        return [{}, *(said | {"band": list(band)} for band in bands)]

    registry = small((0,) * (1 + len(bands)), derived=derived)
    return Engine(plan_of(), registry)


def peaks_of(samples, *bands, size=RATE, skip=(), rate=RATE, **more):
    """(channel, second, value, flag) of segments of samples sent in blocks of ``size``."""
    engine = engine_of(*bands, **more)
    told = []
    for i, start in enumerate(range(0, len(samples), size)):
        if i in skip:
            continue
        at = START_NS + start * SECOND_NS // rate
        part = np.asarray([samples[start : start + size]], np.float32)
        block = Block(np.zeros(1, np.int32), 0, at, at, at, float(rate), part, 1, i)
        found, _ = engine.blocks.mark([Record(i, block)])
        rows = engine.blocks.stage.features(found)
        if rows is not None:
            t = (rows[0].judged_ns - START_NS) // SECOND_NS
            columns = (rows[0].channel, t, rows[0].value, rows[0].qc_flag)
            told += list(zip(*(column.tolist() for column in columns), strict=True))
    return told, engine


def bridge(hertz, *, seconds=EVERY_S, damping=0.01, noise=0.2, seed=0):
    """A mode of a bridge under traffic, and the noise of the sensor beside it."""
    random = np.random.default_rng(seed)
    w = 2 * math.pi * hertz / RATE
    a = math.exp(-damping * w)
    swing = 2 * a * math.cos(w * math.sqrt(1 - damping**2))
    x = lfilter([1], [1, -swing, a * a], random.normal(size=seconds * RATE + 5000))[5000:]
    return x / x.std() + random.normal(0, noise, len(x))


def test_the_averaged_spectrum_is_welchs():
    x = bridge(2.1).astype(np.float32)
    _, engine = peaks_of(x, (0.05, 24.95))
    state = engine.blocks.stage.spectra.state
    _, expected = welch(x.astype(np.float64), RATE, "hann", nperseg=500)
    windows = int(state["windows"][0])
    assert windows == EVERY_S * RATE // 250 - 1
    density = state["power"][0][:251] / windows * 2 / (RATE * (hann(500) ** 2).sum())
    np.testing.assert_allclose(density[1:-1], expected[1:-1], rtol=1e-10)


def test_a_periodogram_is_the_plain_sum_of_sines():
    x = np.random.default_rng(4).normal(3, 1, (1, 30)).astype(np.float32)
    table = [(v - x[0].astype(float).mean()) * w for v, w in zip(x[0], hann(30), strict=True)]
    plain = [
        abs(sum(v * cmath.exp(-2j * math.pi * k * i / 30) for i, v in enumerate(table))) ** 2
        for k in range(16)
    ]
    np.testing.assert_allclose(periodograms(x)[0], plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [16, 18, 250, 500, 506, 1500, 2000, 2048, 3000, 4098])
def test_a_windows_bytes_do_not_depend_on_its_company(n):
    x = np.random.default_rng(n).normal(0, 1, (9, n)).astype(np.float32)
    together = periodograms(x)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 7)):
        assert periodograms(x[rows]).tobytes() == together[rows].tobytes()


@pytest.mark.parametrize("hertz", [1.93, 2.1, 2.237, 2.38])
def test_the_peak_is_the_modes_frequency_and_each_band_has_its_own(hertz):
    x = bridge(hertz, seconds=2 * EVERY_S) + bridge(2.4 * hertz, seconds=2 * EVERY_S, seed=1)
    told, _ = peaks_of(x, (1.7, 2.6), (4.2, 6.2))
    assert [(channel, t, flag) for channel, t, _, flag in told] == [
        (1, EVERY_S, 1),
        (2, EVERY_S, 1),
    ]
    assert told[0][2] == pytest.approx(hertz, rel=0.006)
    assert told[1][2] == pytest.approx(2.4 * hertz, rel=0.006)


def test_a_pure_tone_is_found_to_a_fiftieth_of_a_bin():
    for tenth in range(10):
        hertz = 2.0 + tenth / 100  # bins are 0.1 Hz apart
        tone = np.sin(2 * np.pi * hertz * np.arange(2 * EVERY_S * RATE) / RATE)
        assert peaks_of(tone, (1.5, 2.6))[0][0][2] == pytest.approx(hertz, abs=0.002)


def test_noise_a_slope_and_silence_have_no_peak():
    noise = np.random.default_rng(5).normal(0, 1, 2 * EVERY_S * RATE)
    below = bridge(1.2, seconds=2 * EVERY_S, noise=0.01)  # its flank reaches into the band
    for x in (noise, below, np.zeros(len(noise))):
        ((_, t, value, flag),) = peaks_of(x, (1.7, 2.6))[0]
        assert (t, flag) == (EVERY_S, 9)
        assert math.isnan(value)


@pytest.mark.parametrize("size", [1, 7, 499, 5000])
def test_peaks_do_not_depend_on_the_length_of_blocks(size):
    x = bridge(2.1, seconds=2 * EVERY_S + 1)
    assert peaks_of(x, (1.7, 2.6), size=size)[0] == peaks_of(x, (1.7, 2.6), size=50)[0]


def test_no_window_reaches_over_a_gap_or_into_the_next_segment():
    x = bridge(2.1, seconds=2 * EVERY_S)
    _, engine = peaks_of(x[: EVERY_S * RATE], (1.7, 2.6), skip=(24,))  # 24 s, then 175 s
    assert engine.blocks.stage.spectra.state["windows"].tolist() == [3 + 34]
    half, _ = peaks_of(x, (1.7, 2.6), skip=range(80, 200))
    assert half[0][3] == 3  # less than half of its samples: suspect
    told, _ = peaks_of(x, (1.7, 2.6), skip=[i for i in range(400) if i % 8 == 0])
    assert math.isnan(told[0][2])  # never ten seconds in a row


def test_another_rate_begins_the_spectrum_anew():
    engine = engine_of((1.7, 2.6))
    x = bridge(2.1).astype(np.float32)
    for i, rate in enumerate((50.0, 40.0)):
        at = START_NS + i * 60 * SECOND_NS
        block = Block(np.zeros(1, np.int32), 0, at, at, at, rate, x[None, :2000], 1, i)
        engine.fold([Record(i, block)])
    assert engine.blocks.stage.spectra.state["windows"].tolist() == [9]


def test_a_band_too_narrow_for_five_bins_or_above_half_the_rate_has_no_peak():
    x = bridge(2.1, seconds=2 * EVERY_S)
    told, _ = peaks_of(x, (2.0, 2.3), (26.0, 30.0), (1.7, 2.6))
    assert [math.isnan(value) for _, _, value, _ in told] == [True, True, False]


def test_a_peak_on_the_edge_of_its_bins_is_one_and_beyond_it_none():
    row = np.array([[1.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    assert peak_of(row)[0] == 0.0
    assert math.isnan(peak_of(np.array([[9.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0]]))[0])
    assert math.isnan(peak_of(np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 8.0, 9.0]]))[0])
    assert math.isnan(peak_of(np.array([[1.0, 2.9, 1.0, 1.0, 1.0, 1.0, 1.0]]))[0])
    assert peak_of(np.array([[1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]]))[0] == 0.0
    assert peak_of(np.array([[1.0, 16.0, 16.0, 1.0, 1.0, 1.0, 1.0]]))[0] == 0.5


def test_random_journals_reach_peaks_and_segments_without_one():
    values = []
    for seed in range(8):
        drawn = case(Random(f"peaks {seed}"), kinds=("transient",))
        engine = Engine(drawn.plan, drawn.registry)
        peaks = [
            i for i, said in enumerate(drawn.registry.channels.derived)
            if said.get("feature") == "peak_frequency"
        ]  # fmt: skip
        for record in drawn.records:
            if isinstance(record.body, Block):
                samples, _ = engine.blocks.mark([record])
                rows = None if samples is None else engine.blocks.stage.features(samples)
                if rows is not None:
                    values += rows[0].value[np.isin(rows[0].channel, peaks)].tolist()
    found = sum(not math.isnan(value) for value in values)
    assert found > 40
    assert len(values) - found > 40


CITY = """
version: 1
devices:
- {id: 410100-bridge-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-bridge-sp-000001, every: 60s}
assets:
- id: 410100-bridge-sp-000001
  type: span
  sensors:
  - id: acc
    device: 410100-bridge-gw-000001
    channels:
    - {id: z, quantity: accel, port: 1}
    - {id: f1, quantity: frequency,
       derived: {from: z, feature: peak_frequency, every: 10m, band: [1.9, 2.4]}}
"""


def test_the_registry_names_the_band_of_a_peak_and_the_length_of_its_windows():
    registry = registry_of({"city.yaml": CITY})
    assert registry.channels.derived[1] == {
        "from": "410100-bridge-sp-000001/acc/z",
        "feature": "peak_frequency",
        "every_ns": 600 * SECOND_NS,
        "band": [1.9, 2.4],
        "window_ns": 30 * SECOND_NS,
    }
    longer = registry_of({"city.yaml": CITY.replace("2.4]", "2.4], window: 1m")})
    assert longer.channels.derived[1]["window_ns"] == 60 * SECOND_NS


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", band: [1.9, 2.4]", "", "needs band: [1.9, 2.4], in Hz"),
        ("[1.9, 2.4]", "[2.4, 1.9]", "lowest and highest frequency"),
        ("[1.9, 2.4]", "[1.9, 2.4], window: 5m", "at most a quarter of every"),
        ("peak_frequency", "rms", "band is for peak_frequency"),
        ("quantity: frequency", "quantity: accel", "a peak_frequency of accel is frequency"),
    ],
)
def test_what_is_wrong_with_a_band_is_told_with_its_place(old, new, said):
    with pytest.raises(Invalid) as caught:
        registry_of({"city.yaml": CITY.replace(old, new)})
    problems = [str(p) for p in caught.value.problems]
    assert any(said in p and p.startswith("city.yaml:") for p in problems), problems
