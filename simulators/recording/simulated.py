"""A scenario straight into a recording: the same devices and codecs, no network, no waiting."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any

from ingest.codecs import compact
from ingest.frame import Frame
from simulators.city import registry_of_city
from simulators.devices.counters import Stats
from simulators.devices.fleet import Fleet, count_delivered, count_emitted
from simulators.faults import truth_of_faults
from simulators.recording.folder import write_recording
from simulators.recording.steps import with_ticks
from simulators.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rules.registry import Registry
    from simulators.scenario import Scenario

LATENCY_NS = {"mqtt": 50_000_000, "coap": 400_000_000}  # from device to receiver
TICK_NS = 10_000_000_000


def city_registry(scenario: Scenario) -> Registry:
    """Return the registry of the city a scenario plays in."""
    return registry_of_city(scenario.entry.profile, scenario.seed)


def simulate(
    scenario: Scenario,
    *,
    out: Path,
    registry: Registry | None = None,
    lasts_ns: int | None = None,
    begin_ns: int | None = None,
) -> dict[str, Any]:
    """Write a recording of a scenario at full speed; return its meta.

    ``meta["incidents"]`` is the ground truth, ``meta["readings_sent"]`` and the other counts are
    as the live city keeps them. Times default to the scenario's own: its ``start`` (or now) and
    ``lasts``.

    Raises
    ------
    rules.problems.Invalid
        A place does not fit the registry, or ``out`` exists.
    """
    held = registry or city_registry(scenario)
    begin = begin_ns if begin_ns is not None else scenario.start_ns
    begin = time.time_ns() // 1_000_000_000 * 1_000_000_000 if begin is None else begin
    end_ns = begin + (lasts_ns or scenario.lasts_ns)
    incidents = scenario.place(held, begin)
    faults = scenario.faults(held, begin)
    stats = Stats(scenario.name, begin, faults=truth_of_faults(faults, held))
    fleet = Fleet(
        held,
        scenario,
        signals=Signals(held, seed=scenario.seed, changes=incidents),
        incidents=incidents,
        begin_ns=begin,
        faults=faults,
    )
    meta: dict[str, Any] = {"scenario": scenario.name, "seed": scenario.seed}
    city = _frames(fleet, held, stats, end_ns)
    probes = _probes(held, begin, end_ns)
    steps = with_ticks(heapq.merge(city, probes, key=lambda frame: frame.receive_ns), TICK_NS)
    return write_recording(out, held, _told(steps, stats, meta, incidents, held, end_ns), meta)


def _told(
    steps: Iterator[Any],
    stats: Stats,
    meta: dict[str, Any],
    incidents: Any,
    registry: Registry,
    end_ns: int,
) -> Iterator[Any]:
    """Pass the steps through and, at their end, note what was counted."""
    yield from steps
    document = stats.document(incidents, registry, city_ns=end_ns, wall_ns=0, done=True)
    meta |= {k: v for k, v in document.items() if k not in ("wall_ns", "begin_ns")}


def _probes(registry: Registry, begin_ns: int, end_ns: int) -> Iterator[Frame]:
    """Yield the heartbeats that ingest itself would put in: a recording is all it journals."""
    c, d = registry.channels, registry.devices
    rows = [r for r, q in enumerate(c.quantity) if q == "heartbeat" and c.alive[r]]
    period_ns = min((int(c.interval_ns[row]) for row in rows), default=end_ns - begin_ns + 1)
    for beat, at_ns in enumerate(range(begin_ns, end_ns, period_ns)):
        for row in rows:
            device = d.id[int(c.device[row])]
            payload = compact.encode(
                device=device,
                boot=1,
                sequence=beat,
                time_base_ms=at_ns // 1_000_000,
                simulation=True,
                blocks=[compact.Series(port=int(c.port[row]), offsets_ms=0, values=float(beat))],
            )
            yield Frame(payload, "mqtt", f"lifeline/v1/{device}/up", at_ns)


def _frames(fleet: Fleet, registry: Registry, stats: Stats, end_ns: int) -> Iterator[Frame]:
    """Yield frames in order of receipt."""
    newest = 0
    for message in fleet.messages(end_ns):
        transport = registry.devices.transport[message.device]
        count_emitted(stats, transport, message)
        if message.kind in ("lost", "off"):
            continue
        newest = max(newest, message.due_ns + LATENCY_NS[transport])
        count_delivered(stats, transport, message)
        form = message.content_format if transport == "coap" else None
        yield Frame(message.payload, transport, message.path, newest, form)
