"""The figures over HTTP and on the command line: the same, and of what one sees only."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.kpi.protected import protected
from lifeline.ledger import Ledger
from lifeline.people.roles import Scope
from lifeline.settings.config import load_config
from lifeline.settings.duty_entries import duty_of
from lifeline.site import Site
from rules.problems import Invalid
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until

if TYPE_CHECKING:
    from pathlib import Path

OWNERS = {"410100-gas-mh-000123": "gas-firm, risk: red", "410100-gas-mh-000124": "other-firm"}


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", owners=OWNERS)
    yield held
    held.close()


def figures(told):
    return {(f["key"], f["severity"]): f for f in told["figures"]}


def test_figures_are_of_what_one_sees(city):
    add(city.data, "all", "viewer")
    add(city.data, "firm", "viewer", Scope(owners=frozenset({"gas-firm"})))
    with serving(city.data, ready="/login") as http:
        log_in(http, "all")
        for channel, value in ((GAS, 0.7), (OTHER_GAS, 1.1), (LEVEL, 0.7)):
            city.send(channel, value)
        until(lambda: len(http.get("/api/alarms").json()["alarms"]) == 3)
        told = http.get("/api/kpis").json()
        assert told["calls"]["total"] == 3
        assert told["raised"] == 3
        assert {s["subject"] for s in told["sources"]} == {GAS, OTHER_GAS, LEVEL}
        assert figures(told)["mean", 0]["met"] is True
        assert figures(told)["top_share", 0]["met"] is False
        assert figures(told)["protected", 0]["value"] == 1
        assert not [f for f in told["figures"] if f["key"] in ("ack", "close")]  # none yet

        log_in(http, "firm")
        told = http.get("/api/kpis").json()
        assert {s["subject"] for s in told["sources"]} == {GAS}
        assert OTHER_GAS not in json.dumps(told)


@pytest.mark.parametrize("query", ["from=5&to=5", "from=9&to=5", "from=0&to=99999999999", "to=x"])
def test_a_span_that_cannot_be_is_refused_in_words(city, query):
    with serving(city.data) as http:
        answer = http.get(f"/api/kpis?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["remedy"]


def test_the_command_line_tells_what_the_page_tells(city):
    with serving(city.data) as http:
        city.send(GAS, 0.7)
        alarm = until(lambda: http.get("/api/alarms").json()["alarms"])[0]
        order = {"by": "li", "expected_seq": alarm["seq"], "command": "c1"}
        assert http.post(f"/api/alarms/{alarm['id']}/ack", json=order).status_code == 200
        told = http.get("/api/kpis").json()
        by_server = CliRunner().invoke(
            app, ["kpis", "--json", "--server", str(http.base_url), str(city.data)]
        )
    assert told["acknowledged"]["1"]["count"] == 1
    here = CliRunner().invoke(app, ["kpis", str(city.data), "--json"])
    assert here.exit_code == 0, here.output
    for said in (by_server, here):
        held = json.loads(said.stdout)
        assert held["acknowledged"] == told["acknowledged"]
        same = {"mean", "peak", "top_share", "split", "protected"}
        assert [f for f in held["figures"] if f["key"] in same] == [
            f for f in told["figures"] if f["key"] in same
        ]
    lines = CliRunner().invoke(app, ["kpis", str(city.data), "--zh"])
    assert "红色风险设施有效监护率" in lines.stdout
    assert "未达标" in lines.stdout  # one source made all of it


def test_the_command_line_refuses_a_span_that_cannot_be(city):
    said = CliRunner().invoke(
        app, ["kpis", str(city.data), "--from", "2026-02-02T00:00Z", "--to", "2026-02-01T00:00Z"]
    )
    assert said.exit_code == 2
    assert "--from" in said.output


def test_a_red_asset_is_protected_by_a_channel_that_works(city):
    site = Site(city.registry, city.plan)
    assert protected(site, [], today="2026-11-29").share == 1
    with serving(city.data) as http:
        city.send(GAS, 0.7)
        until(lambda: http.get("/api/alarms").json()["alarms"])
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    alarm = ledger.open_alarms()[0]
    ledger.close()
    silent = replace(alarm, rule="silent", subject="410100-gas-mh-000123", klass="maintenance")
    told = protected(site, [silent], today="2026-11-29")
    assert (told.share, told.unprotected) == (0, ("410100-gas-mh-000123",))
    elsewhere = replace(silent, subject="410100-gas-mh-000124")
    assert protected(site, [alarm, elsewhere], today="2026-11-29").share == 1
    assert protected(site, [], today="2026-11-29", seen=lambda _row: False).share is None


CITY = """
[site]
name = "Test"
timezone = "Asia/Shanghai"
[coap]
{more}
"""


def config(tmp_path: Path, more: str):
    for name in ("registry", "rules"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "a.yaml").write_text("version: 1\n")
    (tmp_path / "city.toml").write_text(CITY.format(more=more))
    return load_config(tmp_path)


def test_the_sites_own_times_and_shifts_stand_in_city_toml(tmp_path):
    more = """
[kpi]
operators = 3
ack_within = {red = "1m", orange = "5m"}
close_within = {red = "1h"}
[shifts]
begins = ["07:30", "15:30", "23:30"]
[[proof_test]]
quantity = "ch4"
every = "90d"
"""
    duty = duty_of(config(tmp_path, more).entry)
    assert duty.aims.operators == 3
    assert duty.aims.ack_s == {4: 60, 3: 300}
    assert duty.aims.close_s == {4: 3600}
    assert [f"{t:%H:%M}" for t in duty.shifts.begins] == ["07:30", "15:30", "23:30"]
    assert duty.test_every_ns == {"ch4": 90 * 86_400 * 10**9}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[kpi]\noperators = 0", "operators"),
        ("[kpi]\nack_within = {purple = '1m'}", "purple"),
        ("[kpi]\nack_within = {red = 'soon'}", "soon"),
        ("[shifts]\nbegins = ['8:00']", "write it as 08:00"),
        ("[shifts]\nbegins = ['20:00', '08:00']", "in the order of the day"),
        ("[shifts]\nbegins = []", "begins"),
        ("[shifts]\nstarts = ['08:00']", "starts"),
        ("[[proof_test]]\nquantity = 'ch5'\nevery = '90d'", 'no quantity "ch5"'),
        ("[[proof_test]]\nquantity = 'ch4'\nevery = '1s'", "every"),
        (
            "[[proof_test]]\nquantity = 'ch4'\nevery = '90d'\n" * 2,
            "twice",
        ),
    ],
)
def test_mistakes_in_them_are_told(tmp_path, more, said):
    with pytest.raises(Invalid) as refused:
        config(tmp_path, more)
    assert said in str(refused.value)
