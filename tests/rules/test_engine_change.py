"""Rules change while the engine runs: who did not change is not disturbed, at any cut."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from rules.engine import Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import EventType, encode
from rules.readings import Control, Record
from tests.journals import Case, case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.events import Event
    from rules.plan import Plan

SEEDS = range(12)
KINDS = {
    "channel_rules": ("threshold", "rate", "ewma"),
    "deadman_rules": ("deadman",),
}


def with_change(drawn: Case) -> list[Record]:
    """The records with a change of rules in their middle."""
    middle = len(drawn.records) // 2
    offset = drawn.records[middle].offset
    later = [replace(r, offset=r.offset + 1) for r in drawn.records[middle:]]
    return [*drawn.records[:middle], Record(offset, Control("rules", {"hash": "new"})), *later]


def engine(drawn: Case, plan: Plan, changed: Plan) -> Engine:
    return Engine(plan, drawn.registry, resolve=lambda _control: (changed, drawn.registry))


def reordered(plan: Plan) -> Plan:
    """The same meaning in another order: slots get other numbers."""
    return replace(
        plan,
        channel_rules=plan.channel_rules[::-1],
        deadman_rules=plan.deadman_rules[::-1],
        content_hash="reordered",
    )


def without(plan: Plan, rule_id: str) -> Plan:
    return replace(
        plan,
        channel_rules=tuple(r for r in plan.channel_rules if r.rule_id != rule_id),
        deadman_rules=tuple(r for r in plan.deadman_rules if r.rule_id != rule_id),
        content_hash=f"without {rule_id}",
    )


def lines(events: Sequence[Event]) -> list[bytes]:
    return [encode(event) for event in events]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_change_of_order_changes_nothing(seed: int) -> None:
    drawn = case(Random(seed))
    records = with_change(drawn)
    told = engine(drawn, drawn.plan, reordered(drawn.plan)).fold(records)
    untouched = engine(drawn, drawn.plan, drawn.plan).fold(records)
    assert lines(told) == lines(untouched)
    assert lines(told) == lines(Engine(drawn.plan, drawn.registry).fold(records))


@pytest.mark.parametrize("table", ["channel_rules", "deadman_rules"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rule_taken_away_ends_loudly_and_disturbs_no_other(seed: int, table: str) -> None:
    drawn = case(Random(seed), kinds=KINDS[table])
    gone = getattr(drawn.plan, table)[0].rule_id
    # what it had muted would rightly be told; here it mutes nobody
    others = tuple(each for each in drawn.plan.inhibits if each.cause != gone)
    drawn = replace(drawn, plan=replace(drawn.plan, inhibits=others))
    records = with_change(drawn)
    middle = next(
        r.offset for r in records if isinstance(r.body, Control) and r.body.type == "rules"
    )
    told = engine(drawn, drawn.plan, without(drawn.plan, gone)).fold(records)
    stayed = Engine(drawn.plan, drawn.registry).fold(records)
    assert lines([e for e in told if e.rule != gone]) == lines(
        [e for e in stayed if e.rule != gone]
    )
    before = [e for e in stayed if e.rule == gone and e.offset < middle]
    open_then = {}
    for event in before:
        if event.type in {EventType.RAISED, EventType.ESCALATED, EventType.LOWERED}:
            open_then[event.alarm_key] = event.severity
        elif event.type is EventType.CLEARED:
            open_then.pop(event.alarm_key, None)
    ended = {e.alarm_key: e.previous for e in told if e.type is EventType.RULE_CHANGED}
    assert ended == open_then
    assert all(e.event_ns for e in told if e.type is EventType.RULE_CHANGED)
    assert not [e for e in told if e.rule == gone and e.offset > middle]


@pytest.mark.parametrize("table", ["channel_rules", "deadman_rules"])
def test_some_rule_was_open_when_it_was_taken_away(table: str) -> None:
    ended = 0
    for seed in SEEDS:
        drawn = case(Random(seed), kinds=KINDS[table])
        changed = without(drawn.plan, getattr(drawn.plan, table)[0].rule_id)
        told = engine(drawn, drawn.plan, changed).fold(with_change(drawn))
        ended += sum(e.type is EventType.RULE_CHANGED for e in told)
    assert ended > 3


@pytest.mark.parametrize("seed", SEEDS)
def test_restarted_at_any_record_around_a_change_the_events_are_the_same(seed: int) -> None:
    drawn = case(Random(seed), steps=20)
    changed = without(reordered(drawn.plan), drawn.plan.channel_rules[-1].rule_id)
    records = with_change(drawn)
    whole = lines(engine(drawn, drawn.plan, changed).fold(records))
    running, plan, told = engine(drawn, drawn.plan, changed), drawn.plan, []
    for record in records:
        told += running.fold([record])
        if isinstance(record.body, Control) and record.body.type == "rules":
            plan = changed
        state = from_bytes(to_bytes(running.snapshot()))
        running = engine(drawn, plan, changed)
        assert running.restore(state) == []
    assert lines(told) == whole
