"""The way of docs/deploy.md with real servers: from files to the first alarm behind the login."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

from tests import servers
from tests.deploy_files import DEPLOY, GATEWAY, broker, compose, rewritten

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
LIFELINE = [sys.executable, "-m", "lifeline"]
CHANNEL = "410100-gas-mh-000001/ch4-01/vol"


def until(get, what, *, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not (found := get()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.2)
    return found


class Behind(BaseHTTPRequestHandler):
    """In Grafana's place, which cannot run here: says what it was asked."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps([self.path, dict(self.headers)]).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def grafana():
    with ThreadingHTTPServer(("127.0.0.1", 0), Behind) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def make_site(folder, secrets, **ports):
    """As the page tells: init, the containers' city.toml, the mark of an exercise."""
    subprocess.run([*LIFELINE, "init", folder], check=True, capture_output=True)
    text = rewritten(
        DEPLOY / "city.toml",
        {
            'host = "mosquitto"\nport = 8884': f'host = "localhost"\nport = {ports["broker"]}',
            "/run/secrets/": f"{secrets}/",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - of the container
            "5683": str(ports["coap"]),
            "8480": str(ports["page"]),
            "localhost:8443": f"localhost:{ports['proxy']}",
            "http://influxdb:8086": ports["store"],
        },
    )
    (folder / "city.toml").write_text(text, encoding="utf-8")
    registry = folder / "registry" / "city.yaml"
    text = registry.read_text(encoding="utf-8")
    text = text.replace("version: 1\n", "version: 1\nsimulation: true\n")
    for slow in ("every: 1m", "every: 60s"):  # not to wait for minutes
        assert slow in text
        text = text.replace(slow, "every: 2s")
    registry.write_text(text)


def proxy(secrets, *, page, grafana):
    def build(folder, port):
        text = rewritten(
            DEPLOY / "proxy" / "nginx.conf",
            {
                "/tmp/": f"{folder}/",  # noqa: S108 - of the container
                "/run/secrets/": f"{secrets}/",
                "listen 8443": f"listen 127.0.0.1:{port}",
                "listen 8481": f"listen 127.0.0.1:{servers.free_port()}",
                "resolver 127.0.0.11 valid=10s;": "",
                "http://lifeline:8480": f"http://127.0.0.1:{page}",
                "http://grafana:3000": f"http://127.0.0.1:{grafana}",
            },
        )
        (folder / "nginx.conf").write_text(text)
        words = ["-p", str(folder), "-c", str(folder / "nginx.conf")]
        return [servers.program("nginx"), *words, "-g", "daemon off; user root;"]

    return servers.running(build, servers.listens)


def container_command():
    text = (DEPLOY / "Dockerfile").read_text()
    return yaml.safe_load(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])


def test_the_first_alarm_stands_behind_the_login_and_is_acknowledged(tmp_path, secrets, grafana):
    city, data, log = tmp_path / "city", tmp_path / "data", tmp_path / "log"
    page, inside = servers.free_port(), servers.free_port()
    coap = servers.free_port(socket.SOCK_DGRAM)
    with (
        broker(secrets, inside=inside) as mqtt,
        servers.victoria_metrics() as store,
        proxy(secrets, page=page, grafana=grafana) as door,
    ):
        ports = {"broker": inside, "coap": coap, "page": page, "proxy": door.port}
        make_site(city, secrets, store=store.url, **ports)
        places = {"/site": str(city), "/data": str(data)}
        words = [places.get(word, word) for word in container_command()]
        with log.open("wb") as said, subprocess.Popen([*LIFELINE, *words], stderr=said) as run:
            try:
                visit(secrets, door.port)
                with leaking(secrets, city, mqtt.port):
                    the_alarm_is_seen_and_acknowledged(secrets, door.port)
                the_watchers_are_answered(secrets, page)
                until(lambda: "gas_value" in names(store.url), "readings in the store")
            finally:
                run.terminate()
                run.wait(20)
    assert run.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def person(secrets, port, **words):
    login = ("operator", (secrets / "operators" / "operator").read_text().strip())
    base, trust = f"https://localhost:{port}", ssl.create_default_context(cafile=secrets / "ca.crt")
    return httpx.Client(base_url=base, verify=trust, **({"auth": login} | words))


def visit(secrets, port):
    """Nobody comes in without a login; with it the page comes as from this machine."""
    with person(secrets, port) as client, person(secrets, port, auth=None) as stranger:
        until(lambda: client.get("/").status_code == 200, "the page behind the proxy")
        for path in ("/", "/api/state", "/api/health", "/static/main.js", "/vendor/leaflet.js"):
            assert stranger.get(path).status_code == 401, path
        wrong = stranger.get("/", auth=("operator", "wrong"))
        assert wrong.status_code == 401
        assert client.get("/metrics").status_code == 404
        assert "max-age" in client.get("/").headers["strict-transport-security"]
        path, headers = client.get("/grafana/d/x").json()
        assert path == "/grafana/d/x"
        assert "Authorization" not in headers, "the console's login is none of Grafana's"
        assert headers["Host"] == f"localhost:{port}"


class leaking:  # noqa: N801 - reads as what it is
    """The simulated gateway of the page, by itself and over TLS, until the block ends."""

    def __init__(self, secrets, city, port):
        account = ["--user", GATEWAY, "--password-file", secrets / "gateways" / GATEWAY]
        self.words = [
            *LIFELINE, "simulate", DEPLOY / "first-alarm.yaml", "--registry", city / "registry",
            "--device", GATEWAY, "--to", f"mqtts://localhost:{port}",
            "--ca-file", secrets / "ca.crt", *account,
        ]  # fmt: skip

    def __enter__(self):
        self.run = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True)

    def __exit__(self, *_):
        self.run.terminate()
        told, _ = self.run.communicate(timeout=20)
        assert re.search(r"sent \d+ readings", told)
        assert self.run.returncode == 0


def the_alarm_is_seen_and_acknowledged(secrets, port):
    with person(secrets, port) as client:
        alarms = lambda: client.get("/api/alarms").json()["alarms"]  # noqa: E731
        (alarm,) = until(alarms, "the first alarm")
        assert alarm["channel"] == CHANNEL
        assert alarm["simulation"] is True
        path = f"/api/alarms/{alarm['id']}/ack"
        order = {"by": "Li", "expected_seq": alarm["seq"], "command": "c"}
        forged = client.post(path, json=order, headers={"Origin": "https://evil.example"})
        assert forged.status_code == 403
        done = client.post(path, json=order, headers={"Origin": f"https://localhost:{port}"})
        if done.status_code == 409:  # it became worse in between: the person looks again
            order |= {"expected_seq": alarms()[0]["seq"], "command": "d"}
            done = client.post(path, json=order)
        assert done.status_code == 200, done.text


def the_watchers_are_answered(secrets, page):
    """Prometheus with its token; the container's health check without one, from inside."""
    token = (secrets / "page-token-prometheus").read_text().strip()
    shown = {"Authorization": f"Bearer {token}", "Host": "lifeline:8480"}
    metrics = httpx.get(f"http://127.0.0.1:{page}/metrics", headers=shown)
    assert 'lifeline_mqtt_connected{process="ingest"} 1.0' in metrics.text
    assert 'lifeline_process_restarts_total{name="ingest",process="supervisor"} 0.0' in metrics.text
    _, _, option, check = compose()["services"]["lifeline"]["healthcheck"]["test"]
    words = [sys.executable, option, check.replace("8480", str(page))]
    until(lambda: subprocess.run(words, check=False, capture_output=True).returncode == 0, "health")


def names(url):
    found = httpx.get(f"{url}/api/v1/label/__name__/values").json()["data"]
    return set(found)


def test_the_health_check_fails_where_no_heartbeat_comes_through(tmp_path, secrets):
    """A page that answers is not enough: here the broker is away."""
    city, page = tmp_path / "city", servers.free_port()
    ports = {"broker": servers.free_port(), "page": page, "proxy": 8443, "store": "http://x:1"}
    make_site(city, secrets, coap=servers.free_port(socket.SOCK_DGRAM), **ports)
    shutil.rmtree(city / "data", ignore_errors=True)
    words = ["run", city, "--data", tmp_path / "data", "--no-ask-servers"]
    with subprocess.Popen([*LIFELINE, *words], stderr=subprocess.DEVNULL) as run:
        try:
            url = f"http://127.0.0.1:{page}/api/health"
            until(lambda: _status(url), "the page")
            assert _status(url) == 503
            told = httpx.get(url).json()
            assert told["stale"] or told["blind"]
        finally:
            run.terminate()
            run.wait(20)


def _status(url):
    try:
        return httpx.get(url).status_code
    except httpx.HTTPError:
        return 0
