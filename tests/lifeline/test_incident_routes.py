"""Incidents over HTTP and from a terminal: read, handled, refused in words; as CAP; time limits."""

from __future__ import annotations

import json

import pytest
from defusedxml.ElementTree import fromstring
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.console.incident_view import concern_json
from lifeline.console.sight import Sight
from lifeline.ledger import Ledger
from lifeline.ledger.incidents import Incidents
from lifeline.people.roles import ANYBODY
from lifeline.settings.config import config_of
from lifeline.site import Site
from rules.events import Event, EventType
from rules.language import compile_plan, load_rules
from rules.problems import Invalid
from rules.registry_file import registry_of
from tests.lifeline.small_city import GAS, LEVEL, RULES, SmallCity, registry_yaml, serving, until
from tests.lifeline.test_cap import ALERT, INFO, NS, valid


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.fixture
def http(city):
    with serving(city.data, targets={"acknowledged": {4: 1}, "closed": {4: 10**15}}) as client:
        yield client


def incidents(http, **query) -> list[dict]:
    return http.get("/api/incidents", params=query).json()["incidents"]


def raised(city, http) -> dict:
    city.send(GAS, 1.6)
    city.send(GAS, 1.6)
    until(lambda: [i for i in incidents(http) if i["severity"] == 3])
    return incidents(http)[0]


def order(http, incident, name, status=200, **said):
    body = {"by": "li", "command": f"{name}-{said.get('expected_seq', '')}"} | said
    answer = http.post(f"/api/incidents/{incident['id']}/{name}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["incident" if status == 200 else "error"]


def step(http, incident, name, **said):
    return order(http, incident, name, expected_seq=incident["seq"], **said)


def test_an_incident_from_its_alarm_to_its_end(city, http):
    city.send(LEVEL, 1.2, age_s=300)
    until(lambda: incidents(http))
    (held,) = incidents(http)
    assert (held["stage"], held["members"], held["orders"]) == ("raised", 1, ["acknowledge"])
    assert held["words"]["zh"]["place"]
    assert held["overdue"]
    state = http.get("/api/state").json()
    bare = {name: value for name, value in held.items() if name != "words"}
    assert state["incidents"] == [bare], "its words stand with its first-out alarm"
    assert held["first_out"] == state["alarms"][0]["id"]
    assert [(d["stage"], d["overdue"]) for d in held["dues"]] == [
        ("acknowledged", True), ("closed", False),
    ]  # fmt: skip
    held = step(http, held, "acknowledge", reason="calling")
    assert not held["overdue"]
    assert http.get("/api/alarms").json()["alarms"][0]["word"] == "ACKED"
    held = step(http, held, "verify")
    held = order(http, held, "assign", to="wang")
    held = order(http, held, "comment", reason="two wells")
    held = order(http, held, "hand-over", reason="ring the gas firm at six")
    assert (held["assigned_to"], held["comments"], held["handover_by"]) == ("wang", 1, "li")
    for name in ("dispatch", "on-site", "mitigate"):
        held = step(http, held, name)
    said = order(http, held, "close", 409, expected_seq=held["seq"], cause="leak")
    assert "still stand" in said["message"]
    assert "FALSE_ALARM" in said["remedy"]
    city.history(LEVEL, [0.1, 0.1, 0.1])
    until(lambda: not any(a["active"] for a in http.get("/api/alarms").json()["alarms"]))
    held = step(http, http.get(f"/api/incidents/{held['id']}").json()["incident"], "close",
                cause="leak")  # fmt: skip
    assert held["over"]
    assert incidents(http) == []
    assert [i["id"] for i in incidents(http, over=True)] == [held["id"]]
    story = http.get(f"/api/incidents/{held['id']}").json()["events"]
    assert [e["type"] for e in story][-2:] == ["MITIGATE", "CLOSE"]
    assert story[-1]["cause"] == "leak"
    held = step(http, held, "reopen", reason="it smells again")
    assert held["stage"] == "acknowledged"


BAD = [
    ("acknowledge", {}, "expected_seq"),
    ("acknowledge", {"expected_seq": -1}, "expected_seq"),
    ("acknowledge", {"expected_seq": 1, "cause": "leak"}, "cause"),
    ("acknowledge", {"expected_seq": 1, "by": " "}, "by"),
    ("acknowledge", {"expected_seq": 1, "command": ""}, "command"),
    ("close", {"expected_seq": 1}, "cause"),
    ("close", {"expected_seq": 1, "cause": "aliens"}, "cause"),
    ("false-alarm", {"expected_seq": 1, "cause": "sensor"}, "reason"),
    ("reopen", {"expected_seq": 1, "reason": ""}, "reason"),
    ("comment", {"reason": "x" * 1001}, "reason"),
    ("hand-over", {}, "reason"),
    ("assign", {"to": "x" * 65}, "to"),
    ("assign", {"to": 5}, "to"),
]


def test_a_bad_order_names_the_field_and_does_nothing(city, http):
    held = raised(city, http)
    for name, wrong, field in BAD:
        body = {"by": "li", "command": "c"} | wrong
        answer = http.post(f"/api/incidents/{held['id']}/{name}", json=body)
        assert answer.status_code == 422, (name, wrong)
        assert answer.json()["error"]["field"] == field
    assert incidents(http)[0]["seq"] == held["seq"]


def test_a_bad_question_is_told(http):
    for path, status in (
        ("/api/incidents?limit=0", 422), ("/api/incidents?over=perhaps", 422),
        ("/api/incidents/zz", 422), (f"/api/incidents/{'0' * 12}", 404),
        (f"/api/incidents/{'0' * 12}/cap", 404),
    ):  # fmt: skip
        answer = http.get(path)
        assert answer.status_code == status, path
        assert answer.json()["error"]["remedy"]
    answer = http.post(
        f"/api/incidents/{'0' * 12}/comment", json={"by": "li", "command": "c", "reason": "x"}
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["field"] == "incident_id"


def test_an_incident_as_cap_is_valid_and_names_its_stage(city, http):
    held = step(http, raised(city, http), "acknowledge")
    answer = http.get(f"/api/incidents/{held['id']}/cap")
    assert answer.headers["content-type"].startswith("application/cap+xml")
    root = fromstring(answer.content)
    valid(root, ALERT)
    assert root.find(f"{NS}msgType").text == "Update"
    assert root.find(f"{NS}incidents").text == held["id"]
    for info in root.findall(f"{NS}info"):
        valid(info, INFO)
        pairs = {p[0].text: p[1].text for p in info.findall(f"{NS}parameter")}
        assert (pairs["stage"], pairs["alarms"]) == ("acknowledged", "1")
        assert info.find(f"{NS}severity").text == "Severe"
    over = step(http, held, "false-alarm", cause="sensor", reason="it lies")
    root = fromstring(http.get(f"/api/incidents/{over['id']}/cap").content)
    assert root.find(f"{NS}msgType").text == "Cancel"


def run(*words: str) -> str:
    said = CliRunner().invoke(app, ["incidents", *words])
    assert said.exit_code == 0, (said.output, said.exception)
    return said.output


def test_from_a_terminal(city, http):
    held = raised(city, http)
    name, where = held["id"], str(city.data)
    assert name in run("list", where)
    assert "raised" in run("list", where)
    assert "now acknowledged" in run("acknowledge", name, "--by", "li", "--in", where)
    run("comment", name, "smells of eggs", "--in", where)
    run("hand-over", name, "ring at six", "--by", "li", "--in", where)
    run("assign", name, "wang", "--in", where)
    told = json.loads(run("verify", name, "--reason", "seen", "--in", where, "--json"))
    assert (told["stage"], told["assigned_to"], told["handover"]) == (
        "verified", "wang", "ring at six",
    )  # fmt: skip
    shown = run("show", name, "--in", where)
    for wanted in ("first out", "smells of eggs", "VERIFY", GAS):
        assert wanted in shown
    assert run("cap", name, "--in", where).startswith("<?xml")
    run("false-alarm", name, "--cause", "sensor", "--reason", "it lies", "--in", where)
    assert "no open incidents" in run("list", where)
    assert json.loads(run("list", where, "--all", "--json"))[0]["cause"] == "sensor"
    refused = CliRunner().invoke(app, ["incidents", "on-site", name, "--in", where])
    assert refused.exit_code != 0
    assert "from false_alarm there is REOPEN" in refused.exception.remedy


TOML = """
[incidents]
acknowledge = {red = "1m", orange = "5m"}
[incidents.on_site]
red = "30m"
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("registry", "rules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "some.yaml").write_text("version: 1\n")
    return tmp_path


def site_of(folder, more: str):
    return config_of(folder, '[site]\nname = "x"\n[mqtt]\nhost = "localhost"\n' + more)


def test_time_limits_are_only_those_the_site_has_set(folder):
    minute = 60 * 10**9
    assert site_of(folder, TOML).entry.incidents.targets() == {
        "acknowledged": {4: minute, 3: 5 * minute}, "verified": {},
        "on_site": {4: 30 * minute}, "closed": {},
    }  # fmt: skip
    none = site_of(folder, "").entry.incidents.targets()
    assert not any(none.values())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[incidents]\nacknowlege = {}\n", 'unknown key "acknowlege" (did you mean "acknowledge"'),
        ("[incidents.close]\npurple = '1m'\n", 'unknown key "purple"'),
        ("[incidents.close]\nred = 5\n", "red: "),
        ("[incidents.close]\nred = '0s'\n", "red: must be at least 1s"),
        (
            "[incidents.acknowledge]\nred = '5m'\n[incidents.verify]\nred = '1m'\n",
            "red: 1m for verify is less than 5m for acknowledge",
        ),
    ],
)
def test_a_wrong_time_limit_names_its_place_and_the_remedy(folder, more, said):
    with pytest.raises(Invalid) as refused:
        site_of(folder, more)
    (problem,) = refused.value.problems
    assert said in str(problem)
    assert problem.line > 0


def test_isolation_in_words_of_both_languages(tmp_path):
    text = registry_yaml(simulation=False)
    text += """- {id: 410100-gas-vw-000009, type: valve_well, name: well 9, name_zh: 9号阀井,
   at: [113.6, 34.7], attributes: {pipes: [410100-gas-rg-000009, 410100-gas-mh-000123]}}
- {id: 410100-gas-rg-000009, type: regulator, at: [113.6, 34.7]}
"""
    registry = registry_of({"r.yaml": text})
    site = Site(registry, compile_plan(load_rules({"rules.yaml": RULES}), registry)[0])
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}", places=lambda: site.places)
    alarm = Event(
        type=EventType.RAISED, offset=1, row=0, rule="ch4-space", subject=GAS, severity=3,
        max_severity=3, episode="1.0", event_ns=10**18, receive_ns=10**18,
    )  # fmt: skip
    ledger.apply([alarm], 2)
    (held,) = Incidents(ledger).list()
    told = concern_json(held, site, Sight(ANYBODY, site))
    assert told["close"] == ("410100-gas-vw-000009",)
    assert any("Close well 9" in line for line in told["says"]["en"])
    assert any("关闭9号阀井" in line for line in told["says"]["zh"])
    assert "decides" in told["says"]["en"][-1]
    assert concern_json(held, None, Sight(ANYBODY, None)) is None
    bare = registry_of({"r.yaml": registry_yaml(simulation=False)})
    alone = Site(bare, compile_plan(load_rules({"rules.yaml": RULES}), bare)[0])
    assert "no network" in concern_json(held, alone, Sight(ANYBODY, alone))["says"]["en"][-1]
    ledger.close()
