"""A whole city under the shipped rules: quiet for itself, alarmed in time when it must be."""

from __future__ import annotations

from functools import cache

import pytest

from rules.engine import Engine
from rules.language.compiler import compile_plan
from rules.language.loader import load_rules
from simulators.incidents import KINDS, Onset
from simulators.recording import shipped_rules
from simulators.stream import City, Links

HOUR_NS = 3_600_000_000_000
BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00

KINDS_TRIED = {
    "gas_leak": ("341600-gas-mh-000004", 3600),
    "main_rupture": ("341600-gas-rg-000003", 1800),
    "pipe_burst": ("341600-water-hy-000002", 3600),
    "heat_leak": ("341600-heat-hs-000002", 3600),
    "gallery_fire": ("341600-gallery-gs-000003", 1800),
    "tunnel_fire": ("341600-tunnel-ts-000003", 1200),
    "underpass_flood": ("341600-drain-up-000002", 1800),
    "storm": ("341600-drain-ps-000001", 7200),
}


@cache
def city():
    return City("bozhou", seed=5, links=Links())


@cache
def plan():
    return compile_plan(load_rules(shipped_rules()), city().registry)[0]


def rising(under, begin_ns, end_ns):
    engine = Engine(plan(), under.registry)
    return [
        event
        for batch in under.records(begin_ns, end_ns, step_ns=HOUR_NS)
        for event in engine.fold(batch)
        if event.type in ("RAISED", "ESCALATED", "LATE_FINDING") and event.severity
    ]


def test_a_quiet_day_of_bozhou_raises_nothing_on_usual_links():
    under = City("bozhou", seed=1, registry=city().registry)
    got = rising(under, BEGIN_NS, BEGIN_NS + 26 * HOUR_NS)
    assert [(e.rule, e.subject, e.value) for e in got] == []


@pytest.mark.parametrize("kind", sorted(KINDS_TRIED))
def test_an_incident_is_alarmed_within_its_deadline_and_nothing_else_is(kind):
    place, lasts_s = KINDS_TRIED[kind]
    at_ns = BEGIN_NS + HOUR_NS
    incident = KINDS[kind](
        city().registry, Onset(id=kind, place=place, begin_ns=at_ns, lasts_s=lasts_s)
    )
    due_ns = at_ns + int(incident.deadline_s * 1e9)
    got = rising(city().under(incidents=[incident]), BEGIN_NS, due_ns)
    subjects = set(incident.subjects(city().registry))
    assert any(e.subject in subjects and e.severity >= incident.severity for e in got)
    assert {(e.rule, e.subject) for e in got if e.subject not in subjects} == set()
    assert min(e.receive_ns for e in got) >= at_ns
