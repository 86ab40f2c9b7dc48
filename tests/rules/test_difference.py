"""What a change is said to do beforehand is what the engine then does."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rules.engine import Engine
from rules.engine.difference import difference
from rules.events import EventType
from tests.journals import Case, case

if TYPE_CHECKING:
    from rules.plan import Plan

SEEDS = range(12)


def louder(plan: Plan, number: int) -> Plan:
    """The plan with other limits for one rule, and another first one away."""
    rules = list(plan.channel_rules)
    changed = rules[number % len(rules)]
    raised = replace(changed, raise_at=changed.raise_at + 1.0)
    held = [raised if rule is changed else rule for rule in rules]
    return replace(
        plan,
        channel_rules=tuple(held[::-1]),
        deadman_rules=plan.deadman_rules[1:],
        content_hash="louder",
    )


def test_an_unchanged_plan_in_another_order_keeps_every_place() -> None:
    drawn = case(Random(1))
    turned = replace(
        drawn.plan,
        channel_rules=drawn.plan.channel_rules[::-1],
        deadman_rules=drawn.plan.deadman_rules[::-1],
    )
    told = difference((drawn.plan, drawn.registry), (turned, drawn.registry))
    assert {rule.what for rule in told.rules} == {"kept"}
    assert all(rule.before == rule.after and rule.kept for rule in told.rules)
    assert not any(rule.ended or rule.new for rule in told.rules)
    assert not told.ended


def test_rules_from_nothing_are_added_and_to_nothing_removed() -> None:
    drawn = case(Random(2))
    nothing = replace(drawn.plan, channel_rules=(), deadman_rules=(), quality_rules=())
    nothing = replace(nothing, composite_rules=(), input_rules=())
    whole, empty = (drawn.plan, drawn.registry), (nothing, drawn.registry)
    assert {rule.what for rule in difference(empty, whole).rules} == {"added"}
    back = difference(whole, empty)
    assert {rule.what for rule in back.rules} == {"removed"}
    assert {key[0] for key in back.ended} == {rule.rule for rule in back.rules}


def ends(drawn: Case, changed: Plan) -> tuple[set[tuple[str, int, str]], set[tuple[str, int, str]]]:
    """What the engine ends on a change, and what stood before it."""
    engine = Engine(drawn.plan, drawn.registry)
    standing: dict[tuple[str, int, str], int] = {}
    for event in engine.fold(drawn.records):
        key = (event.rule, event.side, event.subject)
        if event.type in {EventType.RAISED, EventType.ESCALATED, EventType.LOWERED}:
            standing[key] = event.severity
        elif event.type is EventType.CLEARED:
            standing.pop(key, None)
    events = engine.change(changed, drawn.registry, offset=engine.next_offset)
    events = [e for e in events if e.stage == 0]  # what a gone cause held is let go beside it
    assert {e.type for e in events} <= {EventType.RULE_CHANGED}
    return {(e.rule, e.side, e.subject) for e in events}, set(standing)


def test_exactly_the_alarms_at_places_said_to_end_do_end() -> None:
    ended_at_all = 0
    for seed in SEEDS:
        drawn = case(Random(seed), steps=60)
        changed = louder(drawn.plan, seed)
        told = difference((drawn.plan, drawn.registry), (changed, drawn.registry))
        ended, standing = ends(drawn, changed)
        assert ended == standing & told.ended
        ended_at_all += len(ended)
    assert ended_at_all > 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_channel_less_ends_only_its_own_place(seed: int) -> None:
    drawn = case(Random(seed))
    rule = max(drawn.plan.channel_rules, key=lambda rule: len(rule.channel))
    fewer = rule.taken(np.arange(1, len(rule.channel)))
    rules = tuple(fewer if each is rule else each for each in drawn.plan.channel_rules)
    told = difference(
        (drawn.plan, drawn.registry), (replace(drawn.plan, channel_rules=rules), drawn.registry)
    )
    gone = drawn.registry.channels.id[int(rule.channel[0])]
    assert told.ended == {(rule.rule_id, rule.side, gone)}
    (change,) = [each for each in told.rules if each.what != "kept"]
    assert (change.rule, change.ended, change.new) == (rule.rule_id, 1, 0)


def test_rules_that_change_sides_are_named_and_those_taken_off_end_their_alarms() -> None:
    drawn = case(Random(3))
    first = drawn.plan.channel_rules[0].rule_id
    trial = replace(
        drawn.plan,
        channel_rules=tuple(
            replace(rule, shadow=rule.rule_id == first) for rule in drawn.plan.channel_rules
        ),
    )
    live, shadow = (drawn.plan, drawn.registry), (trial, drawn.registry)
    off = difference(live, shadow)
    assert (off.live, off.shadow) == ((), (first,))
    assert {key[0] for key in off.ended} == {first}
    assert {rule.what for rule in off.rules} == {"kept"}
    on = difference(shadow, live)
    assert (on.live, on.shadow, on.ended) == ((first,), (), frozenset())
