"""Past alarms like one that stands: its own source first, then its rule on assets of the kind."""

from __future__ import annotations

import pytest

from lifeline.people.roles import Scope
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until


@pytest.fixture
def city(tmp_path):
    owners = {GAS.split("/")[0]: "north", OTHER_GAS.split("/")[0]: "south"}
    held = SmallCity(tmp_path / "data", owners=owners)
    yield held
    held.close()


def episode(
    city, http, channel: str, value: float, *, cause: str, note: str, ago_s: float = 60
) -> str:
    """Raise an alarm, acknowledge, note, judge and end it; give its id."""
    city.send(channel, value, age_s=ago_s)
    alarm = until(lambda: [a for a in listed(http) if a["subject"] == channel])[0]
    order(http, alarm, "ack", comment="", expected_seq=10**6)
    order(http, alarm, "comment", comment=note)
    order(http, alarm, "classify", verdict="true", cause=cause)
    city.send(channel, 0.1, age_s=ago_s - 1)
    city.send(channel, 0.1, age_s=ago_s - 12)  # clear for longer than keep_firing_for
    until(lambda: all(a["subject"] != channel for a in listed(http)))
    return alarm["id"]


def listed(http) -> list[dict]:
    return http.get("/api/alarms").json()["alarms"]


def order(http, alarm: dict, path: str, **body) -> None:
    command = f"{alarm['id']}-{path}"
    signed = {} if "X-CSRF-Token" in http.headers else {"by": "li"}
    body |= {"command": command, **signed}
    answer = http.post(f"/api/alarms/{alarm['id']}/{path}", json=body)
    assert answer.status_code == 200, answer.text


def similar(http, alarm_id: str) -> list[dict]:
    return http.get(f"/api/alarms/{alarm_id}/similar").json()["similar"]


def test_the_same_source_comes_first_then_the_same_rule_on_an_asset_of_the_kind(city):
    with serving(city.data) as http:
        first = episode(city, http, GAS, 0.7, cause="biogas", note="sewer beside it")
        other = episode(city, http, OTHER_GAS, 0.8, cause="leak", note="joint renewed")
        episode(city, http, LEVEL, 0.7, cause="weather", note="storm")
        city.send(GAS, 0.6)
        now = until(lambda: listed(http))[0]
        told = similar(http, now["id"])
        assert [(each["id"], each["same"]) for each in told] == [(first, True), (other, False)]
        own, its = told
        assert (own["verdict"], own["cause"]) == ("true", "biogas")
        assert (its["cause"], its["name"]["zh"]) == ("leak", "桐柏路124号井")
        assert own["ended"]
        assert 0 <= own["lasted_s"] < 60
        said = [(deed["what"], deed["by"], deed["said"]) for deed in own["done"]]
        assert ("COMMENTED", "li", "sewer beside it") in said
        assert all(what != "ACKED" for what, _, _ in said), "an acknowledgement without a word"


def test_what_was_done_about_the_incident_and_its_cause_are_told_too(city):
    with serving(city.data) as http:
        city.send(GAS, 0.7, age_s=60)
        alarm = until(lambda: listed(http))[0]
        incident = http.get("/api/incidents").json()["incidents"][0]
        for path, body in (
            ("acknowledge", {}),
            ("verify", {"reason": "cameras: a crew works there"}),
            ("false-alarm", {"reason": "paint in the well", "cause": "maintenance"}),
        ):
            seen = http.get(f"/api/incidents/{incident['id']}").json()["incident"]["seq"]
            said = {"by": "wang", "command": path, "expected_seq": seen, **body}
            answer = http.post(f"/api/incidents/{incident['id']}/{path}", json=said)
            assert answer.status_code == 200, answer.text
        city.send(GAS, 0.1, age_s=59)
        city.send(GAS, 0.1, age_s=48)
        until(lambda: not listed(http))
        city.send(OTHER_GAS, 0.7)
        now = until(lambda: listed(http))[0]
        (past,) = similar(http, now["id"])
        assert (past["id"], past["incident"]) == (alarm["id"], incident["id"])
        assert past["cause"] == "maintenance", "of the incident, where nobody judged the alarm"
        told = [(deed["what"], deed["said"]) for deed in past["done"] if deed["of_incident"]]
        assert told == [
            ("VERIFY", "cameras: a crew works there"),
            ("FALSE_ALARM", "paint in the well"),
        ]


def test_whoever_sees_a_part_is_told_of_no_alarm_and_no_incident_of_others(city):
    add(city.data, "all", "operator")
    add(city.data, "south", "operator", scope=Scope(owners=frozenset({"south"})))
    with serving(city.data, ready="/login") as http:
        log_in(http, "all")
        episode(city, http, GAS, 0.7, cause="leak", note="of the north firm")
        episode(city, http, OTHER_GAS, 0.7, cause="biogas", note="of the south firm")
        city.send(OTHER_GAS, 0.6)
        now = until(lambda: [a for a in listed(http) if a["subject"] == OTHER_GAS])[0]
        assert {each["subject"] for each in similar(http, now["id"])} == {GAS, OTHER_GAS}
        log_in(http, "south")
        told = similar(http, now["id"])
        assert {each["subject"] for each in told} == {OTHER_GAS}
        assert not any(deed["of_incident"] for each in told for deed in each["done"])


def test_an_alarm_that_is_none_has_nothing_like_it(city):
    with serving(city.data) as http:
        answer = http.get("/api/alarms/000000000000/similar")
        assert answer.status_code == 404
        assert answer.json()["error"]["remedy"] == "reload the list"
