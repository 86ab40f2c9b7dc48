"""What people order of alarms over HTTP: shelve, comment, assign, classify; and what is refused."""

from __future__ import annotations

import pytest

from tests.lifeline.small_city import GAS, SmallCity, serving, until


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.fixture
def http(city):
    with serving(city.data) as client:
        yield client


def alarms(http) -> list[dict]:
    return http.get("/api/alarms").json()["alarms"]


def raised(city, http) -> dict:
    city.send(GAS, 1.6)
    until(lambda: alarms(http))
    return alarms(http)[0]


CARE = {
    "shelve": {"reason": "works", "minutes": 30, "expected_seq": 1},
    "unshelve": {},
    "comment": {"comment": "smells"},
    "assign": {"to": "wang"},
    "classify": {"verdict": "true", "cause": "leak"},
}
BAD_CARE = [
    *((name, {"by": " "}, "by") for name in CARE),
    *((name, {"command": ""}, "command") for name in CARE),
    *((name, {"nmae": 1}, "nmae") for name in CARE),
    ("shelve", {"reason": ""}, "reason"),
    ("shelve", {"minutes": 0}, "minutes"),
    ("shelve", {"minutes": 10_081}, "minutes"),
    ("shelve", {"minutes": 1.5}, "minutes"),
    ("shelve", {"expected_seq": -1}, "expected_seq"),
    ("comment", {"comment": "x" * 1001}, "comment"),
    ("assign", {"to": "x" * 65}, "to"),
    ("classify", {"verdict": "perhaps"}, "verdict"),
    ("classify", {"cause": 5}, "cause"),
]


def test_a_bad_order_names_the_field_and_does_nothing(city, http):
    alarm = raised(city, http)
    for name, wrong, field in BAD_CARE:
        body = {"by": "li", "command": "c"} | CARE[name] | wrong
        answer = http.post(f"/api/alarms/{alarm['id']}/{name}", json=body)
        assert answer.status_code == 422, (name, wrong)
        assert answer.json()["error"]["field"] == field
        assert "Traceback" not in answer.text
    assert alarms(http)[0]["word"] == "UNACK"


def test_what_people_do_with_an_alarm_is_told_and_stands_in_its_history(city, http):
    alarm = raised(city, http)
    for name in ("comment", "assign", "classify", "shelve", "unshelve"):
        body = {"by": "li", "command": name} | CARE[name]
        if name == "shelve":
            body["expected_seq"] = alarm["seq"]
        answer = http.post(f"/api/alarms/{alarm['id']}/{name}", json=body)
        assert answer.status_code == 200, answer.text
        alarm = answer.json()["alarm"]
        if name == "shelve":
            assert [held["cause"] for held in alarm["held"]] == ["works"]
    assert (alarm["word"], alarm["assigned_to"], alarm["cause"]) == ("UNACK", "wang", "leak")
    told = http.get(f"/api/alarms/{alarm['id']}").json()["events"]
    kinds = [event["type"] for event in told]
    assert kinds[-5:] == ["COMMENTED", "ASSIGNED", "CLASSIFIED", "SHELVED", "UNSHELVED"]
    assert http.get("/api/state").json()["flood"] == {"since_ms": None, "announced": 0}


def test_a_cause_that_nobody_knows_is_refused_with_those_there_are(city, http):
    alarm = raised(city, http)
    body = {"by": "li", "command": "c", "verdict": "true", "cause": "bees"}
    answer = http.post(f"/api/alarms/{alarm['id']}/classify", json=body)
    assert answer.status_code in (400, 409, 422)
    assert "biogas" in answer.json()["error"]["remedy"]
