"""An incident of two firms: each sees its own alarms of it, and only the city's desk moves it."""

from __future__ import annotations

import json

import pytest

from lifeline.ledger import Ledger
from lifeline.ledger.incidents import Incidents
from lifeline.people.roles import Role, Scope
from lifeline.people.tokens import DAY_NS, Tokens
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until
from tests.terminal import lifeline

OWNERS = {"410100-gas-mh-000123": "firm", "410100-gas-mh-000124": "other"}
FIRM = Scope(owners=frozenset({"firm"}))
STEPS = {
    "acknowledge": {}, "verify": {}, "dispatch": {}, "on-site": {}, "mitigate": {},
    "close": {"cause": "leak"}, "false-alarm": {"cause": "sensor", "reason": "x"},
    "reopen": {"reason": "x"},
}  # fmt: skip


@pytest.fixture
def site(tmp_path):
    """One incident with an alarm of each firm; the other's was first."""
    city = SmallCity(tmp_path / "data", owners=OWNERS, joined=True)
    for login, role, scope in (
        ("firm", "operator", FIRM), ("desk", "operator", Scope()), ("looker", "viewer", Scope()),
    ):  # fmt: skip
        add(city.data, login, role, scope)
    with serving(city.data, ready="/login") as http:
        log_in(http, "desk")
        city.send(OTHER_GAS, 2.7, age_s=120)
        city.send(OTHER_GAS, 2.8, age_s=60)
        city.send(GAS, 1.1)
        until(lambda: [i for i in incidents(http) if i["members"] == 2])
        yield city, http
    city.close()


def incidents(http) -> list[dict]:
    return http.get("/api/incidents").json()["incidents"]


def order(http, name: str, incident: dict, **said):
    path = f"/api/incidents/{incident['id']}/{name}"
    return http.post(path, json={"command": f"{name}-{said}"[:64]} | said)


def test_each_is_told_of_its_own_alarms_and_that_there_are_others(site):
    _, http = site
    (whole,) = incidents(http)
    assert (whole["severity"], whole["partial"], whole["orders"]) == (4, False, ["acknowledge"])
    log_in(http, "firm")
    (part,) = incidents(http)
    assert (part["id"], part["seq"]) == (whole["id"], whole["seq"])
    assert (part["severity"], part["members"], part["partial"], part["orders"]) == (2, 1, True, [])
    told = http.get(f"/api/incidents/{part['id']}")
    assert {a["subject"] for a in told.json()["alarms"]} == {GAS}
    story = told.json()["events"]
    assert {e["alarm"] for e in story if "alarm" in e} == {part["first_out"]}
    assert [e["type"] for e in story] == ["JOINED"]
    assert told.json()["concern"]["beyond"]
    assert any("beyond what you see" in line for line in told.json()["concern"]["says"]["en"])
    stream = http.get("/api/state").text
    for text in (told.text, stream, http.get("/api/incidents").text):
        for hidden in (OTHER_GAS, "000124", "Tongbai", "桐柏路", whole["first_out"]):
            assert hidden not in text


def test_who_does_not_see_all_of_it_may_comment_and_no_more(site):
    city, http = site
    log_in(http, "firm")
    (part,) = incidents(http)
    for name, more in STEPS.items():
        refused = order(http, name, part, expected_seq=10**6, **more)
        assert refused.status_code == 403, name
        assert "其他单位" in refused.json()["error"]["message"]
        assert "comment" in refused.json()["error"]["remedy"]
    assert order(http, "hand-over", part, reason="x").status_code == 403
    assert order(http, "assign", part, to="x").status_code == 403
    assert http.get(f"/api/incidents/{part['id']}/cap").status_code == 403
    done = order(http, "comment", part, reason="our valve is shut")
    assert (done.status_code, done.json()["incident"]["comments"]) == (200, 1)
    assert done.json()["incident"]["members"] == 1
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    held = Incidents(ledger).one(part["id"])
    assert held.handling.stage == "raised"
    assert not any(a.acked_by for a in ledger.open_alarms())
    ledger.close()
    log_in(http, "desk")
    moved = order(http, "acknowledge", incidents(http)[0], expected_seq=incidents(http)[0]["seq"])
    assert moved.json()["incident"]["by"]["acknowledged"] == "desk"
    log_in(http, "looker")
    assert order(http, "comment", part, reason="x").status_code == 403
    forged = order(http, "comment", part, reason="x", by="desk")
    assert forged.status_code == 403


def test_from_a_terminal_by_server_and_token(site, tmp_path):
    city, http = site
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    files = {}
    for login, role in (("firm", Role.OPERATOR), ("desk", Role.OPERATOR), ("looker", Role.VIEWER)):
        how = {"label": "cli", "for_ns": DAY_NS, "actor": "local:x"}
        secret, _ = Tokens(ledger).add(login, role=role, **how)
        files[login] = tmp_path / f"token-{login}"
        files[login].write_text(f"{secret}\n")
    ledger.close()

    def run(login: str, *words: str, ends: int = 0) -> str:
        way = ("--server", str(http.base_url), "--token-file", files[login])
        ran = lifeline("incidents", *words, *way)
        assert ran.returncode == ends, ran.stderr
        return ran.stdout + ran.stderr

    name = incidents(http)[0]["id"]
    assert name in run("desk", "list")
    assert "1+" in run("firm", "list")
    assert "alarms of others" in run("firm", "show", name)
    assert OTHER_GAS not in run("firm", "show", name)
    assert "其他单位" in run("firm", "acknowledge", name, ends=2)
    assert "权限不足" in run("looker", "comment", name, "x", ends=2)
    assert "comment; now raised" in run("firm", "comment", name, "ours is shut")
    assert "changed since you saw it" in run("desk", "acknowledge", name, "--seen", "0", ends=2)
    assert "now acknowledged" in run("desk", "acknowledge", name)
    assert "now acknowledged" in run("desk", "hand-over", name, "ring at six")
    assert "now acknowledged" in run("desk", "assign", name, "wang")
    for step, stage in (("dispatch", "dispatched"), ("on-site", "on site")):
        assert f"{step.replace('-', ' ')}; now {stage}" in run("desk", step, name)
    shown = run("desk", "show", name)
    for wanted in ("handover: ring at six", "first out", "ARRIVE desk", OTHER_GAS, "seq"):
        assert wanted in shown
    said = ("false-alarm", name, "--cause", "sensor", "--reason", "it lies", "--json")
    assert json.loads(run("desk", *said))["stage"] == "false_alarm"
    assert "no open incidents" in run("desk", "list")
    assert [i["cause"] for i in json.loads(run("desk", "list", "--all", "--json"))] == ["sensor"]
    here = lifeline("incidents", "comment", name, "x", "--by", "desk", "--in", city.data)
    assert here.returncode == 2
    assert "--token-file" in here.stderr
