"""The shift of a natural frequency is told from the weather, from outliers and from nothing."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
import pytest

from rules.engine import Engine
from rules.language import check, compile_plan, load_rules
from rules.readings import Block, Readings, Record
from rules.registry_file import registry_of as city_of
from tests.journals import case
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, registry_of, rule_of

STEP_NS = 600 * SECOND_NS
DAY = 144  # segments
OWN = {
    "slot_ns": 30 * DAY * STEP_NS // 64,
    "least": 8,
    "companion": 1,
    "max_age_ns": 6 * STEP_NS,
    "k": 3,
    "of": 5,
    "exclude": 3.0,
}


def events_of(frequency, temperature=None, *, own=None, together=1000):
    """Events of a rule −3 %, −5 %, −10 % on frequencies every ten minutes."""
    rule = rule_of(
        kind="modal", side=-1, raise_at=(NAN, -3.0, -5.0, -10.0), hold_s=0, keep_s=0,
        max_gap_s=1800, own=OWN | ({} if temperature is not None else {"companion": -1})
        | (own or {}),
    )  # fmt: skip
    engine = Engine(plan_of(rule), registry_of((0, 0)))
    beside = np.full(len(frequency), np.nan) if temperature is None else temperature
    t = T0_NS + np.repeat(np.arange(len(frequency)) * STEP_NS, 2)
    channel, value = np.tile([1, 0], len(frequency)), np.empty(2 * len(frequency))
    value[::2], value[1::2] = beside, frequency
    told = []
    for i, begin in enumerate(range(0, len(t), together)):
        rows = slice(begin, begin + together)
        body = Readings.of({"channel": channel[rows], "judged_ns": t[rows], "value": value[rows]})
        told += engine.fold([Record(i, body)])
    return told


def weather(days, *, seed=1):
    hour = np.arange(days * DAY) / 6
    random = np.random.default_rng(seed)
    slow = np.convolve(random.normal(0, 4, days + 6), np.ones(4) / 2, "same")
    return (
        15
        + 8 * np.cos(2 * np.pi * (hour % 24 - 15) / 24)
        + np.interp(hour / 24, np.arange(days + 6), slow)
    )


def mode(temperature, *, seed=2, scatter=0.003):
    random = np.random.default_rng(seed)
    ideal = 2.1 * (1 - 0.001 * (temperature - 20))
    return ideal * (1 + random.normal(0, scatter, len(ideal)))


def day_of(event):
    return (event.event_ns - T0_NS) / (DAY * STEP_NS)


def test_a_stiffness_lost_is_told_within_the_hour_and_its_size_is_the_score():
    temperature = weather(40)
    f = mode(temperature)
    f[35 * DAY :] *= 0.955
    told = events_of(f, temperature)
    assert [(e.type, e.severity) for e in told] == [("RAISED", 2)]
    assert 0 < (day_of(told[0]) - 35) * 24 < 1
    assert told[0].score == pytest.approx(-4.5, abs=0.5)
    assert told[0].evidence["slope"] == pytest.approx(-0.0021, abs=0.0002)
    assert told[0].evidence["expected"] == pytest.approx(2.1, abs=0.04)


def test_warm_weather_is_no_damage_if_it_is_known():
    temperature = weather(40)
    temperature[30 * DAY :] += 25
    f = mode(temperature, scatter=0.001)
    assert events_of(f, temperature, own={"spread": 5.0}) == []
    assert events_of(f, own={"exclude": 1e9})[0].type == "RAISED"


def test_two_outliers_of_five_are_none_and_three_are():
    f = mode(np.full(20 * DAY, 20.0), scatter=0.0005)
    f[18 * DAY : 18 * DAY + 5] *= [0.92, 1.0, 0.92, 1.0, 1.0]
    assert events_of(f) == []
    f[18 * DAY + 4] *= 0.92
    told = events_of(f)
    assert [(e.type, e.severity) for e in told] == [("RAISED", 3), ("CLEARED", 0)]


def test_a_shift_that_stays_is_not_learned_unless_all_is():
    f = mode(np.full(70 * DAY, 20.0), scatter=0.0005)
    f[20 * DAY :] *= 0.96
    assert [e.type for e in events_of(f)] == ["RAISED"]
    assert [e.type for e in events_of(f, own={"exclude": NAN})] == ["RAISED", "CLEARED"]


def test_without_the_temperature_a_shift_is_told_uncompensated_and_teaches_nothing():
    temperature = weather(30)
    f = mode(temperature)
    f[20 * DAY : 22 * DAY] *= 0.9
    temperature[20 * DAY - 10 : 22 * DAY + 10] = np.nan
    told = events_of(f, temperature)
    assert [(e.type, e.severity) for e in told][:1] == [("RAISED", 3)]
    assert told[0].score == pytest.approx(-10, abs=1.5)
    assert "slope" not in told[0].evidence or math.isnan(told[0].evidence["slope"])
    assert told[-1].type == "CLEARED"
    assert day_of(told[-1]) < 22.2


def test_shifts_before_a_gap_count_no_more_after_it():
    f = mode(np.full(20 * DAY, 20.0), scatter=0.0005)
    f[15 * DAY : 15 * DAY + 2] *= 0.9
    f[15 * DAY + 2 : 15 * DAY + 8] = np.nan
    f[15 * DAY + 8] *= 0.9
    assert events_of(f) == []
    f[15 * DAY + 6] = f[15 * DAY + 4] = f[0]
    assert [e.type for e in events_of(f, own={"of": 8})][:1] == ["RAISED"]


def test_batches_of_any_size_tell_the_same():
    temperature = weather(20)
    f = mode(temperature)
    f[15 * DAY : 16 * DAY] *= 0.93
    whole = events_of(f, temperature, together=10**6)
    assert [e.type for e in whole] == ["RAISED", "CLEARED"]
    for together in (2, 14, 998):
        again = events_of(f, temperature, together=together)
        assert [(e.event_ns, e.score, e.evidence) for e in again] == [
            (e.event_ns, e.score, e.evidence) for e in whole
        ]


def test_absurd_frequencies_poison_nothing_for_ever():
    f = mode(np.full(30 * DAY, 20.0), scatter=0.0005)
    f[10 * DAY : 10 * DAY + 4] = [1e308, 1e308, 5e-324, -1.0]
    f[25 * DAY :] *= 0.955
    told = events_of(f, own={"exclude": NAN})
    assert [(e.type, e.severity) for e in told if day_of(e) > 20] == [("RAISED", 2)]


def test_absurd_temperatures_poison_nothing_for_ever():
    temperature = weather(40)
    f = mode(temperature, scatter=0.001)
    temperature[10 * DAY : 10 * DAY + 3] = 1e308
    f[35 * DAY :] *= 0.955
    told = events_of(f, temperature)
    assert [(e.type, e.severity) for e in told if day_of(e) > 11] == [("RAISED", 2)]


def test_random_journals_reach_every_event_of_shifts():
    seen = Counter()
    for seed in range(24):
        drawn = case(Random(f"modal {seed}"), kinds=("modal",))
        for event in Engine(drawn.plan, drawn.registry).fold(drawn.records):
            seen[event.type, event.side] += event.rule != "features"
    for wanted in ("RAISED", "ESCALATED", "CLEARED", "CONFIRMED"):
        assert min(seen[wanted, 1], seen[wanted, -1]) > 5, (wanted, seen)


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
    - {id: t, quantity: temperature, port: 2}
    - {id: f1, quantity: frequency,
       derived: {from: z, feature: peak_frequency, every: 10s, band: [1, 3.5], window: 2500ms}}
"""
RULE = (
    "version: 1\nrules:\n- {id: m, kind: modal, source: estimate, select: {quantity: frequency}, "
)


def compiled(rest):
    return compile_plan(load_rules({"m.yaml": RULE + rest + "\n"}), city_of({"c.yaml": CITY}))


def test_a_rule_compiles_to_its_parameters():
    plan, warnings = compiled(
        "shift_below: {yellow: -3 %, red: -10 %}, hysteresis: 1 %, for: {segments: 3, of: 5},"
        " baseline: {window: 64d, warmup: 9d, compensate: {by: temperature, spread: 4 K}}}"
    )
    (rule,) = plan.channel_rules
    assert (rule.kernel, rule.side, rule.unit) == ("modal", -1, "%")
    assert rule.raise_at[0].tolist()[1::2] == [-3.0, -10.0]
    assert rule.clear_at[0].tolist()[1::2] == [-2.0, -9.0]
    assert rule.max_gap_ns.tolist() == [30 * SECOND_NS]  # three segments
    day = 86400 * SECOND_NS
    assert {name: column.tolist()[0] for name, column in rule.own.items()} == {
        "slot_ns": day, "least": 9, "spread": 4.0, "companion": 1, "max_age_ns": day // 24,
        "k": 3, "of": 5, "direction": -1, "exclude": 3.0,
    }  # fmt: skip
    told = [str(problem) for problem in warnings]
    assert len(told) == 1  # the waveform is judged where its frequency is
    assert "temperature of span" in told[0]


def test_what_is_left_out_has_its_defaults_and_a_rise_its_own_key():
    (rule,) = compiled("shift_above: {yellow: 4 %}, learn_from: all}")[0].channel_rules
    own = {name: column.tolist()[0] for name, column in rule.own.items()}
    assert math.isnan(own.pop("exclude"))
    assert own == {
        "slot_ns": 30 * 86400 * SECOND_NS // 64, "least": 8, "spread": 5.0, "companion": -1,
        "max_age_ns": 0, "k": 1, "of": 1, "direction": 1,
    }  # fmt: skip


def test_a_companion_that_is_not_there_is_warned_of():
    rest = "shift_below: {red: -9 %}, baseline: {compensate: {by: humidity}}}"
    plan, warnings = compiled(rest)
    assert plan.channel_rules[0].own["companion"].tolist() == [-1]
    assert any("nothing near to compensate with" in str(problem) for problem in warnings)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("shift_below: {red: 9 %}}", "red must be below 0, such as -5 %"),
        ("shift_above: {red: -9 %}}", "red must be above 0, such as 5 %"),
        ("shift_below: {red: -9}}", "-9 is no percent"),
        ("shift_below: {red: -9 Hz}}", "-9 Hz is no percent"),
        ("shift_below: {yellow: -9 %, red: -3 %}}", "limits must fall with the level"),
        ("shift_below: {red: -9 %}, shift_above: {red: 9 %}}", "for both, two rules"),
        ("shift_below: {red: -9 %}, for: {segments: 4, of: 3}}", "4 of 3 segments can never be"),
        ("shift_below: {red: -9 %}, for: 3m}", "for"),
        ("shift_below: {red: -9 %}, modes: {f1: [1, 2]}}", "modes stands in the registry"),
        ("shift_below: {red: -9 %}, baseline: {window: 2d, warmup: 3d}}", "would never end"),
        ("shift_below: {red: -9 %}, baseline: {windows: 2d}}", 'unknown key "windows"'),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_place(rest, said):
    told = [str(p) for p in check({"m.yaml": RULE + rest + "\n"}, city_of({"c.yaml": CITY}))]
    assert any(said in line and line.startswith("m.yaml:3:") for line in told), told


def test_from_samples_of_a_bridge_to_the_alarm():
    """A tone of 2.1 Hz that falls to 1.95 Hz; segments of ten seconds, a baseline of minutes."""
    plan, _ = compiled(
        "shift_below: {orange: -5 %}, for: {segments: 2, of: 3},"
        " baseline: {window: 1h, warmup: 5m}}"
    )
    engine = Engine(plan, city_of({"c.yaml": CITY}))
    told, phase = [], 0.0
    for i in range(1200):
        hertz = 2.1 if i < 900 else 1.95
        x = np.sin(phase + 2 * np.pi * hertz * np.arange(50) / 50)
        phase += 2 * np.pi * hertz
        at = T0_NS + i * SECOND_NS
        part = x.astype(np.float32)[None]
        told += engine.fold(
            [Record(i, Block(np.zeros(1, np.int32), 0, at, at, at, 50.0, part, 1, i))]
        )
    assert [e.type for e in told] == ["RAISED"]
    assert told[0].subject == "410100-bridge-sp-000001/acc/f1"
    assert told[0].score == pytest.approx(-7.1, abs=0.8)
    assert 910 < (told[0].event_ns - T0_NS) / SECOND_NS < 930
