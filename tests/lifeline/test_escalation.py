"""Escalations: who is called, when, and that nobody is called twice or after an acknowledgement."""

from __future__ import annotations

import json

import pytest

from lifeline.ledger import Ledger, Outlet
from lifeline.notify import Escalator
from lifeline.site import Site
from rules.events import Event, EventType
from rules.language import check, compile_plan, load_rules
from rules.registry_file import registry_of
from tests.rules.test_language_rules import CH4_1, REGISTRY

S = 1_000_000_000
RULES = """version: 1
defaults: {source: estimate}
escalations:
  gas:
  - {after: 0s, levels: [orange, red], to: [console]}
  - {after: 2m, unless: acked, to: ["sms:gas-duty"]}
  - {after: 5m, unless: acked, to: ["voice:lead", "webhook:city"]}
rules:
- {id: ch4, kind: threshold, escalation: gas, select: {quantity: ch4}, unit: "%LEL",
   above: {yellow: 20, orange: 25, red: 50}, runbook: "https://runbooks.local/gas"}
- {id: quiet, kind: threshold, select: {quantity: pressure}, below: {yellow: 100 kPa}}
"""


class Keeper:
    def __init__(self) -> None:
        registry = registry_of({"r.yaml": REGISTRY})
        plan, _ = compile_plan(load_rules({"g.yaml": RULES}), registry)
        self.site = Site(registry, plan)


def event(kind: str, at_s: int, severity: int, **more) -> Event:
    return Event(
        type=EventType(kind), offset=at_s, row=0, rule=more.pop("rule", "ch4"), subject=CH4_1,
        severity=severity, max_severity=severity, episode=more.pop("episode", "10.0"),
        event_ns=at_s * S, receive_ns=at_s * S, **more,
    )  # fmt: skip


class Desk:
    """A ledger on a clock of its own, and the escalator on it."""

    def __init__(self, tmp_path) -> None:
        self.now_s = 10
        self.url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        self.keeper = Keeper()
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(
            self.url, outlets=(Outlet(name="hook"),), now_ns=lambda: self.now_s * S
        )
        self.escalator = Escalator(self.ledger, self.keeper)

    def at(self, second: int) -> list[list[str]]:
        """Whom the calls made at that second are to."""
        self.now_s = second
        before = len(self.ledger.events_of_type(EventType.CALLED, limit=100))
        self.escalator.call_due()
        called = self.ledger.events_of_type(EventType.CALLED, limit=100)
        return [e.evidence["to"] for _, e in called[before:]]

    def tell(self, told: Event) -> None:
        self.ledger.apply([told], told.offset + 1)


@pytest.fixture
def desk(tmp_path):
    held = Desk(tmp_path)
    yield held
    held.ledger.close()


def test_the_steps_come_in_their_time_until_somebody_acknowledges(desk):
    desk.tell(event("RAISED", 10, 3))
    assert desk.at(10) == [["console"]]
    assert desk.at(129) == []
    assert desk.at(130) == [["sms:gas-duty"]]
    assert desk.at(131) == []
    (alarm,) = desk.ledger.open_alarms()
    desk.ledger.acknowledge(alarm.alarm_id, "li", "", None, "c1")
    assert desk.at(400) == []
    bodies = [json.loads(row.body) for row in desk.ledger.due()]
    told = [b["escalation"] for b in bodies if "escalation" in b]
    assert told == [{"step": 0, "to": ["console"]}, {"step": 1, "to": ["sms:gas-duty"]}]


def test_a_step_is_for_its_levels_and_what_gets_worse_begins_anew(desk):
    desk.tell(event("RAISED", 10, 2))
    assert desk.at(10) == []  # the first step is for orange and red
    assert desk.at(200) == [["sms:gas-duty"]]
    desk.tell(event("ESCALATED", 210, 4))
    assert desk.at(210) == [["console"]]
    assert desk.at(330) == [["sms:gas-duty"]]
    assert desk.at(510) == [["voice:lead", "webhook:city"]]


def test_a_restart_forgets_no_step_and_calls_nobody_twice(desk):
    desk.tell(event("RAISED", 10, 3))
    assert desk.at(140) == [["console"], ["sms:gas-duty"]]
    desk.ledger.close()
    desk.open()
    assert desk.at(141) == []
    assert desk.at(310) == [["voice:lead", "webhook:city"]]


def test_nobody_is_called_for_what_returned_is_held_or_has_no_chain(desk):
    desk.tell(event("RAISED", 10, 2, rule="quiet"))
    desk.tell(event("RAISED", 11, 3, episode="11.0", evidence={"held": [{"cause": "MW-1"}]}))
    assert desk.at(500) == []
    freed = event("UNSUPPRESSED", 510, 3, episode="11.0", evidence={"cause": "MW-1"})
    desk.tell(freed)
    assert desk.at(510) == [["console"]]
    desk.tell(event("CLEARED", 520, 0, episode="11.0"))
    assert desk.at(900) == []


def test_simulated_calls_stay_in_the_house(desk):
    desk.ledger.apply([event("RAISED", 10, 3)], 11, simulation=True)
    assert desk.at(10) == [["console"]]
    assert desk.ledger.due() == ()
    assert desk.ledger.counts()["outbox_withheld"] == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("escalation: gas,", "escalation: gaz,", 9, "no chain 'gaz' (did you mean \"gas\"?)"),
        ("levels: [orange, red]", "levels: [orage]", 9, "unknown level 'orage'"),
        ("after: 2m", "after: 9m", 7, "steps stand in order of time"),
        ("after: 2m", "after: soon", 6, "after"),
        ('to: ["sms:gas-duty"]', 'to: ["sms gas"]', 6, "is no target: write console"),
        ("unless: acked", "unless: acknowledged", 6, "must be 'acked'"),
        ("  - {after: 0s", "    {after: 0s", 4, "must be a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old, new, line, said):
    assert old in RULES
    text = RULES.replace(old, new, 1)
    if "must be a list" in said:
        text = RULES.replace("  gas:\n", "  gas: {after: 1s}\n", 1)
        text = text[: text.index("  - {after: 0s")] + text[text.index("rules:") :]
    problems = check({"g.yaml": text})
    assert any(said in p.message and p.line == line for p in problems), [str(p) for p in problems]
