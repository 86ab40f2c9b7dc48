"""Official warnings pulled from a feed and read from a broker: once, in order, nowhere else."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from paho.mqtt.publish import multiple

from lifeline.bulletins.feed import FEED_RULE, Feed, FeedSettings
from lifeline.bulletins.subscriber import Subscriber, TopicSettings
from tests import servers
from tests.lifeline.caps import cap
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.small_city import until

# ── pulled ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def published(pages: dict[str, bytes]):
    """Serve pages that may change; yield (base url, [(path, token)] asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("X-Key")))
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            """Be quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    http.server_close()


def atom(*entries: tuple[str, str]) -> bytes:
    said = "".join(
        f'<entry><link type="application/cap+xml" href="{href}"/><updated>{when}</updated></entry>'
        for href, when in entries
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{said}</feed>'.encode()


@pytest.fixture
def desk(tmp_path):
    held = desk_of(tmp_path)
    yield held
    held.ledger.close()


def names(desk) -> list[str]:
    return [each["identifier"] for each in desk.board.standing(time.time_ns())]


def active(desk, rule) -> bool:
    return any(a.condition.value == "active" for a, _ in desk.ledger.list(rule=rule))


def feed(desk, url, **more) -> Feed:
    return Feed(FeedSettings(url=url, **more), desk.board)


def test_each_entry_of_a_feed_is_asked_once_and_again_when_it_changes(desk):
    pages = {"/f": atom(("/1", "t1"), ("2", "t1")), "/1": cap("w-1"), "/2": cap("w-2")}
    stop = threading.Event()
    with published(pages) as (base, asked):
        puller = feed(desk, f"{base}/f", headers={"X-Key": "k3y"})
        puller.turn(stop)
        puller.turn(stop)
        assert sorted(names(desk)) == ["w-1", "w-2"]
        pages["/f"] = atom(("/1", "t2"), ("2", "t1"))
        pages["/1"] = cap("w-3", kind="Cancel", references=["w-1"], infos=[])
        puller.turn(stop)
        assert [path for path, _ in asked] == ["/f", "/1", "/2", "/f", "/f", "/1"]
        assert {key for _, key in asked} == {"k3y"}
        assert names(desk) == ["w-2"]
        assert puller.trouble == ""
        puller.close()


def test_an_rss_feed_and_a_message_by_itself_do_too(desk):
    rss = b"<rss><channel><item><link>/1</link><pubDate>x</pubDate></item></channel></rss>"
    stop = threading.Event()
    with published({"/rss": rss, "/1": cap("w-1"), "/cap": cap("w-2")}) as (base, _):
        for path in ("/rss", "/cap", "/cap"):
            puller = feed(desk, base + path)
            puller.turn(stop)
            assert puller.trouble == ""
            puller.close()
    assert sorted(names(desk)) == ["w-1", "w-2"]


def test_a_feed_sends_us_nowhere_else_and_the_token_stays_at_home(desk):
    stop = threading.Event()
    with published({"/1": cap("w-1"), "/2": cap("w-2")}) as (other, elsewhere):
        there = other.replace("127.0.0.1", "localhost")
        entries = (f"{there}/1", "t"), ("file:///etc/passwd", "t"), ("https://192.0.2.1/x", "t")
        with published({"/f": atom(*entries)}) as (base, _):
            puller = feed(desk, f"{base}/f", headers={"X-Key": "k3y"})
            puller.turn(stop)
            assert elsewhere == []
            assert "not in hosts" in puller.trouble
            allowed = feed(desk, f"{base}/f", headers={"X-Key": "k3y"}, hosts=("localhost",))
            allowed.turn(stop)
            assert elsewhere == [("/1", None)]
            assert names(desk) == ["w-1"]
            for each in (puller, allowed):
                each.close()


def test_one_that_cannot_be_read_is_told_once_and_the_others_are_taken(desk):
    stop = threading.Event()
    with published({"/f": atom(("/1", "t"), ("/2", "t")), "/1": b"<x/>", "/2": cap()}) as (base, _):
        puller = feed(desk, f"{base}/f")
        puller.turn(stop)
        assert "no alert" in puller.trouble
        assert names(desk) == ["zz-001"]
        puller.turn(stop)
        assert puller.trouble == ""
        assert len(desk.board.refused()) == 1
        puller.close()


@pytest.mark.parametrize(
    "page", [b"nonsense", b"<html/>", b'<!DOCTYPE a [<!ENTITY x "y">]><rss/>', None]
)
def test_a_source_that_gives_nothing_is_an_alarm_after_three_turns_until_it_does(desk, page):
    stop, pages = threading.Event(), {} if page is None else {"/f": page}
    with published(pages) as (base, _):
        puller = feed(desk, f"{base}/f")
        puller.turn(stop)
        puller.turn(stop)
        assert puller.trouble
        assert not active(desk, FEED_RULE)
        puller.turn(stop)
        assert active(desk, FEED_RULE)
        pages["/f"] = atom()
        puller.turn(stop)
        assert not active(desk, FEED_RULE)
        puller.close()


# ── published to us ──────────────────────────────────────────────────────────────────────────


@contextmanager
def subscribed(broker, desk, **more):
    stop, problems = threading.Event(), {}
    settings = TopicSettings(
        host=broker.host, port=broker.port, topic="warnings/cap", client_id="w-test", **more
    )
    reader = Subscriber(settings, desk.board)
    thread = threading.Thread(target=reader.run, args=(problems, stop))
    thread.start()
    try:
        yield problems
    finally:
        stop.set()
        thread.join(10)


def publish(broker, *payloads: bytes) -> None:
    messages = [("warnings/cap", raw, 1, False) for raw in payloads]
    multiple(messages, hostname=broker.host, port=broker.port, client_id="bureau")


@pytest.mark.real
@pytest.mark.timeout(60)
def test_what_is_published_comes_also_what_was_while_we_were_away(desk):
    with servers.mosquitto() as broker:
        with subscribed(broker, desk):
            until(lambda: "w-test" in broker.log)
            first = cap("w-1")  # one message, however often it is sent: another has another time
            until(lambda: publish(broker, first) or names(desk) == ["w-1"])
        publish(broker, b"<broken", cap("w-2"))
        with subscribed(broker, desk) as problems:
            until(lambda: sorted(names(desk)) == ["w-1", "w-2"])
            assert problems == {}
        assert [each["via"] for each in desk.board.refused()] == ["mqtt"]


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_warning_waits_at_the_broker_while_the_ledger_cannot_be_written(desk):
    with servers.mosquitto() as broker, subscribed(broker, desk) as problems:
        first = cap("w-1")
        until(lambda: publish(broker, first) or names(desk) == ["w-1"])
        desk.ledger._wait_s = 0.2
        held = threading.Event()
        release = threading.Event()

        def keep():
            desk.ledger.hold()
            held.set()
            release.wait(30)
            desk.ledger.release()

        thread = threading.Thread(target=keep)
        thread.start()
        held.wait(5)
        publish(broker, cap("w-2"))
        until(lambda: "waits at the broker" in problems.get("warning-topic", ""))
        release.set()
        thread.join()
        until(lambda: sorted(names(desk)) == ["w-1", "w-2"], seconds=20)
        until(lambda: problems == {})


@pytest.mark.real
def test_a_broker_that_refuses_us_is_told(desk):
    with servers.mosquitto(users={"a": "b"}) as broker, subscribed(broker, desk) as problems:
        until(lambda: "refuses us" in problems.get("warning-topic", ""))
