"""What isolates an incident, what lies downstream of it, and who is concerned.

By search on the registry's networks. Pipes (``pipes``, ``neighbours``) carry both ways;
``downstream`` and ``upstream`` are one-way. A valve is an asset of type ``valve``, ``valve_well``
or ``sluice``, or one that says ``valve: true``; a source is a ``station``, ``regulator``,
``reservoir``, ``plant`` or ``dma``, or one that says ``source: true``; ``critical: true`` names who
must not be without. It is advice: a registry may not know every pipe; who runs the network decides.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rules.language.nearby import network_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.registry import Registry

BOTH_WAYS: Final = ("pipes", "neighbours")
VALVES: Final = frozenset({"valve", "valve_well", "sluice"})
SOURCES: Final = frozenset({"station", "regulator", "reservoir", "plant", "dma"})

Edges = dict[int, set[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A graph of asset rows. ``pipes`` holds each edge from both ends; ``below`` from above."""

    pipes: Edges
    below: Edges = field(default_factory=dict)
    valves: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What closing the nearest valves does. All are asset rows, rising.

    ``section`` is the smallest part valves can cut off around the leak. ``close`` are the valves
    that a source lies behind, or all at its edge where no source of this net is known.
    ``feeding`` are the sources within it: no valve cuts those off. ``dry`` is who had a source and
    then has none, the section itself left out.
    """

    section: tuple[int, ...]
    close: tuple[int, ...]
    feeding: tuple[int, ...]
    dry: tuple[int, ...]


def reached(edges: Edges, begin: Iterable[int], *, stop: frozenset[int] = frozenset()) -> set[int]:
    """Return what can be reached along edges without entering ``stop``, the beginning with it."""
    seen = set(begin)
    edge = list(seen)
    while edge:
        onward = {b for a in edge for b in edges.get(a, ())} - seen - stop
        seen |= onward
        edge = list(onward)
    return seen


def isolate(network: Network, leaks: Iterable[int]) -> Isolation:
    """Return what cuts leaking assets off; a valve that itself leaks closes nothing."""
    begin = frozenset(leaks)
    valves = network.valves - begin
    section = frozenset(reached(network.pipes, begin, stop=valves))
    edge = {b for a in section for b in network.pipes.get(a, ())} & valves
    close = frozenset(v for v in edge if _leads_to_source(network, v, section | edge))
    if not reached(network.pipes, begin) & network.sources:  # the registry knows none of this net
        close = frozenset(edge)
    fed = reached(network.pipes, network.sources)
    still = reached(network.pipes, network.sources - section - close, stop=section | close)
    return Isolation(
        section=tuple(sorted(section)),
        close=tuple(sorted(close)),
        feeding=tuple(sorted(section & network.sources)),
        dry=tuple(sorted(fed - still - section - close)),
    )


def _leads_to_source(network: Network, valve: int, edge: frozenset[int]) -> bool:
    """Tell whether a source lies behind a valve; what lies behind another one is that one's."""
    beyond = reached(network.pipes, [valve], stop=edge - {valve})
    return bool(beyond & network.sources)


def downstream(network: Network, begin: Iterable[int]) -> tuple[int, ...]:
    """Return what lies below assets along one-way edges, themselves left out, rising."""
    start = set(begin)
    return tuple(sorted(reached(network.below, start) - start))


def network_from(registry: Registry) -> Network:
    """Return the networks of a registry; lifelines are joined only where assets name each other."""
    pipes: Edges = defaultdict(set)
    for name in BOTH_WAYS:
        for row, others in network_of(registry, name).items():
            pipes[row] |= others
    below: Edges = defaultdict(set)
    a = registry.assets
    for row, attributes in enumerate(a.attributes):
        for to in _rows(registry, attributes.get("downstream")):
            below[row].add(to)
        for from_ in _rows(registry, attributes.get("upstream")):
            below[from_].add(row)
    alive = [row for row in range(len(a.id)) if a.alive[row]]

    def those(types: frozenset[str], mark: str) -> frozenset[int]:
        return frozenset(
            r for r in alive if a.asset_type[r] in types or a.attributes[r].get(mark) is True
        )

    return Network(
        pipes=dict(pipes),
        below=dict(below),
        valves=those(VALVES, "valve"),
        sources=those(SOURCES, "source"),
    )


def _rows(registry: Registry, said: Any) -> list[int]:
    names = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return [registry.asset_row[n] for n in names if n in registry.asset_row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Who and what an incident concerns; assets by id, people by the registry's figures."""

    assets: tuple[str, ...]  # its alarms are at
    exposed_people: int  # at these
    close: tuple[str, ...]
    section: tuple[str, ...]  # cut off then, the assets of its alarms included
    feeding: tuple[str, ...]  # sources no valve cuts off
    dry: tuple[str, ...]
    people_without: int  # at what is cut off or dry then
    downstream: tuple[str, ...]
    people_downstream: int
    critical: tuple[str, ...]  # of all these, who must not be without
    cameras: tuple[tuple[str, str], ...]  # (asset, address)
    networked: bool  # some network of the registry holds these assets


def concern(registry: Registry, network: Network, assets: Iterable[str]) -> Concern:
    """Return whom an incident at these assets concerns; unknown ids have no part in it."""
    rows = sorted({registry.asset_row[name] for name in assets if name in registry.asset_row})
    cut = isolate(network, rows)
    after = downstream(network, rows)
    a = registry.assets
    without = sorted({*cut.section, *cut.dry})
    all_of_it = sorted({*rows, *without, *after})
    return Concern(
        assets=_ids(registry, rows),
        exposed_people=_people(registry, rows),
        close=_ids(registry, cut.close),
        section=_ids(registry, cut.section),
        feeding=_ids(registry, cut.feeding),
        dry=_ids(registry, cut.dry),
        people_without=_people(registry, without) if cut.close else 0,
        downstream=_ids(registry, after),
        people_downstream=_people(registry, after),
        critical=_ids(registry, (r for r in all_of_it if a.attributes[r].get("critical") is True)),
        cameras=tuple((a.id[r], each) for r in rows for each in _cameras(a.attributes[r])),
        networked=any(network.pipes.get(r) or network.below.get(r) for r in rows),
    )


def _ids(registry: Registry, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(registry.assets.id[row] for row in rows)


def _people(registry: Registry, rows: Iterable[int]) -> int:
    return sum(int(registry.assets.exposed_people[row]) for row in rows)


def _cameras(attributes: Mapping[str, Any]) -> list[str]:
    said = attributes.get("cameras", [])
    return [said] if isinstance(said, str) else [each for each in said if isinstance(each, str)]
