"""Official warnings of a scenario: they come in the journal, and rules in storm mode hear them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifeline.scenarios.draw import drawn
from lifeline.scenarios.files import load_scenarios, scenarios_of
from lifeline.scenarios.grouped import grouped
from lifeline.scenarios.run import STEP_NS, Bench
from rules.language import load_rules
from rules.readings import Control, Readings, Tick
from simulators.recording import shipped_rules

(STORM,) = load_scenarios(["underpass-fills-under-a-storm-warning"])


@pytest.fixture(scope="module")
def bench():
    return Bench(load_rules(shipped_rules()))


def said(scenario, **more):
    """The scenario with another warning."""
    (warning,) = scenario.entry.warnings
    held = scenario.entry.model_copy(update={"warnings": [warning.model_copy(update=more)]})
    return replace(scenario, entry=held)


def another_district():
    """A district of the city in which the underpass is not: where none is known, all are warned."""
    assets = drawn(STORM, 1).registry.assets
    here = assets.district[assets.id.index(STORM.entry.incidents[0].place)]
    return next(name for name in sorted(set(assets.district)) if name and name != here)


def test_water_is_told_sooner_while_the_warning_stands_and_not_without_one(bench):
    row = bench.play(drawn(STORM, 1)).row()
    assert (row["expected"], row["raised"], row["late"], row["forbidden"]) == (2, 2, 0, 0)
    none = replace(STORM, entry=STORM.entry.model_copy(update={"warnings": []}))
    for calm in (none, said(STORM, level="yellow"), said(STORM, areas=[another_district()])):
        assert bench.play(drawn(calm, 1)).row()["late"] == 1


def test_the_journal_is_the_citys_with_the_warning_at_its_time():
    variant = drawn(STORM, 3)
    records = [r for batch in variant.records(step_ns=STEP_NS) for r in batch]
    assert [r.offset for r in records] == list(range(len(records)))
    (at,) = [i for i, r in enumerate(records) if isinstance(r.body, Control)]
    control = records[at].body
    (bulletin,) = variant.warnings
    assert control.type == "warning"
    assert control.data["hazard"] == "rainstorm"
    assert control.data["severity"] == 3
    assert variant.begin_ns <= bulletin.sent_ns <= variant.begin_ns + 600 * 10**9
    assert _time(records[at - 1].body) < bulletin.sent_ns <= _time(records[at + 1].body)
    plain = [r for b in variant.city.records(variant.from_ns, variant.end_ns) for r in b]
    ticks = [r.body for r in records if isinstance(r.body, Tick)]
    assert ticks == [r.body for r in plain if isinstance(r.body, Tick)]
    assert _readings(records) == _readings(plain)


def _time(body):
    return body.tick_ns if isinstance(body, Tick) else int(body.receive_ns[0])


def _readings(records):
    return [
        row
        for r in records
        if isinstance(r.body, Readings)
        for row in zip(r.body.channel, r.body.judged_ns, r.body.value.tolist(), strict=True)
        if row[2] == row[2]
    ]


def test_a_warning_that_would_come_after_the_end_is_none():
    text = """
version: 1
scenarios:
- name: s
  title: s
  title_zh: s
  city: {part: [drain]}
  lasts: 1h
  warnings:
  - {id: late, at: 2h, level: red, lasts: 1h}
  - {id: second, at: 30m, level: red, lasts: 1h}
  - {id: first, at: 10m, level: blue, lasts: 1h, hazard: gale}
"""
    held = drawn(scenarios_of("s.yaml", text)[0], 1)
    assert [w.identifier for w in held.warnings] == ["first", "second"]


def test_grouping_hears_it_too(bench):
    run = grouped(bench, STORM, 1)
    assert (run.causes, run.incidents) == (1, 1)
