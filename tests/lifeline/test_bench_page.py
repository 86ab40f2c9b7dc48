"""The city, flatness, state and start of the bench; the page of all results."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from rich.console import Console

from lifeline.bench.city import SORTS, STEP_NS, city_of, live, shipped_plan
from lifeline.bench.engine import RUNNERS, run_bench
from lifeline.bench.report import CHAPTERS, machine, markdown, run_all
from lifeline.bench.results import Ask, Flat, Held, Row, Step, Waves
from rules.engine import Engine
from rules.quantities import QUANTITIES
from rules.readings import Readings, Tick


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


@pytest.fixture(scope="module")
def city():
    return city_of(20_000)


def test_a_city_has_its_channels_in_proportion_and_all_its_names_once(city):
    channels, assets = city.registry.channels, city.registry.assets
    assert len(set(channels.id)) == len(channels.id) == 20_000
    assert len(set(assets.id)) == len(assets.id)
    assert len(set(city.registry.devices.id)) == len(city.registry.devices.id)
    whole = sum(sort.count for sort in SORTS)
    for number, sort in enumerate(SORTS):
        assert abs((city.sort == number).sum() - sort.count / whole * 20_000) <= 1
    assert set(channels.quantity) <= set(QUANTITIES)
    for row in (0, 7_000, 19_999):
        assert channels.id[row].startswith(assets.id[channels.asset[row]] + "/")


def test_every_shipped_rule_finds_channels_in_the_city(city):
    plan = shipped_plan(city.registry)
    assert len(plan.channel_rules) > 40
    assert all(len(rule.channel) for rule in plan.channel_rules)
    assert all(len(rule.device) for rule in plan.deadman_rules)
    gas = next(r for r in plan.channel_rules if r.rule_id == "gas-ch4-space")
    assert set(gas.raise_at[:, 0].tolist()) == {0.5, 0.75}  # with and without a sewer beside it


def test_a_city_is_mostly_quiet_and_its_incidents_are_raised(city):
    engine = Engine(shipped_plan(city.registry), city.registry)
    events = [event for batch in live(city, 60) for event in engine.fold(batch)]
    assert {"RAISED"} <= {event.type.name for event in events}
    assert len({event.subject for event in events}) < 20


def test_readings_of_a_city_come_when_they_are_due(city):
    seen: Counter[int] = Counter()
    last = 0
    for batch in live(city, 18, together=4):
        assert isinstance(batch[0].body, Tick)
        for record in batch:
            if isinstance(record.body, Readings):
                seen.update(record.body.channel.tolist())
                assert record.body.receive_ns[0] >= last
                last = int(record.body.receive_ns[-1])
    every = city.registry.channels.interval_ns // STEP_NS
    for channel in np.flatnonzero(every <= 6)[::50].tolist():
        assert abs(seen[channel] - 18 / every[channel]) < 1


def test_many_rules_and_few_tell_the_same():
    few, many = run_bench("rules", Ask(channels=200, rounds=150), quiet())
    assert isinstance(few, Flat)
    assert (few.rules, many.rules) == (10, 200)
    assert few.events == many.events > 5


def test_scale_runs_dense_and_shuffled():
    rows = run_bench("scale", Ask(channels=100, rounds=40), quiet())
    assert [(row.batch, row.channels) for row in rows] == [
        ("dense", 100),
        ("dense", 200),
        ("shuffled 100k", 100),
        ("shuffled 100k", 200),
    ]
    assert rows[0].ratio == rows[2].ratio == 1.0


def test_state_counts_every_part_once():
    rows = run_bench("state", Ask(channels=500, rounds=80), quiet())
    assert all(isinstance(row, Held) for row in rows)
    for name in ("city", "T3"):
        own = [row for row in rows if row.part.startswith(f"{name}: ")]
        assert own[-1].part == f"{name}: all"
        assert own[-1].nbytes == sum(row.nbytes for row in own[:-1])
        assert {f"{name}: lifecycle", f"{name}: duplicates, late"} <= {row.part for row in own}
    slope = next(row for row in rows if row.part == "T3: score rate_least_squares")
    assert slope.nbytes >= 500 * 64 * 16  # a ring of 64 times and values a channel


def test_waveforms_run_beside_scipy_and_their_bursts_are_raised():
    rows = run_bench("waveform", Ask(channels=102, rounds=60), quiet())
    assert [(row.batch, row.channels) for row in rows] == [("1 s", 102), ("10 s", 102)]
    assert all(isinstance(row, Waves) and row.scipy_samples_per_s > 0 for row in rows)
    assert all(row.events == 1 for row in rows)  # one hydrant of six has a burst
    each = 96 * 50 + 6 * 250
    assert all(row.real_time == round(row.samples_per_s / each, 1) for row in rows)


def test_the_start_is_timed_step_by_step():
    steps = run_bench("start", Ask(channels=500), quiet())
    assert len(steps) == 7
    assert all(isinstance(step, Step) and step.seconds >= 0 for step in steps)


def test_the_page_has_a_section_for_every_workload_and_the_machine():
    small = {name: Ask(channels=60, rounds=70) for name in RUNNERS}
    measured = run_all(quiet(), small)
    page = markdown(measured)
    assert [chapter.workload for chapter, _ in measured] == [*RUNNERS]
    for chapter in CHAPTERS:
        assert f"## {chapter.title}\n" in page
    assert machine().split(";")[0] in page
    rows = [row for _, found in measured for row in found if isinstance(row, Row)]
    assert all(row.events_equal for row in rows if row.workload.startswith("T"))
    assert all(row.events_equal is None for row in rows if row.workload == "city")
    header = next(line for line in page.splitlines() if line.startswith("| batch"))
    assert header.split(" | ")[2:4] == ["engine ÷ loop", "C ÷ engine"]
    assert "NO" not in [cell for line in page.splitlines() for cell in line.split(" | ")]
