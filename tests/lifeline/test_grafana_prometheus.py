"""Every question of the dashboard of the pipeline's health, asked of a real Prometheus.

It reads the /metrics of a running demo and of a store that follows the demo's journal.
"""

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import pytest
from prometheus_client import start_http_server

from ingest.store.service import run_store
from ingest.store.settings import InfluxSettings
from lifeline.grafana.build import files, site_city
from rules.registry_file import load_registry
from tests import servers, store_data, store_server

pytestmark = pytest.mark.real
WITHIN_S = 90.0


def expressions():
    board = json.loads(dict(files(site_city(None)))["lifeline-pipeline.json"])
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            if "expr" in target:
                yield panel["title"], target["expr"].replace("$__rate_interval", "15s")


@contextlib.contextmanager
def demo(folder):
    """Run the demo; give the port of its page."""
    port = servers.free_port()
    command = [sys.executable, "-m", "lifeline", "demo", "--no-browser", "--port", str(port)]
    with (folder / "demo.log").open("wb") as log:
        running = subprocess.Popen(
            [*command, "--data", str(folder / "data"), "--scenario", "demo"],
            stdout=log, stderr=log, cwd=store_data.ROOT,
        )  # fmt: skip
        try:
            yield port
        finally:
            running.terminate()
            running.wait(30)


@contextlib.contextmanager
def store(data):
    """Follow the demo's journal into an InfluxDB; give the port of this process's metrics."""
    written_last = data / "site" / "map.geojson"
    store_data.until(written_last.is_file, timeout_s=30, what="the city")
    registry = load_registry(data / "site" / "registry")
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        store_server.query(influxd, "CREATE DATABASE b")
        settings = InfluxSettings(url=proxy.url, org="o", bucket="b", token=store_server.TOKEN)
        stop = threading.Event()
        options = {"data": data, "registry": registry, "settings": settings, "stop": stop}
        thread = threading.Thread(target=run_store, kwargs=options)
        server, _ = start_http_server(0, addr=servers.HOST)
        thread.start()
        try:
            yield server.server_port
        finally:
            stop.set()
            thread.join(20)
            server.shutdown()


def ask(prometheus, text):
    """Return what the expression gives now; Prometheus answers 400 to one it cannot read."""
    asked = urllib.parse.urlencode({"query": text})
    url = f"{prometheus.url}/api/v1/query?{asked}"
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        found = json.loads(answer.read())
    assert found["status"] == "success"
    return found["data"]["result"]


def test_every_expression_is_answered_with_rows_while_the_pipeline_runs(tmp_path):
    asked = dict.fromkeys(expressions())
    assert len(asked) > 25
    with (
        demo(tmp_path) as page,
        store(tmp_path / "data") as own,
        servers.prometheus(f"{servers.HOST}:{page}", f"{servers.HOST}:{own}") as prometheus,
    ):
        deadline = time.monotonic() + WITHIN_S
        silent = list(asked)
        while silent and time.monotonic() < deadline:
            time.sleep(1)
            silent = [one for one in silent if not ask(prometheus, one[1])]
        assert silent == [], (tmp_path / "demo.log").read_text()[-2000:]
        lost = next(text for title, text in asked if title.startswith("Broker lost"))
        while (told := [one["value"][1] for one in ask(prometheus, lost)]) != ["0"]:
            assert time.monotonic() < deadline, told  # 1 until the first scrape after connecting
            time.sleep(1)


def test_an_expression_that_is_wrong_is_refused(tmp_path):
    """The test above can fail: Prometheus does read what it is asked."""
    with servers.prometheus() as prometheus, pytest.raises(urllib.error.HTTPError):
        ask(prometheus, re.sub(r"\)$", "", "max(lifeline_blind)"))
