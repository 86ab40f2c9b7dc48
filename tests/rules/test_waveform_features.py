"""Feature channels: what their rows say, and that no trouble of blocks shows in them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rules.engine import Engine
from rules.problems import Invalid
from rules.readings import Block, Record
from rules.registry_codec import registry_bytes, registry_from_bytes
from rules.registry_file import registry_of
from rules.waveforms.features import FEATURES
from tests.small_city import SECOND_NS, T0_NS, plan_of
from tests.small_city import registry_of as small

RATE = 50
NAMES = sorted(FEATURES)


def features_of(samples, *, every_s=2, size=RATE, skip=(), rate=RATE):
    """Values of every feature, by name, of samples sent in blocks of ``size``."""

    def derived(ids):
        said = [
            {"from": ids[0], "feature": name, "every_ns": every_s * SECOND_NS} for name in NAMES
        ]
        return [{}, *said]

    registry = small((0,) * (1 + len(NAMES)), derived=derived)
    engine = Engine(plan_of(), registry)
    told = {name: [] for name in NAMES}
    for i, start in enumerate(range(0, len(samples), size)):
        if i in skip:
            continue
        block = block_of(samples[start : start + size], start * SECOND_NS // rate, i, rate=rate)
        found, _ = engine.blocks.mark([Record(i, block)])
        rows = engine.blocks.stage.features(found)
        if rows is None:
            continue
        for channel, t, value, flag in zip(
            rows[0].channel, rows[0].judged_ns, rows[0].value, rows[0].qc_flag, strict=True
        ):
            told[NAMES[channel - 1]].append(((t - T0_NS) / SECOND_NS, value, int(flag)))
    return told


def block_of(samples, after_ns, sequence, *, rate=RATE):
    return Block(
        np.zeros(1, np.int32), 0, T0_NS + after_ns, T0_NS + after_ns,
        T0_NS + after_ns, float(rate), np.asarray([samples], np.float32), 1, sequence,
    )  # fmt: skip


def test_features_are_what_their_names_say():
    x = np.random.default_rng(1).normal(9.81, 0.5, 5 * RATE).astype(np.float32)
    told = features_of(x)
    for k in range(2):
        part = x[k * 2 * RATE : (k + 1) * 2 * RATE].astype(np.float64)
        d = part - part.mean()
        expected = {
            "mean": part.mean(),
            "rms": np.sqrt((part**2).mean()),
            "std": part.std(),
            "min": part.min(),
            "max": part.max(),
            "peak": np.abs(part).max(),
            "peak_to_peak": np.ptp(part),
            "crest": np.abs(d).max() / part.std(),
            "kurtosis": (d**4).mean() / part.std() ** 4,
            "zero_crossings": 0.0,
        }
        for name, value in expected.items():
            t, got, flag = told[name][k]
            assert (t, flag) == (2 * (k + 1), 1)
            assert got == pytest.approx(value, rel=1e-12), name


def test_a_sine_crosses_zero_twice_a_period():
    t = np.arange(10 * RATE) / RATE
    told = features_of(np.sin(2 * np.pi * 3 * t + 0.1), every_s=4)
    assert [value for _, value, _ in told["zero_crossings"]] == [5.75, 6.0]


@pytest.mark.parametrize("size", [1, 7, 50, 333])
def test_features_do_not_depend_on_the_length_of_blocks(size):
    x = np.random.default_rng(2).normal(0, 1, 9 * RATE)
    assert [v[:2] for v in features_of(x, size=size)["std"]] == [
        v[:2] for v in features_of(x, size=10)["std"]
    ]


def test_a_bucket_with_less_than_half_of_its_samples_is_suspect_and_an_empty_one_is_none():
    told = features_of(np.ones(17 * RATE), every_s=4, size=RATE, skip=(0, 1, 2, 4, 5, 6, 7))
    assert [(t, flag) for t, _, flag in told["mean"]] == [(4, 3), (12, 1), (16, 1)]


def test_a_sample_that_is_not_finite_counts_for_nothing():
    x = np.ones(6 * RATE)
    x[10], x[20], x[30] = np.nan, np.inf, -np.inf
    told = features_of(x)
    assert [value for _, value, _ in told["max"]] == [1.0, 1.0]
    assert [value for _, value, _ in told["zero_crossings"]] == [0.0, 0.0]


def test_an_absurd_sample_spoils_its_own_bucket_only():
    x = np.ones(8 * RATE)
    x[10] = 3e38
    told = features_of(x)
    assert all(np.isfinite(value) for values in told.values() for _, value, _ in values[:1])
    assert [value for _, value, _ in told["std"]][1:] == [0.0, 0.0]


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
    - {id: z-rms, quantity: accel, derived: {from: z, feature: rms, every: 1m}}
    - {id: z-k, quantity: shape, derived: {from: 410100-bridge-sp-000001/acc/z,
       feature: kurtosis, every: 10s}}
"""


def test_the_registry_names_what_a_channel_is_derived_from():
    registry = registry_of({"city.yaml": CITY})
    source = "410100-bridge-sp-000001/acc/z"
    assert registry.channels.derived == (
        {},
        {"from": source, "feature": "rms", "every_ns": 60 * SECOND_NS},
        {"from": source, "feature": "kurtosis", "every_ns": 10 * SECOND_NS},
    )
    again = registry_from_bytes(registry_bytes(registry))
    assert again.channels.derived == registry.channels.derived
    assert again.content_hash == registry.content_hash


def test_a_registry_without_features_is_stored_as_it_ever_was():
    plain = registry_of({"city.yaml": re.sub(r"    - \{id: z-.*(\n   .*kurt.*)?\n", "", CITY)})
    assert b"derived" not in registry_bytes(plain)
    assert registry_from_bytes(registry_bytes(plain)).channels.derived == ({},)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("feature: rms", "feature: rmss", "unknown feature 'rmss' (did you mean \"rms\""),
        ("from: z,", "from: y,", "unknown channel '410100-bridge-sp-000001/acc/y'"),
        ("from: z,", "from: z-k,", "is itself derived"),
        ("every: 1m", "every: 1ms", "every"),
        ("quantity: shape", "quantity: accel", "a kurtosis of accel is shape"),
    ],
)
def test_what_is_wrong_with_a_derived_channel_is_told_with_its_place(old, new, said):
    with pytest.raises(Invalid) as caught:
        registry_of({"city.yaml": CITY.replace(old, new)})
    problems = [str(p) for p in caught.value.problems]
    assert any(said in p and p.startswith("city.yaml:") for p in problems), problems


@pytest.mark.parametrize("rate", [0.0, -50.0, np.nan, np.inf, 20_001.0, 1e-18])
def test_a_rate_that_cannot_be_is_ignored(rate):
    registry = small((0, 0), derived=lambda ids: [
        {}, {"from": ids[0], "feature": "mean", "every_ns": 2 * SECOND_NS},
    ])  # fmt: skip
    engine = Engine(plan_of(), registry)
    for i in range(3):
        block = block_of(np.ones(50), i * 10 * SECOND_NS, i, rate=rate)
        assert engine.blocks.mark([Record(i, block)]) == (None, [])
        assert engine.fold([Record(i, block)]) == []
    assert engine.blocks.mark([Record(4, block_of(np.ones(5), 0, 9, rate=20_000))])[0] is not None
