"""The demo, whole: a city of its own on this machine, and a report that all of it holds."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_port

pytestmark = [pytest.mark.alone, pytest.mark.timeout(200)]
DEMO = [sys.executable, "-m", "lifeline", "demo", "--no-browser"]


def test_the_demo_holds_every_promise_of_its_report(tmp_path):
    report_file = tmp_path / "report.json"
    ran = subprocess.run(
        [*DEMO, "--duration", "40", "--report", report_file, "--port", str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    report = json.loads(report_file.read_text())
    assert report["failures"] == [], ran.stdout
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kinds = {incident["kind"] for incident in report["incidents"]}
    assert kinds == {
        "gas_leak",
        "pipe_burst",
        "bridge_overload",
        "underpass_flood",
        "silent_gateway",
    }
    assert all(i["severity"] >= i["severity_wanted"] for i in report["incidents"])
    assert all(0 < i["delay_s"] <= i["deadline_s"] for i in report["incidents"])
    assert report["alarms_unexpected"] == 0
    assert report["readings_sent"] > 5_000
    assert (
        report["readings_archived"]
        == report["readings_journaled"] - report["duplicates"]
        == report["readings_sent"] - report["readings_lost_injected"]
    )
    assert report["frames_quarantined"] == report["frames_malformed_injected"] > 0
    assert set(report["latency_ms_p50"]) == {"mqtt", "coap"}
    for kind in ("gas leak", "pipe burst", "bridge overload", "underpass flood", "silent gateway"):
        assert f"{kind} begins at" in ran.stdout
        assert f"{kind} seen after" in ran.stdout


def test_ctrl_c_stops_a_demo_within_five_seconds_and_leaves_no_process(tmp_path):
    data = tmp_path / "data"
    demo = subprocess.Popen(
        [*DEMO, "--data", data, "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (data / "run" / "city.json").exists():
        assert demo.poll() is None, demo.stdout.read()
        assert time.monotonic() < deadline, "the city did not come up"
        time.sleep(0.1)
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    children = [pid for pid in pids if _parent(pid) == demo.pid]
    assert len(children) >= 7
    began = time.monotonic()
    demo.send_signal(signal.SIGINT)
    out, _ = demo.communicate(timeout=20)
    assert time.monotonic() - began < 5.5
    assert demo.returncode == 0, out
    assert not [pid for pid in children if _parent(pid) is not None]


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rsplit(")", 1)[1].split()
    return int(fields[1]) if fields[0] != "Z" else None
