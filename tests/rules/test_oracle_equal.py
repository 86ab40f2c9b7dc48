"""The engine gives the events of its slow twin, byte for byte."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rules.engine
from rules.events import encode
from rules.readings import Readings
from tests.journals import Case, case
from tests.oracle import Oracle, rows_of
from tests.oracle_judge import CONFLICT, DUPLICATE, HEARD, JUDGED, LATE, NaiveJudge

if TYPE_CHECKING:
    from rules.events import Event

SEEDS = 320
CHUNK = 16
REACHED = 200  # journals enough for every branch of every kind
BY_A_FOLD = ("RAISED", "ESCALATED", "LOWERED", "CLEARED", "CONFIRMED", "LATE_FINDING")
BY_A_FOLD = (*BY_A_FOLD, "CLOCK_EPOCH", "BLIND", "HEARTBEAT", "RESET")


@cache
def told(seed: int) -> list[Event]:
    drawn = case(Random(seed))
    return Oracle(drawn.plan, drawn.registry).fold(drawn.records)


def lines(events: list[Event]) -> list[str]:
    return [encode(event).decode() for event in events]


def engine_lines(drawn: Case) -> list[str]:
    return lines(rules.engine.Engine(drawn.plan, drawn.registry).fold(drawn.records))


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_the_engine_equals_its_slow_twin(start: int) -> None:
    for seed in range(start, start + CHUNK):
        assert engine_lines(case(Random(seed))) == lines(told(seed)), f"seed {seed}"


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), steps=st.integers(1, 16))
def test_the_engine_equals_its_slow_twin_wherever_hypothesis_looks(
    random: Random, steps: int
) -> None:
    drawn = case(random, steps=steps)
    slow = Oracle(drawn.plan, drawn.registry).fold(drawn.records)
    assert engine_lines(drawn) == lines(slow)


@pytest.mark.parametrize("kind", sorted(rules.engine.KINDS))
def test_every_kind_alone_equals_its_slow_twin(kind: str) -> None:
    told_of_rules = 0
    for seed in range(10):
        drawn = case(Random(seed), kinds=(kind,))
        slow = Oracle(drawn.plan, drawn.registry).fold(drawn.records)
        told_of_rules += sum(bool(event.rule) for event in slow)
        assert engine_lines(drawn) == lines(slow), f"seed {seed}"
    assert told_of_rules > 30


def test_the_journals_reach_every_event_and_every_verdict() -> None:
    """A journal that never gets there proves nothing."""
    kinds: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for seed in range(REACHED):
        drawn = case(Random(seed))
        side_kind = {(r.rule_id, r.side): (r.kind, r.side) for r in drawn.plan.channel_rules}
        ticks = {r.offset for r in drawn.records if not isinstance(r.body, Readings)}
        for event in told(seed):
            kinds[event.type] += 1
            kinds[f"{side_kind.get((event.rule, event.side), '')} {event.type}"] += 1
            kinds[f"{event.type} by a tick"] += event.offset in ticks
            kinds[f"{event.type} beyond the range"] += event.over_range
            kinds[f"{event.type} not announced"] += not event.announce
            kinds[f"{event.type} not confirmed"] += not event.confirmed
            kinds[f"{event.type} under a warning"] += "warning" in event.evidence
        judge = NaiveJudge()
        for record in drawn.records:
            if isinstance(record.body, Readings):
                rows = rows_of(record.offset, record.body)
                judge.mark(rows)
                verdicts.update(row.verdict for row in rows)
    for wanted in BY_A_FOLD:
        assert kinds[wanted] > 10, wanted
    for kind in ("threshold", "rate", "ewma"):
        for side in (1, -1):
            for wanted in ("RAISED", "ESCALATED", "LOWERED", "CLEARED", "CONFIRMED"):
                assert kinds[f"{(kind, side)} {wanted}"] > 3, (kind, side, wanted)
    for wanted in ("RAISED by a tick", "ESCALATED by a tick", "CONFIRMED by a tick"):
        assert kinds[wanted] > 3, wanted
    for wanted in ("RAISED", "LATE_FINDING"):
        assert kinds[f"{wanted} beyond the range"] > 3, wanted
    for wanted in ("RAISED", "CLEARED", "CONFIRMED", "LATE_FINDING"):
        assert kinds[f"{wanted} under a warning"] > 0, wanted
    assert kinds["LATE_FINDING not announced"] > 3
    assert kinds["RAISED not confirmed"] > 3
    for verdict in (JUDGED, DUPLICATE, LATE, CONFLICT, HEARD):
        assert verdicts[verdict] > 20, verdict
