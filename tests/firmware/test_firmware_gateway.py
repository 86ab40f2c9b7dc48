"""The gateway in C against the real mosquitto, and against a broker that does not answer."""

import socket
import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
import pytest

from ingest.codecs import compact
from tests import servers

DEVICE = "410100-gas-gw-000001"
pytestmark = pytest.mark.real


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline, f"not within 15 s: {what}"
        time.sleep(0.02)


class Heard:
    """A subscriber with a persistent session that keeps what arrives, by sequence."""

    def __init__(self, port: int) -> None:
        self.frames: dict[int, compact.Decoded] = {}
        self.copies = 0
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="heard", clean_session=False
        )
        self.subscribed = threading.Event()
        self.client.on_connect = lambda c, *_: c.subscribe("lifeline/v1/+/up", qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.take
        self.client.reconnect_delay_set(0.1, 0.5)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.subscribed.wait(5)

    def take(self, _client, _data, message) -> None:
        assert message.topic == f"lifeline/v1/{DEVICE}/up"
        decoded = compact.decode(message.payload)
        self.copies += decoded.sequence in self.frames
        self.frames[decoded.sequence] = decoded

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.frames) >= count, f"{count} messages")


@pytest.fixture
def broker():
    with servers.mosquitto() as running:
        yield running


@pytest.fixture
def heard(broker):
    listener = Heard(broker.port)
    yield listener
    listener.client.disconnect()
    listener.client.loop_stop()


def test_what_a_gateway_publishes_arrives_and_is_acknowledged(broker, heard, firmware, tmp_path):
    state = tmp_path / "boot"
    options = {"count": 30, "interval_ms": 1000, "factor": 100, "epoch_ms": 1_767_225_600_000}
    for boot in (1, 2):
        heard.frames.clear()
        process = firmware.start(
            "gateway", DEVICE, broker.port, state=state, simulation=True, **options
        )
        tally = firmware.tally(process)
        heard.wait_for(30)
        assert (tally["exit"], tally["boot"], tally["acknowledged"]) == (0, boot, 30)
        assert sorted(heard.frames) == list(range(1, 31))
        first, last = heard.frames[1], heard.frames[30]
        assert first.simulation
        assert first.port.tolist() == [1, 2]
        assert 29_000 <= (last.event_ns[0] - first.event_ns[0]) / 1e6 <= 60_000


def test_a_leak_shows_on_the_first_port(broker, heard, firmware):
    firmware.tally(
        firmware.start("gateway", DEVICE, broker.port, count=10, interval_ms=5, leak_after=5)
    )
    heard.wait_for(10)
    assert heard.frames[5].value[0] < 0.1 < heard.frames[10].value[0]


def test_nothing_is_lost_when_the_broker_is_killed_and_comes_back(broker, heard, firmware):
    wait_until((broker.folder / "mosquitto.db").exists, "the subscription on disk")
    process = firmware.start("gateway", DEVICE, broker.port, count=200, interval_ms=5)
    heard.wait_for(40)
    with broker.pause():  # frozen first, so that messages are under way when it dies
        time.sleep(0.2)
        broker.kill()
        time.sleep(0.4)
        broker.start()
    tally = firmware.tally(process)
    heard.wait_for(200)
    assert sorted(heard.frames) == list(range(1, 201))
    assert tally["acknowledged"] == tally["sent"] == 200
    assert tally["retried"] > 0
    assert tally["connections"] == 2


def test_a_full_ring_drops_the_oldest_and_counts_them(broker, heard, firmware):
    port = broker.port
    broker.stop()
    process = firmware.start("gateway", DEVICE, port, count=50, interval_ms=2, ring=20)
    time.sleep(0.5)
    broker.start()
    tally = firmware.tally(process)
    heard.wait_for(20)
    assert sorted(heard.frames) == list(range(31, 51))
    assert (tally["dropped"], tally["acknowledged"], tally["exit"]) == (30, 20, 1)


def test_a_wrong_password_is_told_once_and_nothing_is_sent(firmware, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    secret = tmp_path / "secret"
    secret.write_text("guess\n")
    with servers.mosquitto(password_file=passwords, extra="user root") as guarded:
        process = firmware.start(
            "gateway", DEVICE, guarded.port, count=2, interval_ms=5, linger_ms=800,
            user="someone", password_file=secret,
        )  # fmt: skip
        tally = firmware.tally(process)
    assert (tally["exit"], tally["sent"], tally["waiting"]) == (1, 0, 2)
    assert tally["said"].count("not authorised") == 1


def read_packet(connection: socket.socket) -> bytes:
    def exactly(n: int) -> bytes:
        got = b""
        while len(got) < n:
            more = connection.recv(n - len(got))
            assert more, "the gateway closed the connection"
            got += more
        return got

    head, length, shift = exactly(1), 0, 0
    while True:
        digit = exactly(1)[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return head + exactly(length)


def test_what_was_not_acknowledged_is_repeated_with_dup_under_its_packet_id(firmware):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        process = firmware.start(
            "gateway", DEVICE, listener.getsockname()[1], count=3, interval_ms=1
        )
        published = []
        for attempt in range(2):
            connection, _ = listener.accept()
            with connection:
                connect = read_packet(connection)
                assert connect[:9] == b"\x10\x00\x04MQTT\x04\x00"  # 3.1.1, clean session 0
                connection.sendall(b"\x20\x02\x01\x00")
                published.append([read_packet(connection) for _ in range(3)])
                for packet in published[-1] if attempt else []:
                    at = 3 + int.from_bytes(packet[1:3])
                    connection.sendall(b"\x40\x02" + packet[at : at + 2])
                if attempt:
                    assert read_packet(connection) == b"\xe0"
        tally = firmware.tally(process)
    first, again = published
    assert [p[0] for p in first] == [0x32] * 3
    assert [p[0] for p in again] == [0x3A] * 3
    assert [p[1:] for p in first] == [p[1:] for p in again]
    assert (tally["sent"], tally["retried"], tally["acknowledged"]) == (3, 3, 3)
