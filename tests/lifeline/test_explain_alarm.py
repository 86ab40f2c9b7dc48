"""An alarm is explained from the past: the run again gives what the ledger holds, step by step."""

from __future__ import annotations

import json
import threading
import time

import pytest
from typer.testing import CliRunner

from ingest.store.archive import Cursor
from lifeline.cli.app import app
from lifeline.engine_process import run_engine
from lifeline.errors import Missing
from lifeline.ledger import Ledger
from rules.events import decode
from tests.lifeline.small_city import GAS, RULES
from tests.lifeline.test_backtest import archive_up_to
from tests.lifeline.test_engine_process import Data


def ran(folder, rules, values):
    """Fill a data folder with a minute a value, let the engine fold it, and a ledger take it."""
    folder.mkdir()
    data = Data(folder, rules)
    for value in values:
        data.send(GAS, value)
        data.tick(59)
    stop = threading.Event()
    engine = threading.Thread(target=run_engine, kwargs={"data": folder, "stop": stop})
    engine.start()
    end, until = data.journal.durable_offset, time.monotonic() + 60
    cursor = folder / "cursors" / "engine"
    while time.monotonic() < until and not (cursor.exists() and Cursor.load(cursor).offset >= end):
        time.sleep(0.05)
    stop.set()
    engine.join(30)
    data.journal.close()
    events = [decode(line) for line in data.lines()]
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.apply(events, end)
    ledger.close()
    return data, events, end


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A data folder of a running city: gas rises, is held, raises, falls; half of it archived."""
    held = RULES.replace("for: {blue: 0s, yellow: 0s,", "for: {blue: 2m, yellow: 2m,")
    said = "labels: {team: gas-duty}\n  runbook: https://runbooks.local/gas\n  source: clause"
    held = held.replace("source: clause", said)
    folder = tmp_path_factory.mktemp("city") / "data"
    values = (0.1, 0.2, 1.05, 1.1, 1.15, 1.15, 0.2, 0.1, 0.1)
    data, events, end = ran(folder, held, values)
    archive_up_to(data, end // 2, roll=5, fan_in=2)
    return folder, events


def test_an_alarm_is_explained_step_by_step_and_the_run_again_is_the_same(city, tmp_path):
    folder, events = city
    raised = next(e for e in events if e.type == "RAISED" and e.rule == "ch4-space")
    assert raised.severity == 2
    out = tmp_path / "why.json"
    words = ["alarms", "explain", raised.alarm_id, "--data", str(folder), "--step"]
    done = CliRunner().invoke(app, [*words, "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert "中原路123号井" in done.output
    assert "Zhongyuan Rd manhole 123" in done.output
    assert "run again: the same events" in done.output
    assert "yellow" in done.output
    for line in (
        "rule on trial · 规则试运行",
        "labels · 标签: team=gas-duty",
        "runbook · 预案: https://runbooks.local/gas",
    ):
        assert line in done.output
    found = json.loads(out.read_text())
    assert found["same_again"] is True
    samples = [s for s in found["steps"] if s["sample"]]
    assert [s["value"] for s in samples] == [0.1, 0.2, 1.05, 1.1, 1.15, 1.15, 0.2, 0.1, 0.1]
    first, second = samples[2], samples[3]
    assert (first["pending"], first["held_s"], first["needed_s"]) == ("yellow", 0.0, 120.0)
    assert (second["pending"], second["held_s"]) == ("yellow", 60.0)
    deciding = next(s for s in found["steps"] if s["decided"])
    assert deciding["decided"] == ["RAISED yellow"]
    assert deciding["stands"] == "yellow"
    assert deciding["at_ns"] == raised.receive_ns
    cleared = next(s for s in found["steps"] if s["decided"] == ["CLEARED"])
    assert cleared["stands"] == ""


def test_an_alarm_that_is_none_says_so(city):
    folder, _ = city
    done = CliRunner().invoke(app, ["alarms", "explain", "000000000000", "--data", str(folder)])
    assert isinstance(done.exception, Missing)
    assert "no such alarm" in str(done.exception)


def test_a_ledger_that_holds_something_else_is_told(city, tmp_path):
    folder, events = city
    raised = next(e for e in events if e.type == "RAISED" and e.rule == "ch4-space")
    other = folder.parent / "other"
    other.mkdir()
    for name in ("archive", "journal", "registry", "rules"):
        (other / name).symlink_to(folder / name)
    ledger = Ledger(f"sqlite:///{other / 'ledger.sqlite'}")
    ledger.apply([e._replace(limit=0.9) if e == raised else e for e in events], 10**6)
    ledger.close()
    done = CliRunner().invoke(app, ["alarms", "explain", raised.alarm_id, "--data", str(other)])
    assert done.exit_code == 0, done.output
    assert "OTHER events" in done.output


def test_limits_of_the_hour_are_those_of_the_steps(tmp_path):
    """It is always that season: blue is lower, and waits 4 minutes instead of none."""
    season = "schedules:\n  ever: {dates: [['01-01', '12-31']], timezone: Asia/Shanghai}\nrules:"
    when = "  keep_firing_for: 10s\n  when: {ever: {above.blue: 0.4, for.blue: 4m}}\n"
    held = RULES.replace("rules:", season, 1).replace("  keep_firing_for: 10s\n", when, 1)
    values = (0.1, 0.45, 0.45, 0.45, 0.45, 0.45, 0.45, 0.1, 0.1)
    _, events, _ = ran(tmp_path / "data", held, values)
    raised = next(e for e in events if e.type == "RAISED")
    assert (raised.severity, raised.limit) == (1, 0.4)
    out = tmp_path / "why.json"
    words = ["alarms", "explain", raised.alarm_id, "--data", str(tmp_path / "data"), "--step"]
    done = CliRunner().invoke(app, [*words, "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["same_again"] is True
    assert {s["needed_s"] for s in found["steps"] if s["pending"] == "blue"} == {240.0}
