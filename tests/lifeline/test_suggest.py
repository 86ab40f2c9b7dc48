"""Suggestions from history: what is announced is what the rules with the patch then do."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import yaml
from scipy.signal import lfilter
from typer.testing import CliRunner

from lifeline.cli.app import app
from rules.readings import Readings, Tick
from simulators.recording import open_mapping, write_recording

DAYS = 5
A, B = ("000000-water-rec-000001/a/value", "000000-water-rec-000001/b/value")
MAPPING = """\
version: 1
name: two-pressures
file: {file}
time: {{column: time}}
every: 1m
domain: water
columns:
  a: {{quantity: pressure, unit: kPa, range: [0, 500], resolution: 0.1}}
  b: {{quantity: pressure, unit: kPa, range: [0, 500], resolution: 0.1}}
"""
RULES = """\
version: 1
rules:
- id: p-high
  kind: threshold
  source: estimate
  select: {quantity: pressure}
  above: {blue: 312 kPa, yellow: 330 kPa, orange: 420 kPa}
  hysteresis: 1 kPa
"""


def write_csv(path, values, *, begin="2026-03-01T00:00:00+00:00"):
    t0 = datetime.fromisoformat(begin)
    lines = [
        f"{(t0 + timedelta(minutes=i)).isoformat()},{row[0]:.1f},{row[1]:.1f}"
        for i, row in enumerate(values.tolist())
    ]
    path.with_suffix(".csv").write_text("\n".join(["time,a,b", *lines]) + "\n")
    path.with_suffix(".yaml").write_text(MAPPING.format(file=path.with_suffix(".csv").name))
    return path.with_suffix(".yaml")


def pressures(seed, days=DAYS):
    white = np.random.default_rng(seed).standard_normal((days * 1440 + 300, 2))
    return 300 + 5 * lfilter([0.6], [1, -0.8], white, axis=0)[300:]


def recorded(path, values):
    """Return a recording of the same values, a record a quarter of a day: read much faster."""
    registry = open_mapping(write_csv(path, values[:1])).registry
    t0_ns = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 10**9

    def steps():
        yield Tick(t0_ns)
        for begin in range(0, len(values), 360):
            part = np.round(values[begin : begin + 360], 1)
            minute = np.repeat(np.arange(begin, begin + len(part)), 2)
            yield Readings.of(
                {
                    "channel": np.tile([0, 1], len(part)),
                    "judged_ns": t0_ns + minute * 60 * 10**9,
                    "value": part.ravel(),
                    "sequence": minute,
                    "boot": np.ones(len(minute), np.int64),
                    "index": np.tile([0, 1], len(part)),
                }
            )
            yield Tick(t0_ns + (begin + len(part)) * 60 * 10**9)

    write_recording(path, registry, steps(), {})
    return path


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("history") / "days", pressures(1))


def run(*words, code=0):
    done = CliRunner().invoke(app, ["rules", *map(str, words)])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.output


def suggest(tmp_path, history, rules, *more, code=0):
    """Return (what is told, JSON, path of the patch)."""
    folder = tmp_path / "rules"
    folder.mkdir(exist_ok=True)
    (folder / "water.yaml").write_text(rules)
    out, patch = tmp_path / "told.json", tmp_path / "patch.yaml"
    told = run(
        "suggest", *more, "--rules", folder, "--recording", history,
        "--json", out, "--patch", patch, code=code,
    )  # fmt: skip
    return told, json.loads(out.read_text()) if out.exists() else {}, patch


def alarms(tmp_path, history, rules, subjects):
    """Return the alarms a back-test under rules as text raises, by side and highest level."""
    folder = tmp_path / "pasted"
    folder.mkdir(exist_ok=True)
    (folder / "water.yaml").write_text(rules)
    out = tmp_path / "backtest.json"
    run("backtest", folder, "--recording", history, "--json", out)
    held = json.loads(out.read_text())["episodes"]
    return Counter((e["side"], e["severity"]) for e in held if e["subject"] in subjects)


def announced(counts):
    severities = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
    return Counter(
        {
            (1 if side == "above" else -1, severities[level]): n
            for side, of in counts.items()
            for level, n in of.items()
            if n
        }
    )


def test_a_rule_with_the_suggested_keys_raises_exactly_what_was_announced(tmp_path, history):
    _, told, patch = suggest(tmp_path, history, RULES, "p-high", "--per-year", "3000")
    (found,) = told["proposals"]
    pasted = yaml.safe_load(RULES)
    pasted["rules"][0] |= yaml.safe_load(patch.read_text())
    now = alarms(tmp_path, history, RULES, (A, B))
    then = alarms(tmp_path, history, yaml.safe_dump(pasted), (A, B))
    assert announced(found["alarms_now"]) == now
    assert announced(found["alarms_proposed"]) == then
    assert then != now
    # 3000 a channel and year were asked of the lowest level, for two channels and these days
    assert 1 / 3 < then.total() / (3000 * 2 * DAYS / 365.25) < 3
    limits = {level["level"]: level["limit"] for level in found["levels"]}
    assert limits["blue"] < limits["yellow"] < limits["orange"]


ZSCORE = """\
version: 1
rules:
- id: p-odd
  kind: zscore
  class: info
  source: estimate
  select: {quantity: pressure}
  window: 6h
  warmup: 2h
  side: both
  sigma: {yellow: 3}
"""


def test_limits_in_sigma_hold_for_both_sides(tmp_path, history):
    _, told, patch = suggest(tmp_path, history, ZSCORE, "p-odd", "--per-year", "3000")
    (found,) = told["proposals"]
    pasted = yaml.safe_load(ZSCORE)
    pasted["rules"][0] |= yaml.safe_load(patch.read_text())
    then = alarms(tmp_path, history, yaml.safe_dump(pasted), (A, B))
    assert announced(found["alarms_proposed"]) == then
    assert 1 / 3 < then.total() / (3000 * 2 * DAYS / 365.25) < 3
    above, below = found["levels"]
    assert above["limit"] == -below["limit"] > 0


def test_an_override_for_one_channel_does_too_and_leaves_the_other_alone(tmp_path, history):
    more = ("p-high", "--channel", "*/b/value", "--per-year", "3000")
    _, told, patch = suggest(tmp_path, history, RULES, *more)
    (found,) = told["proposals"]
    assert found["channels"] == [B]
    pasted = RULES + "  overrides:\n" + "".join(
        f"  {line}\n" for line in patch.read_text().splitlines()
    )  # fmt: skip
    then = alarms(tmp_path, history, pasted, (B,))
    assert announced(found["alarms_proposed"]) == then
    assert then != alarms(tmp_path, history, RULES, (B,))
    assert alarms(tmp_path, history, pasted, (A,)) == alarms(tmp_path, history, RULES, (A,))
    assert "source: estimate" in yaml.safe_load(patch.read_text())[0]["reason"]


def test_a_limit_from_a_clause_is_never_made_looser(tmp_path, history):
    clause = RULES.replace("source: estimate", "source: clause").replace("330", "390")
    said, told, patch = suggest(tmp_path, history, clause, "p-high")
    levels = {level["level"]: level for level in told["proposals"][0]["levels"]}
    assert levels["blue"]["limit"] == 312
    assert levels["blue"]["for_s"] == 0
    assert levels["yellow"]["limit"] < 390, "tighter is allowed"
    assert levels["orange"]["limit"] == 420, "but orange is about danger"
    assert "orange: it is about danger" in said
    assert "blue: from a clause: never looser (good data would ask for 3" in said
    (override,) = yaml.safe_load(patch.read_text())
    assert "above.blue" not in override["set"]


LOUD = """\
version: 1
rules:
- id: p-loud
  kind: threshold
  source: estimate
  fail_loud: true
  over_range: red
  select: {quantity: pressure}
  above: {yellow: 312 kPa, red: 450 kPa}
  hysteresis: 1 kPa
"""


def test_red_of_a_fail_loud_rule_is_never_touched_and_that_is_said(tmp_path, history):
    said, told, patch = suggest(tmp_path, history, LOUD, "p-loud")
    yellow, red = told["proposals"][0]["levels"]
    assert (red["limit"], red["hysteresis"], red["for_s"]) == (450, 1, 0)
    assert "red: red of a fail_loud rule is never touched" in said
    (override,) = yaml.safe_load(patch.read_text())
    assert override["set"]["above.yellow"] == f"{yellow['limit']:g} kPa"
    assert not [key for key in override["set"] if key.endswith("red")]
    only = LOUD.replace("yellow: 312 kPa, ", "")
    words = ["--recording", str(history), "--rules", str(write(tmp_path / "only", only))]
    done = CliRunner().invoke(app, ["rules", "suggest", "p-loud", *words])
    assert "only orange and red, which are never suggested" in str(done.exception)


def write(folder, rules):
    folder.mkdir()
    (folder / "water.yaml").write_text(rules)
    return folder


def test_a_limit_never_lies_beyond_the_sensors_range(tmp_path):
    values = np.clip(pressures(3, days=2) + 190, 0, 500)
    history = recorded(tmp_path / "near-the-end", values)
    rules = RULES.replace("312", "480").replace("330 kPa, orange: 420 kPa", "490 kPa")
    said, told, _ = suggest(tmp_path, history, rules, "p-high", "--per-year", "1")
    assert [level["limit"] for level in told["proposals"][0]["levels"]] == [480, 490]
    assert "beyond the range's end, 500" in said


def test_too_little_history_says_how_much_is_missing(tmp_path):
    history = recorded(tmp_path / "short", pressures(4)[:120])
    said, told, patch = suggest(tmp_path, history, RULES, "p-high", code=1)
    basis = told["proposals"][0]["bases"][0]
    assert basis["missing_days"] > 0
    assert "too little good data" in said
    assert patch.read_text() == ""


def test_incidents_and_bad_quality_do_not_move_a_limit(tmp_path):
    values = pressures(5)
    values[2000:2020] += 60  # an incident
    truth = tmp_path / "truth.csv"
    t0 = datetime(2026, 3, 1, tzinfo=UTC)
    begin, end = (t0 + timedelta(minutes=m) for m in (2000, 2020))
    truth.write_text(
        f"place,from,to,kind,level\n000000-water-rec-000001,{begin.isoformat()},"
        f"{end.isoformat()},burst,blue\n"
    )
    check = "{id: q, kind: range, select: {quantity: pressure}, unit: kPa, suspect: [0, 345]}"
    quality = f"{RULES}  accept: [good]\nquality:\n- {check}\n"
    history = recorded(tmp_path / "troubled", values)
    rules = RULES.replace(", orange: 420 kPa", "")  # which would itself be left out as an alarm
    high = suggest(tmp_path, history, rules, "p-high")[1]["proposals"][0]
    known = suggest(tmp_path, history, rules, "p-high", "--truth", truth)[1]["proposals"][0]
    calm = suggest(
        tmp_path, recorded(tmp_path / "calm", pressures(5)), rules, "p-high"
    )[1]["proposals"][0]  # fmt: skip
    assert known["left_out"]["incident"] == 2 * 21
    blue = [each["levels"][0]["limit"] for each in (calm, known, high)]
    assert abs(blue[1] - blue[0]) < 4 < blue[2] - blue[0]
    masked = suggest(
        tmp_path, history, quality.replace(", yellow: 330 kPa, orange: 420 kPa", ""), "p-high"
    )[1]["proposals"][0]  # fmt: skip
    assert masked["left_out"]["quality"] > 30


def test_several_files_are_one_history(tmp_path):
    values = pressures(6, days=2)
    whole = write_csv(tmp_path / "whole", values)
    second = "2026-03-01T16:40:00+00:00"
    parts = [
        write_csv(tmp_path / "part-1", values[:1000]),
        write_csv(tmp_path / "part-2", values[1000:], begin=second),
    ]
    folder = write(tmp_path / "r", RULES)
    told = []
    for files in ([whole], parts, parts[::-1]):
        out = tmp_path / "out.json"
        words = [word for file in files for word in ("--csv", file)]
        run("backtest", folder, *words, "--json", out)
        told.append(json.loads(out.read_text()))
    assert told[0]["reading"]["judged"] == told[1]["reading"]["judged"] == 2 * len(values)
    assert told[0]["episodes"] == told[1]["episodes"] == told[2]["episodes"]
    assert len(told[0]["episodes"]) > 20


def test_files_of_other_channels_are_refused(tmp_path):
    one = write_csv(tmp_path / "one", pressures(7)[:10])
    two = write_csv(tmp_path / "two", pressures(7)[:10])
    two.write_text(two.read_text().replace("b: {", "c: {").replace("[0, 500]", "[0, 400]"))
    (tmp_path / "two.csv").write_text((tmp_path / "two.csv").read_text().replace("a,b", "a,c"))
    done = CliRunner().invoke(app, ["rules", "backtest", "--csv", str(one), "--csv", str(two)])
    assert "other channels than in" in str(done.exception)
