"""Windows that a person on site orders: as a plan's, two hours at most, over restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.engine import Engine
from rules.engine.ordered import LONGEST_NS
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import Event, EventType
from rules.plan import Maintenance
from rules.readings import Control, Record, Tick
from tests.rules.test_holds import EFFECT, OFF, ON, S, inhibit, level_rule, words
from tests.small_city import NAN, T0_NS, plan_of, readings_of, registry_of, rule_of

REGISTRY = registry_of([0, 0, 1])
CHANNEL = REGISTRY.channels.id[1]
NAME = "work:0123456789ab"


def order(begin_s: int, end_s: int, **more) -> dict:
    given = {
        "window": NAME, "match": "channel", "subject": CHANNEL, "by": "li", "reason": "test gas",
        "from_ns": T0_NS + begin_s * S, "to_ns": T0_NS + end_s * S, "command": "c1",
    }  # fmt: skip
    return given | more


def journal(script, orders, until_s: int) -> list[Record]:
    """Readings (second, channel, value), Controls by second, and then the tick of each second."""
    records: list[Record] = []
    for second in range(until_s):
        now = T0_NS + second * S
        for data in orders.get(second, ()):
            records.append(Record(len(records), Control("window", data)))
        rows = [
            {"channel": c, "device": 0, "judged_ns": now, "receive_ns": now, "value": v}
            for at, c, v in script if at == second
        ]  # fmt: skip
        if rows:
            records.append(Record(len(records), readings_of(rows)))
        records.append(Record(len(records), Tick(now)))
    return records


def told(plan, records: list[Record]) -> list[Event]:
    """Events of one fold, which must be those of an engine that restarts at every record."""
    events = Engine(plan, REGISTRY).fold(records)
    cut, running = [], Engine(plan, REGISTRY)
    for record in records:
        cut += running.fold([record])
        state = from_bytes(to_bytes(running.snapshot()))
        running = Engine(plan, REGISTRY)
        assert running.restore(state) == []
    assert cut == events
    return events


def seconds(events: list[Event], rule: str) -> list[tuple[str, int]]:
    return [(e.type.value, (e.receive_ns - T0_NS) // S) for e in events if e.rule == rule]


@pytest.mark.parametrize("inhibited", [True, False])
def test_it_holds_exactly_what_the_same_window_of_a_plan_holds(*, inhibited: bool) -> None:
    script = [(0, 1, ON), (3, 1, OFF), (4, 1, ON), (5, 0, ON), (7, 0, OFF)]
    plan = plan_of(level_rule("cause", 0), level_rule(EFFECT, 1),
                   inhibits=(inhibit(),) if inhibited else ())  # fmt: skip
    written = Maintenance(
        window_id=NAME, from_ns=T0_NS + 2 * S, to_ns=T0_NS + 6 * S, by="li", reason="test gas",
        subjects=frozenset({CHANNEL}),
    )  # fmt: skip
    by_plan = told(replace(plan, maintenance=(written,)), journal(script, {1: [{}]}, 9))
    ordered = told(plan, journal(script, {1: [order(2, 6)]}, 9))
    assert [e.type for e in ordered if e.rule == NAME] == ["OUT_OF_SERVICE", "IN_SERVICE"]
    assert ordered == by_plan


def test_it_begins_at_once_where_its_time_has_come_and_ends_by_itself_or_by_order() -> None:
    plan = plan_of(level_rule(EFFECT, 1))
    itself = told(plan, journal([(0, 1, ON)], {3: [order(1, 6)]}, 9))
    assert seconds(itself, NAME) == [("OUT_OF_SERVICE", 2), ("IN_SERVICE", 6)]
    assert words(itself)[1:] == [("OUT_OF_SERVICE", False), ("IN_SERVICE", False)]
    end = {"window": NAME, "end": True, "by": "li", "command": "c2"}
    sooner = told(plan, journal([(0, 1, ON)], {3: [order(1, 6)], 5: [end]}, 9))
    assert seconds(sooner, NAME) == [("OUT_OF_SERVICE", 2), ("IN_SERVICE", 4)]
    assert [e.type for e in sooner if e.rule == EFFECT][1:] == ["OUT_OF_SERVICE", "IN_SERVICE"]
    assert told(plan, journal([], {3: [order(5, 9)], 4: [end]}, 12)) == []


def test_an_alarm_raised_meanwhile_is_out_of_service_from_its_first_event() -> None:
    events = told(plan_of(level_rule(EFFECT, 1)), journal([(4, 1, ON)], {1: [order(1, 8)]}, 10))
    assert words(events) == [("RAISED", True), ("IN_SERVICE", False)]
    (said,) = next(e for e in events if e.type is EventType.RAISED).evidence["held"]
    assert (said["hold"], said["by"], said["reason"]) == ("out_of_service", "li", "test gas")


def test_danger_of_a_fail_loud_rule_breaks_through() -> None:
    loud = rule_of(EFFECT, channels=[1], raise_at=(NAN, 4.0, 6.0, NAN), hold_s=0, keep_s=0,
                   fail_loud=True)  # fmt: skip
    events = told(plan_of(loud), journal([(2, 1, ON), (4, 1, 7.0)], {1: [order(1, 60)]}, 6))
    assert words(events) == [("RAISED", True), ("ESCALATED", False), ("IN_SERVICE", False)]


@pytest.mark.parametrize(
    ("match", "subject", "held"),
    [
        ("channel", REGISTRY.channels.id[0], False),
        ("device", REGISTRY.devices.id[0], True),
        ("asset", REGISTRY.assets.id[int(REGISTRY.channels.asset[1])], True),
        ("asset", "nobody-knows-it", False),
    ],
)
def test_it_is_about_a_channel_or_all_of_a_device_or_an_asset(match, subject, held) -> None:
    orders = {1: [order(1, 8, match=match, subject=subject)]}
    events = told(plan_of(level_rule(EFFECT, 1)), journal([(4, 1, ON)], orders, 6))
    assert words(events)[0] == ("RAISED", held)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"to_ns": T0_NS + S + LONGEST_NS + 1}, {"to_ns": T0_NS}, {"to_ns": None}, {"to_ns": True},
        {"from_ns": "1"}, {"window": "MW-1"}, {"match": "city"}, {"subject": 3}, {"by": None},
    ],
)  # fmt: skip
def test_what_is_no_window_holds_nothing(spoilt) -> None:
    plan = plan_of(level_rule(EFFECT, 1))
    events = told(plan, journal([(4, 1, ON)], {1: [order(1, 8, **spoilt)]}, 10))
    assert words(events) == [("RAISED", False)]
    longest = order(1, 8, to_ns=T0_NS + S + LONGEST_NS)
    assert words(told(plan, journal([(4, 1, ON)], {1: [longest]}, 6))) == [("RAISED", True)]


def test_it_lives_on_through_a_change_of_rules_and_of_the_registry() -> None:
    plan = plan_of(level_rule(EFFECT, 1))
    after = replace(plan, content_hash="other")
    records = journal([(4, 1, ON)], {1: [order(1, 8)]}, 10)
    change = Record(len(records), Control("rules", {"hash": "x"}))
    records = [*records[:4], change, *records[4:]]
    records = [Record(i, each.body) for i, each in enumerate(records)]
    engine = Engine(plan, REGISTRY, resolve=lambda _: (after, REGISTRY))
    events = engine.fold(records)
    assert words(events) == [("RAISED", True), ("IN_SERVICE", False)]
    assert [e.type for e in events if e.rule == NAME] == ["OUT_OF_SERVICE", "IN_SERVICE"]
