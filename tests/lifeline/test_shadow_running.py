"""Rules on trial in a running city: in the log and the comparison, and nowhere else."""

from __future__ import annotations

import json
import time

import pytest

from lifeline.ledger import Ledger
from lifeline.ledger.book import Outlet
from lifeline.torture.processes import until
from lifeline.torture.site import RULES
from rules.events import EventType
from tests.lifeline.test_reload_running import FIRST, HOLE, OTHER_HOLE, SECOND
from tests.reload_city import ReloadCity, event_lines, folded, fresh, records_of
from tests.terminal import lifeline

KEEN = """\
- id: ch4-keen
  kind: threshold
  mode: shadow
  shadow_of: ch4-slow
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {blue: 0.3, orange: 0.6}
  hysteresis: 0.1
  for: 300ms
  keep_firing_for: 200ms
  max_gap: 3s
"""
TRIAL = """\
version: 1
defaults: {source: estimate}
rules:
- id: ch4-slow
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {red: 1.0}
  for: 300ms
  keep_firing_for: 200ms
  max_gap: 3s
"""
SLOW, OTHER = f"{HOLE}/ch4-02/vol", f"{OTHER_HOLE}/ch4-02/vol"


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    held = ReloadCity(tmp_path_factory.mktemp("shadow"))
    (held.site / "trial").mkdir()
    (held.site / "trial" / "gas.yaml").write_text(TRIAL, encoding="utf-8")
    path = held.site / "city.toml"
    path.write_text(path.read_text().replace("[coap]", 'shadow_rules = "trial"\n[coap]'))
    held.write_rules(RULES + KEEN)
    with held:
        live(held)
        yield held


def live(city: ReloadCity) -> None:
    """One alarm of all three rules, one of the keen one alone; both end."""
    city.levels[FIRST][2] = 1.1
    city.levels[SECOND][2] = 0.4
    until(lambda: len(raised(city, "ch4-keen")) == 2, "the keen rule raises twice")
    until(lambda: raised(city, "shadow:ch4-slow"), "the folder's rule raises")
    until(lambda: raised(city, "ch4-slow"), "the live rule raises")
    time.sleep(0.5)
    city.levels[FIRST][2] = city.levels[SECOND][2] = 0.1
    until(lambda: len(of(city, "ch4-keen", EventType.CLEARED)) == 2, "the keen rule clears")
    until(lambda: of(city, "ch4-slow", EventType.CLEARED), "the live rule clears")


def of(city, rule: str, kind: EventType) -> list:
    return [e for e in city.events() if e.rule == rule and e.type is kind]


def raised(city, rule: str) -> list:
    return of(city, rule, EventType.RAISED)


def every_alarm(city) -> list[dict]:
    ran = lifeline("alarms", "list", city.data, "--all", "--json", "--limit", 1000)
    return json.loads(ran.stdout)


def test_the_ledger_and_the_page_hold_no_alarm_of_a_rule_on_trial(city):
    assert {e.rule for e in city.events() if e.shadow} == {"ch4-keen", "shadow:ch4-slow"}
    assert {e.rule for e in city.events() if e.rule and not e.shadow} <= {
        "ch4-slow",
        "ch4-loud",
        "silent",
    }
    assert {a["rule"] for a in every_alarm(city)} - {"silent"} == {"ch4-slow"}
    shown = city.http.get("/api/state").text
    assert "ch4-keen" not in shown
    assert "shadow:" not in shown
    trend = city.http.get("/api/trend", params={"channel": SLOW}).json()
    assert "ch4-slow" in str(trend["limits"])
    assert "keen" not in str(trend)


def test_nothing_of_a_rule_on_trial_comes_to_an_outlet(city, tmp_path):
    """Every event of the log, given to a ledger that sends everything it may."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}", outlets=(Outlet(name="all"),))
    events = city.events()
    ledger.apply(events, events[-1].offset + 1)
    sent = [json.loads(row.body)["rule"] for row in ledger.due(limit=1000)]
    ledger.close()
    assert "ch4-slow" in sent
    assert not any("keen" in rule or "shadow" in rule for rule in sent)


def test_the_report_says_what_both_saw_and_what_only_one(city, tmp_path):
    out = tmp_path / "report.json"
    ran = lifeline("rules", "shadow", city.site, "--data", city.data, "--json", out)
    assert ran.returncode == 0, ran.stderr
    keen, folder = json.loads(out.read_text())["rules"]
    assert (keen["shadow"], keen["active"]) == ("ch4-keen", "ch4-slow")
    assert keen["counts"] == {
        "both": 1,
        "only_shadow": 1,
        "only_active": 0,
        "higher": 1,
        "lower": 0,
    }
    assert [e["subject"] for e in keen["only_shadow"]] == [OTHER]
    (both,) = keen["both"]
    assert (both["shadow"]["severity"], both["active"]["severity"]) == (3, 2)
    assert (folder["shadow"], folder["active"]) == ("shadow:ch4-slow", "ch4-slow")
    assert [e["shadow"]["subject"] for e in folder["both"]] == [SLOW]
    for word in ("ch4-keen", "仅试用", OTHER):
        assert word in ran.stdout
    later = ("--from", "2999-01-01T00:00+08:00", "--json", out)
    assert lifeline("rules", "shadow", city.site, "--data", city.data, *later).returncode == 0
    assert [sum(r["counts"].values()) for r in json.loads(out.read_text())["rules"]] == [0, 0]


def test_metrics_count_what_was_raised_by_the_rule_and_by_its_namesake(city):
    def counted() -> dict[tuple[str, str], float]:
        told: dict[tuple[str, str], float] = {}
        for line in city.http.get("/metrics").text.splitlines():
            if line.startswith("lifeline_shadow_episodes_total{"):
                labels = dict(x.split("=") for x in line.split("{")[1].split("}")[0].split(","))
                key = (labels["rule"].strip('"'), labels["set"].strip('"'))
                told[key] = told.get(key, 0) + float(line.split()[-1])
        return told

    # two of the keen rule and one of the folder's, all beside ch4-slow, which raised once
    wanted = {("ch4-slow", "shadow"): 3.0, ("ch4-slow", "active"): 1.0}
    until(lambda: counted() == wanted, "the counts")


def test_a_rule_that_becomes_live_announces_what_stands_and_one_taken_off_ends_it(city):
    city.levels[FIRST][2] = 0.4  # the keen rule alone
    until(lambda: len(raised(city, "ch4-keen")) == 3, "the keen rule raises")
    assert not city.alarms(rule="ch4-keen")
    promoted = KEEN.replace("  mode: shadow\n  shadow_of: ch4-slow\n", "")
    city.write_rules(RULES + promoted)
    code, told, said = city.reload()
    assert code == 0, said
    assert {r["what"] for r in told["rules"]} == {"kept"}
    assert told["turned"] == {"live": ["ch4-keen"], "shadow": []}
    alarm = city.alarm(rule="ch4-keen", active=True)
    assert alarm["subject"] == SLOW
    assert alarm["word"] == "UNACK"
    city.write_rules(RULES + KEEN)
    _, told, _ = city.reload()
    assert told["turned"] == {"live": [], "shadow": ["ch4-keen"]}
    assert told["alarms_ending"] == [alarm["id"]]
    until(lambda: not city.alarms(rule="ch4-keen", active=True), "the alarm's end")
    city.levels[FIRST][2] = 0.1
    until(lambda: raised(city, "ch4-keen")[-1].shadow, "it is on trial again")


def test_the_log_is_a_fresh_fold_of_the_journal_with_shadows_in_it(city):
    before = len(records_of(city.data))
    until(lambda: len(records_of(city.data)) > before + 3, "more records")
    records = records_of(city.data)
    lines = folded(fresh(city.data), records)
    until(lambda: len(event_lines(city.data)) >= len(lines), "the engine is there")
    assert event_lines(city.data)[: len(lines)] == lines
    assert sum(b'"shadow":true' in line for line in lines) > 8
