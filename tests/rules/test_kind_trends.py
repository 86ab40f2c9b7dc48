"""Kinds count, step, trend and forecast: what the random journals reach, and what they do not."""

from __future__ import annotations

import statistics
from collections import Counter
from random import Random
from typing import Any

import pytest

import rules.engine
from rules.events import encode
from rules.readings import Record
from tests.journals import case
from tests.oracle import Oracle
from tests.oracle_trends import Buckets
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

MINE = ("count", "step")


@pytest.mark.parametrize("kind", MINE)
def test_the_journals_raise_and_clear_on_both_sides(kind: str) -> None:
    told: Counter[tuple[str, int]] = Counter()
    for seed in range(40):
        drawn = case(Random(seed), kinds=(kind,))
        for event in Oracle(drawn.plan, drawn.registry).fold(drawn.records):
            told[event.type, event.side] += 1
    for side in (1, -1):
        for wanted in ("RAISED", "ESCALATED", "LOWERED", "CLEARED"):
            assert told[wanted, side] > 5, (wanted, side)


def one_channel(
    values: list[float], *, every_s: float = 1, rows_a_record: int = 1, start_s: float = 0
) -> list[Record]:
    rows = [
        {"channel": 0, "judged_ns": seconds(start_s + i * every_s), "value": value}
        for i, value in enumerate(values)
    ]
    starts = range(0, len(rows), rows_a_record)
    bodies = [readings_of(rows[start : start + rows_a_record]) for start in starts]
    return [Record(i, body) for i, body in enumerate(bodies)]


def both(rule: Any, values: list[float], **more: Any) -> list[Any]:
    """The events of the engine, whole and cut, which must be those of the slow twin."""
    plan, registry = plan_of(rule), registry_of([0])
    for rows_a_record in (1, 7, len(values)):
        records = one_channel(values, rows_a_record=rows_a_record, **more)
        slow = Oracle(plan, registry).fold(records)
        for size in (1, len(records)):
            engine = rules.engine.Engine(plan, registry)
            told: list[Any] = []
            for start in range(0, len(records), size):
                told += engine.fold(records[start : start + size])
            assert [encode(e) for e in told] == [encode(e) for e in slow]
    return told


def test_a_count_stops_at_64_events_and_falls_as_the_true_number_does() -> None:
    """100 events in a window: 64 is reached at the 64th, and left when fewer than 64 are inside."""
    rule = rule_of(
        kind="count", raise_at=(NAN, NAN, NAN, 64.0), hold_s=0, keep_s=0, max_gap_s=1e6,
        own={"window_ns": 200 * SECOND_NS, "at": 1.0, "direction": 1},
    )  # fmt: skip
    told = both(rule, [1.0] * 100 + [0.0] * 300)
    assert [(e.type, e.score, e.event_ns) for e in told] == [
        ("RAISED", 64.0, seconds(63)),
        ("CLEARED", 63.0, seconds(236)),  # events 37 … 99 are inside
    ]


def test_the_journals_reach_late_rows_in_open_buckets_thinned_buckets_and_clocks_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached: Counter[str] = Counter()
    late, judged, close = Buckets.late, Buckets.judged, Buckets.close

    def watched_late(self: Buckets, t: int, x: float) -> None:
        before = len(self.rows)
        late(self, t, x)
        reached["late row joined"] += len(self.rows) > before
        reached["late row left out"] += len(self.rows) == before

    def watched_judged(self: Buckets, t: int, x: float) -> bool:
        back = self.bucket is not None and t // self.resample_ns < self.bucket
        before = len(self.points)
        closed = judged(self, t, x)
        reached["clock set back"] += back
        reached["points forgotten"] += back and len(self.points) < before
        return closed

    def watched_close(self: Buckets) -> None:
        reached["bucket thinned"] += len(self.rows) > 64
        close(self)

    monkeypatch.setattr(Buckets, "late", watched_late)
    monkeypatch.setattr(Buckets, "judged", watched_judged)
    monkeypatch.setattr(Buckets, "close", watched_close)
    for seed in range(60):
        drawn = case(Random(seed), kinds=("step",))
        Oracle(drawn.plan, drawn.registry).fold(drawn.records)
    for what in (
        "late row joined", "late row left out", "clock set back", "points forgotten",
        "bucket thinned",
    ):  # fmt: skip
        assert reached[what] > 1, (what, reached)


@pytest.mark.parametrize("method", ["rows", "resampled"])
def test_a_step_is_found_once_and_told_in_the_unit_of_the_quantity(method: str) -> None:
    rule = rule_of(
        kind="step", method=method, raise_at=(NAN, NAN, NAN, 5.0), clear_at=(NAN, NAN, NAN, 1.0),
        hold_s=0, keep_s=0, max_gap_s=1e6,
        own={"window_ns": 20 * SECOND_NS, "resample_ns": 2 * SECOND_NS, "min_points": 5},
    )  # fmt: skip
    random = Random(3)
    noise = [random.gauss(0.0, 0.3) for _ in range(200)]
    told = both(rule, [x + 10.0 * (i >= 100) for i, x in enumerate(noise)])
    assert [e.type for e in told] == ["RAISED", "CLEARED"]
    assert told[0].score > 5.0
    assert seconds(100) < told[0].event_ns <= seconds(116)


@pytest.mark.parametrize("rows", [63, 64, 65, 127, 128, 129, 300, 1000])
def test_a_bucket_of_many_rows_has_the_median_of_rows_spread_evenly_over_it(rows: int) -> None:
    rule = rule_of(
        kind="step", method="resampled", raise_at=(-1e9, NAN, NAN, NAN), hold_s=0, keep_s=0,
        max_gap_s=1e9,
        own={"window_ns": 2000 * SECOND_NS, "resample_ns": 2000 * SECOND_NS, "min_points": 1},
    )  # fmt: skip
    random = Random(rows)
    values = [random.gauss(0.0, 1.0) for _ in range(rows)]
    step_s = 2000 / rows
    ramp = [*values, *([0.0] * rows), 1.0]
    start = -(seconds(0) // SECOND_NS % 2000)  # the grid is that of absolute time
    records = one_channel(ramp, every_s=step_s, start_s=start + 2000)
    plan, registry = plan_of(rule), registry_of([0])
    told = rules.engine.Engine(plan, registry).fold(records)
    stride = next(2**k for k in range(9) if len(values[:: 2**k]) <= 64)
    assert [e.type for e in told] == ["RAISED"]
    assert told[0].score == pytest.approx(-statistics.median(values[::stride]), abs=1e-12)
