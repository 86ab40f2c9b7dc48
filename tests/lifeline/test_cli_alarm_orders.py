"""``lifeline alarms …`` of people: what they order from a terminal, and their verdicts as truth."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lifeline.backtest.truth import read_truth
from lifeline.cli.app import app
from lifeline.ledger import Ledger
from rules.events import Event, EventType
from tests.lifeline.small_city import GAS, LEVEL, SmallCity

SECOND_NS = 10**9
T0 = 1_800_000_000 * SECOND_NS


def told(kind: str, at_s: int, subject: str, severity: int = 0) -> Event:
    return Event(
        type=EventType(kind),
        offset=at_s + 1,
        row=0,
        rule="ch4-space",
        subject=subject,
        severity=severity,
        max_severity=severity,
        klass="safety",
        episode=f"{subject}.0",
        onset_ns=T0,
        event_ns=T0 + at_s * SECOND_NS,
        receive_ns=T0 + at_s * SECOND_NS,
    )


@pytest.fixture
def folder(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.apply([told("RAISED", 0, GAS, 2), told("RAISED", 1, LEVEL, 4)], 3)
    ledger.apply([told("CLEARED", 60, GAS)], 62)
    ledger.close()
    return tmp_path


def alarms(folder) -> dict[str, str]:
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    found = {alarm.subject: alarm for alarm in ledger.open_alarms()}
    ledger.close()
    return found


def run(folder, *words: str):
    return CliRunner().invoke(app, ["alarms", *words, "--in", str(folder)])


def test_what_people_order_from_a_terminal_stands_in_the_ledger(folder) -> None:
    gas = alarms(folder)[GAS].alarm_id
    for words, said in (
        (("comment", gas, "smells", "--by", "li"), "noted; now RTNUN"),
        (("assign", gas, "wang", "--by", "li"), "with wang"),
        (("classify", gas, "false", "biogas", "--by", "wang"), "false, biogas"),
        (("shelve", gas, "--reason", "works", "--for", "2h", "--by", "li"), "shelved for 2h"),
        (("unshelve", gas, "--by", "li"), "taken from its shelf; now RTNUN"),
    ):
        done = run(folder, *words)
        assert done.exit_code == 0, done.output
        assert said in done.output
    alarm = alarms(folder)[GAS]
    assert (alarm.comments, alarm.assigned_to, alarm.cause) == (1, "wang", "biogas")


def test_red_waits_for_a_second_person(folder) -> None:
    red = alarms(folder)[LEVEL].alarm_id
    first = run(folder, "shelve", red, "--reason", "works", "--by", "li")
    assert "a second person decides; now UNACK" in first.output
    again = run(folder, "shelve", red, "--reason", "works", "--by", "li")
    assert again.exit_code != 0
    second = run(folder, "shelve", red, "--reason", "works", "--by", "wang", "--json")
    assert json.loads(second.output)["word"] == "SHLVD"


@pytest.mark.parametrize(
    "words",
    [
        ("shelve", "abc", "--reason", "x"),
        ("shelve", "abc", "--reason", "x", "--for", "soon"),
        ("comment", "abc", ""),
        ("classify", "abc", "perhaps", "leak"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(folder, words) -> None:
    done = run(folder, *words)
    assert done.exit_code != 0
    assert "Traceback" not in done.output


def test_a_folder_without_a_ledger_is_named(tmp_path) -> None:
    done = run(tmp_path, "comment", "abc", "x")
    assert done.exit_code != 0
    assert "no ledger.sqlite" in f"{done.output}{done.exception}"


def test_verdicts_are_a_truth_file_that_a_back_test_reads(folder, tmp_path) -> None:
    for subject, verdict, cause in ((GAS, "true", "leak"), (LEVEL, "false", "sensor")):
        run(folder, "classify", alarms(folder)[subject].alarm_id, verdict, cause, "--by", "li")
    out = folder / "truth.csv"
    done = run(folder, "truth", str(out))
    assert "1 true; 1 false, 0 without a verdict" in done.output
    city = SmallCity(tmp_path / "data")
    incidents = read_truth(out, city.registry, city.plan.levels)
    city.close()
    (incident,) = incidents
    assert (incident.from_ns, incident.kind) == (T0, "leak")
    assert incident.to_ns >= T0 + 60 * SECOND_NS
    assert incident.fits("ch4-space", GAS)
    assert not incident.fits("ponding", GAS)
    assert not incident.fits("ch4-space", LEVEL)
