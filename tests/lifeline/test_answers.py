"""What the main routes answer is what the API's document says of it, field by field."""

from __future__ import annotations

import copy
import uuid
from types import SimpleNamespace

import jsonschema
import pytest

from lifeline.console.answer_models import ANSWERS
from lifeline.console.app import create_app
from lifeline.ledger import Ledger
from lifeline.notify.targets import department_names, target_words
from lifeline.settings.outlet_entries import DepartmentEntry
from rules.plan import CallStep
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """The schema of each route's answer, in which no field may stand that is not told."""
    document = create_app(desk_of(tmp_path_factory.mktemp("api"))).openapi()
    parts = copy.deepcopy(document["components"])
    for schema in parts["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    found = {}
    for method, path in ANSWERS:
        answer = document["paths"][path][method.lower()]["responses"]["200"]
        schema = answer["content"]["application/json"]["schema"]
        found[method, path] = schema | {"components": parts}
    return found


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    """A city with alarms that stand and that are over, one called about, and incidents."""
    city = SmallCity(
        tmp_path_factory.mktemp("answers") / "data",
        joined=True,
        attributes={GAS.split("/")[0]: {"cameras": '["https://cameras.example/7"]'}},
        people={GAS.split("/")[0]: 40},
    )
    city.history(GAS, [0.1, 0.2, 1.6, 1.7])
    city.send(GAS, 9.0)
    city.send(LEVEL, 0.7, age_s=60)
    city.send(LEVEL, 0.1, age_s=59)
    city.send(LEVEL, 0.1, age_s=40)
    city.send(OTHER_GAS, 0.6)
    names = {"fire": ("fire brigade", "消防支队")}
    with serving(city.data, departments=names) as client:
        held = until(lambda: len(a := client.get("/api/alarms").json()["alarms"]) >= 3 and a)
        ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
        step = CallStep(
            after_ns=0, severities=(3, 4), to=("console", "department:fire", "sms:li"),
            unless_acked=False,
        )  # fmt: skip
        ledger.call(held[0]["id"], step, number=0, call_seq=1, simulation=False)
        ledger.close()
        client.held = held
        yield client
    city.close()


def order(http, path: str, **body) -> dict:
    answer = http.post(path, json={"by": "li", "command": uuid.uuid4().hex, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_answer_is_as_the_document_says(schemas, http):
    asked: set[tuple[str, str]] = set()

    def hold(method: str, route: str, told: dict) -> dict:
        jsonschema.Draft202012Validator(schemas[method, route]).validate(told)
        asked.add((method, route))
        return told

    alarm, incident = "/api/alarms/{alarm_id}", "/api/incidents/{incident_id}"
    gas = next(a for a in http.held if a["subject"] == GAS)
    level = next(a for a in http.held if a["subject"] == LEVEL)
    at = f"/api/alarms/{gas['id']}"
    for path, body in (
        ("ack", {"comment": "seen", "expected_seq": 10**6}),
        ("ack/revoke", {}),
        ("shelve", {"reason": "works", "minutes": 5, "expected_seq": 10**6}),
        ("comment", {"comment": "smells"}),
        ("assign", {"to": "wang"}),
        ("classify", {"verdict": "true", "cause": "leak"}),
    ):
        hold("POST", f"{alarm}/{path}", order(http, f"{at}/{path}", **body))
    place = f"/api/alarms/{level['id']}"
    order(http, f"{place}/shelve", reason="works", minutes=5, expected_seq=10**6)
    hold("POST", f"{alarm}/unshelve", order(http, f"{place}/unshelve"))
    order(http, f"{place}/ack", expected_seq=10**6)
    listed = hold("GET", "/api/alarms", http.get("/api/alarms").json())["alarms"]
    over = hold("GET", "/api/alarms", http.get("/api/alarms?ended=true").json())["alarms"]
    assert listed
    assert over
    for each in (*listed, *over):
        hold("GET", alarm, http.get(f"/api/alarms/{each['id']}").json())
        hold("GET", f"{alarm}/similar", http.get(f"/api/alarms/{each['id']}/similar").json())
    hold("GET", "/api/incidents", http.get("/api/incidents?over=true").json())
    held = hold("GET", "/api/incidents", http.get("/api/incidents").json())["incidents"]
    for each in held:
        hold("GET", incident, http.get(f"/api/incidents/{each['id']}").json())
    where = next(i for i in held if gas["id"] in i["alarms"])["id"]
    steps = ("acknowledge", "verify", "false-alarm", "reopen", "verify", "dispatch",
             "on-site", "mitigate", "comment", "assign", "hand-over")  # fmt: skip
    for name in steps:
        seq = http.get(f"/api/incidents/{where}").json()["incident"]["seq"]
        body = {"reason": "said"}
        if name == "assign":
            body = {"to": "wang"}
        elif name not in ("comment", "hand-over"):
            body |= {"expected_seq": seq}
        body |= {"cause": "biogas"} if name == "false-alarm" else {}
        path = f"/api/incidents/{where}/{name}"
        hold("POST", f"{incident}/{name}", order(http, path, **body))
    hold("GET", incident, http.get(f"/api/incidents/{where}").json())
    hold("GET", "/api/kpis", http.get("/api/kpis").json())
    assert set(ANSWERS) - asked == {("POST", f"{incident}/close")}, "an alarm of it stands"


def test_a_field_that_the_document_does_not_know_is_found(schemas, http):
    told = http.get("/api/alarms").json()
    told["alarms"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.Draft202012Validator(schemas["GET", "/api/alarms"]).validate(told)
    del told["alarms"][0]["surprise"], told["alarms"][0]["word"]
    with pytest.raises(jsonschema.ValidationError, match="'word' is a required"):
        jsonschema.Draft202012Validator(schemas["GET", "/api/alarms"]).validate(told)


def test_whom_a_step_called_is_told_in_words_of_both_languages(http):
    events = http.get(f"/api/alarms/{http.held[0]['id']}").json()["events"]
    (called,) = [event for event in events if event["type"] == "CALLED"]
    assert [(to["name"], to["words"]["en"], to["words"]["zh"]) for to in called["to"]] == [
        ("console", "the desk", "值班台"),
        ("department:fire", "fire brigade", "消防支队"),
        ("sms:li", "SMS li", "短信 li"),
    ]


def test_a_department_has_the_sites_name_else_the_usual_one_else_its_own():
    departments = {
        "fire": DepartmentEntry(outlets=["webhook"], name_zh="消防救援支队"),
        "police": DepartmentEntry(outlets=["webhook"]),
        "metro": DepartmentEntry(outlets=["webhook"], name="Metro Co."),
    }
    names = department_names(SimpleNamespace(department=departments))
    assert names["fire"] == ("fire service", "消防救援支队")
    assert names["police"] == ("police", "公安")
    assert names["metro"] == ("Metro Co.", "Metro Co.")
    assert target_words("department:police", {}) == {"en": "police", "zh": "公安"}
    assert target_words("department:zoo", {}) == {"en": "zoo", "zh": "zoo"}
    assert target_words("pager:9", {}) == {"en": "pager:9", "zh": "pager:9"}
    assert target_words("wecom:night", {})["zh"] == "企业微信 night"
