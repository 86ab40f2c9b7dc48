"""The webhook, against a real HTTP server on loopback."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lifeline.ledger import Ledger
from lifeline.notify import Post, WebhookSettings, verify
from rules.events import Event, EventType

SECRET = b"a shared secret"


def raised(offset: int, severity: int = 3) -> Event:
    return Event(
        type=EventType.RAISED,
        offset=offset,
        row=0,
        rule="ch4-level",
        subject=f"410100-gas-mh-{offset:06d}/ch4-01/vol",
        severity=severity,
        max_severity=severity,
        episode=f"{offset}.0",
    )


class Receiver:
    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[tuple[dict, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((dict(self.headers), body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    held = Receiver()
    yield held
    held.close()


class Wall:
    def __init__(self) -> None:
        self.ns = time.time_ns()

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def sender(tmp_path, receiver):
    settings = WebhookSettings(url=receiver.url, secret=SECRET, max_attempts=3)
    wall = Wall()
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}", outlets=(settings.outlet,), wall_ns=wall)
    webhook = Post(ledger, settings)
    yield ledger, webhook, wall
    webhook.close()
    ledger.close()


def statuses(ledger) -> list[tuple]:
    with ledger.read() as connection:
        query = "SELECT seq, status, attempts FROM outbox ORDER BY seq"
        return [tuple(r) for r in connection.exec_driver_sql(query).all()]


def test_the_signature_is_verified_by_the_receiver(sender, receiver):
    ledger, webhook, _ = sender
    ledger.apply([raised(1)], 2)
    assert webhook.deliver_due() == 1
    headers, body = receiver.requests[0]
    assert verify(SECRET, headers, body, now_s=time.time())
    assert not verify(b"another", headers, body, now_s=time.time())
    assert not verify(SECRET, headers, body + b" ", now_s=time.time())
    assert not verify(SECRET, headers, body, now_s=time.time() + 3600), "too old to be fresh"
    assert not verify(SECRET, {}, body, now_s=time.time())
    assert json.loads(body)["type"] == "RAISED"
    assert webhook.deliver_due() == 0, "delivered once"


def test_a_message_is_repeated_under_one_id_until_the_server_takes_it(sender, receiver):
    ledger, webhook, wall = sender
    receiver.answers = [503, 429, 204]
    ledger.apply([raised(1)], 2)
    for _ in range(3):
        webhook.deliver_due()
        wall.ns += 400 * 10**9
    assert [h["Lifeline-Id"] for h, _ in receiver.requests] == ["1", "1", "1"]
    assert len({h["Lifeline-Timestamp"] for h, _ in receiver.requests}) == 3
    assert statuses(ledger) == [(1, "delivered", 3)]


def test_a_failed_message_waits_before_the_next_attempt(sender, receiver):
    ledger, webhook, _ = sender
    receiver.answers = [500]
    ledger.apply([raised(1)], 2)
    webhook.deliver_due()
    webhook.deliver_due()
    assert len(receiver.requests) == 1
    assert webhook.trouble.startswith("event 1 pending: HTTP 500")


def test_what_cannot_get_better_is_given_up_with_the_reason(sender, receiver):
    ledger, webhook, _ = sender
    receiver.answers = [422]
    ledger.apply([raised(1), raised(2)], 3)
    assert webhook.deliver_due() == 1
    assert statuses(ledger) == [(1, "given_up", 1), (2, "delivered", 1)]


def test_an_unreachable_server_is_tried_a_bounded_number_of_times(sender, receiver):
    ledger, webhook, wall = sender
    receiver.close()
    ledger.apply([raised(1)], 2)
    for _ in range(5):
        webhook.deliver_due()
        wall.ns += 400 * 10**9
    assert statuses(ledger) == [(1, "given_up", 3)]


def test_simulated_data_never_reaches_the_outside(sender, receiver):
    ledger, webhook, _ = sender
    ledger.apply([raised(1, severity=4)], 2, simulation=True)
    alarm = ledger.open_alarms()[0]
    ledger.acknowledge(alarm.alarm_id, "li", "", None, "c1")
    assert webhook.deliver_due() == 0
    assert receiver.requests == []
    assert {s for _, s, _ in statuses(ledger)} == {"withheld"}


def test_only_the_configured_severities_are_told(sender, receiver):
    ledger, webhook, _ = sender
    ledger.apply([raised(1, severity=1), raised(2, severity=2)], 3)
    assert webhook.deliver_due() == 1
    assert json.loads(receiver.requests[0][1])["severity"] == 2


def test_what_was_put_off_goes_out_as_soon_as_the_receiver_is_there_again(sender, receiver):
    ledger, webhook, _ = sender
    ledger.apply([raised(1), raised(2)], 3)
    receiver.answers = [503, 503]
    webhook.deliver_due()  # 1 is put off, 2 not tried
    webhook.deliver_due()  # 2 is put off
    ledger.apply([raised(3)], 4)
    # a new alarm does not wait for older ones, and then they are due at once, without a wait
    assert webhook.deliver_due() == 3
    assert [h["Lifeline-Id"] for h, _ in receiver.requests] == ["1", "2", "3", "1", "2"]


def test_a_clock_set_back_does_not_put_messages_off_for_as_long(sender, receiver):
    ledger, webhook, wall = sender
    ledger.apply([raised(1)], 2)
    receiver.answers = [503]
    wall.ns += 86_400 * 10**9
    webhook.deliver_due()
    wall.ns -= 86_400 * 10**9
    assert webhook.deliver_due() == 1
