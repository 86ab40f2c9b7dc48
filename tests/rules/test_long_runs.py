"""Hundreds of rows of one channel: full windows, long recurrences, back-fills."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

import rules.engine
from rules.events import encode
from rules.readings import Record, Tick
from tests.oracle import Oracle
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

ROWS = 230
FULL = {"own": {"window_ns": 100_000 * SECOND_NS, "min_points": 60, "per_ns": 300 * SECOND_NS}}
SCORES: dict[str, dict[str, Any]] = {
    "difference over the newest 64": {"kind": "rate", "method": "difference", **FULL},
    "median slope over the newest 64": {"kind": "rate", "method": "theil_sen", **FULL},
    "fitted slope over the newest 64": {"kind": "rate", "method": "least_squares", **FULL},
    "ewma": {"kind": "ewma", "own": {"alpha": 0.05, "floor": 0.0}},
    "ewma that only knows the last": {"kind": "ewma", "own": {"alpha": 1.0, "floor": 0.25}},
    "threshold": {"kind": "threshold"},
    "cusum of a learned target": {"kind": "cusum", "own": {"slack": 0.25, "cap": 6.0}},
    "cusum of a given target": {"kind": "cusum", "own": {"target": 0.25, "freeze": math.inf}},
    "zscore of medians": {"kind": "zscore", "own": {"window_ns": 100 * SECOND_NS}},
    "zscore of means": {"kind": "zscore", "own": {"robust": 0.0, "exclude": NAN}},
    "stuck within a tolerance": {"kind": "stuck", "own": {"tolerance": 2.0}},
}


def journal(random: Random, *, rows_a_record: int, huge: bool) -> list[Record]:
    """One channel, a sample a second, with a jump now and then."""
    rows = []
    for t in range(ROWS):
        value = random.gauss(0.0, 1.0) + random.choice((0.0, 0.0, 0.0, 4.0))
        if huge and random.random() < 0.02:
            value = random.choice((1e308, -1e308, 1e160, 5e-324))
        rows.append({"channel": 0, "judged_ns": seconds(t), "value": value})
    bodies: list[Any] = [Tick(seconds(0))]
    starts = range(0, ROWS, rows_a_record)
    bodies += [readings_of(rows[start : start + rows_a_record]) for start in starts]
    return [Record(i, body) for i, body in enumerate(bodies)]


@pytest.mark.parametrize("values", ["usual", "huge"])
@pytest.mark.parametrize("name", SCORES)
def test_a_long_run_equals_the_slow_twin_however_it_arrives(name: str, values: str) -> None:
    raise_at = (0.01, 0.5, NAN, 2.5)
    chosen = {"raise_at": raise_at, "clear_at": (0.0, 0.4, NAN, 2.0), "hold_s": 2, "keep_s": 1}
    rule = rule_of(**(chosen | SCORES[name]))
    plan, registry = plan_of(rule), registry_of([0])
    for rows_a_record in (1, 13, 100, ROWS):
        records = journal(Random(7), rows_a_record=rows_a_record, huge=values == "huge")
        slow = [encode(event) for event in Oracle(plan, registry).fold(records)]
        assert len(slow) > 5
        for batch in (1, len(records)):
            engine = rules.engine.Engine(plan, registry)
            told = []
            for start in range(0, len(records), batch):
                told += [encode(e) for e in engine.fold(records[start : start + batch])]
            assert told == slow, (rows_a_record, batch)
