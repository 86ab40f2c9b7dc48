"""Official warnings come in by every way, once; they hold, are replaced, cancelled and end."""

from __future__ import annotations

import json
import threading
import time

import pytest
from sqlalchemy import select

from ingest.admission import Admission
from ingest.control import ControlServer
from ingest.intake import Intake
from ingest.journal import JournalReader, durable_end
from ingest.limits import IngestLimits
from ingest.service import Ingest
from lifeline.bulletins.cap_in import read_cap
from lifeline.clock import Clock
from lifeline.ledger import mirror
from lifeline.ledger.tables import COMMAND
from lifeline.notify import sign
from lifeline.people.roles import Scope
from rules.bulletins import bulletin_of
from rules.readings import Control
from tests.intake_site import site
from tests.lifeline.caps import at, cap, info
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, SmallCity, serving, until

KEY = b"0123456789abcdef-warnings"
URL = "/api/hooks/warnings"


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.fixture
def http(city):
    with serving(city.data, warnings_key=KEY) as client:
        yield client


def post(http, raw: bytes, *, key: bytes = KEY, at_s: float | None = None, **headers):
    stamp = int(time.time() if at_s is None else at_s)
    held = {"Lifeline-Timestamp": str(stamp), "Lifeline-Signature": sign(key, stamp, raw)}
    held["Content-Type"] = "application/cap+xml"
    return http.post(URL, content=raw, headers=held | headers)


def standing(http) -> list[str]:
    return [each["identifier"] for each in http.get("/api/warnings").json()["warnings"]]


def own_alarms(http, rule="warning-unreadable") -> list[dict]:
    held = http.get("/api/alarms", params={"rule": rule}).json()["alarms"]
    return [alarm for alarm in held if alarm["active"]]


# ── posted ───────────────────────────────────────────────────────────────────────────────────


def test_a_posted_warning_stands_with_issuer_level_and_times(http):
    answer = post(http, cap())
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"taken": "zz@weather.example,zz-001", "repeated": False}
    (told,) = http.get("/api/warnings").json()["warnings"]
    assert told["issuer"] == {"en": "郑州市气象台", "zh": "郑州市气象台"}
    assert (told["severity"], told["hazard"], told["via"]) == (3, "rainstorm", "http")
    assert told["areas"] == ["金水区", "二七区"]
    assert told["expires_ms"] - told["sent_ms"] == 6 * 3_600_000
    (shown,) = http.get("/api/state").json()["warnings"]
    assert shown["headline"]["zh"] == "郑州市气象台发布暴雨橙色预警信号"
    assert "polygons" not in shown


def test_the_same_message_again_does_nothing_twice_and_another_of_its_name_is_refused(http):
    now_s, raw = time.time(), cap()
    assert post(http, raw, at_s=now_s).json()["repeated"] is False
    assert post(http, raw, at_s=now_s + 1).json()["repeated"] is True
    assert standing(http) == ["zz-001"]
    other = post(http, cap(infos=[info(headline="暴雨红色预警", event="暴雨红色预警")]))
    assert other.status_code == 409
    assert own_alarms(http), "what is refused is told"


def test_an_update_stands_instead_a_cancel_ends_and_an_end_is_an_end(http):
    sent = at()
    post(http, cap("w-1", sent=sent))
    post(http, cap("w-2", kind="Update", references=["w-1"], sent=at(0.01)))
    assert standing(http) == ["w-2"]
    post(http, cap("w-3", kind="Cancel", references=["w-2"], infos=[], sent=at(0.02)))
    assert standing(http) == []
    every = http.get("/api/warnings", params={"ended": "true"}).json()["warnings"]
    assert {e["identifier"]: e["state"] for e in every} == {
        "w-1": "replaced",
        "w-2": "cancelled",
        "w-3": "cancel",
    }
    post(http, cap("short", infos=[info(lasts_h=2 / 3600)]))
    assert standing(http) == ["short"]
    until(lambda: http.get("/api/state").json()["warnings"] == [])


def test_what_cannot_be_read_is_kept_told_and_an_alarm_of_ours_until_one_can(http):
    answer = post(http, b"<alert>half of")
    assert answer.status_code == 422
    assert "no XML" in answer.json()["error"]["message"]
    told = http.get("/api/warnings").json()
    assert told["warnings"] == []
    (refused,) = told["refused"]
    assert refused["via"] == "http"
    assert "no XML" in refused["reason"]
    (alarm,) = own_alarms(http)
    assert "无法解析的官方预警" in alarm["words"]["zh"]["sentence"]
    post(http, cap())
    assert own_alarms(http) == []


@pytest.mark.parametrize("key", [b"another-key-of-somebody", b""])
def test_who_does_not_sign_is_refused_and_says_nothing(http, key):
    assert post(http, cap(), key=key).status_code == 401
    kind = {"Content-Type": "application/cap+xml"}
    assert http.post(URL, content=cap(), headers=kind).status_code == 401
    assert post(http, cap(), **{"Content-Type": "text/plain"}).status_code == 415
    assert post(http, cap(), at_s=time.time() - 301).status_code == 401
    assert standing(http) == []
    assert http.get("/api/warnings").json()["refused"] == []


def test_a_request_again_is_a_replay_and_a_long_one_is_not_read(http):
    now_s, raw = time.time(), cap()
    post(http, raw, at_s=now_s)
    assert post(http, raw, at_s=now_s).status_code == 401
    assert post(http, cap() + b" " * (256 << 10)).status_code == 413


def test_without_a_key_nobody_posts(city):
    with serving(city.data) as http:
        assert post(http, cap(), key=b"").status_code == 401
        assert standing(http) == []


def test_only_senders_that_are_named_are_believed(city):
    with serving(city.data, warnings_key=KEY, warning_senders=("other@example",)) as http:
        assert post(http, cap()).status_code == 422
        assert post(http, cap(sender="other@example")).status_code == 200
        assert standing(http) == ["zz-001"]


def test_a_firm_sees_the_warnings_and_not_what_was_sent_amiss(city):
    add(city.data, "firm", "viewer", Scope(domains=frozenset({"gas"})))
    with serving(city.data, warnings_key=KEY, ready="/login") as http:
        post(http, b"<x/>")
        post(http, cap())
        log_in(http, "firm")
        told = http.get("/api/warnings").json()
        assert [each["identifier"] for each in told["warnings"]] == ["zz-001"]
        assert "refused" not in told


# ── into the journal ─────────────────────────────────────────────────────────────────────────


def test_a_warning_is_one_control_record_of_the_journal(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    desk = desk_of(data)
    desk.board.take(cap(), via="http")
    desk.board.take(cap(), via="mqtt")
    intake = Intake(Clock())
    ingest = Ingest(
        data, intake, Admission(site()), limits=IngestLimits(), wake=None, stop=threading.Event()
    )
    control = ControlServer(data / "run" / "control.sock", intake)
    running = threading.Event()

    def serve():
        while not running.is_set():
            ingest.group(intake.take(max_bytes=1 << 20, timeout_s=0.05))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert mirror(desk.ledger, data / "run" / "control.sock").sent == 1
    finally:
        running.set()
        thread.join()
        control.close()
        ingest.close()
    bodies = [
        record.body
        for record in JournalReader(data / "journal").read(until=durable_end(data / "journal"))
    ]
    (record,) = [body for body in bodies if isinstance(body, Control)]
    assert record.type == "warning"
    (held,) = desk.board.held(time.time_ns())
    assert bulletin_of(record.data) == held.bulletin
    desk.ledger.close()


def test_the_engine_passes_over_a_warning_and_goes_on_judging(city, http):
    city.append(
        Control("warning", {**read_cap(cap()).data(), "via": "http", "command": "warning-1"})
    )
    city.send(GAS, 1.3)
    (alarm,) = until(lambda: http.get("/api/alarms").json()["alarms"])
    assert alarm["rule"] == "ch4-space"


def test_the_longest_warning_that_is_taken_fits_the_control_socket(tmp_path):
    names = "".join(f"<area><areaDesc>{i}{'区' * 80}</areaDesc></area>" for i in range(100))
    desk = desk_of(tmp_path)
    desk.board.take(cap(infos=[info(areas=names)]), via="http")
    with desk.ledger.read() as connection:
        (control,) = connection.execute(select(COMMAND.c.control)).scalars()
    assert 20_000 < len(control.encode()) < 64 << 10
    assert json.loads(control)["type"] == "warning"
    desk.ledger.close()
