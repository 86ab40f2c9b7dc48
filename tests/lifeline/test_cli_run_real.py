"""A user's own city against real servers: the C gateway, mosquitto, our pipeline, a time store."""

import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests import servers
from tests.terminal import lifeline

FIRMWARE = Path(__file__).parents[2] / "gateway-firmware-sim"
GATEWAY = "410100-gas-gw-000001"
CHANNEL = "410100-gas-mh-000001/ch4-01/vol"
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    build = tmp_path_factory.mktemp("device")
    made = subprocess.run(
        ["make", "-C", FIRMWARE, f"BUILD={build}"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    return build / "lifeline-device"


def until(get, what: str, *, within_s: float = 30):
    deadline = time.monotonic() + within_s
    while not (found := get()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.2)
    return found


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - ours
            return answer.read().decode()
    except OSError:
        return ""


def open_alarms(city) -> list[dict]:
    ran = lifeline("alarms", "list", city, "--json")
    return json.loads(ran.stdout) if ran.returncode == 0 else []


def test_a_leak_at_a_real_gateway_is_stored_alarmed_and_acknowledged(tmp_path, device):
    city, page = tmp_path / "city", servers.free_port()
    assert lifeline("init", city).returncode == 0
    (city / "token").write_text("anything")
    with servers.mosquitto() as broker, servers.victoria_metrics() as store:
        (city / "city.toml").write_text(
            f'[site]\nname = "Test"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
            f"[coap]\nport = {servers.free_port(socket.SOCK_DGRAM)}\n[page]\nport = {page}\n"
            f'[influx]\nurl = "{store.url}"\nbucket = "b"\ntoken_file = "token"\n'
        )
        with subprocess.Popen(
            [sys.executable, "-m", "lifeline", "run", city, "--json-logs"],
            stderr=(tmp_path / "log").open("wb"),
        ) as run:
            try:
                until(lambda: get(f"http://127.0.0.1:{page}/"), "the page")
                sent = leak(device, broker.port)
                assert sent["acknowledged"] == 30
                raised = until(lambda: open_alarms(city), "an alarm")
                assert {a["subject"] for a in raised} == {CHANNEL}
                done = lifeline("alarms", "ack", raised[0]["alarm_id"], city, "--by", "Li")
                assert done.returncode == 0, done.stderr
                until(lambda: open_alarms(city)[0]["acked_by"] == "Li", "the acknowledgement")
                until(lambda: stored(store.url) >= 30, "points in the store")
                shown = get(f"http://127.0.0.1:{page}/metrics")
                assert 'process="ingest"' in shown
                assert 'process="engine"' in shown
            finally:
                run.terminate()
                run.wait(15)
    assert run.returncode == 0
    for line in (tmp_path / "log").read_text().splitlines():
        assert not line.startswith("Traceback"), (tmp_path / "log").read_text()


def leak(device: Path, port: int) -> dict:
    """Thirty samples of the last thirty minutes, methane rising from the sixth on."""
    began_ms = int((time.time() - 1800) * 1000)
    ran = subprocess.run(
        [
            device, "gateway", "--device", GATEWAY, "--port", str(port), "--ports", "1",
            "--count", "30", "--interval-ms", "60000", "--factor", "600",
            "--epoch-ms", str(began_ms), "--leak-after", "6",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def stored(url: str) -> int:
    query = urllib.parse.urlencode({"match[]": '{__name__=~"gas_.*"}'})
    lines = get(f"{url}/api/v1/export?{query}").splitlines()
    return max((len(json.loads(line)["values"]) for line in lines), default=0)
