"""Data sets as publishers pack them, through the whole pipeline: what raised, and why."""

import json
import os
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lifeline.bench.datasets import run
from lifeline.bench.datasets_kept import load
from lifeline.bench.datasets_page import page
from rules.problems import Invalid
from simulators.datasets import SETS, Absent, tables
from tests.terminal import lifeline

ROOT = Path(__file__).parents[2]
DATASETS = Path(os.environ.get("LIFELINE_DATASETS", str(ROOT.parent / "shared" / "data")))


def rig(folder, *, pressure):
    """A few minutes of a rig as SKAB packs them."""
    (folder / "skab" / "valve1").mkdir(parents=True)
    titles = ("Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;"
              "Voltage;Volume Flow RateRMS")  # fmt: skip
    lines = [f"datetime;{titles};anomaly;changepoint"]
    for second in range(900):
        at = datetime(2020, 3, 9, 10) + timedelta(seconds=second)  # noqa: DTZ001 - as in the file
        shown = 0.03 + (second % 7) / 1000, 0.04, 1.3, pressure(second), 79.3, 26.0, 233.0, 32.0
        lines.append(f"{at:%Y-%m-%d %H:%M:%S};{';'.join(map(str, shown))};0.0;0.0")
    (folder / "skab" / "valve1" / "0.csv").write_text("\n".join(lines) + "\n")


def test_what_a_rule_raises_on_a_set_is_told_with_value_limit_and_place(tmp_path):
    rig(tmp_path, pressure=lambda second: 3.0 if second < 500 else 0.5)  # bar
    said = []
    (row,) = run(tmp_path, ["skab"], tell=said.append)
    assert (row.tables, row.lines, row.quarantined, row.refused) == (1, 900 * 8, 0, [])
    low = next(r for r in row.raised if r.rule == "water-pressure-low")
    assert (low.level, low.klass, low.channels) == ("red", "safety", 1)
    assert "skab/valve1/0 pressure, 2020-03-09 10:" in low.first
    assert ", 50 beside 100" in low.first  # kPa
    assert "water-pressure-low" in said[0]
    assert "| skab | 1 | 7,200 | 0.0 |" in page([row], [], [])
    usual = next(r for r in row.raised if r.rule == "usual" and "pressure" in r.first)
    assert (usual.klass, usual.level) == ("info", "yellow")


def test_what_a_set_calls_wrong_is_held_against_the_statistical_alarms(tmp_path):
    rig(tmp_path, pressure=lambda second: 3.0 + (second % 5) / 100 if second < 500 else 9.0)
    file = tmp_path / "skab" / "valve1" / "0.csv"
    lines = file.read_text().splitlines()
    for at in (*range(31, 41), *range(501, 601)):  # nothing is seen in the first span
        lines[at] = lines[at].removesuffix("0.0;0.0") + "1.0;0.0"
    file.write_text("\n".join(lines) + "\n")
    (row,) = run(tmp_path, ["skab"], tell=lambda _: None)
    assert (row.spans, row.spans_told) == (2, 1)
    assert 1 <= row.alarms_in_spans <= row.alarms


def test_a_reason_that_nobody_gave_is_a_surprise(tmp_path, monkeypatch):
    rig(tmp_path, pressure=lambda second: 3.0 if second < 500 else 0.5)
    monkeypatch.setattr("lifeline.bench.datasets_why.WHY", {("skab", "usual"): "it is a rig"})
    said = []
    (row,) = run(tmp_path, ["skab"], tell=said.append)
    assert {r.rule: r.why for r in row.raised if r.rule == "usual"} == {"usual": "it is a rig"}
    assert "A SURPRISE" in next(line for line in said[0].splitlines() if "pressure-low" in line)
    assert "A SURPRISE" not in next(line for line in said[0].splitlines() if " usual:" in line)


def test_a_set_that_is_not_there_is_told_and_an_unknown_name_refused(tmp_path):
    rows = list(run(tmp_path, [], tell=lambda _: None))
    assert [row.name for row in rows] == list(SETS)
    assert all("is not there" in row.left_out for row in rows)
    with pytest.raises(Invalid, match="known are nab, skab"):
        tables(tmp_path, "kdd")
    (tmp_path / "tcpd").mkdir()
    with pytest.raises(Absent, match="holds no file"):
        tables(tmp_path, "tcpd")


def test_a_table_that_cannot_be_read_ends_the_command_with_its_line(tmp_path):
    rig(tmp_path, pressure=lambda _: 3.0)
    file = tmp_path / "skab" / "valve1" / "0.csv"
    file.write_text(file.read_text().replace("2020-03-09 10:00:05", "yesterday"))
    ran = lifeline("bench", "replay-datasets", tmp_path, "--only", "skab")
    assert ran.returncode == 1
    assert "skab-valve1-0.csv:7:1" in ran.stdout


def test_other_packings_are_read_too(tmp_path):
    for name in ("tcpd", "uci_gas_drift", "munich_bridge", "nab/data/x", "uci_airquality"):
        (tmp_path / name).mkdir(parents=True)
    series = {"series": [{"label": "V1", "raw": [1.0, None, 3.0]}]}
    (tmp_path / "tcpd" / "nile.json").write_text(json.dumps(series))
    features = " ".join(f"{n + 1}:{n}.5" for n in range(128))
    (tmp_path / "uci_gas_drift" / "batch1.dat").write_text(f"1;10.0 {features}\n" * 3)
    with zipfile.ZipFile(tmp_path / "munich_bridge" / "StateAt100Hz.csv.zip", "w") as packed:
        lines = [f"2022-03-07 16:35:15.6{n:02d},-145.{n}" for n in range(0, 100, 10)]
        packed.writestr("a.csv", "Time (-),DMS_CN (um/m)\n" + "\n".join(lines) + "\n")
    (tmp_path / "nab" / "data" / "x" / "ec2.csv").write_text(
        "timestamp,value\n2014-01-01 00:00:00,1\n2014-01-01 00:07:00,2\n2014-01-01 00:14:00,3\n"
    )
    (tmp_path / "uci_airquality" / "AirQualityUCI.csv").write_text(
        "Date,Time,CO_GT,PT08_S1_CO,NMHC_GT,C6H6_GT,PT08_S2_NMHC,NOx_GT,PT08_S3_NOx,NO2_GT,"
        "PT08_S4_NO2,PT08_S5_O3,T,RH,AH\n"
        "10/03/2004,18:00:00,2.6,1360,150,11.9,1046,166,1056,113,1692,1268,13.6,48.9,0.7578\n"
        "10/03/2004,19:00:00,-200,1292,112,9.4,955,103,1174,92,1559,972,13.3,47.7,0.7255\n"
    )
    names = ["tcpd", "uci_gas_drift", "munich_bridge", "nab", "uci_airquality"]
    rows = {row.name: row for row in run(tmp_path, names, tell=lambda _: None)}
    assert not [row.refused for row in rows.values() if row.refused]
    lines = {name: row.lines for name, row in rows.items()}  # a line without value: heard only
    assert lines == {
        "tcpd": 3, "uci_gas_drift": 48, "munich_bridge": 10, "nab": 3, "uci_airquality": 22,
    }  # fmt: skip
    assert tables(tmp_path, "nab")[0].every == "420s"


def test_a_real_set_is_read_where_it_is(tmp_path):
    if not (DATASETS / "tcpd").is_dir():
        pytest.skip(f"the data sets are not at {DATASETS}: set LIFELINE_DATASETS to their folder")
    (row,) = run(DATASETS, ["tcpd"], tell=lambda _: None)
    assert (row.refused, row.quarantined) == ([], 0)
    assert row.lines > 500


def test_each_set_is_kept_when_it_is_done_and_stays_when_others_are_replayed(tmp_path):
    rig(tmp_path, pressure=lambda second: 3.0 if second < 500 else 0.5)
    (tmp_path / "tcpd").mkdir()
    series = {"series": [{"label": "V1", "raw": [1.0, None, 3.0]}]}
    (tmp_path / "tcpd" / "nile.json").write_text(json.dumps(series))
    kept, md = tmp_path / "kept.json", tmp_path / "page.md"
    for name in ("tcpd", "skab"):
        words = ["--only", name, "--json", kept, "--markdown", md]
        assert lifeline("bench", "replay-datasets", tmp_path, *words).returncode == 0
    held = json.loads(kept.read_text())
    assert [row["name"] for row in held["rows"]] == ["skab", "tcpd"]
    assert "water-pressure-low" in {r["rule"] for r in held["rows"][0]["raised"]}
    assert "| skab | 1 |" in md.read_text()
    assert "| tcpd | 1 | 3 |" in md.read_text()
    assert load(kept).ordered()[0].as_json() == held["rows"][0]
