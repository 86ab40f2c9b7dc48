"""Fast pressure waves are told from pumps, errors and reflections, and from nothing at all."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from rules.engine import Engine
from rules.language import check, compile_plan, load_rules
from rules.readings import Block, Record
from rules.registry_file import registry_of as city_of
from tests.journals import case
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, registry_of, rule_of

RATE = 250
PERIOD_NS = SECOND_NS // RATE


def events_of(x, *, skip=(), moved=(0, 0), own=None, **more):
    """Events of a rule on one channel's samples in blocks of a second.

    From second ``moved[0]`` on the device's clock is ``moved[1]`` seconds ahead.
    """
    drop = rule_of(
        kind="transient", channels=(0,), side=-1, raise_at=(NAN, -25.0, NAN, -100.0),
        hold_s=0, keep_s=2, max_gap_s=10, own=own, **more,
    )  # fmt: skip
    rise = rule_of(
        kind="transient", channels=(0,), side=1, raise_at=(NAN, 25.0, NAN, NAN),
        hold_s=0, keep_s=2, max_gap_s=10, own=own, **more,
    )  # fmt: skip
    engine = Engine(plan_of(drop, rise), registry_of((0,)))
    told = []
    for i in range(len(x) // RATE):
        if i in skip:
            continue
        at = T0_NS + (i + moved[1] * (i >= moved[0])) * SECOND_NS
        part = np.asarray(x[i * RATE : (i + 1) * RATE], np.float32)[None]
        told += engine.fold(
            [Record(i, Block(np.zeros(1, np.int32), 0, at, at, at, float(RATE), part, 1, i))]
        )
    return told


def noise(seconds, *, seed=3, kpa=0.4):
    return 300.0 + np.random.default_rng(seed).normal(0, kpa, seconds * RATE)


def burst(x, at_s, kpa, *, front_s=0.02, decay_s=10.0):
    """A front, then an exponential return to 40 % of it."""
    t = np.arange(len(x)) / RATE - at_s
    wave = np.clip(t / front_s, 0, 1) * (0.4 + 0.6 * np.exp(-np.maximum(t, 0) / decay_s))
    return x + kpa * wave


@pytest.mark.parametrize("kpa", [-220.0, -60.0, -35.0, 35.0, 90.0])
@pytest.mark.parametrize("front_s", [0.01, 0.05, 0.1])
def test_a_burst_gives_one_alarm_with_its_amplitude_and_the_time_of_its_front(kpa, front_s):
    told = events_of(burst(noise(80), 40.31, kpa, front_s=front_s))
    assert [e.type for e in told][:1] == ["RAISED"]
    assert [e.type for e in told if e.type == "RAISED"] == ["RAISED"]
    raised = told[0]
    assert raised.side == np.sign(kpa)
    assert raised.score == pytest.approx(kpa, abs=0.07 * abs(kpa) + 2)
    front_s_at = (raised.event_ns - T0_NS) / SECOND_NS - raised.evidence["front_before_s"]
    assert 40.31 - 0.005 <= front_s_at <= 40.31 + front_s + 0.005
    assert raised.evidence["noise"] == pytest.approx(0.3, abs=0.1)


def test_the_front_of_a_step_is_found_to_the_sample():
    for shift in range(7):
        x = np.full(60 * RATE, 300.0)
        x += np.tile([0.1, -0.1, 0.0, 0.05, -0.05], len(x) // 5)
        x[40 * RATE + 77 + shift :] -= 60
        raised = events_of(x)[0]
        front = raised.event_ns - T0_NS - raised.evidence["front_before_s"] * SECOND_NS
        assert round(front) == (40 * RATE + 77 + shift) * PERIOD_NS


def test_a_pump_switch_over_seconds_is_no_wave():
    for seconds in (2.0, 4.0, 8.0):
        ramp = 40 * np.clip((np.arange(90 * RATE) / RATE - 45) / seconds, 0, 1)
        assert events_of(noise(90) + ramp) == []
        assert events_of(noise(90) - ramp) == []


def test_errors_of_one_or_two_samples_are_no_wave():
    x = noise(60)
    x[40 * RATE + 50] -= 500
    x[45 * RATE + 10 : 45 * RATE + 12] += 500
    x[50 * RATE] = np.nan
    assert events_of(x) == []


def test_reflections_within_hold_off_are_the_same_alarm_and_a_larger_one_escalates():
    x = burst(burst(noise(120), 40.2, -60.0), 47.7, -130.0)
    own = {"hold_off_ns": 20 * SECOND_NS}
    assert [e.type for e in events_of(x, own=own)] == ["RAISED", "ESCALATED", "CLEARED"]
    later = burst(burst(noise(160), 40.2, -60.0), 100.7, -60.0)
    assert [e.type for e in events_of(later, own=own)] == ["RAISED", "CLEARED"] * 2


def test_a_wave_as_large_as_the_noise_allows_fires_and_one_beyond_does_not():
    x = burst(noise(60), 45.31, -60.0)
    first = events_of(x, own={"gate": 0.0})[0]
    gate = -first.score / first.evidence["noise"]
    while gate * first.evidence["noise"] > -first.score:
        gate = np.nextafter(gate, 0.0)
    assert [e.type for e in events_of(x, own={"gate": gate})][:1] == ["RAISED"]
    while gate * first.evidence["noise"] <= -first.score:
        gate = np.nextafter(gate, np.inf)
    assert events_of(x, own={"gate": gate}) == []


def test_different_pressures_before_and_after_a_gap_are_no_wave():
    x = noise(80)
    x[50 * RATE :] -= 150
    assert events_of(x, skip=(48, 49)) == []


def test_a_wave_right_before_a_gap_is_told_when_samples_come_again():
    x = burst(noise(80), 47.9, -60.0)
    told = events_of(x, skip=(48, 49))
    assert next(e.type for e in told) == "RAISED"
    assert (told[0].event_ns - T0_NS) // SECOND_NS == 47


def test_nothing_is_told_before_a_baseline_is_known():
    assert events_of(burst(noise(12), 5.5, -60.0)) == []
    assert events_of(burst(noise(30), 12.5, -60.0))


def test_an_absurd_stretch_leaves_the_baseline_again():
    x = burst(noise(120), 100.3, -60.0)
    x[40 * RATE : 40 * RATE + 30] = 3e38
    told = events_of(x)
    assert told[-1].event_ns > T0_NS + 100 * SECOND_NS
    assert told[-1].score == pytest.approx(-60, abs=6)


CITY = """
version: 1
devices:
- {id: 410100-water-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-water-hy-000001, every: 1s}
assets:
- id: 410100-water-hy-000001
  type: hydrant
  sensors:
  - id: p
    device: 410100-water-gw-000001
    channels: [{id: hf, quantity: pressure, port: 1, every: 4ms}]
"""
RULE = (
    "version: 1\nrules:\n- {id: w, kind: transient, source: estimate,"
    " select: {quantity: pressure}, "
)


def test_a_rule_compiles_to_its_parameters():
    text = RULE + "below: {red: -0.1 MPa}, front: 100ms, baseline: 10s, noise: 6, hold_off: 1m}\n"
    plan, _ = compile_plan(load_rules({"w.yaml": text}), city_of({"c.yaml": CITY}))
    (rule,) = plan.channel_rules
    assert (rule.kernel, rule.side, rule.unit) == ("transient", -1, "kPa")
    assert rule.raise_at[0, 3] == -100.0
    own = {name: column.tolist() for name, column in rule.own.items()}
    assert own == {
        "front_ns": [SECOND_NS // 10], "hop_ns": [SECOND_NS], "hops": [10],
        "gate": [6.0], "hold_off_ns": [60 * SECOND_NS],
    }  # fmt: skip
    assert rule.max_gap_ns.tolist() == [5 * SECOND_NS]


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("below: {red: 100 kPa}}", "red must be below 0 (a drop), such as -50 kPa"),
        ("above: {red: -1 kPa}}", "red must be above 0 (a rise)"),
        ("above: {red: 1 m}}", "does not measure pressure"),
        ("above: {red: 9 kPa}, front: 2s}", "front"),
        ("above: {red: 9 kPa}, baseline: 1s}", "baseline"),
        ("above: {red: 9 kPa}, hold_off: 10s, for: 1m}", "for is longer than hold_off"),
        ("above: {red: 9 kPa}, fronts: 1s}", 'unknown key "fronts" (did you mean "front"?)'),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_place(rest, said):
    told = [str(p) for p in check({"w.yaml": RULE + rest + "\n"}, city_of({"c.yaml": CITY}))]
    assert any(said in line and line.startswith("w.yaml:3:") for line in told), told


def test_a_vote_on_waves_is_refused_with_its_remedy():
    text = RULE + "above: {red: 9 kPa}}\n- {id: v, kind: vote, source: estimate, near: 1 km, "
    text += "of: {rule: w, at_least: red}, need: {count: 2}, level: red}\n"
    told = [str(p) for p in check({"w.yaml": text}, city_of({"c.yaml": CITY}))]
    assert any("w is of kind transient: only rules on readings" in line for line in told), told


def test_random_journals_reach_every_event_of_waves_on_both_sides():
    seen = Counter()
    for seed in range(12):
        drawn = case(Random(f"waves {seed}"), kinds=("transient",))
        mine = {(r.rule_id, r.side) for r in drawn.plan.channel_rules if r.kind == "transient"}
        for event in Engine(drawn.plan, drawn.registry).fold(drawn.records):
            seen[event.type, event.side] += (event.rule, event.side) in mine
            by_block = event.type == "CLOCK_EPOCH" and event.subject.rsplit("/", 1)[1] in "567"
            seen["an epoch of blocks"] += by_block
    for wanted in ("RAISED", "ESCALATED", "LOWERED", "CLEARED", "CONFIRMED"):
        assert min(seen[wanted, 1], seen[wanted, -1]) > 10, (wanted, seen)
    assert seen["an epoch of blocks"] > 5


def test_another_clock_of_the_blocks_ends_the_hold():
    """After three late blocks in a row a wave of before is not told again at their new time."""
    x = burst(noise(60), 50.3, -60.0)
    told = events_of(x, moved=(52, -40), own={"hold_off_ns": 30 * SECOND_NS})
    assert [e.type for e in told] == ["RAISED", "CLOCK_EPOCH", "CLEARED"]
    assert told[1].event_ns == T0_NS + 14 * SECOND_NS
    assert told[2].event_ns < T0_NS + 20 * SECOND_NS
