"""A work-order system posts status back: signed, once, as a comment and an assignment."""

from __future__ import annotations

import json
import time

import pytest

from lifeline.console.work_orders import TOLERANCE_S, Replays
from lifeline.notify import sign
from tests.lifeline.small_city import GAS, SmallCity, serving, until

KEY = b"0123456789abcdef-work-orders"
URL = "/api/hooks/work-orders"


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.fixture
def http(city):
    with serving(city.data, work_orders=KEY) as client:
        yield client


@pytest.fixture
def alarm(city, http):
    city.send(GAS, 1.3)
    return until(lambda: http.get("/api/alarms").json()["alarms"])[0]


def order(alarm, **more) -> dict:
    held = {"id": "m-1", "alarm": alarm["id"], "order": "WO-2026-017", "status": "on_site"}
    return held | {"by": "张工", "comment": "井口已通风"} | more


def post(http, body: dict | bytes, *, key: bytes = KEY, at_s: float | None = None, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = int(time.time() if at_s is None else at_s)
    held = {"Lifeline-Timestamp": str(stamp), "Lifeline-Signature": sign(key, stamp, raw)}
    held |= {"Content-Type": "application/json"} | headers
    return http.post(URL, content=raw, headers=held)


def events(http, alarm) -> list[str]:
    told = http.get(f"/api/alarms/{alarm['id']}").json()["events"]
    return [e["type"] for e in told if e["type"] in ("COMMENTED", "ASSIGNED")]


def test_a_status_becomes_a_comment_and_an_assignment(http, alarm):
    answer = post(http, order(alarm, assigned_to="抢修一队"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["assigned"] is True
    assert events(http, alarm) == ["COMMENTED", "ASSIGNED"]
    told = http.get(f"/api/alarms/{alarm['id']}").json()
    assert told["alarm"]["assigned_to"] == "抢修一队"
    said = json.dumps(told["events"], ensure_ascii=False)
    assert "工单 work order WO-2026-017: 已到场 on site; 井口已通风" in said
    assert "work-order:张工" in said


def test_the_same_id_signed_anew_is_answered_and_does_nothing_twice(http, alarm):
    now_s = time.time()
    assert post(http, order(alarm), at_s=now_s).json()["repeated"] is False
    again = post(http, order(alarm), at_s=now_s + 1)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert events(http, alarm) == ["COMMENTED"]


def test_the_same_id_for_another_message_is_refused(http, alarm):
    post(http, order(alarm))
    answer = post(http, order(alarm, status="done"))
    assert answer.status_code == 409
    assert "id of its own" in answer.json()["error"]["remedy"]
    assert events(http, alarm) == ["COMMENTED"]


def test_a_replay_is_refused(http, alarm):
    now_s = time.time()
    post(http, order(alarm), at_s=now_s)
    answer = post(http, order(alarm), at_s=now_s)
    assert answer.status_code == 401
    assert "came before" in answer.json()["error"]["message"]


def test_a_request_that_failed_cannot_be_replayed_to_take_effect_later(http, alarm):
    now_s = time.time()
    assert post(http, order(alarm) | {"alarm": "000000000000"}, at_s=now_s).status_code == 404
    assert post(http, order(alarm) | {"alarm": "000000000000"}, at_s=now_s).status_code == 401


@pytest.mark.parametrize("age_s", [301, -310])
def test_what_is_not_of_now_is_refused(http, alarm, age_s):
    assert post(http, order(alarm), at_s=time.time() - age_s).status_code == 401
    assert events(http, alarm) == []


def test_another_key_another_body_or_no_signature_is_refused(http, alarm):
    assert post(http, order(alarm), key=b"another-key-of-somebody").status_code == 401
    raw, stamp = json.dumps(order(alarm)).encode(), int(time.time())
    signature = sign(KEY, stamp, raw)
    for headers in (
        {"Lifeline-Signature": ""},
        {"Lifeline-Timestamp": "soon"},
        {"Lifeline-Signature": signature.upper()},
        {"Lifeline-Signature": sign(KEY, stamp, raw + b" ")},
    ):
        assert post(http, raw, at_s=stamp, **headers).status_code == 401
    assert events(http, alarm) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"status": "lost"}, "status"), ({"id": "a b"}, "id"), ({"alarm": "x"}, "alarm"),
     ({"by": ""}, "by"), ({"more": 1}, "more"), ({"comment": "x" * 801}, "comment")],
)  # fmt: skip
def test_a_signed_request_that_is_wrong_is_told_its_field(http, alarm, change, field):
    answer = post(http, order(alarm) | change)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_a_signed_body_that_is_no_json_is_told(http):
    assert post(http, b"\xff{").status_code == 422


def test_of_an_alarm_that_is_over_the_comment_stands_and_nobody_is_assigned(city, http, alarm):
    seen = {"by": "li", "comment": "", "expected_seq": alarm["seq"], "command": "c1"}
    http.post(f"/api/alarms/{alarm['id']}/ack", json=seen)
    city.send(GAS, 0.0)
    city.now_ns += 20 * 10**9
    city.send(GAS, 0.0, age_s=-11.0)
    until(lambda: http.get(f"/api/alarms/{alarm['id']}").json()["alarm"]["word"] == "NORM")
    answer = post(http, order(alarm, status="closed", assigned_to="抢修一队"))
    assert (answer.status_code, answer.json()["assigned"]) == (200, False)
    assert events(http, alarm) == ["COMMENTED"]


def test_without_a_key_there_is_no_such_door(city):
    with serving(city.data) as http:
        assert post(http, b"{}").status_code in (404, 405)


def test_what_was_signed_before_a_start_is_refused_and_memory_is_bounded():
    held = Replays(now_s=1_000)
    assert "before this program started" in held.refusal("a", 999, 1_000)
    assert held.refusal("a", 1_000, 1_000) == ""
    assert "came before" in held.refusal("a", 1_000, 1_000 + TOLERANCE_S)
    assert held.refusal("b", 1_301, 1_302) == ""
    assert list(held._seen) == ["b"], "what is too old anyway is forgotten"
