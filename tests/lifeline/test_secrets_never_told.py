"""Everything runs with marked secrets, each outside thing fails, and nobody says one of them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.codecs import compact
from lifeline.logs import configure_logs
from lifeline.settings.config import config_of
from lifeline.torture.site import GATEWAYS, Ports, write_site
from rules.problems import Invalid
from tests import servers
from tests.terminal import lifeline

SECRETS = {
    "mqtt": "marked-mqtt-5d41402abc4b",
    "influx": "marked-influx-2a76b9719d91",
    "webhook": "marked-webhook-1017c592b0cd",
    "page": "marked-page-token-7d793037a0760186574b0282",
    "password": "marked-password-b14a7b8059d9",
    "wrong": "marked-wrong-password-9f6e6800cfae",
}
SENT = ("mqtt", "influx", "webhook", "page")  # what others could repeat
GIVEN_OUT = ("session", "csrf", "token")  # noted among SECRETS once they are made


class Telltale(BaseHTTPRequestHandler):
    """Refuses all, and repeats what it was sent and more: as bad as a server can be."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = json.dumps(
            {"code": "unauthorized", "message": f"{[SECRETS[name] for name in SENT]} no!"}
        )
        body = f"{said}\n{self.headers}".encode()
        self.server.asked.append(self.path)
        self.send_response(401 if "write" in self.path else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_):
        pass


@pytest.fixture
def telltale():
    with ThreadingHTTPServer((servers.HOST, 0), Telltale) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def city(tmp_path, telltale):
    """A city, its broker to come; the webhook's secret is in the environment, the rest in files."""
    site, url = tmp_path / "city", f"http://{servers.HOST}:{telltale.server_port}"
    ports = [servers.free_port() for _ in range(3)]
    write_site(site, Ports(ports[0], ports[1], ports[2], url, f"{url}/hook"))
    for name in ("mqtt", "influx", "page", "password"):
        (site / name).write_text(SECRETS[name] + "\n")
    text = (site / "city.toml").read_text()
    for old, new in (
        ('token_file = "token"', 'token_file = "influx"'),
        ('secret_file = "secret"', 'secret_env = "MARKED_SECRET"'),
        ("[mqtt]\n", '[mqtt]\nuser = "lifeline"\npassword_file = "mqtt"\n'),
        ("[page]\n", '[page]\norigin = "https://o.example"\ntoken_file = "page"\n'),
    ):
        assert old in text
        text = text.replace(old, new)
    (site / "city.toml").write_text(text)
    return site, ports


def until(true, what, *, within_s=40):
    end = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def running(site, log, *words):
    environment = os.environ | {"MARKED_SECRET": SECRETS["webhook"]}
    command = [sys.executable, "-m", "lifeline", "run", site, "--no-ask-servers", *words]
    with (
        log.open("ab") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=environment) as run,
    ):
        try:
            yield run
        finally:
            run.terminate()
            run.wait(20)


def leak(port):
    """Methane far beyond red, from a real gateway's account."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id="gw", protocol=MQTTProtocolVersion.MQTTv311
    )
    client.username_pw_set("gw", "gw")
    client.connect(servers.HOST, port)
    client.loop_start()
    block = compact.Series(port=1, offsets_ms=[0, 1], values=[4.0, 4.1])
    payload = compact.encode(
        device=GATEWAYS[0], boot=1, sequence=1, time_base_ms=time.time_ns() // 1_000_000,
        simulation=False, blocks=[block],
    )  # fmt: skip
    client.publish(f"lifeline/v1/{GATEWAYS[0]}/up", payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def told_by(port, *paths):
    shown = {"Authorization": f"Bearer {SECRETS['page']}", "Host": "o.example"}
    if "token" in SECRETS:
        shown["Lifeline-Token"] = SECRETS["token"]
    base = f"http://{servers.HOST}:{port}"
    texts = []
    with httpx.Client(base_url=base, timeout=10) as http:
        for path in paths:
            texts.append(http.get(path, headers=shown).text)
            wrong = {"Host": "evil.example", "Authorization": shown["Authorization"][:-1]}
            texts.append(http.get(path, headers=wrong).text)
        order = {"by": "x", "expected_seq": 1, "command": SECRETS["page"][:-1]}
        texts.append(http.post("/api/alarms/zz/ack", json=order, headers=shown).text)
    return texts


def accounts_of(site):
    """Add an account and a token as a person does; what they print is told too."""
    where, token = ("--in", site), site / "api-token"
    add = ("add", "li", "--role", "admin", "--password-file", site / "password", *where)
    make = ("token", "li", "--label", "t", "--out", token, "--role", "admin", *where)
    said = [lifeline("people", *words) for words in (add, make, ("list", *where), ("log", *where))]
    assert [ran.returncode for ran in said] == [0] * 4, [ran.stderr for ran in said]
    return token.read_text().strip(), "".join(ran.stdout + ran.stderr for ran in said)


def logged_in(port):
    """Log in, once wrongly; return (session, token of the page, what the page said)."""
    shown = {"Authorization": f"Bearer {SECRETS['page']}", "Host": "o.example"}
    shown["Origin"] = "https://o.example"
    with httpx.Client(base_url=f"http://{servers.HOST}:{port}", timeout=10) as http:
        http.headers.update(shown)
        wrong = http.post("/login", json={"login": "li", "password": SECRETS["wrong"]})
        bad = http.post("/login", json={"login": "li", "password": [SECRETS["password"]]})
        right = http.post("/login", json={"login": "li", "password": SECRETS["password"]})
        assert [wrong.status_code, bad.status_code, right.status_code] == [401, 422, 200]
        session = right.headers["set-cookie"].split(";")[0].split("=", 1)[1]
    return session, right.json()["csrf"], wrong.text + bad.text


def commands(run):
    held = psutil.Process(run.pid)
    return [" ".join(p.cmdline()) for p in (held, *held.children(recursive=True))]


@pytest.mark.real
@pytest.mark.timeout(200)
@pytest.mark.parametrize("form", ["--json-logs", "--no-json-logs"])
def test_no_secret_is_told_when_each_outside_thing_fails(
    city, telltale, tmp_path, monkeypatch, form
):
    site, (mqtt_port, _, page) = city
    log, said = tmp_path / "run.log", {}
    users = {"lifeline": SECRETS["mqtt"], "gw": "gw"}
    monkeypatch.setenv("MARKED_SECRET", SECRETS["webhook"])
    token, said["people"] = accounts_of(site)
    monkeypatch.setitem(SECRETS, "token", token)
    with running(site, log, form) as run:
        with servers.mosquitto(port=mqtt_port, users=users):
            until(lambda: b"mqtt connected" in log.read_bytes(), "the broker")
            leak(mqtt_port)
            until(lambda: "/hook" in telltale.asked, "the webhook")
            until(lambda: any("write" in path for path in telltale.asked), "the store")
        with servers.mosquitto(port=mqtt_port, users=users | {"lifeline": "another"}):
            until(lambda: b"refused the connection" in log.read_bytes(), "a refused login")
        paths = ("/", "/api/state", "/api/health", "/metrics", "/api/alarms", "/api/nothing")
        until(lambda: "webhook" in told_by(page, "/api/health")[0], "trouble on the page")
        session, csrf, said["login"] = logged_in(page)
        monkeypatch.setitem(SECRETS, "session", session)
        monkeypatch.setitem(SECRETS, "csrf", csrf)
        for number, text in enumerate(told_by(page, *paths, "/api/people", "/api/people/log")):
            said[f"page {number}"] = text
        said["ps"] = "\n".join(commands(run))
        said["doctor"] = lifeline("doctor", site).stdout
    monkeypatch.setenv("MARKED_SECRET", SECRETS["webhook"])
    bundle = tmp_path / "b.tar.gz"
    ran = lifeline("support-bundle", bundle, "--site", site, "--log", log, "--readings")
    assert ran.returncode == 0, ran.stderr
    with tarfile.open(bundle) as parts:
        for part in parts.getmembers():
            said[f"bundle {part.name}"] = parts.extractfile(part).read().decode(errors="replace")
    said["log"] = log.read_text()
    for path in Path(site / "data").rglob("*"):
        if path.is_file():
            said[str(path)] = path.read_bytes().decode(errors="replace")
    assert "401" in said["log"], "InfluxDB's refusal was told"
    assert "[removed]" in said["log"] + said["page 4"], "it was there to be taken out"
    told = [
        (where, name)
        for where, text in said.items()
        for name, secret in SECRETS.items()
        if secret in text
    ]
    assert set(GIVEN_OUT) <= set(SECRETS)
    assert told == []


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path):
    text = '[site]\nname = "x"\n[mqtt]\nhost = "b"\n[influx]\nbucket = "b"\n'
    text += 'url = "http://me:in-the-clear@db:8086"\n'
    with pytest.raises(Invalid) as refused:
        config_of(tmp_path, text)
    assert "a user or password stands in it" in str(refused.value)
    assert "in-the-clear" not in str(refused.value)


@pytest.mark.parametrize("form", [True, False])
def test_no_device_writes_lines_of_our_log(capsys, form):
    configure_logs(json_lines=form, process="ingest")
    forged = "x\n2026-01-01 [info] all is well\r\x1b[2J\u2028next"
    logging.getLogger("coap").error("a datagram of %s", forged)
    import structlog  # noqa: PLC0415 - configured just now

    structlog.get_logger("ingest").warning(forged, device=forged)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert not any("\x1b[2J" in line or "\r" in line for line in lines)
    assert all(r"\n2026" in line for line in lines)
