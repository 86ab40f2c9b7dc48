"""Prometheus and Alertmanager with our own files: alive goes outside each minute, and then not."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests import servers
from tests.deploy_files import DEPLOY

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
HEARTBEATS = 'lifeline_engine_events_total{process="engine",type="HEARTBEAT"}'


class Ends:
    """Both ends: what Prometheus reads, and what Alertmanager sends to whom."""

    def __init__(self):
        self.beats, self.beating, self.there = 0, True, True
        self.got: list[tuple[float, str, str, str]] = []  # (time, receiver, alert, status)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.beats += outer.beating
                self.send_response(200 if outer.there else 503)
                self.end_headers()
                blind = 'lifeline_blind{process="serve"} 0'
                self.wfile.write(f"{HEARTBEATS} {outer.beats}\n{blind}\n".encode())

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    said = (self.path[1:], alert["labels"]["alertname"], alert["status"])
                    outer.got.append((time.monotonic(), *said))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((servers.HOST, 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://{servers.HOST}:{self.server.server_port}"

    def heard(self, receiver, alert):
        return [at for at, to, name, _ in self.got if (to, name) == (receiver, alert)]


@pytest.fixture
def ends():
    held = Ends()
    yield held
    held.server.shutdown()
    held.server.server_close()


def hurried(text):
    """The same file in seconds instead of minutes."""
    return re.sub(r"(\[|for: |interval: |group_wait: )(\d+)(m|h)\b", r"\g<1>\g<2>s", text)


def alertmanager(ends):
    """With our routes; each receiver is a webhook of the test instead of mail."""
    config = yaml.safe_load(hurried((DEPLOY / "alertmanager" / "alertmanager.yml").read_text()))
    config.pop("global")
    config["receivers"] = [
        {
            "name": one["name"],
            "webhook_configs": [{"url": f"{ends.url}/{one['name']}", "send_resolved": False}],
        }
        for one in config["receivers"]
    ]

    def build(folder, port):
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
        return [
            servers.program("prometheus-alertmanager"),
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/data",
            f"--web.listen-address={servers.HOST}:{port}",
            "--cluster.listen-address=",
        ]

    return servers.running(build, servers.answers("/-/ready"))


def prometheus(ends, alerts):
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    (job,) = [one for one in config["scrape_configs"] if one["job_name"] == "lifeline"]
    job.pop("authorization")
    target = ends.url.removeprefix("http://")
    job["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [job]
    where = {"targets": [f"{servers.HOST}:{alerts}"]}
    config["alerting"] = {"alertmanagers": [{"static_configs": [where]}]}

    def build(folder, port):
        rules = hurried((DEPLOY / "prometheus" / "rules" / "pipeline.yml").read_text())
        (folder / "rules.yml").write_text(rules)
        config["rule_files"] = [f"{folder}/rules.yml"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        return [
            servers.program("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={servers.HOST}:{port}",
        ]

    return servers.running(build, servers.answers("/-/ready"))


def until(true, what, *, within_s=40):
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_alive_is_sent_outside_again_and_again_and_its_absence_is_told_to_people(ends):
    with alertmanager(ends) as alerts, prometheus(ends, alerts.port):
        until(lambda: len(ends.heard("watcher-outside", "LifelineAlive")) >= 4, "signs of life")
        assert not [name for _, to, name, _ in ends.got if to == "on-call"], ends.got
        ends.beating = False
        until(lambda: ends.heard("on-call", "LifelineNoHeartbeat"), "no heartbeat, told to people")
        quiet = time.monotonic()
        time.sleep(4)
        assert not [at for at in ends.heard("watcher-outside", "LifelineAlive") if at > quiet + 1]
        ends.beating = True
        until(lambda: ends.heard("watcher-outside", "LifelineAlive")[-1] > quiet + 4, "alive again")
        ends.there = False
        until(lambda: ends.heard("on-call", "LifelineDown"), "that it is gone")
