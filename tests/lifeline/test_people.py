"""What people do with alarms through the ledger: shelve, comment, assign, classify; and floods."""

from __future__ import annotations

import json

import pytest

from ingest.control import parse
from lifeline.ledger import Conflict, Ledger, Outlet, Refused, Unknown
from lifeline.ledger.people import People
from rules.alarm_life import HOUR_NS, Life
from rules.alarms import CAUSES, Word
from rules.events import Event, EventType

MINUTE_NS = 60 * 10**9


class Clock:
    ns = 10**18

    def __call__(self) -> int:
        return self.ns


def said(kind: str, clock: Clock, severity: int, *, subject: str = "a/b/c", **more) -> Event:
    clock.ns += 1_000
    return Event(
        type=EventType(kind),
        offset=clock.ns // 1_000 % 10**9,
        row=0,
        rule="ch4-level",
        subject=subject,
        severity=severity,
        max_severity=severity,
        klass="safety",
        episode="1.0",
        event_ns=clock.ns,
        receive_ns=clock.ns,
        **more,
    )


class Site:
    """A ledger with one outlet, its clock, and what people order of it."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.ledger = Ledger(
            url, now_ns=self.clock, wall_ns=self.clock, outlets=(Outlet(name="webhook"),)
        )
        self.people = People(self.ledger)

    def tell(self, kind: str, severity: int = 0, **more):
        event = said(kind, self.clock, severity, **more)
        self.ledger.apply([event], event.offset + 1)
        return self.ledger.alarm(event.alarm_id)[0]

    def shelve(self, alarm, by: str = "li", minutes: float = 30, **more):
        order = {"reason": "works", "expected_seq": alarm.seq, "command": f"{by}-{alarm.seq}"}
        return self.people.shelve(
            alarm.alarm_id, by=by, for_ns=int(minutes * MINUTE_NS), **(order | more)
        )

    def controls(self) -> list[dict]:
        with self.ledger.read() as connection:
            rows = connection.exec_driver_sql("SELECT control FROM command ORDER BY id").all()
        return [json.loads(r[0]) for r in rows]

    def outbox(self) -> list[tuple[str, str, str]]:
        with self.ledger.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT status, reason, body FROM outbox ORDER BY seq"
            ).all()
        return [(status, reason, json.loads(body)["type"]) for status, reason, body in rows]


@pytest.fixture
def site(tmp_path):
    held = Site(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield held
    held.ledger.close()


def test_a_shelved_alarm_says_until_when_by_whom_and_why_and_tells_nobody(site) -> None:
    alarm = site.shelve(site.tell("RAISED", 2))
    assert alarm.word is Word.SHLVD
    assert (alarm.shelf.by, alarm.shelf.cause) == ("li", "works")
    assert alarm.shelf.until_ns == site.clock.ns + 30 * MINUTE_NS
    site.tell("LOWERED", 1)
    assert site.outbox()[-1] == ("withheld", "suppressed: works", "LOWERED")


def test_the_clock_ends_a_shelf_and_what_stands_unseen_calls_again(site) -> None:
    alarm = site.shelve(site.tell("RAISED", 2))
    site.clock.ns += 29 * MINUTE_NS
    assert site.people.turn() == 0
    site.clock.ns += 2 * MINUTE_NS
    assert site.people.turn() == 1
    assert site.people.turn() == 0
    assert site.ledger.alarm(alarm.alarm_id)[0].word is Word.UNACK
    assert site.outbox()[-1] == ("pending", "", "UNSHELVED")


def test_red_takes_two_persons(site) -> None:
    red = site.tell("RAISED", 4)
    asked = site.shelve(red)
    assert (asked.word, asked.shelve_asked_by) == (Word.UNACK, "li")
    with pytest.raises(Conflict, match="two persons, and li has asked already"):
        site.shelve(asked, command="again")
    done = site.shelve(asked, by="wang")
    assert (done.word, done.shelf.by, done.shelve_asked_by) == (Word.SHLVD, "wang", "")
    events = [e for _, e in site.ledger.events_of(red.alarm_id)]
    assert [e.type for e in events] == ["RAISED", "SHELVE_ASKED", "SHELVED"]
    assert events[-1].evidence["with"] == "li"


def test_the_same_command_again_does_nothing_twice(site) -> None:
    red = site.tell("RAISED", 4)
    first, again = site.shelve(red), site.shelve(red)
    assert first == again
    assert len(site.controls()) == 1
    with pytest.raises(Refused, match="was used for shelve"):
        site.people.unshelve(red.alarm_id, by="li", command=f"li-{red.seq}")


def test_who_has_not_seen_that_it_got_worse_shelves_nothing(site) -> None:
    seen = site.tell("RAISED", 1)
    site.tell("ESCALATED", 2)
    with pytest.raises(Conflict, match="has changed since you saw it"):
        site.shelve(seen)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"reason": " "}, "for a reason"),
        ({"minutes": 0}, "allows more than 0 and at most 480 min"),
        ({"minutes": 481}, "allows more than 0 and at most 480 min"),
        ({"minutes": -1}, "allows more than 0"),
    ],
)
def test_a_shelf_has_a_reason_and_a_limit(site, order: dict, told: str) -> None:
    alarm = site.tell("RAISED", 2)
    with pytest.raises(Refused) as refused:
        site.shelve(alarm, **order)
    assert told in f"{refused.value} {refused.value.remedy}"


def test_a_rule_limits_its_shelf_and_may_want_a_comment(site) -> None:
    life = Life(shelve_max_ns=HOUR_NS, ack="comment").said()
    alarm = site.tell("RAISED", 2, evidence={"life": life})
    with pytest.raises(Refused, match="shelved for 90 min"):
        site.shelve(alarm, minutes=90)
    with pytest.raises(Refused, match="wants a comment"):
        site.ledger.acknowledge(alarm.alarm_id, "li", " ", alarm.seq, "c1")
    assert site.ledger.acknowledge(alarm.alarm_id, "li", "crew", alarm.seq, "c2").acked_by == "li"


def test_what_cannot_be_is_refused_with_what_to_do(site) -> None:
    people = site.people
    with pytest.raises(Unknown, match="no alarm 'abc'"):
        people.comment("abc", by="li", text="x", command="1")
    alarm = site.tell("RAISED", 1)
    with pytest.raises(Conflict, match="not shelved"):
        people.unshelve(alarm.alarm_id, by="li", command="2")
    with pytest.raises(Refused, match="empty"):
        people.comment(alarm.alarm_id, by="li", text="  ", command="3")
    with pytest.raises(Refused, match="cause 'bees'") as refused:
        people.classify(
            alarm.alarm_id, by="li", verdict="true", cause="bees", comment="", command="4"
        )
    assert all(cause in refused.value.remedy for cause in CAUSES)
    over = site.tell("CLEARED")
    with pytest.raises(Conflict, match="over"):
        site.shelve(over)
    with pytest.raises(Conflict, match="over"):
        people.assign(over.alarm_id, by="li", to="wang", command="5")


def test_notes_hands_and_verdicts_are_events_of_the_alarm(site) -> None:
    people, alarm = site.people, site.tell("RAISED", 2)
    people.comment(alarm.alarm_id, by="li", text="smells of eggs", command="1")
    people.assign(alarm.alarm_id, by="li", to="wang", command="2")
    told = people.classify(
        alarm.alarm_id, by="wang", verdict="false", cause="biogas", comment="sewer", command="3"
    )
    assert (told.comments, told.assigned_to, told.verdict, told.cause) == (
        1, "wang", "false", "biogas",
    )  # fmt: skip
    assert told.word is Word.UNACK
    types = [e.type.value for _, e in site.ledger.events_of(alarm.alarm_id)]
    assert types == ["RAISED", "COMMENTED", "ASSIGNED", "CLASSIFIED"]


def test_every_order_becomes_a_control_record_that_ingest_takes(site) -> None:
    alarm = site.shelve(site.tell("RAISED", 2))
    site.clock.ns += HOUR_NS
    site.people.turn()
    site.people.comment(alarm.alarm_id, by="li", text="x", command="c")
    told = [parse(json.dumps(control).encode()) for control in site.controls()]
    assert [control.data["event"] for control in told] == ["SHELVED", "UNSHELVED", "COMMENTED"]
    assert all(control.type == "operate" for control in told)


def test_what_was_seen_long_ago_and_still_stands_calls_again(site) -> None:
    alarm = site.tell("RAISED", 3)
    site.ledger.acknowledge(alarm.alarm_id, "li", "", alarm.seq, "c1")
    site.clock.ns += 4 * HOUR_NS - 1
    assert site.people.turn() == 0
    site.clock.ns += 1
    assert site.people.turn() == 1
    assert site.ledger.alarm(alarm.alarm_id)[0].word is Word.UNACK
    assert site.outbox()[-1][2] == "REALARMED"


def test_a_ledger_reopened_goes_on_with_shelves_and_floods(site) -> None:
    alarm = site.shelve(site.tell("RAISED", 2))
    site.ledger.close()
    again = Ledger(site.ledger.url, now_ns=site.clock)
    assert again.alarm(alarm.alarm_id)[0] == alarm
    assert again.flood().times_ns
    again.close()


def test_a_flood_folds_announcements_and_never_alarms(site) -> None:
    for number in range(14):
        site.tell("RAISED", 2, subject=f"a/b/{number}")
    site.tell("RAISED", 4, subject="a/b/red")
    told = site.outbox()
    assert [status for status, _, kind in told if kind == "RAISED"] == [
        *["pending"] * 10, *["withheld"] * 4, "pending",
    ]  # fmt: skip
    assert [row for row in told if row[2] == "FLOOD"] == [("pending", "", "FLOOD")]
    assert {reason for _, reason, _ in told} == {"", "flood"}
    assert len(site.ledger.open_alarms()) == 15
    assert site.ledger.flood().announced == 5


def test_a_flood_that_is_over_is_told_with_the_next_announcement(site) -> None:
    for number in range(12):
        site.tell("RAISED", 2, subject=f"a/b/{number}")
    assert site.ledger.flood().is_open
    site.clock.ns += 20 * MINUTE_NS
    site.tell("RAISED", 2, subject="a/b/later")
    assert [kind for status, _, kind in site.outbox()[-2:] if status == "pending"] == [
        "RAISED", "FLOOD_OVER",
    ]  # fmt: skip
    over = site.ledger.events_of_type(EventType.FLOOD_OVER)
    assert over[0][1].evidence["announced"] == 2


def test_the_same_events_give_the_same_ledger_with_its_floods(site, tmp_path) -> None:
    clock = Clock()
    events = [said("RAISED", clock, 2, subject=f"a/b/{n}") for n in range(30)]
    bodies = []
    for name, cut in (("one", 30), ("two", 7)):
        ledger = Ledger(f"sqlite:///{tmp_path / name}")
        for at in range(0, 30, cut):
            part = events[at : at + cut]
            ledger.apply(part, part[-1].offset + 1)
        with ledger.read() as connection:
            rows = connection.exec_driver_sql("SELECT seq, body FROM event ORDER BY seq").all()
        bodies.append([tuple(row) for row in rows])
        ledger.close()
    assert bodies[0] == bodies[1]
    assert sum('"FLOOD"' in body for _, body in bodies[0]) == 1


def test_a_chattering_alarm_is_known_over_its_episodes(site) -> None:
    told = []
    for number in range(5):
        event = said("RAISED", site.clock, 1)._replace(episode=f"{number}.0")
        site.ledger.apply([event], event.offset + 1)
        told.append(site.ledger.alarm(event.alarm_id)[0].chattering)
        cleared = said("CLEARED", site.clock, 0)._replace(episode=f"{number}.0")
        site.ledger.apply([cleared], cleared.offset + 1)
        site.clock.ns += 5 * 10**9
    assert told == [False, False, True, True, True]
