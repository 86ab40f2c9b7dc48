"""MQTT packets cut in bulk: equal to a slow twin at any cut, and to paho at a real broker."""

import contextlib
import socket
import threading
import time
import tracemalloc

import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import metrics
from ingest.intake import Intake
from ingest.sources import mqtt_wire as wire
from ingest.sources.mqtt import MqttSettings, MqttSource, _Line
from lifeline.clock import Clock
from tests import servers
from tests.intake_run import until

PACKET_IDS = st.integers(0, 65_535)
TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
PAYLOADS = st.one_of(st.binary(max_size=40), st.integers(100, 20_000).map(bytes))
MESSAGES = st.builds(
    lambda topic, payload, number: (topic, payload, number), TOPICS, PAYLOADS, PACKET_IDS
)
OTHERS = st.sampled_from([(wire.CONNACK, b"\0\0"), (wire.SUBACK, b"\0\1\1"), (wire.PINGRESP, b"")])


def encoded(item):
    if len(item) == 2:
        return bytes([item[0] << 4, len(item[1])]) + item[1]
    topic, payload, number = item
    return wire.publish(topic, payload, packet_id=number)


def twin(stream):
    """Read packets one after another from a whole stream, as the standard tells it."""
    messages, others, at = [], [], 0
    while at < len(stream):
        first, size, shift, at = stream[at], 0, 0, at + 1
        while True:
            digit, at = stream[at], at + 1
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                break
        body, at = stream[at : at + size], at + size
        if first >> 4 != 3:
            others.append((first >> 4, body))
            continue
        n = int.from_bytes(body[:2])
        name, rest, number = body[2 : 2 + n], body[2 + n :], 0
        if first & 6:
            number, rest = int.from_bytes(rest[:2]), rest[2:]
        messages.append((name.decode(), rest, number))
    return messages, others


def read(stream, cuts):
    inbox, messages, others, at = wire.Inbox(), [], [], 0
    for cut in [*sorted(cuts), len(stream)]:
        if cut <= at:
            continue
        inbox.take(stream[at:cut])
        messages += inbox.messages
        others += inbox.others
        at = cut
    return messages, others


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(MESSAGES, OTHERS), max_size=12), st.data())
def test_a_stream_gives_the_same_packets_wherever_it_is_cut(items, data):
    stream = b"".join(encoded(item) for item in items)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    wanted = [i for i in items if len(i) == 3], [i for i in items if len(i) == 2]
    assert twin(stream) == wanted
    assert read(stream, cuts) == wanted
    assert read(stream, range(len(stream)) if len(stream) < 2_000 else cuts) == wanted


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.lists(MESSAGES, max_size=3))
def test_nonsense_is_refused_by_name_and_what_came_before_counts(nonsense, before):
    stream = b"".join(encoded(item) for item in before) + nonsense
    inbox = wire.Inbox()
    with contextlib.suppress(wire.Malformed):
        inbox.take(stream)
    assert inbox.messages[: len(before)] == before


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"\x30\x00", "longer than its packet"),
        (b"\x30\x03\x00\x02a", "longer than its packet"),
        (b"\x32\x04\x00\x01a\x00", "QoS 1"),
        (b"\x32\x05\x00\x01a\x00\x00", "without a packet id"),
        (b"\x34\x05\x00\x01a\x00\x01", "QoS 2"),
        (b"\x36\x05\x00\x01a\x00\x01", "QoS 3"),
        (b"\x30\xff\xff\xff\xff\x01", "four digits"),
    ],
)
def test_what_no_broker_may_send_is_named(packet, said):
    with pytest.raises(wire.Malformed, match=said):
        wire.Inbox().take(packet)


def test_a_topic_that_is_no_text_is_kept_readable():
    inbox = wire.Inbox()
    inbox.take(b"\x30\x05\x00\x02\xff\xfex")
    assert inbox.messages == [("\\xff\\xfe", b"x", 0)]


def test_topics_that_somebody_invents_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(wire, "_REMEMBERED_TOPICS", 10)
    inbox = wire.Inbox()
    for n in range(50):
        inbox.take(wire.publish(f"t/{n}", b"", packet_id=0))
        assert inbox.messages == [(f"t/{n}", b"", 0)]
        assert len(inbox._topics) <= 10


def test_acknowledgements_stand_in_their_order():
    assert wire.pubacks([1, 258, 65_535]).hex() == "400200014002010240 02ffff".replace(" ", "")


def test_answers_of_the_broker_are_read_by_their_code():
    assert wire.refusal(b"\0\0") is None
    assert wire.refusal(b"\0\5") == "not authorized; check user and password"
    assert wire.refusal(b"\0\x63") == "code 99"
    assert wire.refused_topics(b"\0\1\1\x80", ["a", "b"]) == ["b"]
    for body in (b"\0", b"\0\0\0"):
        with pytest.raises(wire.Malformed):
            wire.refusal(body)
    for body in (b"\0\2\1\1", b"\0\1\1"):
        with pytest.raises(wire.Malformed):
            wire.refused_topics(body, ["a", "b"])
    with pytest.raises(ValueError, match="at most 65535"):
        wire.subscribe(["x" * 70_000])


class Heard:
    """paho beside our source, at the same broker and on the same topics."""

    def __init__(self, broker, filters):
        self.messages, self.ready = [], threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="twin")
        self.client.on_connect = lambda c, *_: c.subscribe([(each, 1) for each in filters])
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda _, __, m: self.messages.append((m.topic, m.payload, m.qos))
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self.ready.wait(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.real
def test_our_source_hears_what_paho_hears_at_a_real_broker():
    """Any size, any quality of service, many topics: the same messages in the same order."""
    filters = ("lifeline/v1/+/+", "other/#")
    with servers.mosquitto() as broker:
        intake = Intake(Clock(), limit_bytes=64 << 20)
        source = MqttSource(
            MqttSettings(host=broker.host, port=broker.port, topics=filters), intake
        )
        source.start()
        assert source.connected.wait(10)
        heard = Heard(broker, filters)
        sent = [
            (f"lifeline/v1/gw-{n % 7}/up" if n % 3 else f"other/中文/{n}", bytes(size), n % 3)
            for n, size in enumerate(
                [0, 1, 60, 122, 123, 126, 127, 128, 16_380, 16_390, 300_000] * 9
            )
        ]
        with contextlib.closing(Publisher(broker)) as publisher:
            publisher.send(sent)
        until(lambda: len(heard.messages) == len(sent))
        frames = []
        deadline_s = time.monotonic() + 15
        while len(frames) < len(sent) and time.monotonic() < deadline_s:
            frames += intake.take(max_bytes=1 << 20, timeout_s=0.1)
        for frame in frames:
            if frame.token is not None:
                frame.token.answer(None)
        source.close()
        heard.close()
    ours = [(f.path, f.payload, int(f.token is not None)) for f in frames]
    assert ours == heard.messages


class Publisher:
    def __init__(self, broker):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="sender")
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def send(self, messages):
        for topic, payload, qos in messages:
            self.client.publish(topic, payload, qos=qos).wait_for_publish(15)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def test_what_the_full_queue_did_not_take_waits_at_its_source():
    """One read may bring more than there is room for: the rest is kept, in order, none twice."""
    ours, theirs = socket.socketpair()
    intake = Intake(Clock(), limit_bytes=2_000)
    source = MqttSource(MqttSettings(host="unused"), intake)
    before = metrics.UNACKED_QOS0._value.get()
    inbox = wire.Inbox()
    stream = b"".join(wire.publish("t", bytes([n]), packet_id=n) for n in range(20))
    with ours, theirs:
        source._take(None, inbox, stream)
        got = []
        while source._kept or not intake.empty():
            source._hand_over()
            assert intake._bytes <= 2_000 + 202
            taken = intake.take(max_bytes=1, timeout_s=0.0)
            got += taken
            intake.release(sum(f.size for f in taken))
        assert [f.payload[0] for f in got] == list(range(20))
        assert metrics.UNACKED_QOS0._value.get() == before + 1
        source._kept = [("t", b"x", None)] * 50
        assert source._hand_over(beyond=True)


def test_a_small_read_of_the_socket_takes_no_more_memory_than_came():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        line = _Line(near)
        assert line.receive() is None
        tracemalloc.start()
        try:
            for said in (b"a" * 300, b"bc"):
                far.sendall(said)
                assert line.receive() == said  # and not what the read before it left
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        far.close()
        assert line.receive() == b""
    assert most < 64 << 10
