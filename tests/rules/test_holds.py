"""Inhibit and maintenance: who is held, who never is, and that letting go announces again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.alarm_fold import AlarmFold, apply_all
from rules.alarms import Word
from rules.engine import Engine
from rules.events import Event, EventType, encode
from rules.language import check, compile_plan, load_rules
from rules.plan import Inhibit, Maintenance
from rules.readings import Control, Record, Tick
from rules.registry_file import registry_of as read_registry
from tests.oracle import Oracle
from tests.rules.test_language_rules import REGISTRY
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, readings_of, registry_of, rule_of

S = SECOND_NS
ON, OFF = 5.0, 0.0


def level_rule(name: str, channel: int, **more):
    raise_at = (NAN, 4.0, NAN, NAN)
    return rule_of(name, channels=[channel], raise_at=raise_at, hold_s=0, keep_s=0, **more)


def told(plan, script: list[tuple[int, int, float]], until_s: int) -> list[Event]:
    """Events of (second, channel, value) with a tick each second; engine, twin and any cut."""
    registry = registry_of([0, 0, 1])
    records: list[Record] = []
    for second in range(until_s):
        now = T0_NS + second * S
        rows = [
            {"channel": c, "device": 0, "judged_ns": now, "receive_ns": now, "value": v}
            for at, c, v in script if at == second
        ]  # fmt: skip
        if rows:
            records.append(Record(len(records), readings_of(rows)))
        records.append(Record(len(records), Tick(now)))
    events = Engine(plan, registry).fold(records)
    assert [encode(e) for e in events] == [encode(e) for e in Oracle(plan, registry).fold(records)]
    cut, running = [], Engine(plan, registry)
    for record in records:
        cut += running.fold([record])
        state = running.snapshot()
        running = Engine(plan, registry)
        assert running.restore(state) == []
    assert cut == events
    return events


CAUSE, EFFECT = "cause", "effect"


def inhibit(**more) -> Inhibit:
    given = {"inhibit_id": "i1", "cause": CAUSE, "at_least": 1, "mute": (EFFECT,), "same": ()}
    return Inhibit(**(given | more))


def words(events: list[Event], rule: str = EFFECT) -> list[tuple[str, bool]]:
    return [(e.type.value, "held" in e.evidence) for e in events if e.rule == rule]


def test_an_alarm_is_held_while_its_cause_stands_and_asks_again_afterwards() -> None:
    plan = plan_of(level_rule(CAUSE, 0), level_rule(EFFECT, 1), inhibits=(inhibit(),))
    events = told(plan, [(0, 0, ON), (1, 1, ON), (5, 0, OFF)], 8)
    assert words(events) == [("RAISED", True), ("UNSUPPRESSED", False)]
    fold, steps = AlarmFold(), []
    for seq, event in enumerate(events, start=1):
        steps.append((event.rule, fold.apply(event, seq)))
    ((_, raised), (_, freed)) = [each for each in steps if each[0] == EFFECT]
    assert raised.changed[-1].word is Word.DSUPR
    assert freed.announce
    assert freed.changed[-1].word is Word.UNACK


def test_what_is_raised_at_the_same_moment_as_its_cause_is_held_from_the_start() -> None:
    plan = plan_of(level_rule("z-cause", 0), level_rule(EFFECT, 1),
                   inhibits=(inhibit(cause="z-cause"),))  # fmt: skip
    registry = registry_of([0, 0, 1])
    rows = [{"channel": c, "device": 0, "judged_ns": T0_NS, "receive_ns": T0_NS, "value": ON}
            for c in (0, 1)]  # fmt: skip
    together = Engine(replace(plan), registry).fold([Record(0, readings_of(rows))])
    # two rows are two positions: the effect is told, and held as soon as the cause stands
    assert {e.type.value for e in together if e.rule == EFFECT} == {"RAISED"}
    events = told(plan, [(0, 1, ON), (1, 0, ON)], 3)
    assert words(events) == [("RAISED", False), ("SUPPRESSED", False)]


def test_labels_must_be_known_and_equal() -> None:
    both = (level_rule(CAUSE, 0), level_rule(EFFECT, 2))  # channel 2 is another device's
    apart = plan_of(*both, inhibits=(inhibit(same=("device",)),))
    assert words(told(apart, [(0, 0, ON), (1, 2, ON)], 3)) == [("RAISED", False)]
    near = plan_of(*both, inhibits=(inhibit(same=("asset",)),))
    assert words(told(near, [(0, 0, ON), (1, 2, ON)], 3)) == [("RAISED", True)]


def test_a_cause_below_its_level_explains_nothing_and_none_explains_itself() -> None:
    low = plan_of(level_rule(CAUSE, 0), level_rule(EFFECT, 1), inhibits=(inhibit(at_least=3),))
    assert words(told(low, [(0, 0, ON), (1, 1, ON)], 3)) == [("RAISED", False)]
    itself = plan_of(level_rule(CAUSE, 0), inhibits=(inhibit(mute=(CAUSE,)),))
    assert words(told(itself, [(0, 0, ON)], 3), CAUSE) == [("RAISED", False)]


def window(begin_s: int, end_s: int, subject: str) -> Maintenance:
    return Maintenance(
        window_id="MW-1", from_ns=T0_NS + begin_s * S, to_ns=T0_NS + end_s * S,
        subjects=frozenset({subject}), by="li", reason="bearing", crew=("sms:crew",),
    )  # fmt: skip


def test_maintenance_begins_and_ends_by_itself_and_what_still_stands_is_announced() -> None:
    subject = registry_of([0, 0, 1]).channels.id[1]
    plan = plan_of(level_rule(EFFECT, 1), maintenance=(window(2, 6, subject),))
    events = told(plan, [(0, 1, ON)], 9)
    assert words(events) == [("RAISED", False), ("OUT_OF_SERVICE", False), ("IN_SERVICE", False)]
    assert [e.receive_ns - T0_NS for e in events if e.rule == EFFECT][1:] == [2 * S, 6 * S]
    windows = [(e.type.value, e.announce) for e in events if e.rule == "MW-1"]
    assert windows == [("OUT_OF_SERVICE", False), ("IN_SERVICE", False)]
    during = told(plan, [(3, 1, ON)], 9)
    assert words(during) == [("RAISED", True), ("IN_SERVICE", False)]
    (alarm,) = [a for a in apply_all(during[:-2]).alarms.values() if a.rule == EFFECT]
    (said,) = next(e for e in during if e.type is EventType.RAISED).evidence["held"]
    assert (said["crew"], said["by"]) == (["sms:crew"], "li")
    assert alarm.word is Word.OOSRV


def test_danger_of_a_fail_loud_rule_is_never_held_and_breaks_out_when_it_comes() -> None:
    subject = registry_of([0, 0, 1]).channels.id[1]
    loud = rule_of(EFFECT, channels=[1], raise_at=(NAN, 4.0, 6.0, NAN), hold_s=0, keep_s=0,
                   fail_loud=True)  # fmt: skip
    plan = plan_of(loud, maintenance=(window(0, 60, subject),))
    events = told(plan, [(1, 1, ON), (2, 1, 7.0)], 4)
    kinds = [kind for kind, _ in words(events)]
    assert kinds == ["RAISED", "ESCALATED", "IN_SERVICE"]
    assert words(events)[0][1]
    straight = told(plan, [(1, 1, 7.0)], 4)
    assert words(straight)[0] == ("RAISED", False)


def test_what_returned_is_no_longer_followed() -> None:
    plan = plan_of(level_rule(CAUSE, 0), level_rule(EFFECT, 1), inhibits=(inhibit(),))
    events = told(plan, [(0, 0, ON), (1, 1, ON), (2, 1, OFF), (4, 0, OFF)], 6)
    assert [kind for kind, _ in words(events)] == ["RAISED", "CLEARED"]
    (alarm,) = [a for a in apply_all(events).alarms.values() if a.rule == EFFECT]
    assert alarm.word is Word.RTNUN


@pytest.mark.parametrize("begins", [True, False])
def test_rules_that_change_while_running_tell_what_is_held_otherwise(*, begins: bool) -> None:
    registry = registry_of([0, 0, 1])
    subject = registry.channels.id[1]
    free = plan_of(level_rule(CAUSE, 0), level_rule(EFFECT, 1))
    held = replace(free, inhibits=(inhibit(),), maintenance=(window(0, 60, subject),))
    before, after = (free, held) if begins else (held, free)
    rows = [{"channel": c, "device": 0, "judged_ns": T0_NS, "receive_ns": T0_NS, "value": ON}
            for c in (0, 1)]  # fmt: skip
    records = [
        Record(0, Tick(T0_NS)), Record(1, readings_of(rows)),
        Record(2, Control("rules", {"hash": "x"})), Record(3, Tick(T0_NS + S)),
    ]  # fmt: skip
    engine = Engine(before, registry, resolve=lambda _: (after, registry))
    changed = [e for e in engine.fold(records) if e.offset == 2]
    kinds = {e.type.value for e in changed if e.rule == EFFECT}
    assert kinds == ({"SUPPRESSED", "OUT_OF_SERVICE"} if begins else {"UNSUPPRESSED", "IN_SERVICE"})
    assert {e.type.value for e in changed if e.rule == "MW-1"} == (
        {"OUT_OF_SERVICE"} if begins else {"IN_SERVICE"}
    )


RULES = """version: 1
defaults: {source: estimate}
inhibit:
- {id: gw, when: {rule: gw-silent, at_least: orange}, mute: {rule: silent}, same: district}
maintenance:
- id: MW-118
  match: {asset: 410100-gas-mh-000001}
  from: "2026-11-21T22:00+08:00"
  to: "2026-11-22T05:00+08:00"
  by: engineer-2
  reason: pump replaced
rules:
- {id: gw-silent, kind: deadman, select: {kind: gateway}, missing: {orange: 3x}}
- {id: silent, kind: deadman, select: {kind: module}, missing: {yellow: 3x}}
- {id: ch4, kind: threshold, fail_loud: true, over_range: red, select: {quantity: ch4},
   unit: "%LEL", above: {orange: 25, red: 50}}
"""


def test_the_sections_become_arrays_and_sets() -> None:
    plan, _ = compile_plan(load_rules({"g.yaml": RULES}), read_registry({"r.yaml": REGISTRY}))
    (held,), (window,) = plan.inhibits, plan.maintenance
    assert (held.at_least, held.mute, held.same) == (3, ("silent",), ("district",))
    assert window.to_ns - window.from_ns == 7 * 3600 * S
    assert window.subjects == {
        "410100-gas-mh-000001", "410100-gas-nb-000001", "410100-gas-mh-000001/ch4-01/vol",
    }  # fmt: skip
    assert np.array_equal([held.file, window.file], ["g.yaml:4", "g.yaml:6"])


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            "rule: gw-silent,",
            "rule: gw-silnt,",
            4,
            "no rule 'gw-silnt' (did you mean \"gw-silent\"",
        ),
        (
            "mute: {rule: silent}",
            "mute: {rule: ch4}",
            4,
            "rule 'ch4' is fail_loud: no other alarm may keep it quiet",
        ),
        ("mute: {rule: silent}", "mute: {rule: gw-silent}", 4, "goes in a circle"),
        ("mute: {rule: silent}", "mute: {rule: [silnt]}", 4, "no rule 'silnt'"),
        ("orange}, mute", "oragne}, mute", 4, "unknown level 'oragne'"),
        ("same: district", "same: gateway", 4, "write device"),
        ("same: district", "same: distrct", 4, 'did you mean "district"'),
        (", same: district", "", 4, 'key "same" is missing'),
        ("id: MW-118", "id: ch4", 6, "rule 'ch4' has this id: take another"),
        ("410100-gas-mh-000001}", '"*"}', 7, "concerns what it names, without *"),
        ("match: {asset: 410100-gas-mh-000001}", "match: {}", 7, "names nothing"),
        (
            'from: "2026-11-21T22:00+08:00"',
            'from: "2026-11-21T22:00"',
            8,
            "is no time of 2000 to 2099 with its zone",
        ),
        ("2026-11-22T05:00", "2026-11-20T05:00", 6, "to must be after from"),
        ("2026-11-22T05:00", "2027-11-20T05:00", 6, "lasts longer than 31 days"),
        ("  reason: pump replaced\n", "", 6, 'key "reason" is missing'),
        ("by: engineer-2", "effect: shelve", 10, "effect: must be 'out_of_service'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, line: int, said: str) -> None:
    assert old in RULES
    problems = check({"g.yaml": RULES.replace(old, new, 1)})
    assert any(said in p.message and p.line == line for p in problems), [str(p) for p in problems]


def test_a_window_that_is_over_warns() -> None:
    problems = check({"g.yaml": RULES}, today="2026-11-30")
    assert [p.severity for p in problems if "is over" in p.message] == ["warning"]
    assert not [p for p in check({"g.yaml": RULES}, today="2026-11-21") if "is over" in p.message]
