"""Each alarm of the latency bench goes its whole way, by both transports; no figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifeline.bench import latency
from lifeline.bench.latency import Seen

ROOT = Path(__file__).parents[2]


@pytest.mark.real
def test_every_alarm_reaches_event_log_and_webhook_by_both_transports(tmp_path):
    file, page = tmp_path / "latency.json", tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, "-m", "lifeline", "bench", "latency", "--alarms", "4", "--quiet", "50",
         "--json", str(file), "--markdown", str(page)],
        cwd=ROOT, check=False, timeout=150, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(file.read_text())["rows"]
    assert [(row["transport"], row["step"]) for row in rows] == [
        ("MQTT QoS 1", "in the event log"),
        ("MQTT QoS 1", "at the webhook"),
        ("CoAP CON", "on disk, answered"),
        ("CoAP CON", "in the event log"),
        ("CoAP CON", "at the webhook"),
    ]
    for row in rows:
        assert (row["alarms"], row["missing"]) == (4, 0)
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    text = page.read_text()
    assert text.count("| CoAP CON |") == 3
    assert "4 manholes a transport" in text.replace("\n", " ")


def test_an_alarm_that_never_came_is_missing_and_no_figure():
    seen = Seen()
    for n in range(1, 5):
        seen.sent[latency.channel(n)] = 100.0
    seen.logged[latency.channel(1)] = 100.5
    seen.logged[latency.channel(3)] = seen.logged[latency.channel(4)] = 100.25
    rows = {(r["transport"], r["step"]): r for r in latency.rows_of(seen, 2)}
    mqtt = rows["MQTT QoS 1", "in the event log"]
    assert (mqtt["alarms"], mqtt["missing"], mqtt["p50_ms"]) == (1, 1, 500.0)
    coap = rows["CoAP CON", "in the event log"]
    assert (coap["alarms"], coap["missing"], coap["max_ms"]) == (2, 0, 250.0)
    assert rows["CoAP CON", "at the webhook"]["missing"] == 2
