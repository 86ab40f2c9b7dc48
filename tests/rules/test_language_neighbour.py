"""Rules of kind neighbour: who is near whom, and what the numbers turn into."""

from __future__ import annotations

import numpy as np
import pytest

from rules.language import check, compile_plan, load_rules
from rules.registry_file import registry_of

SECOND_NS = 1_000_000_000
HOLE = """
- id: 410100-gas-mh-00000{n}
  type: manhole
  zone: {zone}
  at: [{lon}, 34.0]
  attributes: {{gas_pipe: [{pipe}]}}
  sensors:
  - id: s{n}
    device: 410100-gas-gw-000001
    channels: [{{id: vol, quantity: ch4, range: [0, 5]}}, {{id: t, quantity: temperature}}]
"""
HEAD = """version: 1
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s}
assets:
- {id: 410100-gas-gw-000001, type: gateway}
"""
# along a street, about 91.6 m for each 0.001 degree: 1 . 2 . . 3, and 4 far away; pipe 1-2, 2-4
PLACES = (
    (1, "a", 113.000, "410100-gas-mh-000002"),
    (2, "a", 113.001, "410100-gas-mh-000004"),
    (3, "a", 113.003, ""),
    (4, "b", 113.100, ""),
)
CITY = HEAD + "".join(HOLE.format(n=n, zone=z, lon=x, pipe=p) for n, z, x, p in PLACES)
RULE = (
    "version: 1\nrules:\n- {{id: a, kind: neighbour, source: estimate, runbook: https://r, {}}}\n"
)
SELECT = "select: {quantity: ch4}, "
LIMITS = 'unit: "%{vol}", above: {red: 0.5}'


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": CITY})


def compiled(registry, text):
    return compile_plan(load_rules({"s.yaml": RULE.format(text)}), registry)[0].channel_rules


def near(registry, text):
    """The neighbours of the four manholes' methane, by their numbers."""
    (rule,) = compiled(registry, f"{SELECT}{LIMITS}, {text}")
    ids = registry.channels.id
    return [
        [int(ids[c].split("/")[0][-1]) for c in row if c >= 0] for row in rule.own["neighbours"]
    ]


def test_neighbours_by_distance_are_the_nearest_first(registry):
    assert near(registry, "near: 100 m") == [[2], [1], [], []]
    assert near(registry, "near: 0.2 km") == [[2], [1, 3], [2], []]
    assert near(registry, "near: 300 m") == [[2, 3], [1, 3], [2, 1], []]


def test_neighbours_along_a_network_are_found_from_either_end(registry):
    assert near(registry, "network: gas_pipe, hops: 1") == [[2], [1, 4], [], [2]]
    assert near(registry, "network: gas_pipe, hops: 2") == [[2, 4], [1, 4], [], [2, 1]]


def test_neighbours_of_a_zone_or_an_asset(registry):
    assert near(registry, "scope: zone") == [[2, 3], [1, 3], [2, 1], []]
    assert near(registry, "scope: asset") == [[], [], [], []]


def test_only_channels_the_rule_selects_are_neighbours(registry):
    text = "select: {quantity: ch4, asset: [410100-gas-mh-000001, 410100-gas-mh-000003]}, "
    (rule,) = compiled(registry, f"{text}{LIMITS}, near: 1 km")
    assert [[int(c) for c in row if c >= 0] for row in rule.own["neighbours"]] == [[4], [0]]


def test_limits_are_differences_and_ages_follow_the_interval(registry):
    text = "select: {quantity: temperature}, near: 1 km, above: {red: 10 K}, below: {red: -5 Cel}"
    high, low = compiled(registry, text)
    assert (high.side, low.side, high.unit, high.kernel) == (1, -1, "Cel", "neighbour_difference")
    assert high.raise_at[0, 3] == 10.0
    assert low.raise_at[0, 3] == -5.0
    assert high.own["max_age_ns"].tolist() == [180 * SECOND_NS] * 4
    assert high.own["min_members"].tolist() == [3] * 4
    text = f'{SELECT}near: 1 km, sigma: {{red: 6}}, side: above, floor: "10 %{{LEL}}", max_age: 2m'
    (rule,) = compiled(registry, text)
    assert rule.kernel == "neighbour_sigma"
    assert rule.unit == "sigma"
    np.testing.assert_array_equal(rule.own["floor"], 0.5)
    assert rule.own["max_age_ns"][0] == 120 * SECOND_NS


def test_one_more_sensor_changes_only_the_rows_that_it_is_near_to(registry):
    more = registry_of({"city.yaml": CITY + HOLE.format(n=5, zone="b", lon=113.1001, pipe="")})
    text = f"{SELECT}{LIMITS}, near: 300 m"
    (before,), (after,) = compiled(registry, text), compiled(more, text)
    old, new = before.own["neighbours"], after.own["neighbours"]
    assert old.shape[1] == new.shape[1]
    np.testing.assert_array_equal(old[:3], new[:3])
    assert (old[3] != new[3]).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{LIMITS}", "must say once who is near"),
        (f"{LIMITS}, near: 1 km, scope: zone", "must say once who is near"),
        (f"{LIMITS}, network: gas_pipe", "network and hops belong together"),
        (f"{LIMITS}, near: 50", "is no distance"),
        (f"{LIMITS}, near: 50 kPa", "is no distance"),
        (f"{LIMITS}, near: 0 m", "must be above 0 m"),
        (f"{LIMITS}, scope: city", "must be 'zone' or 'asset'"),
        (f"{LIMITS}, near: 1 km, sigma: {{red: 3}}", "needs either above and below"),
        ("near: 1 km", "needs either above and below"),
        ("near: 1 km, sigma: {red: 3}", "sigma needs floor"),
        ("near: 1 km, above: {red: 3 kPa}", "does not measure ch4"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(registry, text, said):
    told = "\n".join(map(str, check({"s.yaml": RULE.format(SELECT + text)}, registry)))
    assert told.startswith("s.yaml:3:")
    assert said in told, told


def test_channels_that_are_too_lonely_ever_to_be_judged_are_told(registry):
    text = RULE.format(f"{SELECT}{LIMITS}, near: 300 m, min_members: 2")
    told = [str(p) for p in check({"s.yaml": text}, registry) if p.rule]
    assert len(told) == 1
    assert "fewer neighbours than min_members: it never fires (410100-gas-mh-000004" in told[0]
