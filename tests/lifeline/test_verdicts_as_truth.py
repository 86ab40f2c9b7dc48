"""What operators judge on the page is what a back-test and suggestions go by."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lifeline.backtest.truth import read_truth
from lifeline.cli.app import app
from lifeline.ledger import Ledger, ProofTests
from lifeline.ledger.people import People
from rules.problems import Invalid
from tests.lifeline.small_city import GAS, LEVEL, RULES, SmallCity, serving, until


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A city where methane was a leak and ponding was nothing, as operators say over the API."""
    held = SmallCity(tmp_path_factory.mktemp("judged") / "data")
    held.history(GAS, [0.1, 0.1, 1.1, 1.1, 0.1])
    held.history(LEVEL, [0.1, 0.1, 0.7, 0.7, 0.1])
    with serving(held.data) as http:
        found = until(lambda: (x := http.get("/api/alarms").json()["alarms"]) and len(x) == 2 and x)
        for alarm in found:
            verdict, cause = ("true", "leak") if alarm["subject"] == GAS else ("false", "weather")
            body = {"by": "li", "verdict": verdict, "cause": cause, "command": alarm["id"]}
            answer = http.post(f"/api/alarms/{alarm['id']}/classify", json=body)
            assert answer.status_code == 200
    held.close()
    return held


def back_test(city, tmp_path, rules: str) -> tuple[dict, str]:
    (tmp_path / "rules").mkdir(exist_ok=True)
    (tmp_path / "rules" / "rules.yaml").write_text(rules)
    out = tmp_path / "figures.json"
    how = ["--data", str(city.data), "--truth", str(city.data), "--json", str(out)]
    said = CliRunner().invoke(app, ["rules", "backtest", str(tmp_path / "rules"), *how])
    assert said.exit_code == 0, said.output
    return json.loads(out.read_text()), said.output


def test_a_back_test_counts_by_the_verdicts_in_the_ledger(city, tmp_path):
    told, said = back_test(city, tmp_path, RULES)
    lines = {f["rule"]: f for f in told["figures"]}
    assert (lines["ch4-space"]["found"], lines["ch4-space"]["incidents"]) == (1, 1)
    assert told["judged_false"] == [1, 1]
    assert "of 1 alarms that operators found false, 1 are raised" in said
    calmer = RULES.replace("above: {yellow: 0.5, red: 1.0}", "above: {yellow: 0.8, red: 1.0}")
    told, _ = back_test(city, tmp_path, calmer)
    assert told["judged_false"] == [1, 0]
    deaf = RULES.replace("blue: 0.5, yellow: 1.0", "blue: 1.2, yellow: 1.22")
    told, _ = back_test(city, tmp_path, deaf)
    lines = {f["rule"]: f for f in told["figures"]}
    assert (lines["ch4-space"]["found"], lines["ch4-space"]["incidents"]) == (0, 1)


def test_suggestions_go_by_them_too(city, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    out = tmp_path / "s.json"
    how = ["--rules", str(tmp_path), "--data", str(city.data), "--truth", str(city.data)]
    said = CliRunner().invoke(app, ["rules", "suggest", *how, "--json", str(out)])
    assert said.exit_code in (0, 1), said.output  # five samples may be too few to propose by
    without = CliRunner().invoke(app, ["rules", "suggest", *how[:4]])
    assert without.exit_code in (0, 1)


def test_the_ledgers_own_alarms_are_no_incidents(city, tmp_path):
    """One that it raised about a device has no rule a back-test could run."""
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    said = {"by": "li", "passed": False, "text": "no answer", "simulation": False}
    ProofTests(ledger).record(GAS, command="t1", **said)
    own = next(a for a in ledger.open_alarms() if a.rule == "proof-test-failed")
    how = {"verdict": "true", "cause": "sensor", "comment": "", "command": "t2"}
    People(ledger).classify(own.alarm_id, by="li", **how)
    ledger.close()
    incidents = read_truth(city.data, city.registry, city.plan.levels)
    assert [i.rules for i in incidents] == [("ch4-space",)]
    out = tmp_path / "truth.csv"
    told = CliRunner().invoke(app, ["alarms", "truth", str(out), "--in", str(city.data)])
    assert "1 true; 1 false, 0 without" in told.output
    assert [i.id for i in read_truth(out, city.registry, city.plan.levels)] == [
        i.id for i in incidents
    ]


def test_a_ledger_without_a_verdict_says_so(tmp_path):
    held = SmallCity(tmp_path / "data")
    Ledger(f"sqlite:///{held.data / 'ledger.sqlite'}").close()
    with pytest.raises(Invalid, match="found true"):
        read_truth(held.data, held.registry, held.plan.levels)
    held.close()
