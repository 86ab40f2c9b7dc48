"""Kinds count, step, trend and forecast: what the random journals reach, and what they do not."""

from __future__ import annotations

import statistics
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pymannkendall
import pytest
import scipy.stats

import rules.engine
from rules.engine.kinds.trend import kendall, mann_kendall
from rules.events import encode
from rules.readings import Readings, Record
from tests.journals import case
from tests.oracle import Oracle
from tests.oracle_trends import Buckets
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

MINE = ("count", "step", "trend", "forecast")


@pytest.mark.parametrize("kind", MINE)
def test_the_journals_raise_and_clear_on_both_sides(kind: str) -> None:
    told: Counter[tuple[str, int]] = Counter()
    for seed in range(60):
        drawn = case(Random(seed), kinds=(kind,))
        for event in Oracle(drawn.plan, drawn.registry).fold(drawn.records):
            told[event.type, event.side] += 1
    for side in (1, -1):
        for wanted in ("RAISED", "ESCALATED", "LOWERED", "CLEARED"):
            assert told[wanted, side] > 4, (wanted, side)


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
        assert reached[what] > 0, (what, reached)


@pytest.mark.parametrize("method", ["rows", "resampled"])
def test_a_step_is_found_once_and_told_in_the_unit_of_the_quantity(method: str) -> None:
    rule = rule_of(
        kind="step", method=method, raise_at=(NAN, NAN, NAN, 5.0), clear_at=(NAN, NAN, NAN, 1.0),
        hold_s=0, keep_s=0, max_gap_s=1e6,
        own={
            "window_ns": 20 * SECOND_NS, "before_ns": 20 * SECOND_NS,
            "resample_ns": 2 * SECOND_NS, "min_points": 5,
        },
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
        own={
            "window_ns": 2000 * SECOND_NS, "before_ns": 2000 * SECOND_NS,
            "resample_ns": 2000 * SECOND_NS, "min_points": 1,
        },
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


# -- trend and forecast against the world outside ------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_trend_is_that_of_pymannkendall_and_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(10, 129))
    values = random.normal(size=n) + np.arange(n) * random.choice((0.0, 0.02, 0.2))
    if seed % 3 == 0:
        values = np.round(values)  # ties
    theirs = pymannkendall.original_test(values, alpha=0.05)
    s, variance = kendall(values[None, :])
    assert s[0] == theirs.s
    assert variance[0] / 18 == pytest.approx(theirs.var_s, rel=1e-12)
    assert mann_kendall(values[None, :])[0] == pytest.approx(theirs.z, rel=1e-12)
    rule = rule_of(
        kind="trend", raise_at=(-1e9, NAN, NAN, NAN), hold_s=0, max_gap_s=1e9,
        own={
            "window_ns": 128 * 60 * SECOND_NS, "resample_ns": 60 * SECOND_NS, "p_value": 0.05,
            "min_points": n, "min_duration_ns": 0, "per_ns": 60 * SECOND_NS,
        },
    )  # fmt: skip
    told = both(rule, [*values.tolist(), 0.0], every_s=60)
    assert [e.type for e in told] == ["RAISED"]  # the limit is below every slope
    slope = scipy.stats.theilslopes(values, np.arange(n)).slope
    assert told[0].score == pytest.approx(slope if theirs.h else 0.0, rel=1e-9, abs=1e-12)
    assert told[0].evidence["points"] == n
    assert told[0].evidence["mann_kendall_z"] == pytest.approx(theirs.z, rel=1e-12)


WINDOW, BUCKET = 180, 3  # minutes


def foretold(*, curved: bool, confidence: float) -> tuple[Any, Any]:
    """Seconds to the true crossing of many rises, and [n, 4]: score, p10, p50, p90 of each."""
    random = np.random.default_rng(5)
    n, minutes = 1500, np.arange(WINDOW + 1.0)
    rise = np.exp(random.uniform(np.log(2), np.log(50), n))
    crossing = WINDOW + random.uniform(0.1, 2.0, n) * WINDOW
    memory = random.uniform(1, 4, n) * WINDOW

    def shape(minute: Any) -> Any:
        if not curved:
            return minute / WINDOW
        return (1 - np.exp(-minute / memory)) / (1 - np.exp(-WINDOW / memory))

    level = np.array([rise * shape(minute) for minute in minutes])
    seen = level + random.normal(size=level.shape)
    rule = rule_of(
        kind="forecast", side=-1, raise_at=(1e12, NAN, NAN, NAN), hold_s=0, max_gap_s=1e9,
        channels=range(n),
        own={
            "window_ns": WINDOW * 60 * SECOND_NS, "resample_ns": BUCKET * 60 * SECOND_NS,
            "min_points": WINDOW // BUCKET, "limit": rise * shape(crossing),
            "confidence": confidence,
        },
    )  # fmt: skip
    start = seconds(0) // (BUCKET * 60 * SECOND_NS) * BUCKET * 60 * SECOND_NS
    records = [
        Record(
            i,
            Readings.of(
                {
                    "channel": np.arange(n),
                    "judged_ns": np.full(n, start + i * 60 * SECOND_NS),
                    "value": seen[i],
                }
            ),
        )
        for i in range(WINDOW + 1)
    ]
    engine = rules.engine.Engine(plan_of(rule), registry_of([0] * n))
    told = [e for e in engine.fold(records) if e.type == "RAISED" and e.offset == WINDOW]
    row = {name: i for i, name in enumerate(registry_of([0] * n).channels.id)}
    at = [row[e.subject] for e in told]
    names = ("eta_p10_s", "eta_p50_s", "eta_p90_s")
    said = np.array([[e.score, *(e.evidence[name] for name in names)] for e in told])
    assert len(told) > 1200  # the others were beyond the limit before, by their noise, or never
    return (crossing[at] - WINDOW) * 60, said


def test_true_crossings_lie_in_the_band_and_before_it_as_often_as_stated() -> None:
    true, said = foretold(curved=False, confidence=0.99)
    early, p10, p50, p90 = said.T
    assert (true < p10).mean() == pytest.approx(0.10, abs=0.03)
    assert ((p10 <= true) & (true <= p90)).mean() == pytest.approx(0.80, abs=0.04)
    assert (true < p50).mean() == pytest.approx(0.50, abs=0.05)
    assert (true < early).mean() < 0.025
    assert (early <= p10).all()


def test_a_rise_that_flattens_is_foretold_too_soon_never_too_late() -> None:
    true, said = foretold(curved=True, confidence=0.9)
    assert (true < said[:, 0]).mean() < 0.01


def test_a_value_beyond_the_limit_needs_no_forecast() -> None:
    rule = rule_of(
        kind="forecast", side=-1, raise_at=(NAN, NAN, NAN, 0.0), hold_s=0, keep_s=0, max_gap_s=1e9
    )
    told = both(rule, [0.0, 10.0, 0.0])
    assert [(e.type, e.event_ns, e.score) for e in told] == [("RAISED", seconds(1), 0.0)]
    assert told[0].evidence == {"eta_p10_s": 0.0, "eta_p50_s": 0.0, "eta_p90_s": 0.0}
