"""``lifeline alarms … --server``: the running city's API with a token's role and scope."""

from __future__ import annotations

import json

import pytest

from lifeline.ledger import Ledger
from lifeline.people.roles import Role, Scope
from lifeline.people.tokens import DAY_NS, Tokens
from tests.lifeline.people_kit import add
from tests.lifeline.small_city import GAS, LEVEL, SmallCity, serving, until
from tests.terminal import lifeline


@pytest.fixture
def site(tmp_path):
    city = SmallCity(tmp_path / "data")
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    scope = Scope(domains=frozenset({"gas"}))
    files = {}
    for login, role in (("li", "operator"), ("wang", "operator"), ("looker", "viewer")):
        add(ledger, login, role, scope)
        how = {"label": "cli", "for_ns": DAY_NS, "actor": "local:x"}
        secret, _ = Tokens(ledger).add(login, role=Role.of(role), **how)
        files[login] = tmp_path / login
        files[login].write_text(f"{secret}\n")
    with serving(city.data, ready="/login") as http:
        city.send(GAS, 2.6)
        city.send(GAS, 2.7)
        city.send(LEVEL, 0.7)
        until(lambda: len(ledger.open_alarms()) == 2 and ledger.list(min_severity=4))
        yield city, str(http.base_url), files, {a.subject: a for a in ledger.open_alarms()}
    ledger.close()
    city.close()


def test_orders_go_by_the_token_and_are_its_accounts(site):
    _, server, files, alarms = site
    gas, level = alarms[GAS].alarm_id, alarms[LEVEL].alarm_id

    def run(login: str, *words: str, ends: int = 0) -> str:
        ran = lifeline("alarms", *words, "--server", server, "--token-file", files[login])
        assert ran.returncode == ends, ran.stderr
        assert files[login].read_text().strip() not in ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    listed = run("li", "list")
    assert gas in listed
    assert level not in listed, "not within its scope"
    assert [a["id"] for a in json.loads(run("li", "list", "--all", "--json"))] == [gas]
    assert "acknowledged by li" in run("li", "ack", gas, "--comment", "seen")
    assert "noted" in run("li", "comment", gas, "smells")
    assert "with wang" in run("li", "assign", gas, "wang")
    assert "true, leak" in run("li", "classify", gas, "true", "leak")
    shelve = ("shelve", gas, "--reason", "works", "--for", "30m")
    assert "second person" in run("li", *shelve)
    assert "shelved for 30m" in run("wang", *shelve)
    assert "SHLVD" not in run("wang", "unshelve", gas)
    assert "there is no alarm" in run("li", "comment", level, "x", ends=2)
    assert "权限不足" in run("looker", "comment", gas, "x", ends=2)
    assert "leave it out: you are li" in run("li", "comment", gas, "x", "--by", "boss", ends=2)


def test_in_a_city_with_accounts_no_name_is_taken_for_one_of_them_on_the_machine(site):
    city, _, _, alarms = site
    gas = alarms[GAS].alarm_id
    where = ("--in", city.data)
    refused = lifeline("alarms", "comment", gas, "x", "--by", "li", *where)
    assert refused.returncode == 2
    assert "--token-file" in refused.stderr
    red = lifeline("alarms", "shelve", gas, "--reason", "works", "--for", "30m", *where)
    assert "red takes two" in red.stderr
    done = lifeline("alarms", "comment", gas, "from the machine", *where)
    assert done.returncode == 0, done.stderr
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    (*_, (_, last)) = ledger.events_of(gas)
    ledger.close()
    assert last.evidence["by"].startswith("local:")


def test_what_keeps_a_token_from_its_server_is_told(site, tmp_path):
    _, server, files, _ = site
    for words, said in (
        (("--server", "lifeline.example", "--token-file", files["li"]), "write https://"),
        (("--server", "http://192.0.2.1", "--token-file", files["li"]), "over https:// only"),
        (("--server", server, "--token-file", tmp_path / "none"), "none"),
        (("--server", server), "nobody is logged in"),
        (("--server", "https://127.0.0.1:1", "--ca-file", files["li"]), "--ca-file"),
        (("--server", "http://127.0.0.1:1"), "is the city running there?"),
    ):
        ran = lifeline("alarms", "list", *words)
        assert ran.returncode == 2, words
        assert said in ran.stderr, ran.stderr
        assert "Traceback" not in ran.stderr


def test_a_city_without_accounts_takes_a_name(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data) as http:
        city.send(GAS, 1.6)
        alarm = until(lambda: http.get("/api/alarms").json()["alarms"])[0]
        to = ("--server", str(http.base_url))
        assert lifeline("alarms", "comment", alarm["id"], "x", "--by", "li", *to).returncode == 0
        assert lifeline("alarms", "comment", alarm["id"], "y", *to).returncode == 0
        events = http.get(f"/api/alarms/{alarm['id']}").json()["events"]
        assert [e["by"] for e in events if e["comment"] == "x"] == ["li"]
        assert all(e["by"] for e in events if e["comment"] == "y")
    city.close()
