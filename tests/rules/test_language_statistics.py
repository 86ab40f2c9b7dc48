"""The kinds of the family "statistics" as a site writes them: arrays, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rules.language import Invalid, check, compile_plan, load_rules
from rules.language.kinds import DEFAULT_MESSAGES
from rules.registry_file import registry_of

CITY = """
version: 1
devices:
- {id: 410100-water-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-water-gw-000001, every: 60s}
assets:
- {id: 410100-water-gw-000001, type: gateway}
- id: 410100-water-dm-000001
  type: dma
  sensors:
  - id: b
    device: 410100-water-gw-000001
    channels:
    - {id: p, quantity: pressure, every: 30s, resolution: 0.5}
    - {id: q, quantity: flow, every: 15m, resolution: 0.25}
"""
HEAD = "version: 1\ndefaults: {source: estimate}\nrules:\n"
S = 1_000_000_000


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": CITY})


def sides(rule, registry):
    """The compiled sides of one rule, by sign; nothing may be warned of the rule."""
    rules = load_rules({"site.yaml": f"{HEAD}- {rule}\n"})
    plan, problems = compile_plan(rules, registry)
    assert [str(p) for p in problems if p.rule] == []
    return {built.side: built for built in plan.channel_rules}


def said(rule, registry, severity="error"):
    problems = check({"site.yaml": f"{HEAD}- {rule}\n"}, registry)
    return [str(p) for p in problems if p.severity == severity and p.rule]


STUCK = "{id: a, kind: stuck, select: {quantity: pressure}, "
GAP = "{id: a, kind: gap, select: {}, "
LATE = "{id: a, kind: late, select: {quantity: pressure}, "
CLOCK = "{id: a, kind: clock, select: {quantity: pressure}, "


def test_a_stuck_rule_becomes_seconds_and_a_tolerance_in_the_canonical_unit(registry):
    built = sides(f"{STUCK}tolerance: 0.002 MPa, above: {{yellow: 2h, red: 1d}}}}", registry)
    assert list(built) == [1]
    rule = built[1]
    assert (rule.kind, rule.kernel, rule.unit, rule.klass) == ("stuck", "stuck", "s", "maintenance")
    assert rule.raise_at[0, [1, 3]].tolist() == [7200.0, 86400.0]
    assert np.isnan(rule.raise_at[0, [0, 2]]).all()
    assert (rule.clear_at[0, [1, 3]] == rule.raise_at[0, [1, 3]]).all()
    assert rule.own["tolerance"].tolist() == [2.0]


def test_without_a_tolerance_stuck_means_exactly_the_same_value(registry):
    rule = sides(f"{STUCK}above: {{yellow: 2h}}, class: safety}}", registry)[1]
    assert rule.own["tolerance"].tolist() == [0.0]
    assert rule.klass == "safety"


def test_limits_in_intervals_are_resolved_channel_by_channel(registry):
    rule = sides(f"{GAP}above: {{blue: 2.5x, yellow: 4x}}}}", registry)[1]
    assert rule.raise_at[:, :2].tolist() == [[75.0, 120.0], [2250.0, 3600.0]]
    assert rule.clear_at[:, :2].tolist() == rule.raise_at[:, :2].tolist()


def test_an_override_gives_some_channels_another_time(registry):
    rule = sides(
        f"{GAP}above: {{blue: 1h}}, overrides: "
        "[{match: {quantity: flow}, set: {above.blue: 2h}, reason: valves}]}",
        registry,
    )[1]
    assert rule.raise_at[:, 0].tolist() == [3600.0, 7200.0]


def test_a_late_rule_judges_the_age_at_receipt(registry):
    rule = sides(f"{LATE}above: {{blue: 90s}}}}", registry)[1]
    assert (rule.kernel, rule.unit, rule.raise_at[0, 0]) == ("late", "s", 90.0)


def test_a_clock_has_a_side_for_the_future_and_one_for_the_past(registry):
    built = sides(f"{CLOCK}future: {{blue: 2m}}, past: {{blue: 1d, yellow: 3d}}}}", registry)
    assert built[1].raise_at[0, 0] == 120.0
    assert built[-1].raise_at[0, :2].tolist() == [-86400.0, -3 * 86400.0]
    assert list(sides(f"{CLOCK}past: {{blue: 1d}}}}", registry)) == [-1]


@pytest.mark.parametrize("kind", ["stuck", "gap", "late", "clock"])
def test_every_kind_speaks_both_languages(kind):
    english, chinese = DEFAULT_MESSAGES[kind]
    assert english.isascii()
    assert not chinese.isascii()
    for text in (english, chinese):
        assert "{{ score }}" in text
        assert "{{ limit }}" in text


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{STUCK}}}", 'key "above" is missing'),
        (f"{STUCK}above: 2h}}", "must be a map of levels"),
        (f"{STUCK}above: {{yellow: 2}}}}", "2 has no unit of time: write 2s or 2m"),
        (f"{STUCK}above: {{yellow: 2h, red: 1h}}}}", "limits must rise with the level"),
        (
            f"{STUCK}above: {{yellow: 2h, red: 9x}}}}",
            "all levels as durations, or all as intervals",
        ),
        (f"{STUCK}above: {{yellow: 2h}}, tolerance: -1 kPa}}", "tolerance must not be below 0"),
        (f"{STUCK}above: {{yellow: 2h}}, tolerance: 1}}", "1 has no unit: write unit: 'kPa'"),
        (f"{STUCK}above: {{yellow: 2h}}, tolerance: 1 m}}", "does not measure pressure"),
        (f"{STUCK}above: {{yellow: 2h}}, hysteresis: 5}}", "use keep_firing_for"),
        (f"{GAP}above: {{yellow: 2h}}, hysteresis: 5}}", "use keep_firing_for"),
        (f"{LATE}over: {{yellow: 2h}}}}", 'unknown key "over"'),
        (f"{CLOCK}}}", "has no limits: write future: {yellow: 2m} or past: {yellow: 7d}"),
        (f"{CLOCK}past: {{yellow: 3d, red: 1d}}}}", "limits must fall with the level"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(rule, told, registry):
    errors = said(rule, registry)
    assert any(told in e and e.startswith("site.yaml:4:") for e in errors), errors
    with pytest.raises(Invalid):
        compile_plan(load_rules({"site.yaml": f"{HEAD}- {rule}\n"}), registry)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{STUCK}above: {{yellow: 30s}}}}", "above: yellow is within one interval"),
        (f"{STUCK}above: {{yellow: 2h}}, max_gap: 20s}}", "every sample begins anew"),
        (f"{GAP}above: {{blue: 1m}}}}", "blue is within one sampling interval"),
    ],
)
def test_what_makes_no_sense_for_a_channel_is_a_warning(rule, told, registry):
    assert any(told in warning for warning in said(rule, registry, "warning"))


Z = "{id: a, kind: zscore, select: {quantity: flow}, "


def test_a_zscore_rule_becomes_two_sides_of_one_baseline(registry):
    built = sides(
        f"{Z}window: 7d, warmup: 2d, floor: 1 L/s, sigma: {{yellow: 4, orange: 6}}}}", registry
    )
    assert sorted(built) == [-1, 1]
    assert built[1].raise_at[0, [1, 2]].tolist() == [4.0, 6.0]
    assert built[-1].raise_at[0, [1, 2]].tolist() == [-4.0, -6.0]
    for rule in built.values():
        assert rule.unit == "sigma"
        own = {name: column.tolist() for name, column in rule.own.items()}
        assert own == {
            "window_ns": [7 * 86400 * S],
            "warmup_ns": [2 * 86400 * S],
            "robust": [1.0],
            "floor": [3.6],
            "exclude": [4.0],
        }


def test_a_zscore_learns_everything_when_told_to_and_has_the_resolution_for_a_floor(registry):
    text = f"{Z}window: 96x, warmup: 20, robust: false, learn_from: all, side: above,"
    built = sides(f"{text} sigma: {{yellow: 4}}}}", registry)
    assert list(built) == [1]
    own = built[1].own
    assert own["window_ns"].tolist() == [86400 * S]
    assert own["warmup_ns"].tolist() == [20 * 900 * S]
    assert own["floor"].tolist() == [0.25]
    assert own["robust"].tolist() == [0.0]
    assert np.isnan(own["exclude"]).all()


REST = "window: 7d, warmup: 2d, sigma: {yellow: 4}"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{Z}warmup: 2d, sigma: {{yellow: 4}}}}", 'key "window" is missing'),
        (f"{Z}{REST}, learn_from: some}}", "learn_from"),
        (f"{Z}{REST}, floor: -1 m3/h}}", "floor must not be below 0"),
        (f"{Z}{REST}, floor: 1 kPa}}", "does not measure flow"),
        (f"{Z}window: 7d, warmup: 2d, sigma: {{yellow: -4}}}}", "sigma limits must be above 0"),
    ],
)
def test_a_mistake_in_a_zscore_is_told(rule, told, registry):
    test_a_mistake_is_told_with_its_place_and_what_to_write(rule, told, registry)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{Z}window: 1h, warmup: 30m, sigma: {{yellow: 4}}}}", "window never holds 8 samples"),
        (f"{Z}window: 1d, warmup: 2d, sigma: {{yellow: 4}}}}", "warmup is longer than the window"),
        (f"{Z}{REST}, floor: 0 m3/h}}", "any change of a constant value is infinite"),
    ],
)
def test_a_zscore_that_makes_no_sense_for_a_channel_is_a_warning(rule, told, registry):
    test_what_makes_no_sense_for_a_channel_is_a_warning(rule, told, registry)


C = "{id: a, kind: cusum, select: {quantity: flow}, "


def test_a_cusum_with_a_learned_target_becomes_two_tracks_that_know_their_direction(registry):
    text = f"{C}target: median 14d, warmup: 1d, slack: 0.25 sigma, floor: 1 L/s, reset: ack,"
    built = sides(f"{text} decide: {{yellow: 9, orange: 12}}}}", registry)
    assert sorted(built) == [-1, 1]
    for sign, rule in built.items():
        assert rule.raise_at[0, [1, 2]].tolist() == [sign * 9.0, sign * 12.0]
        own = {name: column.tolist()[0] for name, column in rule.own.items()}
        assert np.isnan(own.pop("target"))
        assert np.isnan(own.pop("exclude"))
        assert own == {
            "window_ns": 14 * 86400 * S,
            "warmup_ns": 86400 * S,
            "robust": 1.0,
            "floor": 3.6,
            "slack": 0.25,
            "freeze": 4.5,
            "cap": 24.0,
            "direction": float(sign),
            "by_ack": 1.0,
        }


def test_a_cusum_may_have_a_target_in_any_unit_of_its_quantity(registry):
    text = f"{C}target: 10 L/s, window: 7d, warmup: 96, side: below, decide: {{yellow: 5}}}}"
    rule = sides(text, registry)[-1]
    assert rule.own["target"].tolist() == [36.0]
    assert rule.own["window_ns"].tolist() == [7 * 86400 * S]
    assert rule.own["slack"].tolist() == [0.5]
    assert rule.own["floor"].tolist() == [0.25]
    assert rule.own["by_ack"].tolist() == [0.0]


SHIFT = "warmup: 1d, decide: {yellow: 9}"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"{C}{SHIFT}}}", 'key "target" is missing'),
        (f"{C}{SHIFT}, target: mean 14d}}", "must be a value (20 kPa) or learned: median 14d"),
        (f"{C}{SHIFT}, target: median}}", "target"),
        (f"{C}{SHIFT}, target: median 14d, window: 7d}}", "window stands in the target already"),
        (f"{C}{SHIFT}, target: 10 L/s}}", "sigma needs a window to be learned from"),
        (f"{C}{SHIFT}, target: 10 kPa, window: 7d}}", "does not measure flow"),
        (f"{C}{SHIFT}, target: median 14d, slack: -1}}", "must be 0 or more sigma"),
        (f"{C}{SHIFT}, target: median 14d, slack: 1 kPa}}", "must be 0 or more sigma"),
        (f"{C}{SHIFT}, target: median 14d, reset: cleared}}", "reset"),
        (f"{C}warmup: 1d, target: median 14d, decide: {{yellow: 9 kPa}}}}", "have no unit"),
    ],
)
def test_a_mistake_in_a_cusum_is_told(rule, told, registry):
    test_a_mistake_is_told_with_its_place_and_what_to_write(rule, told, registry)
