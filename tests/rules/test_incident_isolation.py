"""What cuts a leak off: equal to trying every set of valves, on random graphs."""

from __future__ import annotations

from itertools import chain, combinations
from random import Random

import pytest

from rules.incidents.isolation import (
    Network,
    concern,
    downstream,
    isolate,
    network_from,
    reached,
)
from rules.registry_file import registry_of


def joined(*pairs: tuple[int, int]) -> dict[int, set[int]]:
    edges: dict[int, set[int]] = {}
    for a, b in pairs:
        edges.setdefault(a, set()).add(b)
        edges.setdefault(b, set()).add(a)
    return edges


# source 0 – valve 1 – leak 2 – valve 3 – customers 4, 5
LINE = joined((0, 1), (1, 2), (2, 3), (3, 4), (4, 5))


def test_a_leak_in_a_line_needs_the_valve_towards_the_source_only():
    cut = isolate(Network(pipes=LINE, valves=frozenset({1, 3}), sources=frozenset({0})), [2])
    assert (cut.section, cut.close, cut.feeding, cut.dry) == ((2,), (1,), (), (3, 4, 5))


def test_fed_from_both_ends_it_needs_both_and_nobody_runs_dry():
    cut = isolate(Network(pipes=LINE, valves=frozenset({1, 3}), sources=frozenset({0, 5})), [2])
    assert (cut.close, cut.dry) == ((1, 3), ())


def test_without_a_known_source_every_valve_at_the_edge_is_named():
    cut = isolate(Network(pipes=LINE, valves=frozenset({1, 3})), [2])
    assert (cut.close, cut.dry) == ((1, 3), ())


def test_a_source_of_another_net_is_none_of_this_one():
    pipes = LINE | joined((8, 9))
    cut = isolate(Network(pipes=pipes, valves=frozenset({1, 3}), sources=frozenset({9})), [2])
    assert cut.close == (1, 3)


def test_a_source_within_the_section_is_said_to_feed_on():
    cut = isolate(Network(pipes=LINE, valves=frozenset({3}), sources=frozenset({0})), [2])
    assert (cut.section, cut.close, cut.feeding) == ((0, 1, 2), (), (0,))


def test_a_valve_that_leaks_closes_nothing():
    cut = isolate(Network(pipes=LINE, valves=frozenset({1, 3}), sources=frozenset({0})), [1])
    assert cut.feeding == (0,)


# ── by trying everything ─────────────────────────────────────────────────────────────────────


def walks(edges: dict[int, set[int]], a: int, closed: set[int], nodes: int) -> set[int]:
    """Return where a walk from ``a`` can lead, by squaring the matrix of single steps."""
    open_ = [n for n in range(nodes) if n not in closed]
    can = {(x, y) for x in open_ for y in open_ if x == y or y in edges.get(x, ())}
    for _ in range(nodes.bit_length()):
        can |= {(x, z) for x, y in can for y2, z in can if y == y2}
    return {y for x, y in can if x == a}


def subsets(of: set[int]):
    held = sorted(of)
    return chain.from_iterable(combinations(held, n) for n in range(len(held) + 1))


def random_network(seed: int) -> tuple[Network, int, int]:
    random = Random(seed)
    nodes = random.randint(2, 9)
    share = random.uniform(0.15, 0.5)
    pairs = [(a, b) for a in range(nodes) for b in range(a + 1, nodes) if random.random() < share]
    valves = frozenset(n for n in range(nodes) if random.random() < 0.4)
    sources = frozenset(n for n in range(nodes) if n not in valves and random.random() < 0.25)
    below: dict[int, set[int]] = {}
    for a, b in pairs:
        below.setdefault(a if random.random() < 0.5 else b, set()).add(b if a in below else a)
    network = Network(pipes=joined(*pairs), below=below, valves=valves, sources=sources)
    return network, random.randrange(nodes), nodes


@pytest.mark.parametrize("seed", range(200))
def test_it_is_what_trying_every_set_of_valves_finds(seed):
    network, leak, nodes = random_network(seed)
    valves = set(network.valves) - {leak}
    cut = isolate(network, [leak])
    parts = {closed: walks(network.pipes, leak, set(closed), nodes) for closed in subsets(valves)}
    assert set(cut.section) == set.intersection(*parts.values())
    assert set(cut.feeding) == set(cut.section) & network.sources
    if not parts[()] & network.sources:  # none of this net is known: all at the edge
        edge = {v for v in valves if network.pipes.get(v, set()) & set(cut.section)}
        assert set(cut.close) == edge
        return
    # Of all sets that leave only the section's own sources, ours is one, and no valve too many.
    own = set(cut.feeding)
    cutting = [c for c, part in parts.items() if part & network.sources <= own]
    assert cut.close in cutting
    for valve in cut.close:
        fewer = tuple(v for v in cut.close if v != valve)
        assert fewer not in cutting
    smallest = [c for c in cutting if not any(set(d) < set(c) for d in cutting)]
    assert cut.close in smallest
    supplied = set().union(*(walks(network.pipes, s, set(), nodes) for s in network.sources))
    closed = set(cut.close) | set(cut.section)
    after = set().union(
        set(), *(walks(network.pipes, s, closed, nodes) for s in network.sources - closed)
    )
    assert set(cut.dry) == supplied - after - closed


@pytest.mark.parametrize("seed", range(200))
def test_downstream_is_every_walk_along_the_flow(seed):
    network, begin, nodes = random_network(seed)
    assert set(downstream(network, [begin])) == walks(network.below, begin, set(), nodes) - {begin}
    assert reached(network.below, []) == set()


# ── of a registry ────────────────────────────────────────────────────────────────────────────

TEXT = """\
version: 1
assets:
- {id: 410100-gas-rg-000001, type: regulator, at: [113.6, 34.7]}
- {id: 410100-gas-vw-000001, type: valve_well, at: [113.6, 34.7],
   attributes: {pipes: [410100-gas-rg-000001, 410100-gas-mh-000001]}}
- {id: 410100-gas-mh-000001, type: manhole, at: [113.6, 34.7], exposed_people: 40,
   attributes: {pipes: [410100-gas-mh-000002], cameras: ["https://cams.example/1"]}}
- {id: 410100-gas-mh-000002, type: manhole, at: [113.6, 34.7], exposed_people: 200,
   attributes: {critical: true}}
- {id: 410100-drain-mh-000001, type: manhole, at: [113.6, 34.7],
   attributes: {downstream: 410100-drain-mh-000002}}
- {id: 410100-drain-mh-000002, type: manhole, at: [113.6, 34.7], exposed_people: 7}
- {id: 410100-drain-up-000001, type: underpass, at: [113.6, 34.7], exposed_people: 80,
   attributes: {upstream: [410100-drain-mh-000002], critical: true}}
- {id: 410100-heat-mh-000001, type: manhole, at: [113.6, 34.7], exposed_people: 3}
"""


@pytest.fixture(scope="module")
def registry():
    return registry_of({"r.yaml": TEXT})


def test_whom_a_leak_concerns(registry):
    told = concern(registry, network_from(registry), ["410100-gas-mh-000001", "nowhere"])
    assert told.close == ("410100-gas-vw-000001",)
    assert told.section == ("410100-gas-mh-000001", "410100-gas-mh-000002")
    assert (told.exposed_people, told.people_without) == (40, 240)
    assert told.critical == ("410100-gas-mh-000002",)
    assert told.cameras == (("410100-gas-mh-000001", "https://cams.example/1"),)
    assert told.networked


def test_whom_a_blocked_sewer_concerns(registry):
    told = concern(registry, network_from(registry), ["410100-drain-mh-000001"])
    assert told.downstream == ("410100-drain-mh-000002", "410100-drain-up-000001")
    assert told.people_downstream == 87
    assert told.critical == ("410100-drain-up-000001",)
    assert told.close == ()
    assert told.people_without == 0


def test_what_is_on_no_network_says_so(registry):
    told = concern(registry, network_from(registry), ["410100-heat-mh-000001"])
    assert not told.networked
    assert told.exposed_people == 3
