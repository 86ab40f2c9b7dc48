"""Rules of kinds count, step, trend and forecast become arrays, or errors with place and remedy."""

from __future__ import annotations

import numpy as np
import pytest

from rules.language import check, compile_plan, load_rules
from rules.registry_file import registry_of

S = 1_000_000_000
HEAD = "version: 1\nrules:\n"
REGISTRY = registry_of(
    {
        "city.yaml": """
version: 1
devices:
- {id: 410100-drain-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-drain-gw-000001, every: 60s}
assets:
- {id: 410100-drain-gw-000001, type: gateway}
- id: 410100-water-pp-000001
  type: pressure_point
  sensors:
  - id: p
    device: 410100-drain-gw-000001
    channels:
    - {id: mean, quantity: pressure, range: [0, 1600], every: 1m}
    - {id: slow, quantity: pressure, range: [0, 1600], every: 5m}
    - {id: v, quantity: vibration, every: 10s}
"""
    }
)


def one(text: str):
    """Return the single ChannelRule of a file with one rule."""
    plan = compile_plan(load_rules({"site.yaml": HEAD + text}), REGISTRY)[0]
    assert len(plan.channel_rules) == 1
    return plan.channel_rules[0]


def problems(text: str) -> str:
    return "\n".join(str(p) for p in check({"site.yaml": HEAD + text}, REGISTRY) if p.rule)


COUNT = "- {id: digging, kind: count, source: estimate, select: {quantity: vibration}, "


def test_a_count_becomes_a_mark_a_window_and_limits_in_events():
    rule = one(COUNT + "at: 0.2 cm/s, window: 10m, events: {yellow: 5, orange: 20}}")
    assert (rule.kernel, rule.side, rule.unit) == ("count", 1, "1")
    assert rule.own["at"].tolist() == [2.0]
    assert rule.own["direction"].tolist() == [1.0]
    assert rule.own["window_ns"].tolist() == [600 * S]
    np.testing.assert_array_equal(rule.raise_at, [[np.nan, 5, 20, np.nan]])


def test_a_count_below_its_mark_and_an_override_of_the_mark():
    rule = one(
        "- {id: a, kind: count, source: estimate, select: {quantity: pressure}, unit: kPa,"
        " at: 100, side: below, window: 20x, events: {red: 3}, hysteresis: 1,"
        " overrides: [{match: {channel: '*/slow'}, set: {at: 50}, reason: low zone}]}"
    )
    assert rule.own["at"].tolist() == [100.0, 50.0]
    assert rule.own["direction"].tolist() == [-1.0, -1.0]
    assert rule.own["window_ns"].tolist() == [1200 * S, 6000 * S]
    assert rule.clear_at[:, 3].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("at: 2, window: 10m, events: {yellow: 5}", "2 has no unit"),
        ("at: 2 kPa, window: 10m, events: {yellow: 5}", "does not measure vibration"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 65}", "a whole number 1 … 64, not 65"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 2.5}", "a whole number 1 … 64, not 2.5"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 0}", "a whole number 1 … 64, not 0"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 5 kPa}", "1 … 64, not 5 kPa"),
        ("at: 2 mm/s, window: 10m, events: {red: 3, yellow: 5}", "limits must rise"),
        ("at: 2 mm/s, window: 10m", '"events" is missing'),
        ("at: 2 mm/s, events: {yellow: 5}", '"window" is missing'),
        ("at: 2 mm/s, window: 1m, events: {yellow: 20}", "wants events: it never fires"),
    ],
)
def test_a_count_that_cannot_be_says_where_and_why(keys, said):
    found = problems(COUNT + keys + "}")
    assert said in found
    assert found.startswith("site.yaml:3:")
    assert 'rule "digging"' in found
