"""Rules of kind vote: who votes with whom, and what the text refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.engine import Engine
from rules.language import check, compile_plan, load_rules
from rules.readings import Readings, Record
from rules.registry_file import registry_of

SECOND_NS = 1_000_000_000
HOLE = """
- id: 410100-gas-mh-00000{n}
  type: manhole
  at: [{lon}, 34.0]
  sensors:
  - {{id: s{n}, device: 410100-gas-gw-000001, channels: [{{id: vol, quantity: ch4}}]}}
"""
CITY = """version: 1
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s}
assets:
- {id: 410100-gas-gw-000001, type: gateway}
"""
# about 91.6 m for each 0.001 degree: 1 . 2 . 3, and 4 far away
CITY += "".join(HOLE.format(n=n, lon=x) for n, x in ((1, 113.0), (2, 113.001), (3, 113.002)))
CITY += HOLE.format(n=4, lon=113.1)
RULES = """version: 1
defaults: {{source: estimate, runbook: "https://r"}}
rules:
- {{id: cluster, kind: vote, {}}}
- id: ch4
  kind: threshold
  select: {{quantity: ch4}}
  unit: "%{{vol}}"
  above: {{yellow: 1, red: 2}}
- {{id: silent, kind: deadman, select: {{}}, missing: {{yellow: 10x}}}}
"""
OF = "of: {rule: ch4, at_least: yellow}, "
NEED = "need: {count: 2, min_members: 2}, level: red, "
GOOD = OF + NEED + "near: 100 m, within: 5m"


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": CITY})


def plan_of(registry, text):
    return compile_plan(load_rules({"s.yaml": RULES.format(text)}), registry)[0]


def told(text, registry):
    return "\n".join(str(p) for p in check({"s.yaml": RULES.format(text)}, registry) if p.rule)


def test_a_place_is_a_channel_with_those_near_it(registry):
    (rule,) = plan_of(registry, GOOD).composite_rules
    members = [[int(c) for c in row if c >= 0] for row in rule.own["members"]]
    assert members == [[0, 1], [1, 0, 2], [2, 1]]
    assert rule.channel.tolist() == [0, 1, 2]
    assert rule.options == {"of": "ch4", "at_least": 2}
    assert rule.own["within_ns"].tolist() == [300 * SECOND_NS] * 3
    np.testing.assert_array_equal(rule.raise_at[0], [np.nan, np.nan, np.nan, 2.0])


def test_two_of_three_around_a_place_raise_its_vote_after_the_alarms_they_follow_from(registry):
    engine = Engine(plan_of(registry, GOOD), registry)
    columns = {"channel": [0, 2, 1], "judged_ns": [0, 0, 0], "value": [1.5, 2.5, 0.5]}
    told = engine.fold([Record(0, Readings.of(columns))])
    ids = registry.channels.id
    assert [(e.row, e.stage, e.rule, e.subject, e.severity) for e in told] == [
        (0, 1, "ch4", ids[0], 2),
        (1, 1, "ch4", ids[2], 4),
        (1, 2, "cluster", ids[1], 4),
    ]
    assert told[2].evidence == {"members": [ids[0], ids[2]]}


def test_a_lonely_place_is_told_of_and_has_no_vote(registry):
    whole = told(GOOD, registry)
    assert "need: 1 of 4 places have fewer than 2 members (410100-gas-mh-000004" in whole
    assert whole.count("\n") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OF + NEED, "must say once who is near"),
        (OF + "level: red, near: 1 km", 'key "need" is missing'),
        (
            OF + "need: {count: 3, min_members: 2}, level: red, near: 1 km",
            "min_members below count",
        ),
        (OF + "need: {count: 0}, level: red, near: 1 km", "must be at least 1"),
        (OF + "need: {count: 2}, level: pink, near: 1 km", 'unknown level "pink"'),
        (OF + NEED + "near: 1 km, for: {red: 1m}", "for: a vote has one level"),
        ("of: {rule: ch4, at_least: yelow}, " + NEED + "near: 1 km", 'unknown level "yelow"'),
        ("of: {rule: ch5, at_least: red}, " + NEED + "near: 1 km", "unknown rule 'ch5' (did you"),
        ("of: {rule: silent, at_least: red}, " + NEED + "near: 1 km", "is of kind deadman"),
        ("of: {rule: cluster, at_least: red}, " + NEED + "near: 1 km", "is of kind vote"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(registry, text, said):
    whole = told(text, registry)
    assert whole.startswith("s.yaml:4:")
    assert said in whole, whole


def values(registry, offset, t, **value_of):
    """One record: manhole m1 … m4 by number, each with its value, at t seconds."""
    numbers = [int(name[1:]) - 1 for name in value_of]
    at = [t * SECOND_NS] * len(numbers)
    columns = {"channel": numbers, "judged_ns": at, "value": list(value_of.values())}
    return Record(offset, Readings.of(columns))


def test_a_vote_that_comes_by_a_change_of_rules_counts_alarms_that_stand_already(registry):
    with_vote, without = plan_of(registry, GOOD), plan_of(registry, GOOD)
    without = replace(without, composite_rules=(), content_hash="without")
    engine = Engine(without, registry)
    raised = engine.fold([values(registry, 0, 0, m1=1.5, m3=1.5)])
    assert [e.rule for e in raised] == ["ch4", "ch4"]
    assert engine.change(with_vote, registry, offset=1) == []
    told = engine.fold([values(registry, 2, 60, m2=0.5)])
    assert [(e.rule, e.subject) for e in told] == [("cluster", registry.channels.id[1])]


def test_a_vote_that_now_needs_fewer_counts_who_ceased_a_moment_ago(registry):
    three = GOOD.replace("count: 2, min_members: 2", "count: 3")
    engine = Engine(plan_of(registry, three), registry)
    engine.fold([values(registry, 0, 0, m1=1.5, m3=1.5)])
    engine.fold([values(registry, 1, 60, m1=0.5, m3=0.5)])
    assert engine.change(plan_of(registry, GOOD), registry, offset=2) == []
    engine.fold([values(registry, 3, 120, m4=0.5)])
    told = engine.fold([values(registry, 4, 180, m2=0.5)])
    assert [(e.rule, e.value) for e in told] == [("cluster", 2.0)]


def test_a_vote_of_a_rule_that_is_taken_away_ends_at_once(registry):
    plan = plan_of(registry, GOOD)
    engine = Engine(plan, registry)
    engine.fold([values(registry, 0, 0, m1=1.5, m3=1.5)])
    ended = engine.change(replace(plan, channel_rules=()), registry, offset=1)
    assert {(e.type, e.rule) for e in ended} == {("RULE_CHANGED", "ch4")}
    assert engine.fold([values(registry, 2, 60, m1=1.5, m3=1.5)]) == []
