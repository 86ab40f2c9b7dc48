"""Incidents in the ledger: made by alarms, handled by people, the same after a restart."""

from __future__ import annotations

import json

import pytest

from ingest.control import parse
from lifeline.ledger import Conflict, Ledger, Outlet, Refused, StandIn, Unknown
from lifeline.ledger.incidents import Asked, Incidents
from lifeline.ledger.tables import (
    INCIDENT,
    INCIDENT_EVENT,
    INCIDENT_MEMBER,
    METADATA,
    open_database,
)
from lifeline.notify.wording import lines
from lifeline.settings.ledger_address import server_url
from rules.alarms import Word
from rules.events import Event, EventType
from rules.incidents.flow import Kind, Stage
from rules.incidents.grouping import LULL_NS
from rules.incidents.places import Places
from simulators.city import registry_of_city
from tests.postgresql import postgresql

PLACES = Places(registry=registry_of_city("demo", 20260301, part=("gas",)))
MINUTE_NS = 60 * 10**9


class Clock:
    ns = 10**18

    def __call__(self) -> int:
        return self.ns


def ch4(n: int) -> str:
    return f"410100-gas-mh-{n:06d}/ch4-01/vol"


class Site:
    """A ledger with one outlet, its clock, and what people order of its incidents."""

    def __init__(self, url: str) -> None:
        self.clock, self.url, self.orders = Clock(), url, 0
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(
            self.url, now_ns=self.clock, wall_ns=self.clock, outlets=(Outlet(name="webhook"),),
            places=lambda: PLACES,
        )  # fmt: skip
        self.incidents = Incidents(self.ledger)

    def said(self, kind: str, severity: int, n: int, **more) -> Event:
        self.clock.ns += 1_000
        return Event(
            type=EventType(kind), offset=self.clock.ns // 1_000 % 10**9, row=0, rule="gas-ch4",
            subject=ch4(n), severity=severity, max_severity=severity, klass="safety",
            episode=more.pop("episode", "1.0"), onset_ns=self.clock.ns, event_ns=self.clock.ns,
            receive_ns=self.clock.ns, **more,
        )  # fmt: skip

    def tell(self, kind: str, severity: int = 2, n: int = 10, **more) -> Event:
        event = self.said(kind, severity, n, **more)
        self.ledger.apply([event], event.offset + 1)
        return event

    def only(self):
        (held,) = self.incidents.list(over=None)
        return held

    def order(self, kind: Kind, by: str = "li", **more):
        held = self.only()
        self.orders += 1
        told = {"expected_seq": held.handling.seq, "command": f"c{self.orders}"} | more
        return self.incidents.order(Asked(incident_id=held.incident_id, kind=kind, by=by, **told))

    def bodies(self) -> list[dict]:
        with self.ledger.read() as connection:
            rows = connection.exec_driver_sql("SELECT body FROM outbox ORDER BY seq").all()
        return [json.loads(r[0]) for r in rows]


def clean(url: str) -> None:
    engine = open_database(url, wait_s=5)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
    engine.dispose()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield server_url(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def site(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server")
        clean(url)
    held = Site(url)
    yield held
    held.ledger.close()


def test_a_leak_from_its_first_alarm_to_its_end(site):
    first = site.tell("RAISED", 3, 10)
    site.tell("RAISED", 4, 11)
    held = site.only()
    assert (held.handling.stage, held.severity, len(held.group.members)) == (Stage.RAISED, 4, 2)
    assert held.group.first_out.alarm_id == first.alarm_id
    site.order(Kind.ACKNOWLEDGE, reason="calling the gas company")
    assert {a.word for a in site.ledger.open_alarms()} == {Word.ACKED}
    site.order(Kind.VERIFY, reason="two wells rise together")
    site.order(Kind.ASSIGN, to="wang")
    site.order(Kind.DISPATCH, reason="crew 3")
    site.order(Kind.ARRIVE, by="wang")
    site.order(Kind.MITIGATE, by="wang", reason="valve shut")
    with pytest.raises(Conflict, match="2 of its alarms still stand"):
        site.order(Kind.CLOSE, cause="leak")
    site.tell("CLEARED", 0, 10)
    site.tell("CLEARED", 0, 11)
    closed = site.order(Kind.CLOSE, cause="leak", reason="pipe mended")
    assert (closed.handling.stage, closed.handling.cause) == (Stage.CLOSED, "leak")
    assert closed.handling.by["on_site"] == "wang"
    assert site.incidents.list() == []
    story = [(t.kind.value, t.by) for t in site.incidents.events(closed.incident_id)]
    assert story == [
        ("OPENED", ""), ("JOINED", ""), ("ACKNOWLEDGE", "li"), ("VERIFY", "li"), ("ASSIGN", "li"),
        ("DISPATCH", "li"), ("ARRIVE", "wang"), ("MITIGATE", "wang"), ("CLOSE", "li"),
    ]  # fmt: skip


def test_the_incident_is_named_in_what_goes_out(site):
    site.tell("RAISED", 3, 10)
    site.tell("RAISED", 3, 11)
    said = [body["incident"] for body in site.bodies()]
    assert [(s["members"], s["joined"]) for s in said] == [(1, False), (2, True)]
    assert {s["id"] for s in said} == {site.only().incident_id}


def test_the_call_of_an_alarm_that_joins_is_one_message_of_one_id(site):
    site.tell("RAISED", 3, 10)
    site.order(Kind.ACKNOWLEDGE)
    joining = site.said("RAISED", 3, 11)
    for _ in range(2):  # the second time after a crash: the log is read again
        site.ledger.apply([joining], joining.offset + 1)
    told = [b for b in site.bodies() if b["type"] == "RAISED"]
    assert [b["incident"]["joined"] for b in told] == [False, True]
    assert len({b["id"] for b in told}) == 2
    with site.ledger.read() as connection:
        rows = connection.exec_driver_sql("SELECT seq, channel FROM outbox").all()
    assert len(rows) == len(set(rows)) == len(site.bodies())
    assert {b["id"] for b in site.bodies()} == {seq for seq, _ in rows}
    for language, words in (
        ("en", f"joins incident {site.only().incident_id}, 2 alarms now"),
        ("zh", f"新报警加入事件 {site.only().incident_id}，共 2 条"),
    ):
        assert words in lines(told[1], language)
        assert not any("incident" in line or "事件" in line for line in lines(told[0], language))


def test_an_alarm_that_joins_calls_again(site):
    site.tell("RAISED", 3, 10)
    seen = site.order(Kind.ACKNOWLEDGE)
    assert not seen.handling.news
    site.tell("RAISED", 3, 11)
    assert site.only().handling.news
    with pytest.raises(Conflict, match="has changed since you saw it"):
        site.order(Kind.VERIFY, expected_seq=seen.handling.seq)
    again = site.order(Kind.ACKNOWLEDGE, by="wang")
    assert (again.handling.news, again.handling.stage) == (False, Stage.ACKNOWLEDGED)


def test_of_two_who_acknowledge_the_second_is_told_the_first(site):
    site.tell("RAISED", 3)
    seen = site.only().handling.seq
    site.order(Kind.ACKNOWLEDGE, expected_seq=seen)
    with pytest.raises(Conflict, match="acknowledged, by li") as refused:
        site.order(Kind.ACKNOWLEDGE, by="wang", expected_seq=seen)
    assert refused.value.by == "li"


def test_a_command_sent_twice_does_nothing_twice(site):
    site.tell("RAISED", 3)
    one = site.order(Kind.COMMENT, reason="smells", command="same")
    two = site.order(Kind.COMMENT, reason="smells", command="same")
    assert one == two
    assert two.handling.comments == 1
    with pytest.raises(Refused, match="was used for inc-comment"):
        site.order(Kind.ACKNOWLEDGE, command="same")


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        (Kind.COMMENT, {"reason": "  "}, "COMMENT without a text"),
        (Kind.HANDOVER, {}, "HANDOVER without a text"),
        (Kind.CLOSE, {"cause": "aliens"}, "cause 'aliens'"),
        (Kind.FALSE_ALARM, {"reason": "it lies"}, "cause ''"),
        (Kind.VERIFY, {}, "the incident is raised"),
        (Kind.ACKNOWLEDGE, {"expected_seq": None}, "without expected_seq"),
        (Kind.OPENED, {}, "order OPENED"),
        (Kind.JOINED, {}, "order JOINED"),
    ],
)
def test_what_is_not_said_in_full_is_refused_and_changes_nothing(site, kind, more, said):
    site.tell("RAISED", 3)
    before = site.only()
    with pytest.raises(Refused, match=said) as refused:
        site.order(kind, **more)
    assert refused.value.remedy
    assert site.only() == before


def test_an_unknown_incident_is_told(site):
    with pytest.raises(Unknown, match="there is no incident"):
        site.incidents.one("0" * 12)


def test_a_false_alarm_may_stand_and_is_taken_up_again_when_it_gets_worse(site):
    site.tell("RAISED", 2)
    site.order(Kind.ACKNOWLEDGE)
    over = site.order(Kind.FALSE_ALARM, cause="biogas", reason="sewer beside it")
    assert over.handling.stage is Stage.FALSE_ALARM
    site.tell("ESCALATED", 4)
    again = site.only()
    assert (again.incident_id, again.handling.stage) == (over.incident_id, Stage.ACKNOWLEDGED)
    assert again.handling.news
    assert again.severity == 4
    assert again.handling.cause == ""


def test_nothing_joins_what_people_have_ended(site):
    site.tell("RAISED", 2, 10)
    site.order(Kind.ACKNOWLEDGE)
    over = site.order(Kind.FALSE_ALARM, cause="sensor", reason="drifts")
    site.tell("RAISED", 2, 11)
    (open_one,) = site.incidents.list()
    assert open_one.incident_id != over.incident_id
    assert site.incidents.one(over.incident_id) == over


def test_blue_that_nobody_looked_at_closes_by_itself_after_a_while(site):
    site.tell("RAISED", 1, 10)
    site.tell("CLEARED", 0, 10)
    assert site.incidents.turn() == 0
    site.clock.ns += LULL_NS + MINUTE_NS
    assert site.incidents.turn() == 1
    assert site.only().handling.cause == "returned"
    assert site.incidents.turn() == 0


@pytest.mark.parametrize("severity", [2, 4])
def test_what_is_worse_than_blue_waits_for_a_person(site, severity):
    site.tell("RAISED", severity, 10)
    site.tell("CLEARED", 0, 10)
    site.clock.ns += LULL_NS + MINUTE_NS
    assert site.incidents.turn() == 0
    assert site.only().handling.stage is Stage.RAISED


def test_controls_are_what_ingest_takes(site):
    site.tell("RAISED", 3)
    site.order(Kind.COMMENT, reason="smells 有味")
    site.order(Kind.ACKNOWLEDGE)
    with site.ledger.read() as connection:
        rows = connection.exec_driver_sql("SELECT control FROM command ORDER BY id").all()
    told = [parse(row[0].encode()) for row in rows]
    assert [(c.type, c.data.get("event")) for c in told] == [
        ("incident", "COMMENT"), ("ack", None), ("incident", "ACKNOWLEDGE"),
    ]  # fmt: skip


def story(site: Site, *, close_between: bool = False) -> list:
    told = []
    for n, (kind, severity, well) in enumerate(
        [
            ("RAISED", 2, 10),
            ("RAISED", 3, 20),
            ("RAISED", 2, 11),
            ("ESCALATED", 4, 11),
            ("CLEARED", 0, 20),
            ("RAISED", 1, 19),
        ]
    ):
        if close_between and n:
            site.ledger.close()
            site.open()
        told.append(site.tell(kind, severity, well))
    return told


def test_a_restart_between_any_two_events_changes_no_incident(tmp_path):
    one, two = (Site(f"sqlite:///{tmp_path / name}.sqlite") for name in "ab")
    story(one)
    story(two, close_between=True)
    assert one.incidents.list(over=None) == two.incidents.list(over=None)
    assert len(one.incidents.list()) == 2


def test_one_apply_of_all_gives_the_same_as_one_by_one(tmp_path):
    one, two = (Site(f"sqlite:///{tmp_path / name}.sqlite") for name in "ab")
    events = story(one)
    two.ledger.apply(events, events[-1].offset + 1)
    assert one.incidents.list(over=None) == two.incidents.list(over=None)


def test_a_ledger_older_than_incidents_gets_those_of_its_open_alarms(site):
    site.tell("RAISED", 2, 10)
    site.tell("RAISED", 2, 11)
    wanted = site.only()
    with site.ledger.write() as connection:
        for table in (INCIDENT, INCIDENT_MEMBER, INCIDENT_EVENT):
            table.drop(connection)
        connection.exec_driver_sql("DELETE FROM cursor WHERE reader = 'incidents'")
    site.ledger.close()
    site.open()
    site.tell("RAISED", 2, 20)
    found = {i.incident_id: i for i in site.incidents.list()}
    assert len(found) == 2
    assert found[wanted.incident_id].group.members == wanted.group.members


def test_the_copy_that_stands_in_has_the_same_incidents(tmp_path):
    site = Site(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    site.tell("RAISED", 2, 10)
    copy = StandIn(site.ledger)
    copy.begin("a test")
    event = site.said("RAISED", 3, 11)
    copy.current.apply([event], event.offset + 1)
    meanwhile = Incidents(copy.current).list()
    copy.close()
    site.ledger.release()
    site.ledger.apply([event], event.offset + 1)
    assert site.incidents.list() == meanwhile
    assert len(meanwhile[0].group.members) == 2


def test_the_incident_of_an_alarm_is_found(site):
    event = site.tell("RAISED", 2, 10)
    assert site.incidents.of_alarm(event.alarm_id) == site.only().incident_id
    assert site.incidents.of_alarm("0" * 12) == ""


def test_alarms_that_want_a_comment_are_not_acknowledged_without(site):
    site.tell("RAISED", 3, 10, evidence={"life": {"ack": "comment"}})
    site.order(Kind.ACKNOWLEDGE)
    assert site.ledger.open_alarms()[0].word is Word.UNACK
