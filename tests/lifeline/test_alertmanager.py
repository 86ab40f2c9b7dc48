"""Alarms as alerts, in a real Alertmanager."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from lifeline.ledger.people import People
from lifeline.notify.alertmanager import AlertmanagerSettings, named
from tests import servers
from tests.lifeline.outlets import Desk, Wall, happened
from tests.lifeline.small_city import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


class Heard:
    """What Alertmanager notifies of, as its own receiver."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []  # (level, status, subject)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    outer.got.append((labels["level"], alert["status"], labels["subject"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer((servers.HOST, 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture(scope="module")
def heard():
    held = Heard()
    yield held
    held.server.shutdown()
    held.server.server_close()


@pytest.fixture(scope="module")
def alertmanager(heard):
    with servers.alertmanager(f"http://{servers.HOST}:{heard.server.server_port}/") as held:
        yield held


@pytest.fixture
def desk(tmp_path, alertmanager):
    settings = AlertmanagerSettings(
        name="alertmanager:main", url=alertmanager.url, page="http://127.0.0.1:8480", every_s=1.0
    )
    held = Desk(tmp_path, settings)
    yield held
    held.close()


def alerts(server, subject: str) -> list[dict]:
    told = httpx.get(f"{server.url}/api/v2/alerts", params={"filter": f'subject="{subject}"'})
    return told.json()


def subject(episode: int) -> str:
    return f"410100-gas-mh-{episode:06d}/ch4-01/vol"


def test_an_alarm_fires_and_is_resolved_when_it_clears(desk, alertmanager, heard):
    desk.tell(happened("RAISED", 1, episode=1))
    assert desk.post.deliver_due() == 1
    (alert,) = alerts(alertmanager, subject(1))
    assert alert["status"]["state"] == "active"
    assert alert["labels"]["alertname"] == "ch4-level"
    assert alert["annotations"]["summary_zh"] == f"甲烷 {subject(1)}"
    assert alert["generatorURL"] == "http://127.0.0.1:8480"
    until(lambda: ("orange", "firing", subject(1)) in heard.got)
    desk.tell(happened("CLEARED", 2, 0, episode=1))
    assert desk.post.deliver_due() == 1
    assert alerts(alertmanager, subject(1)) == []
    until(lambda: ("orange", "resolved", subject(1)) in heard.got)


def test_an_alarm_that_gets_worse_is_one_alert_of_the_new_level(desk, alertmanager):
    desk.tell(happened("RAISED", 1, 3, episode=2))
    desk.post.deliver_due()
    desk.tell(happened("ESCALATED", 2, 4, episode=2, previous=3))
    desk.post.deliver_due()
    (alert,) = alerts(alertmanager, subject(2))
    assert alert["labels"]["level"] == "red"
    assert alert["labels"]["severity"] == "4"


def test_what_stands_is_sent_again_and_what_we_forget_ends_by_itself(desk, alertmanager):
    desk.tell(happened("RAISED", 1, episode=3))
    desk.post.deliver_due()
    ends = alerts(alertmanager, subject(3))[0]["endsAt"]
    within = datetime.fromisoformat(ends).timestamp() - datetime.now(UTC).timestamp()
    assert 2 < within < 5, "four times every_s ahead"
    time.sleep(1.1)
    desk.wall.pass_s(1.1)
    desk.post.deliver_due()
    assert alerts(alertmanager, subject(3))[0]["endsAt"] > ends
    until(lambda: alerts(alertmanager, subject(3)) == [], seconds=8)


def test_a_restart_goes_on_sending_what_stands(desk, alertmanager):
    desk.tell(happened("RAISED", 1, episode=4))
    desk.post.deliver_due()
    ends = alerts(alertmanager, subject(4))[0]["endsAt"]
    desk.close()
    desk.wall.pass_s(1)
    desk.open()
    desk.post.deliver_due()
    assert alerts(alertmanager, subject(4))[0]["endsAt"] > ends


def test_what_is_shelved_still_stands_and_its_end_is_told_though_nobody_is_called(
    desk, alertmanager
):
    desk.tell(happened("RAISED", 1, episode=5))
    desk.post.deliver_due()
    (alarm,) = desk.ledger.open_alarms()
    People(desk.ledger).shelve(
        alarm.alarm_id, by="li", reason="works", for_ns=60 * 10**9,
        expected_seq=alarm.seq, command="s1",
    )  # fmt: skip
    desk.post.deliver_due()
    time.sleep(1.1)
    desk.post.deliver_due()
    (alert,) = alerts(alertmanager, subject(5))
    assert alert["annotations"]["held"] == "shelved"
    desk.tell(happened("CLEARED", 2, 0, episode=5))
    assert desk.statuses()[-1] == "withheld"
    time.sleep(1.1)
    desk.post.deliver_due()
    assert alerts(alertmanager, subject(5)) == []


def test_simulated_and_suppressed_alarms_never_become_alerts(desk, alertmanager):
    desk.tell(happened("RAISED", 1, 4, episode=6), simulation=True)
    held = {"held": [{"cause": "MW-1"}]}
    desk.tell(happened("RAISED", 2, 4, episode=7, evidence=held))
    desk.post.deliver_due()
    time.sleep(1.1)
    desk.post.deliver_due()
    assert alerts(alertmanager, subject(6)) == alerts(alertmanager, subject(7)) == []


def test_while_it_is_away_alarms_wait_and_the_trouble_is_said(tmp_path):
    with servers.alertmanager("http://127.0.0.1:1/") as server:
        wall = Wall()
        settings = AlertmanagerSettings(name="alertmanager:b", url=server.url, every_s=30.0)
        desk = Desk(tmp_path, settings, wall=wall)
        assert settings.probe() == ""
        server.stop()
        assert server.url in settings.probe()
        desk.tell(happened("RAISED", 1, episode=8))
        assert desk.post.deliver_due() == 0
        assert "event 1 pending: ConnectError" in desk.post.trouble
        server.start()
        wall.pass_s(10)
        assert desk.post.deliver_due() == 1
        assert desk.post.trouble == ""
        assert len(alerts(server, subject(8))) == 1
        desk.close()


def test_label_names_of_rules_become_such_as_prometheus_takes():
    assert named({"line-2": "a", "2nd": "b", "ok_1": "c"}) == {
        "line_2": "a", "_2nd": "b", "ok_1": "c",
    }  # fmt: skip
