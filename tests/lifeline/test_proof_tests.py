"""Proof tests: due by their interval, told when overdue, loud when one failed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.duty.proof import due_tests
from lifeline.duty.settings import DutySettings
from lifeline.ledger import Ledger, ProofTested, ProofTests, Refused
from lifeline.people.roles import Scope
from lifeline.site import Site
from rules.alarms import Condition
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving

DAY_NS = 86_400 * 10**9
BEGIN = 1_790_000_000 * 10**9
DUTY = DutySettings(test_every_ns={"ch4": 90 * DAY_NS})


class Clock:
    ns = BEGIN

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tests(tmp_path, clock):
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}", now_ns=clock, wall_ns=clock)
    yield ProofTests(ledger)
    ledger.close()


def record(tests, command, *, passed=True, channel=GAS, text="50 %LEL gas", at_ns=0):
    said = {"by": "li", "passed": passed, "text": text, "simulation": False, "at_ns": at_ns}
    return tests.record(channel, command=command, **said)


def test_a_test_is_noted_once_and_the_newest_counts(tests, clock):
    first = record(tests, "c1")
    assert first == ProofTested(channel=GAS, at_ns=BEGIN, passed=True, by="li", note="50 %LEL gas")
    clock.ns += DAY_NS
    assert record(tests, "c1") == first
    assert len(tests.history(GAS)) == 1
    later = record(tests, "c2", text="again")
    assert record(tests, "c3", at_ns=BEGIN - DAY_NS) == later  # told later, made before
    assert tests.newest() == {GAS: later}
    assert [t.at_ns for t in tests.history(GAS)] == [BEGIN, BEGIN + DAY_NS, BEGIN - DAY_NS]


def test_a_failed_test_raises_an_alarm_until_one_passes(tests, clock):
    ledger = tests._ledger
    record(tests, "c1", passed=False, text="no answer")
    record(tests, "c2", passed=False, text="still none", channel=OTHER_GAS)
    record(tests, "c3", passed=False, text="and again")
    alarms = {a.subject: a for a in ledger.open_alarms()}
    assert set(alarms) == {GAS, OTHER_GAS}
    assert {(a.rule, a.severity, a.klass) for a in alarms.values()} == {
        ("proof-test-failed", 3, "maintenance")
    }
    clock.ns += DAY_NS
    record(tests, "c4", at_ns=BEGIN - DAY_NS)  # older than the failure: it says nothing new
    assert ledger.alarm(alarms[GAS].alarm_id)[0].condition is Condition.ACTIVE
    record(tests, "c5")
    states = {a.subject: a.condition for a in ledger.open_alarms()}
    assert states == {GAS: Condition.NORMAL, OTHER_GAS: Condition.ACTIVE}  # GAS waits to be seen
    record(tests, "c6", passed=False, text="no answer")
    assert {a.condition for a in ledger.open_alarms()} == {Condition.ACTIVE}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"at_ns": BEGIN + DAY_NS}, "future"),
        ({"passed": False, "text": " "}, "note"),
        ({"text": "x" * 1_001}, "characters"),
    ],
)
def test_a_test_that_cannot_be_is_refused(tests, said, wrong):
    with pytest.raises(Refused, match=wrong):
        record(tests, "c1", **said)
    assert tests.newest() == {}


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", owners={"410100-gas-mh-000123": "gas-firm"})
    yield held
    held.close()


def test_what_was_never_tested_is_overdue_and_failures_come_first(city):
    site = Site(city.registry, city.plan)
    every = DUTY.test_every_ns
    never = due_tests(site, {}, every, zone="Asia/Shanghai")
    assert {d.channel for d in never} == {GAS, OTHER_GAS}  # a level has no interval
    assert [d.state(BEGIN) for d in never] == ["overdue", "overdue"]
    good = ProofTested(channel=GAS, at_ns=BEGIN, passed=True, by="li", note="")
    found = {d.channel: d for d in due_tests(site, {GAS: good}, every, zone="Asia/Shanghai")}
    assert found[GAS].state(BEGIN + 90 * DAY_NS - 1) == "good"
    assert found[GAS].state(BEGIN + 90 * DAY_NS) == "overdue"
    bad = {OTHER_GAS: replace(good, channel=OTHER_GAS, passed=False)}
    first = due_tests(site, bad, every, zone="Asia/Shanghai")[0]
    assert (first.channel, first.state(BEGIN)) == (OTHER_GAS, "failed")


def test_a_calibration_counts_as_a_test(city):
    dated = replace(city.registry.channels, calibrated_on=("2026-09-01", "", "", ""))
    site = Site(replace(city.registry, channels=dated), city.plan)
    found = {d.channel: d for d in due_tests(site, {}, DUTY.test_every_ns, zone="Asia/Shanghai")}
    gas, other = found[GAS], found[OTHER_GAS]
    assert (gas.last_ns, other.last_ns) == (1_788_192_000 * 10**9, 0)  # midnight in Shanghai


def test_over_http_they_are_recorded_listed_and_counted(city):
    add(city.data, "li", "operator")
    add(city.data, "eye", "viewer")
    add(city.data, "firm", "operator", Scope(owners=frozenset({"gas-firm"})))
    with serving(city.data, ready="/login", duty=DUTY) as http:
        log_in(http, "firm")
        told = http.get("/api/proof-tests").json()
        assert (told["total"], told["overdue"]) == (1, 1)
        body = {"channel": GAS, "passed": True, "note": "50 %LEL", "command": "c1"}
        assert http.post("/api/proof-tests", json=body).json()["test"]["by"] == "firm"
        foreign = body | {"channel": OTHER_GAS, "command": "c2"}
        assert http.post("/api/proof-tests", json=foreign).status_code == 404

        log_in(http, "li")
        told = http.get("/api/proof-tests?due=true").json()
        assert (told["total"], told["overdue"], told["failed"]) == (2, 1, 0)
        assert [t["channel"] for t in told["tests"]] == [OTHER_GAS]
        bad = foreign | {"passed": False, "note": "no answer", "command": "c3"}
        assert http.post("/api/proof-tests", json=bad).status_code == 200
        assert http.get("/api/proof-tests").json()["failed"] == 1
        alarm = http.get("/api/alarms").json()["alarms"][0]
        assert alarm["rule"] == "proof-test-failed"
        assert "FAILED its proof test" in alarm["words"]["en"]["sentence"]
        assert "功能测试未通过" in alarm["words"]["zh"]["sentence"]
        told = [x for x in http.get("/metrics").text.splitlines() if "lifeline_proof_tests{" in x]
        values = {x.split('state="')[1].split('"')[0]: x[-3:] for x in told if '"gas"' in x}
        assert values == {"failed": "1.0", "overdue": "0.0"}
        for wrong, status in (
            ({"note": "", "passed": False}, 409),
            ({"channel": "x/y/z"}, 404),
            ({"passed": "yes"}, 422),
            ({"at": 2**42}, 409),
            ({"channel": LEVEL}, 200),
        ):
            order = bad | {"command": f"c4{status}"} | wrong
            assert http.post("/api/proof-tests", json=order).status_code == status, wrong
        assert "FAILED" in http.get("/api/shift-report?lang=en").text

        log_in(http, "eye")
        assert http.post("/api/proof-tests", json=body).status_code == 403


def test_the_command_line_records_and_lists_them(city):
    with serving(city.data, duty=DUTY) as http:
        server, run = ["--server", str(http.base_url)], CliRunner().invoke
        said = run(app, ["proof-tests", "record", GAS, "--passed", "--by", "li", *server])
        assert said.exit_code == 0, said.output
        no_note = run(app, ["proof-tests", "record", GAS, "--failed", "--by", "li", *server])
        assert no_note.exit_code != 0
        listed = run(app, ["proof-tests", "list", "--due", *server])
        assert "2 to test: 1 overdue, 0 FAILED" in listed.stdout
        assert OTHER_GAS in listed.stdout
        assert GAS not in listed.stdout
        told = json.loads(run(app, ["proof-tests", "list", "--json", *server]).stdout)
        assert {t["channel"]: t["state"] for t in told["tests"]} == {
            GAS: "good", OTHER_GAS: "overdue",
        }  # fmt: skip
