from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators.recording import replay

ROOT = Path(__file__).parents[2]
DATASETS = Path(os.environ.get("LIFELINE_DATASETS", str(ROOT.parent / "shared" / "data")))


def test_the_skab_example_raises_its_alarm_inside_the_labelled_fault(monkeypatch):
    file = DATASETS / "skab" / "valve1" / "0.csv"
    if not file.exists():
        pytest.skip(f"the SKAB data are not at {file}: set LIFELINE_DATASETS to their parent")
    monkeypatch.setenv("LIFELINE_DATASETS", str(DATASETS))
    got = replay(ROOT / "docs" / "examples" / "skab" / "skab.yaml")
    with file.open() as text:
        rows = list(csv.DictReader(text, delimiter=";"))
    faulty = [
        datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC).timestamp()
        for row in rows
        if row["anomaly"] == "1.0"
    ]
    assert got.readings == 4 * len(rows)
    assert got.quarantined == 0
    assert [alarm.rule for alarm in got.alarms] == ["rig-cools-down"]
    assert faulty[0] <= got.alarms[0].event_ns / 1e9 <= faulty[-1]
    assert got.warnings == []
