"""Rules on trial: judged as all others, marked in the log, and told to nobody."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from rules.alarm_fold import apply_all
from rules.alarms import Condition
from rules.engine import KINDS, Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import Event, EventType, decode, encode
from rules.plan import SHADOW
from rules.readings import Control, Record
from tests.journals import ALL_KINDS, Case, case
from tests.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.plan import Plan

SEEDS = range(36)
STEPS = 40
STANDS = {EventType.RAISED, EventType.ESCALATED, EventType.LOWERED}
ENDS = {EventType.CLEARED, EventType.RULE_CHANGED}


def ids_of(plan: Plan) -> list[str]:
    return sorted({rule.rule_id for rule in plan.told_rules})


def marked(plan: Plan, shadow: set[str]) -> Plan:
    """The plan with these rules on trial, and no others."""
    return replace(
        plan,
        channel_rules=tuple(replace(r, shadow=r.rule_id in shadow) for r in plan.channel_rules),
        composite_rules=tuple(replace(r, shadow=r.rule_id in shadow) for r in plan.composite_rules),
        deadman_rules=tuple(replace(r, shadow=r.rule_id in shadow) for r in plan.deadman_rules),
        content_hash=f"{sorted(shadow)}",
    )


def drawn_with(seed: int, *, holds: bool = False) -> tuple[Case, set[str]]:
    """A journal, its plan with about half of the rules on trial, and which.

    What is on trial explains nothing, so a mark changes what is held: ``holds`` lets it.
    """
    random = Random(seed)
    kinds = ("deadman", "threshold") if seed % 3 == 0 else ALL_KINDS
    drawn = case(random, steps=STEPS, kinds=kinds)
    if not holds:
        drawn = replace(drawn, plan=replace(drawn.plan, inhibits=(), maintenance=()))
    shadow = {rule for rule in ids_of(drawn.plan) if random.random() < 0.5}
    return replace(drawn, plan=marked(drawn.plan, shadow)), shadow


def lines(events: Iterable[Event]) -> list[bytes]:
    return [encode(event) for event in events]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_twin_says_the_same_with_rules_on_trial(seed: int) -> None:
    drawn, shadow = drawn_with(seed, holds=True)
    told = Engine(drawn.plan, drawn.registry).fold(drawn.records)
    assert lines(told) == lines(Oracle(drawn.plan, drawn.registry).fold(drawn.records))
    assert {e.rule for e in told if e.shadow} <= shadow
    assert all(e.shadow == (e.rule in shadow) for e in told if e.rule)
    assert not any(e.announce for e in told if e.shadow)


def test_shadows_were_raised_at_all() -> None:
    raised = 0
    for seed in SEEDS:
        drawn, _ = drawn_with(seed)
        told = Engine(drawn.plan, drawn.registry).fold(drawn.records)
        raised += sum(e.shadow and e.type is EventType.RAISED for e in told)
    assert raised > 30


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mark_changes_neither_decisions_nor_the_lines_of_live_rules(seed: int) -> None:
    drawn, _ = drawn_with(seed)
    told = Engine(drawn.plan, drawn.registry).fold(drawn.records)
    plain = Engine(drawn.plan.as_live(), drawn.registry).fold(drawn.records)
    assert [line for line in lines(told) if b'"shadow"' not in line] == [
        line for line, event in zip(lines(plain), told, strict=True) if not event.shadow
    ]
    assert [e._replace(shadow=False, announce=True) for e in told if e.shadow] == [
        e._replace(announce=True) for e, mark in zip(plain, told, strict=True) if mark.shadow
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_live_rules_say_the_same_where_those_on_trial_are_away(seed: int) -> None:
    """No live rule may follow from one on trial; the language sees to that, here the test does."""
    drawn, shadow = drawn_with(seed)
    for rule in drawn.plan.composite_rules:
        if rule.rule_id not in shadow:
            shadow -= set(str(rule.options.get("of", "")).split())
    with_them = marked(drawn.plan, shadow)
    without = replace(
        with_them,
        channel_rules=tuple(r for r in with_them.channel_rules if not r.shadow),
        composite_rules=tuple(r for r in with_them.composite_rules if not r.shadow),
        deadman_rules=tuple(r for r in with_them.deadman_rules if not r.shadow),
    )
    told = Engine(with_them, drawn.registry).fold(drawn.records)
    alone = Engine(without, drawn.registry).fold(drawn.records)
    assert lines(e for e in told if not e.shadow) == lines(alone)


def test_a_shadow_line_is_read_back_and_folds_into_no_alarm() -> None:
    drawn, _ = drawn_with(3)
    told = Engine(drawn.plan, drawn.registry).fold(drawn.records)
    assert [decode(line) for line in lines(told)] == told
    alarms = apply_all(told).alarms.values()
    assert {a.rule for a in alarms} == {
        e.rule for e in told if not e.shadow and e.episode and e.type in STANDS
    }


# ---- a change of mode -------------------------------------------------------------------------


def with_change(drawn: Case) -> tuple[list[Record], int]:
    """The records with a change of rules in their middle, and its offset."""
    middle = len(drawn.records) // 2
    offset = drawn.records[middle].offset
    later = [replace(r, offset=r.offset + 1) for r in drawn.records[middle:]]
    changed = Record(offset, Control("site", {"registry": "r", "rules": "new"}))
    return [*drawn.records[:middle], changed, *later], offset


def turning(seed: int) -> tuple[Case, Plan]:
    """A journal and a plan whose rules change sides, each with its own chance."""
    drawn, shadow = drawn_with(seed)
    random = Random(seed + 1000)
    turned = {rule for rule in ids_of(drawn.plan) if random.random() < 0.6}
    return drawn, marked(drawn.plan, shadow ^ turned)


def engine(drawn: Case, plan: Plan, changed: Plan) -> Engine:
    return Engine(plan, drawn.registry, resolve=lambda _control: (changed, drawn.registry))


def standing(events: Iterable[Event]) -> dict[tuple[str, int, str], Event]:
    """What stands by level after the events, shadows too."""
    held = {}
    for event in events:
        key = (event.rule, event.side, event.subject)
        if event.type in STANDS:
            held[key] = event
        elif event.type in ENDS:
            held.pop(key, None)
    return held


def decided(event: Event) -> str:
    """What a rule decided, whatever the episode is called; as text, for NaN equals nothing."""
    said = (event.severity, event.previous, event.onset_ns, event.value, event.score, event.limit)
    return repr((event.type, event.key, event.confirmed, said))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_change_of_mode_keeps_states_and_turns_what_stands_loudly(seed: int) -> None:
    drawn, changed = turning(seed)
    records, at = with_change(drawn)
    told = engine(drawn, drawn.plan, changed).fold(records)
    stayed = engine(drawn, drawn.plan, drawn.plan).fold(records)
    turns = [e for e in told if e.offset == at]
    assert [decided(e) for e in told if e.offset != at] == [decided(e) for e in stayed]
    was = {r.rule_id for r in drawn.plan.told_rules if r.shadow}
    now = {r.rule_id for r in changed.told_rules if r.shadow}
    before = standing(e for e in stayed if e.offset < at)
    moved = {key: e for key, e in before.items() if (key[0] in was) != (key[0] in now)}
    assert [e.type for e in turns] == [EventType.RULE_CHANGED, EventType.RAISED] * len(moved)
    for end, begin in zip(turns[::2], turns[1::2], strict=True):
        key = (end.rule, end.side, end.subject)
        last = moved[key]
        assert key == (begin.rule, begin.side, begin.subject)
        assert (end.shadow, begin.shadow) == (last.rule in was, last.rule in now)
        assert (end.announce, begin.announce) == (not end.shadow, not begin.shadow)
        assert (end.episode, end.previous) == (last.episode, last.severity)
        assert (begin.severity, begin.episode) == (last.severity, f"{at}.0")
    assert len({e.key for e in told}) == len(told)


def test_alarms_of_every_sort_changed_sides_while_they_stood() -> None:
    turned = {(mode, silent): 0 for mode in (True, False) for silent in (True, False)}
    for seed in SEEDS:
        drawn, changed = turning(seed)
        records, at = with_change(drawn)
        silent = {rule.rule_id for rule in drawn.plan.deadman_rules}
        for event in engine(drawn, drawn.plan, changed).fold(records):
            if event.offset == at and event.type is EventType.RAISED:
                turned[event.shadow, event.rule in silent] += 1
    assert min(turned.values()) > 1, turned


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_change_of_mode_alarms_are_those_of_live_rules_that_stand(seed: int) -> None:
    drawn, changed = turning(seed)
    records, _ = with_change(drawn)
    told = engine(drawn, drawn.plan, changed).fold(records)
    live = {key for key, event in standing(told).items() if not event.shadow}
    active = {
        (alarm.rule, alarm.side, alarm.subject)
        for alarm in apply_all(told).alarms.values()
        if alarm.condition is Condition.ACTIVE and not alarm.ended
    }
    assert active == live


@pytest.mark.parametrize("seed", SEEDS)
def test_restarted_at_any_record_around_a_change_of_mode_the_events_are_the_same(
    seed: int,
) -> None:
    drawn, changed = turning(seed)
    records, at = with_change(drawn)
    whole = lines(engine(drawn, drawn.plan, changed).fold(records))
    running, plan, told = engine(drawn, drawn.plan, changed), drawn.plan, []
    for record in records:
        told += running.fold([record])
        plan = changed if record.offset == at else plan
        state = from_bytes(to_bytes(running.snapshot()))
        running = engine(drawn, plan, changed)
        assert running.restore(state) == []
    assert lines(told) == whole


# ---- out of a shadow folder -------------------------------------------------------------------

ALONE = sorted(set(KINDS) - {"deadman", "vote", "all", "any", "sequence", "neighbour"})
"""Kinds whose meaning names no other rule."""


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_rule_of_a_shadow_folder_learned_goes_on_when_it_becomes_live(seed: int) -> None:
    drawn = case(Random(seed), steps=STEPS, kinds=ALONE)
    live = replace(drawn.plan, composite_rules=(), input_rules=(), deadman_rules=())
    live = replace(live, inhibits=(), maintenance=())
    trial = replace(
        live,
        channel_rules=tuple(
            replace(r, rule_id=SHADOW + r.rule_id, shadow=True) for r in live.channel_rules
        ),
        content_hash="trial",
    )
    records, at = with_change(drawn)
    told = engine(drawn, trial, live).fold(records)
    always = engine(drawn, live, live).fold(records)
    turns = [e for e in told if e.offset == at]
    own = [replace_rule(e) for e in told if e.offset != at]
    assert sorted(map(decided, own)) == sorted(map(decided, always))
    before = standing(e for e in always if e.offset < at)
    ended = {(e.rule, e.side, e.subject) for e in turns if e.type is EventType.RULE_CHANGED}
    begun = {(e.rule, e.side, e.subject) for e in turns if e.type is EventType.RAISED}
    assert begun == before.keys()
    assert ended == {(SHADOW + rule, side, subject) for rule, side, subject in before}
    assert all(e.shadow == e.rule.startswith(SHADOW) for e in turns)


def replace_rule(event: Event) -> Event:
    return event._replace(rule=event.rule.removeprefix(SHADOW), shadow=False)


def test_alarms_stood_when_a_shadow_folder_became_live() -> None:
    stood = 0
    for seed in SEEDS:
        drawn = case(Random(seed), steps=STEPS, kinds=ALONE)
        records, at = with_change(drawn)
        told = Engine(drawn.plan, drawn.registry).fold(records)
        stood += len(standing(e for e in told if e.offset < at))
    assert stood > 20
