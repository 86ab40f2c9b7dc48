"""Rules of kinds all, any and sequence: what is joined with what, and what the text refuses."""

from __future__ import annotations

import numpy as np
import pytest

from rules.engine import Engine
from rules.language import check, compile_plan, load_rules
from rules.readings import Readings, Record, Tick
from rules.registry_file import registry_of

SECOND_NS = 1_000_000_000
DMA = """
- id: 410100-water-dm-00000{n}
  type: dma
  zone: {zone}
  sensors:
  - id: s{n}
    device: 410100-water-gw-000001
    channels: [{channels}]
"""
PRESSURE, FLOW = "{{id: p, quantity: pressure}}", "{{id: q, quantity: flow}}"
CITY = """version: 1
devices:
- {id: 410100-water-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-water-gw-000001, every: 60s}
assets:
- {id: 410100-water-gw-000001, type: gateway}
"""
# zone east: two pressures on two assets and a flow; west: pressure only; one dma without a zone
PLACES = (("east", "p, q"), ("east", "p"), ("west", "p"), ('""', "p, q"))
for number, (where, kinds) in enumerate(PLACES):
    held = ", ".join({"p": PRESSURE, "q": FLOW}[kind] for kind in kinds.split(", "))
    CITY += DMA.format(
        n=number + 1, zone=where, channels=held.replace("{{", "{").replace("}}", "}")
    )
RULES = """version: 1
defaults: {{source: estimate}}
rules:
- {{id: burst, {}}}
- id: low
  kind: threshold
  select: {{quantity: pressure}}
  below: {{yellow: 150 kPa, red: 100 kPa}}
- {{id: silent, kind: deadman, select: {{}}, missing: {{yellow: 10x}}}}
"""
P = "p: {quantity: pressure, stat: drop, window: 5m, above: 30 kPa}"
Q = "q: {quantity: flow, stat: rise, window: 10m, above: 15 %}"
BOTH = f"inputs: {{{P}, {Q}}}, within: 10m, level: orange"
GOOD = f"kind: all, scope: zone, {BOTH}"


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": CITY})


def plan_of(registry, text):
    return compile_plan(load_rules({"s.yaml": RULES.format(text)}), registry)[0]


def told(text, registry):
    return "\n".join(str(p) for p in check({"s.yaml": RULES.format(text)}, registry) if p.rule)


def rows_of(registry, quantity):
    return [i for i, name in enumerate(registry.channels.quantity) if name == quantity]


def test_conditions_become_rules_of_their_own_that_are_told_to_nobody(registry):
    plan = plan_of(registry, GOOD)
    p, q = plan.input_rules
    assert (p.rule_id, p.kernel, p.side, p.unit) == ("burst/p", "stat_drop", 1, "kPa")
    assert (q.rule_id, q.kernel, q.side, q.unit) == ("burst/q", "stat_rise_share", 1, "%")
    np.testing.assert_array_equal(p.raise_at[0], [np.nan, np.nan, 30.0, np.nan])
    np.testing.assert_array_equal(q.raise_at[0], [np.nan, np.nan, 15.0, np.nan])
    assert p.own["window_ns"].tolist() == [300 * SECOND_NS] * 2
    assert {rule.rule_id for rule in plan.channel_rules} == {"low"}


def test_a_group_is_a_zone_that_has_channels_of_every_input(registry):
    (rule,) = plan_of(registry, GOOD).composite_rules
    plan = plan_of(registry, GOOD)
    assert plan.subjects == ("east",)
    assert rule.channel.tolist() == [len(registry.channels.id)]
    pressure, flow = rows_of(registry, "pressure"), rows_of(registry, "flow")
    members = rule.own["members"][0]
    assert [c for c in members[:128] if c >= 0] == pressure[:2]
    assert [c for c in members[128:] if c >= 0] == flow[:1]
    assert rule.own["within_ns"].tolist() == [600 * SECOND_NS]
    assert rule.options == {"inputs": "p q", "of": "burst/p burst/q", "at_least": "3 3"}
    np.testing.assert_array_equal(rule.raise_at[0], [np.nan, np.nan, 2.0, np.nan])


def test_a_group_may_be_an_asset(registry):
    plan = plan_of(registry, GOOD.replace("scope: zone", "scope: asset"))
    assert plan.subjects == ("410100-water-dm-000001", "410100-water-dm-000004")


def test_any_needs_no_more_than_one_input_of_a_group(registry):
    plan = plan_of(registry, GOOD.replace("kind: all", "kind: any"))
    assert plan.subjects == ("east", "west")
    (rule,) = plan.composite_rules
    np.testing.assert_array_equal(rule.raise_at[0], [np.nan, np.nan, 1.0, np.nan])


def test_groups_that_lack_an_input_are_told_of(registry):
    said = 'warning: rule "burst": zones without channels of q are not judged (west)'
    assert said in told(GOOD, registry)


def test_an_input_may_be_an_alarm_of_another_rule(registry):
    low = "low: {rule: low, at_least: red}"
    plan = plan_of(registry, GOOD.replace(P, low))
    (rule,) = plan.composite_rules
    assert [r.rule_id for r in plan.input_rules] == ["burst/q"]
    assert rule.options == {"inputs": "low q", "of": "low burst/q", "at_least": "4 3"}


def test_an_input_may_look_at_some_channels_only(registry):
    asset = "select: {asset: 410100-water-dm-000002}"
    plan = plan_of(registry, GOOD.replace("quantity: pressure", f"quantity: pressure, {asset}"))
    assert plan.input_rules[0].channel.tolist() == rows_of(registry, "pressure")[1:2]


def reading(registry, offset, t, **value_of):
    """One record at t seconds: p1, q1 … are pressure and flow of asset 1 …."""
    ids = {f"{i[-1]}{i.split('/')[0][-1]}": n for n, i in enumerate(registry.channels.id)}
    columns = {
        "channel": [ids[name] for name in value_of],
        "judged_ns": [t * SECOND_NS] * len(value_of),
        "value": list(value_of.values()),
    }
    return Record(offset, Readings.of(columns))


def test_a_burst_raises_its_zone_and_says_what_was_seen(registry):
    engine = Engine(plan_of(registry, GOOD), registry)
    engine.fold([Record(0, Tick(0)), reading(registry, 1, 60, p1=320.0, p2=300.0, q1=100.0)])
    assert engine.fold([reading(registry, 2, 120, p1=285.0, p2=295.0, q1=101.0)]) == []
    (event,) = engine.fold([reading(registry, 3, 180, p1=280.0, p2=290.0, q1=120.0)])
    assert (event.type, event.rule, event.subject, event.severity) == ("RAISED", "burst", "east", 3)
    assert (event.value, event.limit, event.stage) == (2.0, 2.0, 2)
    assert event.evidence == {
        "inputs": ["p", "q"],
        "channels": ["410100-water-dm-000001/s1/p", "410100-water-dm-000001/s1/q"],
        "scores": [35.0, 20.0],
        "times_ns": [120 * SECOND_NS, 180 * SECOND_NS],
    }


def test_a_sequence_minds_the_order(registry):
    text = GOOD.replace("kind: all", "kind: sequence")
    after = ((320.0, 100.0), (280.0, 100.0), (280.0, 120.0))  # pressure, flow
    before = ((320.0, 100.0), (320.0, 120.0), (280.0, 120.0))
    for seen, raised in ((after, ["burst"]), (before, [])):
        engine = Engine(plan_of(registry, text), registry)
        events = []
        for i, (p1, q1) in enumerate(seen):
            events += engine.fold([reading(registry, i, 60 * i, p1=p1, q1=q1)])
        assert [e.rule for e in events] == raised


def test_what_is_not_announced_does_not_end_with_a_word_when_rules_change(registry):
    plan = plan_of(registry, GOOD)
    engine = Engine(plan, registry)
    engine.fold([reading(registry, 0, 60, p1=320.0), reading(registry, 1, 120, p1=280.0)])
    changed = plan_of(registry, GOOD.replace("30 kPa", "35 kPa"))
    assert engine.change(changed, registry, offset=2) == []


def test_a_standing_input_lives_through_a_change_of_other_rules(registry):
    engine = Engine(plan_of(registry, GOOD), registry)
    engine.fold([reading(registry, 0, 60, p1=320.0, q1=100.0)])
    engine.fold([reading(registry, 1, 120, p1=280.0)])
    more = RULES.format(GOOD) + "- {id: odd, kind: rate, select: {quantity: flow}, window: 5m,"
    more += " above: {red: 900 m3/h/min}, source: estimate}\n"
    plan = compile_plan(load_rules({"s.yaml": more}), registry)[0]
    assert engine.change(plan, registry, offset=2) == []
    (event,) = engine.fold([reading(registry, 3, 180, p1=280.0, q1=120.0)])
    assert (event.rule, event.evidence["scores"]) == ("burst", [40.0, 20.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"kind: all, {BOTH}", 'key "scope" is missing'),
        ("kind: all, scope: zone, within: 5m, level: red", 'key "inputs" is missing'),
        (GOOD.replace("zone", "town"), "scope: must be 'zone' or 'asset', not 'town'"),
        (GOOD.replace(Q, ""), "all joins at least two inputs"),
        (GOOD.replace("all", "sequence").replace("within: 10m, ", ""), "sequence needs within"),
        (GOOD.replace("orange", "pink"), 'unknown level "pink"'),
        (GOOD.replace("drop", "dropp"), "stat: must be 'last'"),
        (GOOD.replace("window: 5m, ", ""), "p: stat needs a window: 5m"),
        (GOOD.replace("stat: drop", "stat: last"), "p: last has no window"),
        (GOOD.replace("30 kPa", "30"), "p: 30 has no unit: write"),
        (GOOD.replace("30 kPa", "30 m3/h"), "p: unit 'm3/h' does not measure pressure"),
        (GOOD.replace("30 kPa", "0 kPa"), "a drop above 0 is nothing unusual"),
        (GOOD.replace("above: 30 kPa", "below: 30 kPa"), "for the other way write the other"),
        (GOOD.replace(", above: 30 kPa", ""), "p: needs one limit"),
        (GOOD.replace("pressure", "presure"), "presure"),
        (GOOD.replace("p: {", "P: {"), "'P' is no name"),
        (GOOD.replace(P, "p: {rule: low}"), "rule and at_least belong together"),
        (GOOD.replace(P, "p: {rule: low, at_least: red, window: 5m}"), "has no stat, window"),
        (GOOD.replace(P, "p: {rule: lo, at_least: red}"), "unknown rule 'lo' (did you mean"),
        (GOOD.replace(P, "p: {rule: silent, at_least: red}"), "is of kind deadman"),
        (GOOD.replace(P, "p: {rule: burst, at_least: red}"), "is of kind all"),
        (GOOD.replace(P, "p: {rule: low, at_least: redd}"), 'unknown level "redd"'),
        (GOOD + ", for: {orange: 1m}", "for: the rule has one level"),
        (GOOD + ", needs: 3", 'unknown key "needs"'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(registry, text, said):
    whole = told(text, registry)
    assert whole.startswith("s.yaml:4:"), whole
    assert said in whole, whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("window: 5m", "window: 2h"), "p: only the newest 64 samples"),
        (GOOD.replace("window: 5m", "window: 1m"), "p: window never holds two samples"),
        (GOOD.replace("quantity: flow", "quantity: ch4"), "no zone has channels of every input"),
    ],
)
def test_what_is_odd_is_a_warning(registry, text, said):
    assert f'warning: rule "burst": {said}' in told(text, registry)
