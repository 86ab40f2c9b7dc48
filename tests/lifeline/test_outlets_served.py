"""All outlets of a real city.toml under serve: what goes out, what waits, and no secret is told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog

from lifeline.ledger import Ledger
from lifeline.notify import examined
from lifeline.notify.outlets import outlets_of, webhook_of
from lifeline.notify.routing import routing_of
from lifeline.settings.config import config_of
from tests import servers
from tests.lifeline.small_city import GAS, SmallCity, serving, until

MARKED = {
    "webhook": "marked-webhook-1017c592b0cd",
    "alertmanager": "marked-alertmanager-8f14e45f",
    "mqtt": "marked-mqtt-c9f0f895fb98",
    "email": "marked-email-45c48cce2e2d",
    "dingtalk-key": "marked-dingtalk-token-d3d94468",
    "dingtalk": "SECmarked-dingtalk-6512bd43d9ca",
    "wecom-key": "marked-wecom-key-c20ad4d76fe9",
    "feishu-key": "marked-feishu-hook-c51ce410c124",
    "feishu": "marked-feishu-secret-aab32389",
}


class Telltale(BaseHTTPRequestHandler):
    """Refuses all but says what it was asked, in full: as bad as a server can be."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, body))
        taken = self.server.takes and not self.path.startswith("/api/v2")
        said = json.dumps({"errcode": 0, "code": 0}) if taken else ""
        said = said or f"no! {self.path} {self.headers} {list(MARKED.values())}"
        self.send_response(200 if taken else 500)
        self.send_header("Content-Length", str(len(said.encode())))
        self.end_headers()
        self.wfile.write(said.encode())

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def telltale():
    with ThreadingHTTPServer((servers.HOST, 0), Telltale) as server:
        server.asked, server.takes = [], False
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def config(tmp_path, telltale):
    """A city with each kind of outlet; those that are no HTTP have nobody at the other end."""
    url, nobody = f"http://{servers.HOST}:{telltale.server_port}", servers.free_port()
    files = MARKED | {
        "dingtalk-url": f"{url}/robot/send?access_token={MARKED['dingtalk-key']}",
        "wecom-url": f"{url}/cgi-bin/webhook/send?key={MARKED['wecom-key']}",
        "feishu-url": f"{url}/open-apis/bot/v2/hook/{MARKED['feishu-key']}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    for room in ("registry", "rules"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "some.yaml").write_text("version: 1\n")
    return config_of(
        tmp_path,
        f"""
[site]
name = "Test"
[mqtt]
host = "127.0.0.1"
[webhook]
url = "{url}/hook"
secret_file = "webhook"
[outlet.alertmanager.main]
url = "{url}"
user = "lifeline"
password_file = "alertmanager"
[outlet.mqtt.city]
host = "127.0.0.1"
port = {nobody}
user = "lifeline"
password_file = "mqtt"
[outlet.email.duty]
host = "127.0.0.1"
port = {nobody}
user = "lifeline"
password_file = "email"
sender = "a@city.example"
to = ["duty@city.example"]
min_severity = 2
[outlet.dingtalk.gas]
url_file = "dingtalk-url"
secret_file = "dingtalk"
[outlet.wecom.gas]
url_file = "wecom-url"
[outlet.feishu.drain]
url_file = "feishu-url"
secret_file = "feishu"
[[route]]
domain = ["drain"]
to = ["feishu:drain"]
""",
    )


def served(config) -> dict:
    routing = lambda keeper: routing_of(config.entry, keeper)  # noqa: E731 - as serve is given it
    return {"webhook": webhook_of(config), "outlets": outlets_of(config), "routing": routing}


def told(found: str) -> list[str]:
    return [name for name, secret in MARKED.items() if secret in found]


def test_each_outlet_s_trouble_is_shown_and_none_of_their_secrets(
    tmp_path, config, telltale, capfd
):
    city = SmallCity(tmp_path / "data")
    with serving(city.data, **served(config)) as http, structlog.testing.capture_logs() as logs:
        city.send(GAS, 1.3)
        wanted = {"webhook", "alertmanager:main", "mqtt:city", "email:duty", "dingtalk:gas",
                  "wecom:gas"}  # fmt: skip
        problems = until(
            lambda: (p := http.get("/api/state").json()["problems"]) and wanted <= set(p) and p
        )
        pages = "".join(http.get(path).text for path in ("/api/state", "/api/health", "/metrics"))
    assert "feishu:drain" not in problems, "a gas alarm is not its business"
    assert "Connection refused" in problems["email:duty"]
    assert "HTTP 500" in problems["dingtalk:gas"]
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    findings = [*examined.answering(config), *examined.waiting_rows(ledger)]
    with ledger.read() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM outbox").all())
    ledger.close()
    city.close()
    assert {f.what for f in findings if f.state == "trouble"} == {
        "outlet mqtt:city", "outlet email:duty", "outlet alertmanager:main",
    }  # fmt: skip
    assert {f.what for f in findings if f.what.startswith("outbox")} == {
        f"outbox {name}" for name in wanted
    }
    said = pages + rows + str(findings) + str(logs) + "".join(capfd.readouterr())
    assert "[removed]" in said, "it was there to be taken out"
    assert told(said + repr(served(config)["outlets"]) + repr(config.entry)) == []
    assert told(str(telltale.asked)) != [], "the addresses were really used"


def test_an_alarm_of_a_simulation_leaves_by_no_outlet(tmp_path, config, telltale):
    city = SmallCity(tmp_path / "data", simulation=True)
    telltale.takes = True
    with serving(city.data, **served(config)) as http:
        city.send(GAS, 1.3)
        until(lambda: http.get("/api/alarms").json()["alarms"])
        time.sleep(1.5)
    city.close()
    assert [path for path, _ in telltale.asked if path != "/api/v2/alerts"] == []
    assert telltale.asked == []


def test_what_can_be_told_is_told_while_other_outlets_are_away(tmp_path, config, telltale):
    city = SmallCity(tmp_path / "data")
    telltale.takes = True
    with serving(city.data, **served(config)) as http:
        city.send(GAS, 1.3)
        until(lambda: {"/hook"} <= {path for path, _ in telltale.asked})
        until(lambda: [b for p, b in telltale.asked if p.startswith("/robot/send")])
        until(lambda: [b for p, b in telltale.asked if p.startswith("/cgi-bin")])
        until(lambda: "email:duty" in http.get("/api/state").json()["problems"])
        problems = http.get("/api/state").json()["problems"]
    city.close()
    (text,) = [b for p, b in telltale.asked if p.startswith("/cgi-bin")]
    assert "甲烷" in json.loads(text)["text"]["content"]
    assert "wecom:gas" not in problems
