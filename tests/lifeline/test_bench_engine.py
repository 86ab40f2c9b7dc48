"""The benchmark's engine, its tight loop and the slow twin tell the same events."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from lifeline.bench.engine import _as_told, run_bench
from lifeline.bench.loop import Loop
from lifeline.bench.workload import (
    ORDERS,
    WORKLOADS,
    chunks,
    plan_of,
    registry_of,
    shape_of,
    values_of,
)
from tests.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.bench.workload import Order

CHANNELS, ROUNDS = 50, 60
TROUBLE = 0.02


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_engine_and_loop_tell_the_same_events_in_every_order(workload: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    rows = run_bench(workload, CHANNELS, ROUNDS, file, console=quiet())
    assert [row.batch for row in rows] == [order.name for order in ORDERS]
    assert all(row.events_equal and row.events > 10 for row in rows)
    written = json.loads(file.read_text())
    assert list(written[0]) == [
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
def test_they_agree_on_flags_duplicates_and_late_rows_too(workload: str) -> None:
    rows = run_bench(workload, CHANNELS, ROUNDS, trouble=TROUBLE, console=quiet())
    assert all(row.events_equal for row in rows)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_the_loop_tells_what_the_slow_twin_tells(order: Order) -> None:
    channels, rounds = shape_of(order, 20, ROUNDS)
    registry = registry_of(channels)
    oracle, loop = Oracle(plan_of("T2", channels), registry), Loop("T2", channels)
    kinds: Counter[str] = Counter()
    for chunk in chunks(order, channels, rounds, trouble=TROUBLE):
        told = loop.fold(chunk.lists)
        slow = oracle.fold([record for batch in chunk.batches for record in batch])
        assert Counter(told) == _as_told(slow, registry)
        kinds.update(event[0] for event in told)
    assert {"RAISED", "CLEARED", "LATE_FINDING"} <= set(kinds)


def test_the_readings_are_a_sine_with_noise_and_rare_anomalies() -> None:
    values = values_of(100, 300)
    assert abs(values.mean() - 20.0) < 0.05
    assert 0.0005 < (abs(values - 20.0) > 9.0).mean() < 0.0015
    assert (values == values_of(100, 300)).all()


def test_the_whole_work_arrives_in_every_order() -> None:
    for order in ORDERS:
        channels, rounds = shape_of(order, 230, 110)
        seen = Counter()
        for chunk in chunks(order, channels, rounds):
            seen.update(zip(chunk.lists["channel"], chunk.lists["judged_ns"], strict=True))
        assert len(seen) == channels * rounds
        assert set(seen.values()) == {1}


def test_an_unknown_workload_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="T1, T2"):
        run_bench("T9", console=quiet())
