"""What the baseline of zscore and cusum is worth: near the exact one, and never poisoned."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

import rules.engine
from rules.readings import Readings, Record
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, registry_of, rule_of

MINUTE_NS = 60 * SECOND_NS
DAY_NS = 1440 * MINUTE_NS
WEEK = {"window_ns": 7 * DAY_NS, "warmup_ns": DAY_NS, "floor": 0.0, "exclude": NAN}


def engine_of(**own):
    rule = rule_of(kind="zscore", own=WEEK | own, raise_at=(NAN, NAN, NAN, 5.0), max_gap_s=180)
    return rules.engine.Engine(plan_of(rule), registry_of([0]))


def fold(engine, values, *, begin_ns=T0_NS, step_ns=MINUTE_NS, size=1000):
    """One channel, a value each step; returns the events."""
    t = begin_ns + step_ns * np.arange(len(values))
    told = []
    for i in range(0, len(values), size):
        rows = {
            "channel": np.zeros(len(t[i : i + size]), np.int32),
            "judged_ns": t[i : i + size],
            "value": values[i : i + size],
        }
        told += engine.fold([Record(engine.next_offset, Readings.of(rows))])
    return told


def known(engine):
    state = engine.scorers["zscore"].baseline.state
    return float(state["location"][0]), float(state["scale"][0])


def city_water(days, seed=1, noise=1.0):
    """A daily rhythm with noise, a row a minute."""
    minute = np.arange(days * 1440)
    random = np.random.default_rng(seed)
    return 20 + 5 * np.sin(2 * math.pi * minute / 1440) + random.normal(0, noise, len(minute))


@pytest.mark.parametrize("robust", [1.0, 0.0])
def test_a_sample_of_the_window_is_near_the_whole_of_it(robust):
    errors = []
    for seed in range(8):
        values = city_water(9, seed)
        engine = engine_of(robust=robust)
        fold(engine, values)
        location, scale = known(engine)
        window = values[-7 * 1440 :]
        exact = np.median(window) if robust else window.mean()
        spread = 1.4826 * np.median(abs(window - exact)) if robust else window.std()
        errors.append([(location - exact) / spread, scale / spread - 1])
    assert abs(np.array(errors)).max() < 0.35
    assert np.sqrt(np.mean(np.square(errors), axis=0)).max() < 0.16


def test_a_rhythm_in_step_with_the_slots_is_seen_at_all_its_phases():
    """A pump runs a quarter of each slot's time: the row kept must not always meet it, or never."""
    slot = 7 * 1440 / 128
    minute = np.arange(10 * 1440)
    values = np.where(minute % slot < slot / 4, 10.0, 0.0)
    engine = engine_of(robust=0.0)
    fold(engine, values)
    assert 1.5 < known(engine)[0] < 3.5


def test_a_lasting_shift_alarms_for_a_window_and_a_warm_up_and_is_then_usual():
    values = city_water(9, noise=0.5)
    shifted = city_water(12, seed=2, noise=0.5) + 60
    engine = engine_of(exclude=5.0)
    assert not fold(engine, values)
    begin = T0_NS + len(values) * MINUTE_NS
    told = fold(engine, shifted, begin_ns=begin)
    assert [event.type for event in told] == ["RAISED", "CLEARED"]
    lasted = (told[1].event_ns - told[0].event_ns) / DAY_NS
    assert 7.0 < lasted < 8.2
    assert abs(known(engine)[0] - 80) < 2


def test_what_alarms_is_learned_when_the_rule_says_so():
    engine = engine_of(exclude=NAN)
    fold(engine, city_water(9, noise=0.5))
    told = fold(engine, city_water(5, seed=2) + 60, begin_ns=T0_NS + 9 * DAY_NS)
    assert (told[0].type, told[-1].type) == ("RAISED", "CLEARED")
    assert (told[-1].event_ns - told[0].event_ns) / DAY_NS < 4.5


@pytest.mark.parametrize("absurd", [1e308, -1e308, 5e-324])
@pytest.mark.parametrize("robust", [1.0, 0.0])
def test_an_absurd_value_is_forgotten_with_its_window(absurd, robust):
    values = city_water(9, noise=0.5)
    values[2000:2100] = absurd
    engine = engine_of(robust=robust)
    fold(engine, values)
    clean = city_water(8, seed=3)
    fold(engine, clean, begin_ns=T0_NS + 9 * DAY_NS)
    fresh = engine_of(robust=robust)
    fold(fresh, clean, begin_ns=T0_NS + 9 * DAY_NS)
    assert known(engine) == known(fresh)


def test_a_clock_that_was_wrong_costs_no_baseline():
    engine = engine_of()
    fold(engine, city_water(9))
    before = known(engine)
    offset = engine.next_offset
    values = city_water(1, seed=5)
    for i, value in enumerate(values[:6]):  # frames a year back, with numbers that rise
        columns = {
            "channel": [0],
            "judged_ns": [T0_NS - 365 * DAY_NS + i * MINUTE_NS],
            "receive_ns": [T0_NS + 9 * DAY_NS + i * MINUTE_NS],
            "value": [value],
            "boot": [1],
            "sequence": [i],
        }
        engine.fold([Record(offset + i, Readings.of(columns))])
    state = engine.scorers["zscore"].baseline.state
    assert state["shift"][0] != 0
    assert state["warm"][0]
    assert abs(known(engine)[0] - before[0]) < 0.5


def test_the_median_of_one_track_is_that_of_many():
    """The long path finds the middle deviation by bisection, the wide path sorts."""
    from rules.engine.baseline import _median_of, medians  # noqa: PLC0415 - its two forms

    random = Random(3)
    for _ in range(3000):
        count = random.randint(8, 20)
        pool = [random.choice((0.0, 1.0, random.gauss(0, 1), 1e308, -1e308)) for _ in range(count)]
        held = np.full((1, 128), NAN)
        held[0, random.sample(range(128), count)] = pool
        with np.errstate(over="ignore"):
            location, scale = medians(held, np.array([count]))
        assert _median_of(sorted(pool)) == (location[0], scale[0])
