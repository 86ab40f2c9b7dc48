"""The benchmark's engine, its tight loop, its C program and the slow twin tell the same events."""

from __future__ import annotations

import gc
import io
import json
import os
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from rich.console import Console

from lifeline.bench import beside, timing
from lifeline.bench.arrival import ORDERS, Order, chunks, shape_of, values_of
from lifeline.bench.engine import RUNNERS, disagree, run_bench, write_json
from lifeline.bench.loop import Loop
from lifeline.bench.reference import Reference, compiler
from lifeline.bench.results import Ask, Latency, Row, Stage
from lifeline.bench.told import as_told, same
from lifeline.bench.workload import SLOPE_LIMIT, WORKLOADS, plan_of, registry_of
from lifeline.errors import Missing
from rules.engine import Engine, fold
from tests.oracle import Oracle

CHANNELS, ROUNDS = 40, 120
TROUBLE = 0.01
needs_cc = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


@cache
def told_by(program: str, workload: str, order: Order):
    """Return all events one program tells of one order."""
    channels, rounds = shape_of(order, CHANNELS, ROUNDS)
    registry, plan = registry_of(channels), plan_of(workload, channels)
    engine, loop, oracle = Engine(plan, registry), Loop(workload, channels), None
    if program == "twin":
        oracle = Oracle(plan, registry)
    c = Reference(workload, channels) if program == "C" else None
    told = []
    for chunk in chunks(order, channels, rounds, trouble=TROUBLE):
        if program == "engine":
            for batch in chunk.batches:
                told += as_told(engine.fold(batch), registry)
        elif program == "loop":
            told += loop.fold(chunk.lists)
        elif c is not None:
            told += c.told(c.fold(chunk.readings))
        else:
            records = [record for batch in chunk.batches for record in batch]
            told += as_told(oracle.fold(records), registry)
    if c is not None:
        c.close()
    return told


@pytest.mark.parametrize("workload", WORKLOADS)
def test_all_programs_tell_the_same_events_in_every_order(workload, tmp_path):
    rows = run_bench(workload, Ask(channels=CHANNELS, rounds=ROUNDS), quiet())
    assert [row.batch for row in rows] == [order.name for order in ORDERS]
    assert all(row.events_equal and row.events > 10 for row in rows)
    assert all((row.c_readings_per_s is None) == (compiler() is None) for row in rows)
    file = tmp_path / "bench.json"
    write_json(rows, file)
    assert list(json.loads(file.read_text())[0]) == [
        "workload",
        "batch",
        "channels",
        "readings_per_s",
        "loop_readings_per_s",
        "c_readings_per_s",
        "events",
        "events_equal",
    ]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_they_agree_on_flags_duplicates_late_rows_conflicts_boots_and_epochs_too(workload):
    rows = run_bench(workload, Ask(channels=CHANNELS, rounds=ROUNDS, trouble=TROUBLE), quiet())
    assert len(rows) == len(ORDERS)
    assert all(row.events_equal for row in rows)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
@pytest.mark.parametrize("program", ["engine", "loop", pytest.param("C", marks=needs_cc)])
def test_each_program_tells_what_the_slow_twin_tells(program, order):
    told = told_by(program, "T3", order)
    assert same(told, told_by("twin", "T3", order))
    kinds = {event[0] for event in told}
    moves = {"RAISED", "ESCALATED", "LOWERED", "CLEARED"}
    assert kinds == moves | {"LATE_FINDING", "CLOCK_EPOCH"}
    raised = Counter(event[1] for event in told if event[0] == "RAISED")
    assert set(raised) == {"level", "ewma", "rate", "slope"}


def test_trouble_is_every_kind_of_trouble():
    chunk = next(chunks(ORDERS[0], 50, 200, trouble=0.02))
    rows = chunk.readings
    assert np.isnan(rows.value).any()
    assert not rows.usable.all()
    assert len(set(rows.qc_flag.tolist())) == 2
    assert set(rows.boot.tolist()) == {1, 2}
    names = ("channel", "boot", "sequence")
    sent = Counter(zip(*(getattr(rows, name).tolist() for name in names), strict=True))
    assert sum(count > 1 for count in sent.values()) > 50  # sent twice
    times = [rows.judged_ns[rows.channel == channel] for channel in range(50)]
    steps = np.concatenate([np.diff(t) for t in times]) // 1_000_000_000
    assert (steps == -3).sum() > 50  # late
    assert (steps == 0).sum() > 100  # sent twice, or contradicted
    assert (steps < -900).sum() >= 9  # a clock set back


def test_events_that_differ_are_not_the_same():
    one = [("RAISED", "slope", 1, 3, 100, 0.5), ("CLEARED", "rate", 1, 3, 200, 1.0)]
    assert same(one, one[::-1])
    assert same(one, [("RAISED", "slope", 1, 3, 100, 0.5 + 1e-12), one[1]])
    assert not same(one, one[:1])
    assert not same(one, [("RAISED", "slope", 1, 3, 100, 0.5 + 1e-6), one[1]])
    assert not same(one, [one[0], ("CLEARED", "rate", 1, 3, 200, 1.0 + 1e-12)])
    assert not same(one, [("RAISED", "slope", -1, 3, 100, 0.5), one[1]])


def test_a_program_that_disagrees_is_told_of(monkeypatch):
    class Deaf(Loop):
        def fold(self, lists):
            return []

    monkeypatch.setattr(beside, "Loop", lambda workload, channels: Deaf.__new__(Deaf))
    rows = run_bench("T1", Ask(channels=20, rounds=60, orders=ORDERS[:1]), quiet())
    assert disagree(rows)
    assert not disagree([replace(rows[0], events_equal=True)])


def test_no_slope_lies_within_another_programs_rounding_of_the_limit():
    """60 values in steps of 0.001, one a second: their slopes are multiples of 2.8e-8."""
    t = np.arange(60) - 29.5
    step = 0.001 * 0.5 / (t * t).sum()
    assert abs(SLOPE_LIMIT / step - round(SLOPE_LIMIT / step)) > 0.1


def test_without_a_c_compiler_the_rest_is_measured(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    rows = run_bench("T1", Ask(channels=20, rounds=20, orders=ORDERS[:1]), quiet())
    assert rows[0].c_readings_per_s is None
    assert rows[0].events_equal
    with pytest.raises(Missing, match="install gcc"):
        Reference("T1", 1)


@needs_cc
def test_the_c_program_refuses_a_channel_it_was_not_made_for():
    c = Reference("T1", 10)
    rows = next(chunks(ORDERS[0], 11, 1)).readings
    with pytest.raises(ValueError, match="not made for"):
        c.fold(rows)
    c.close()


def test_the_readings_are_a_sine_with_noise_and_rare_anomalies():
    values = values_of(100, 300)
    assert abs(values.mean() - 20.0) < 0.05
    assert 0.0005 < (abs(values - 20.0) > 9.0).mean() < 0.0015
    assert (values == values_of(100, 300)).all()


def test_the_whole_work_arrives_in_every_order():
    for order in ORDERS:
        channels, rounds = shape_of(order, 230, 110)
        seen = Counter()
        for chunk in chunks(order, channels, rounds):
            seen.update(zip(chunk.lists["channel"], chunk.lists["judged_ns"], strict=True))
            records = [r.body for batch in chunk.batches for r in batch if hasattr(r.body, "value")]
            assert sum(map(len, records)) == chunk.rows
        assert len(seen) == channels * rounds
        assert set(seen.values()) == {1}


def test_a_profile_names_every_stage_and_leaves_the_engine_as_it_was():
    before = Engine.__dict__.copy(), vars(fold).copy()
    ask = Ask(channels=400, rounds=100, profile=True, orders=ORDERS[:1])
    results = run_bench("T3", ask, quiet())
    stages = {row.stage for row in results if isinstance(row, Stage)}
    assert {"judge", "lay out", "lifecycle", "events", "score ewma", "the rest"} <= stages
    assert any(stage.startswith("score rate") for stage in stages)
    shares = [row.share for row in results if isinstance(row, Stage)]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    after = Engine.__dict__.copy(), vars(fold).copy()
    assert before == after


def test_an_unknown_workload_names_the_known_ones():
    with pytest.raises(ValueError, match="T1, T2"):
        run_bench("T9", console=quiet())
    with pytest.raises(ValueError, match="1 or more"):
        run_bench("T1", Ask(channels=-1), quiet())


def test_latency_is_told_in_percentiles():
    (row,) = run_bench("latency", Ask(channels=200, rounds=100), quiet())
    assert isinstance(row, Latency)
    assert 0 < row.cpu_p50_ms <= row.cpu_p99_ms
    assert row.batches == 2


def test_the_watch_runs_on_one_core_without_the_collector_and_puts_both_back():
    allowed = os.sched_getaffinity(0)
    watch = timing.Stopwatch()
    with timing.one_core():
        assert len(os.sched_getaffinity(0)) == 1
        for rows in (10, 30, 20):
            with watch.lap(rows):
                assert not gc.isenabled()
                sum(range(10_000))
    assert os.sched_getaffinity(0) == allowed
    assert gc.isenabled()
    watch.rows, watch.seconds = [10, 10, 10], [1.0, 10.0, 2.0]
    assert watch.readings_per_s == 5


def test_every_workload_is_one_that_runs():
    assert [*RUNNERS][:3] == [*WORKLOADS]
    assert {"city", "rules", "scale", "latency", "state", "start"} <= set(RUNNERS)
    assert all(
        isinstance(row, Row) for row in run_bench("city", Ask(channels=300, rounds=4), quiet())
    )
