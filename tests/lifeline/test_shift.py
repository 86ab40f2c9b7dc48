"""A shift: its times, its report, and who hands it over to whom."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.duty.report import shift_report
from lifeline.duty.report_html import report_page
from lifeline.duty.settings import DutySettings
from lifeline.duty.shifts import Shift, Shifts
from lifeline.kpi.gather import City
from lifeline.ledger import Conflict, HandOvers, Ledger, Refused, Unknown
from lifeline.ledger.people import People
from lifeline.ledger.tables import COMMAND
from lifeline.people.roles import Scope
from lifeline.settings.ledger_address import server_url
from rules.events import Event, EventType
from tests.lifeline.duty_kit import BEGIN, HOUR, SECOND, RandomDays, every_line
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until
from tests.postgresql import postgresql

USUAL = Shifts.of(["08:00", "20:00"], "Asia/Shanghai")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


# ── shifts ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "name"),
    [
        ("2026-11-29T08:00+08:00", "2026-11-29T08:00"),
        ("2026-11-29T07:59:59+08:00", "2026-11-28T20:00"),
        ("2026-11-29T19:59+08:00", "2026-11-29T08:00"),
        ("2026-11-29T00:00+08:00", "2026-11-28T20:00"),
        ("2026-12-31T23:00+08:00", "2026-12-31T20:00"),
    ],
)
def test_a_moment_lies_in_the_shift_that_began_last(at, name):
    shift = USUAL.at(ns(at))
    assert shift.name == name
    assert shift.from_ns <= ns(at) < shift.to_ns
    assert USUAL.named(name) == shift
    assert USUAL.before(shift).to_ns == shift.from_ns


def test_a_night_in_which_clocks_change_has_its_true_length():
    berlin = Shifts.of(["06:00", "22:00"], "Europe/Berlin")
    nights = [berlin.named(f"2026-{day}T22:00") for day in ("03-28", "10-24", "11-24")]
    assert [(n.to_ns - n.from_ns) // HOUR for n in nights] == [7, 9, 8]


@pytest.mark.parametrize(
    "name", ["", "yesterday", "2026-11-29T09:00", "2026-13-01T08:00", "0001-01-01T08:00"]
)
def test_a_shift_that_does_not_begin_then_is_refused(name):
    with pytest.raises(ValueError, match="shift"):
        USUAL.named(name)


# ── report ───────────────────────────────────────────────────────────────────────────────────

HOSTILE = "<script>alert('x')</script>&\"'><img src=x onerror=y>"


class Read(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def city_of(ledger, **more) -> City:
    said = {"site": None, "today": "2026-09-21", "zone": "Asia/Shanghai", "simulation": False}
    return City(ledger=ledger, duty=DutySettings(), **said | more)


@pytest.fixture
def clock():
    class Clock:
        ns = BEGIN

    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    held = Ledger(
        f"sqlite:///{tmp_path / 'l.sqlite'}", now_ns=lambda: clock.ns, wall_ns=lambda: clock.ns
    )
    yield held
    held.close()


def raised(offset, subject, level=2, at_ns=BEGIN, kind="RAISED"):
    return Event(
        type=EventType(kind),
        offset=offset,
        row=0,
        rule="ch4",
        subject=subject,
        severity=level,
        max_severity=level,
        episode=f"{subject} 1.0",
        onset_ns=at_ns,
        event_ns=at_ns,
        receive_ns=at_ns,
    )


def test_names_and_notes_of_others_are_never_markup(ledger, clock):
    """Whatever devices are called and people write, the page has only the tags it was made of."""
    who = HOSTILE[:60]
    ledger.apply([raised(1, HOSTILE), raised(2, f"{HOSTILE}2", 4)], 3)
    people, ids = People(ledger), [a.alarm_id for a in ledger.open_alarms()]
    ledger.acknowledge(ids[0], who, HOSTILE, None, "a")
    people.comment(ids[0], by=who, text=HOSTILE, command="b")
    people.assign(ids[0], by=who, to=HOSTILE, command="c")
    seq = ledger.alarm(ids[1])[0].seq
    people.shelve(ids[1], by=who, reason=HOSTILE, for_ns=HOUR, expected_seq=seq, command="d")
    how = {"verdict": "false", "cause": "biogas", "comment": HOSTILE}
    people.classify(ids[1], by=who, command="e", **how)
    said = {"open_now": {"open": 2}, "shift": HOSTILE, "simulation": False}
    held = HandOvers(ledger).offer(by=who, to="wang", text=HOSTILE, command="f", **said)
    HandOvers(ledger).take(held.id, by="wang", remark=HOSTILE, command="g", simulation=False)
    shift = Shift(name=HOSTILE, from_ns=BEGIN - HOUR, to_ns=BEGIN + HOUR)
    for language in ("en", "zh"):
        city = city_of(ledger)
        report = shift_report(city, shift, now_ns=BEGIN + 2 * HOUR)
        page = report_page(report, city, language)
        read = Read(page)
        assert set(read.tags) <= {
            "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "table",
            "thead", "tbody", "tr", "th", "td", "span", "svg", "line", "rect",
        }  # fmt: skip
        assert not [name for name in read.attributes if name.startswith("on") or name == "src"]
        assert "http" not in re.sub(r"<[^>]*>", "", page)
        assert sum(HOSTILE in text for text in read.texts) >= 8
        assert ("确认" in page) == (language == "zh")


def test_a_report_tells_what_the_ledger_holds(tmp_path):
    """Counted again from all lines and from a fold of all of them, without any choice."""
    from rules.alarm_fold import AlarmFold  # noqa: PLC0415 - of this test alone

    days = RandomDays(f"sqlite:///{tmp_path / 'd.sqlite'}", 5)
    days.live(30)
    lines, city = every_line(days.ledger), city_of(days.ledger)
    shift = USUAL.at(BEGIN + 15 * HOUR)
    report = shift_report(city, shift, now_ns=days.now_ns)
    inside = [x for x in lines if shift.from_ns <= x.event.receive_ns < shift.to_ns]
    came = ("RAISED", "ESCALATED", "LATE_FINDING", "RERUN_DIFFERS")
    assert len(report.came) == sum(x.event.type in came for x in inside) > 5
    by_people = [x for x in inside if x.event.evidence.get("by") in ("li", "wang", "zhao")]
    assert len(report.done) == len(by_people) > 5
    fold = AlarmFold()
    for line in lines:
        if line.event.receive_ns < shift.to_ns:
            fold.apply(line.event, line.seq)
    left = {i: a for i, a in fold.alarms.items() if not a.ended}
    assert {a.alarm_id for a in report.open} == set(left)
    assert {a.alarm_id: (a.word, a.acked_by) for a in report.open} == {
        i: (a.word, a.acked_by) for i, a in left.items()
    }
    page = report_page(report, city, "en")
    assert page.count("<tr>") > len(report.came) + len(report.done) + len(report.open)
    days.ledger.close()


def test_a_shift_that_has_not_begun_has_no_report(ledger):
    with pytest.raises(ValueError, match="not begun"):
        shift_report(city_of(ledger), USUAL.at(BEGIN), now_ns=BEGIN - 20 * HOUR)


# ── hand-over ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield server_url(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def either(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'h.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("address")
    held = Ledger(url)
    yield held
    held.close()


def offered(hand_overs, command, *, by="li", to="wang", text="all quiet"):
    said = {"open_now": {"open": 3, "alarms": ["a" * 12]}, "shift": "s", "simulation": False}
    return hand_overs.offer(by=by, to=to, text=text, command=command, **said)


def test_a_shift_is_offered_confirmed_and_stays_so(either):
    hand_overs = HandOvers(either)
    first = offered(hand_overs, "c1")
    assert (first.state, first.to, first.open["open"]) == ("offered", "wang", 3)
    assert offered(hand_overs, "c1") == first  # the same command again
    with pytest.raises(Conflict, match="wang"):
        hand_overs.take(first.id, by="zhao", remark="", command="c2", simulation=False)
    taken = hand_overs.take(first.id, by="wang", remark="ok", command="c3", simulation=False)
    assert (taken.state, taken.remark) == ("taken", "ok")
    again = hand_overs.take(first.id, by="wang", remark="ok", command="c3", simulation=False)
    assert again == taken
    with pytest.raises(Conflict, match="taken already"):
        hand_overs.take(first.id, by="wang", remark="", command="c4", simulation=False)
    with pytest.raises(Conflict):
        hand_overs.keep(first.id, by="li", command="c5", simulation=False)
    again = Ledger(either.url)
    assert [e for e in HandOvers(again).all() if e.id == first.id] == [taken]
    again.close()


def test_a_new_offer_takes_the_old_one_back(either):
    hand_overs = HandOvers(either)
    old, new = offered(hand_overs, "d1"), offered(hand_overs, "d2", to="zhao")
    states = {each.id: each.state for each in hand_overs.all()}
    assert (states[old.id], states[new.id]) == ("kept", "offered")
    with pytest.raises(Conflict):
        hand_overs.keep(new.id, by="wang", command="d3", simulation=False)
    assert hand_overs.keep(new.id, by="li", command="d4", simulation=False).state == "kept"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"text": "  "}, "note"), ({"to": " "}, "nobody"), ({"to": "li"}, "oneself"),
        ({"text": "x" * 5_000}, "characters"),
    ],
)  # fmt: skip
def test_a_hand_over_without_what_it_needs_is_refused(ledger, said, wrong):
    with pytest.raises(Refused, match=wrong):
        offered(HandOvers(ledger), "c", **said)
    assert HandOvers(ledger).all() == []


def test_a_command_id_of_something_else_is_no_hand_over(ledger):
    ledger.apply([raised(1, "a/b/c")], 2)
    ledger.acknowledge(ledger.open_alarms()[0].alarm_id, "li", "", None, "c1")
    with pytest.raises(Refused, match="was used for ack"):
        offered(HandOvers(ledger), "c1")
    with pytest.raises(Unknown):
        HandOvers(ledger).take("0" * 12, by="li", remark="", command="c2", simulation=False)


def test_hand_overs_go_into_the_journal_as_the_orders_of_alarms_do(ledger):
    held = offered(HandOvers(ledger), "c1")
    HandOvers(ledger).take(held.id, by="wang", remark="", command="c2", simulation=False)
    with ledger.read() as connection:
        rows = connection.execute(select(COMMAND).order_by(COMMAND.c.id)).all()
    controls = [json.loads(row.control) for row in rows]
    assert [c["type"] for c in controls] == ["operate", "operate"]
    assert [c["data"]["event"] for c in controls] == ["SHIFT_OFFERED", "SHIFT_TAKEN"]
    assert all({"alarm", "event", "command"} <= set(c["data"]) for c in controls)


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────


def test_two_people_hand_a_shift_over_and_the_report_tells_it(tmp_path):
    city = SmallCity(tmp_path / "data", owners={"410100-gas-mh-000123": "gas-firm"})
    for login, role in (("li", "operator"), ("wang", "operator"), ("eye", "viewer")):
        add(city.data, login, role)
    add(city.data, "firm", "operator", Scope(owners=frozenset({"gas-firm"})))
    with serving(city.data, ready="/login") as http:
        log_in(http, "li")
        city.send(GAS, 1.1)
        city.send(OTHER_GAS, 1.1)
        until(lambda: len(http.get("/api/alarms").json()["alarms"]) == 2)
        shift = http.get("/api/shift").json()
        assert [t["login"] for t in shift["takers"]] == ["firm", "wang"]
        assert (shift["open"]["open"], shift["open"]["unacknowledged"]) == (2, 2)
        for to, status in (("eye", 409), ("nobody", 409), ("li", 409), ("wang", 200)):
            body = {"to": to, "note": "pump 3 is out", "command": f"to-{to}"}
            assert http.post("/api/hand-overs", json=body).status_code == status, to
        name = http.get("/api/shift").json()["hand_overs"][0]["id"]
        order = {"id": name, "command": "t1", "remark": "seen"}
        assert http.post("/api/hand-overs/take", json=order).status_code == 409  # not li's

        log_in(http, "firm")
        shift = http.get("/api/shift").json()
        assert shift["hand_overs"] == []
        assert shift["open"]["open"] == 1
        assert http.post("/api/hand-overs/take", json=order).status_code == 404
        told = http.get("/api/shift-report?lang=en").text
        assert "Zhongyuan Rd manhole 123" in told
        assert "Tongbai" not in told
        assert "pump 3" not in told

        log_in(http, "wang")
        done = http.post("/api/hand-overs/take", json=order).json()["hand_over"]
        assert (done["state"], done["by"], done["to"]) == ("taken", "li", "wang")
        answer = http.get("/api/shift-report?lang=en")
        assert answer.headers["content-type"].startswith("text/html")
        for said in ("pump 3 is out", "taken over", "seen", "Tongbai Rd manhole 124"):
            assert said in answer.text
        assert "交接班" in http.get("/api/shift-report").text
        for wrong in ("2026-11-29T09:13", "x", "2199-11-29T08:00"):
            assert http.get(f"/api/shift-report?shift={wrong}").status_code == 422
        log_in(http, "eye")
        assert http.post("/api/hand-overs", json=order).status_code == 403
    out = tmp_path / "r.html"
    now = USUAL.at(int(datetime.now(UTC).timestamp()) * SECOND)
    said = CliRunner().invoke(
        app, ["shift-report", str(city.data), "--shift", now.name, "--zh", "--out", str(out)]
    )
    assert said.exit_code == 0, said.output
    assert "pump 3 is out" in out.read_text(encoding="utf-8")
    wrong = CliRunner().invoke(app, ["shift-report", str(city.data), "--shift", "noon"])
    assert wrong.exit_code == 2
    city.close()


def test_the_command_line_hands_over_where_nobody_logs_in(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data) as http:
        server = ["--server", str(http.base_url)]
        run = CliRunner().invoke
        said = run(
            app, ["hand-over", "offer", "wang", "all quiet", "--by", "li", *server, "--json"]
        )
        assert said.exit_code == 0, said.output
        name = json.loads(said.stdout)["id"]
        assert run(app, ["hand-over", "take", name, "--by", "wang", *server]).exit_code == 0
        listed = run(app, ["hand-over", "list", *server])
        assert f"{name}: li → wang, taken" in listed.stdout
        assert run(app, ["hand-over", "list"]).exit_code == 2  # of no city
    city.close()
