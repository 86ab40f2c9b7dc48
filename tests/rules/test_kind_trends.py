"""Kinds count, step, trend and forecast: what the random journals reach, and what they do not."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

import rules.engine
from rules.events import encode
from rules.readings import Record
from tests.journals import case
from tests.oracle import Oracle
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

MINE = ("count",)


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


def one_channel(values: list[float], *, every_s: float = 1, rows_a_record: int = 1) -> list[Record]:
    rows = [
        {"channel": 0, "judged_ns": seconds(i * every_s), "value": value}
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
