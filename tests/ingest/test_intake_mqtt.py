"""The MQTT way in, against the real mosquitto: acknowledged means journaled, whatever happens."""

import contextlib
import socket
import subprocess
import time

import paho.mqtt.client as paho
import pytest

from ingest import metrics
from ingest.codecs.json_mapping import Mapping
from ingest.codecs.json_paths import JsonPath
from ingest.intake import Intake
from ingest.journal import JournalLocked
from ingest.limits import IngestLimits
from ingest.sources.mqtt import MqttSettings, MqttSource
from lifeline.clock import Clock
from rules.readings import Control, Readings, Tick, texts_named
from tests import servers
from tests.intake_run import Running, quarantined, records, running, sequences, topic, until
from tests.intake_site import GATEWAY, one_reading

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def broker():
    with servers.mosquitto() as server:
        yield server


@pytest.fixture
def settings(broker, request):
    """Settings of a session that is this test's own, removed from the broker afterwards."""
    made = MqttSettings(
        host=broker.host, port=broker.port, client_id=f"t-{time.monotonic_ns()}", retry_max_s=0.3
    )
    yield made
    forget(made)


def forget(settings):
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id=settings.client_id, clean_session=True
    )
    client.connect(settings.host, settings.port)
    client.loop_start()
    client.disconnect()
    client.loop_stop()


@contextlib.contextmanager
def publisher(broker):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"p-{time.monotonic_ns()}")
    client.max_inflight_messages_set(500)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client, payloads, *, to=None):
    sent = [client.publish(to or topic(), payload, qos=1) for payload in payloads]
    for message in sent:
        message.wait_for_publish(15)
        assert message.is_published()


def subscribed(settings):
    """Wait until the session exists at the broker, so that nothing published is nobody's."""
    until(lambda: metrics.MQTT_CONNECTED._value.get() == 1, what="the subscription")


def test_a_published_reading_reaches_the_journal_after_a_tick_and_the_hashes(
    tmp_path, broker, settings
):
    with running(tmp_path, mqtt=settings) as service, publisher(broker) as client:
        subscribed(settings)
        publish(client, [one_reading(2.0, sequence=n) for n in range(50)])
        until(lambda: len(sequences(tmp_path)) == 50)
        held = service.records()
    assert isinstance(held[0].body, Tick)
    assert texts_named(held[1].body).keys() == {"registry", "rules"}
    assert isinstance(held[1].body, Control)
    assert sequences(tmp_path) == list(range(50))
    times = [
        t
        for r in held
        for t in (
            r.body.receive_ns.tolist()
            if isinstance(r.body, Readings)
            else [r.body.tick_ns]
            if isinstance(r.body, Tick)
            else []
        )
    ]
    assert times == sorted(times)


def test_the_hashes_are_journaled_again_only_when_they_change(tmp_path):
    for rules_hash in ("a", "a", "b"):
        with running(tmp_path, rules_hash=rules_hash):
            pass
    types = [r.body.type for r in records(tmp_path / "journal") if isinstance(r.body, Control)]
    assert types == ["site", "site"]


def test_what_is_published_while_ingest_is_away_comes_when_it_is_back(tmp_path, broker, settings):
    with running(tmp_path, mqtt=settings):
        subscribed(settings)
    with publisher(broker) as client:
        publish(client, [one_reading(sequence=n) for n in range(20)])
    with running(tmp_path, mqtt=settings):
        until(lambda: len(sequences(tmp_path)) >= 20)
    assert sequences(tmp_path) == list(range(20))


def test_a_message_not_acknowledged_when_the_connection_is_killed_comes_again(broker, settings):
    """No service: the test is the writer, and answers only what it chooses to."""
    intake = Intake(Clock())
    source = MqttSource(settings, intake)
    source.start()
    assert source.connected.wait(10)
    with publisher(broker) as client:
        publish(client, [one_reading(sequence=n) for n in range(4)])
    first = collected(intake, 4)
    for frame in first[:2]:
        frame.token.answer(None)
    until(lambda: not source._receipts)
    time.sleep(0.3)  # the acknowledgements are on the wire
    source._closing.set()  # no goodbye: what is asked for below must not be sent either
    source.close()
    again = MqttSource(settings, intake)
    again.start()
    second = collected(intake, 2)
    assert [f.payload for f in second] == [f.payload for f in first[2:]]
    stale = metrics.STALE_ACKS._value.get()
    again._generation += 1  # as after a reconnect: these receipts are of a connection that is gone
    for frame in second:
        frame.token.answer(None)
    until(lambda: metrics.STALE_ACKS._value.get() == stale + 2)
    again.close()


def collected(intake, count):
    frames = []
    until_s = time.monotonic() + 10
    while len(frames) < count and time.monotonic() < until_s:
        frames += intake.take(max_bytes=1 << 20, timeout_s=0.1)
    assert len(frames) == count
    return frames


def test_a_broker_that_dies_and_comes_back_loses_nothing_acknowledged(tmp_path):
    with servers.mosquitto() as broker:
        settings = MqttSettings(host=broker.host, port=broker.port, retry_max_s=0.3)
        with running(tmp_path, mqtt=settings):
            subscribed(settings)
            with publisher(broker) as client:
                publish(client, [one_reading(sequence=n) for n in range(30)])
            until(lambda: len(set(sequences(tmp_path))) == 30)
            broker.stop()
            until(lambda: metrics.MQTT_CONNECTED._value.get() == 0, what="the loss")
            broker.start()
            subscribed(settings)
            with publisher(broker) as client:
                publish(client, [one_reading(sequence=n) for n in range(30, 60)])
            until(lambda: len(set(sequences(tmp_path))) == 60)
    assert set(sequences(tmp_path)) == set(range(60))


def test_malformed_bytes_on_any_topic_go_to_quarantine_and_the_rest_counts(
    tmp_path, broker, settings
):
    bad = [
        (topic(), b""),
        (topic(), b"\x00\xff" * 100),
        (topic(), one_reading()[:-1]),
        (topic("410100-gas-gw-999999"), one_reading()),
        (topic("stranger"), one_reading(device="stranger")),
        (topic(form="senml"), b"[" * 3000),
        (topic(form="json"), b'{"readings": 5}'),
        (topic(form="nonsense"), one_reading()),
        (topic(form="中文"), b"\xff"),
        (topic(), b"x" * (2 << 20)),
    ]
    with running(tmp_path, mqtt=settings), publisher(broker) as client:
        subscribed(settings)
        for to, payload in bad:
            publish(client, [payload], to=to)
        publish(client, [one_reading(sequence=7)])
        until(lambda: sequences(tmp_path) == [7])
    refused = quarantined(tmp_path)
    assert [path for _, path, _ in refused] == [to for to, _ in bad]
    assert [r for r, _, _ in refused] == [
        "short",
        "magic",
        "checksum",
        "device_mismatch",
        "unknown_device",
        "json",
        "mapping",
        "topic",
        "topic",
        "too_long",
    ]
    assert [p for _, _, p in refused[:9]] == [p for _, p in bad[:9]]


def test_a_flood_is_bounded_in_bytes_and_nothing_of_it_is_lost(broker, settings):
    """The writer stands still while 4 MB come against a limit of 256 kB: the broker must wait."""
    intake = Intake(Clock(), limit_bytes=256 << 10)
    source = MqttSource(settings, intake)
    source.start()
    assert source.connected.wait(10)
    pauses = metrics.MQTT_PAUSES._value.get()
    payload = one_reading().ljust(8000, b"\0")
    with publisher(broker) as client:
        for _ in range(500):
            client.publish(topic(), payload, qos=1)
        until(lambda: not intake.accepts)
        time.sleep(0.5)
        assert metrics.MQTT_PAUSES._value.get() > pauses
        assert intake._bytes < (256 << 10) + 10_000
        frames = 0
        give_up_s = time.monotonic() + 15
        while frames < 500 and time.monotonic() < give_up_s:
            taken = intake.take(max_bytes=64 << 10, timeout_s=0.1)
            for frame in taken:
                frame.token.answer(None)
            intake.release(sum(frame.size for frame in taken))
            assert intake._bytes < (256 << 10) + 10_000
            frames += len(taken)
    source.close()
    assert frames == 500


def test_pings_go_on_while_the_socket_is_not_read(broker, settings):
    """mosquitto would end a connection that says nothing for 1.5 times its keep-alive of 1 s."""
    fast = MqttSettings(
        host=broker.host, port=broker.port, client_id=settings.client_id, keepalive_s=1
    )
    intake = Intake(Clock())
    source = MqttSource(fast, intake)
    source.start()
    assert source.connected.wait(10)
    intake.block("disk full")
    time.sleep(3.2)
    assert source.connected.is_set()
    with publisher(broker) as client:
        publish(client, [one_reading()])
    assert intake.take(max_bytes=1, timeout_s=0.2) == []
    intake.block("")
    assert len(collected(intake, 1)) == 1
    assert source._generation == 1
    source.close()


def test_a_broker_that_wants_a_password_gets_it_or_says_who_must_act():
    with servers.mosquitto(users={"lifeline": "secret"}) as broker:
        intake = Intake(Clock())
        for password, welcome in (("wrong", False), ("secret", True)):
            source = MqttSource(
                MqttSettings(
                    host=broker.host, port=broker.port, username="lifeline", password=password
                ),
                intake,
            )
            source.start()
            assert source.connected.wait(10 if welcome else 0.7) is welcome
            if not welcome:
                assert "check user and password" in source.cause
            source.close()


def test_tls_trusts_the_given_authority_and_no_other(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    making = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subprocess.run(
        [
            *(servers.program("openssl"), *making.split(), "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with servers.mosquitto(certificate=(certificate, key)) as broker:
        for ca_file, trusted in ((None, False), (str(certificate), True)):
            intake = Intake(Clock())
            source = MqttSource(
                MqttSettings(host=broker.host, port=broker.port, tls=True, ca_file=ca_file), intake
            )
            source.start()
            assert source.connected.wait(10 if trusted else 0.7) is trusted
            if not trusted:
                assert "certificate" in source.cause
            source.close()


BROKEN_PACKETS = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x20\x02\x00\x00" + b"\x32\x00",  # welcome, then a PUBLISH without a topic
    b"\x20\x02\x00\x00" + b"\x32\x03\x00\xff\x61",  # a topic longer than its packet
    b"\x20\x02\x00\x00" + b"\x32\x02\x00\x00",  # no packet id
    b"\x20\x02\x00\x00" + b"\x32\xff\xff\xff\xff\x01",  # a length that never ends
    b"\x20\x00",
    b"\xff" * 50,
]


def test_a_server_that_speaks_nonsense_is_left_and_tried_again():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        listener.settimeout(10)
        port = listener.getsockname()[1]
        source = MqttSource(
            MqttSettings(host="127.0.0.1", port=port, retry_max_s=0.15), Intake(Clock())
        )
        source.start()
        for packet in BROKEN_PACKETS:
            connection, _ = listener.accept()
            with connection:
                connection.recv(200)
                connection.sendall(packet)
                time.sleep(0.02)
        listener.accept()[0].close()
        assert source._thread.is_alive()
        source.close()


def test_a_clean_stop_journals_and_acknowledges_what_was_received(tmp_path, broker, settings):
    with running(tmp_path, mqtt=settings) as service, publisher(broker) as client:
        subscribed(settings)
        publish(client, [one_reading(sequence=n) for n in range(2000)])
        assert service.stop() < 5
    held = set(sequences(tmp_path))
    with running(tmp_path, mqtt=settings):
        until(lambda: set(sequences(tmp_path)) >= set(range(2000)), what="the rest of it")
    assert held <= set(sequences(tmp_path))


def test_a_second_intake_of_one_folder_is_refused(tmp_path):
    with running(tmp_path), pytest.raises(JournalLocked, match="another process"):
        Running(tmp_path)


def test_another_vendors_topic_is_subscribed_and_read_by_its_mapping(tmp_path, broker, settings):
    acme = Mapping.model_validate(
        {"id": "acme", "topic": "acme/{device}/data", "fields": {"ch4": JsonPath("$.gas")}}
    )
    with running(tmp_path, mqtt=settings, mappings=[acme]), publisher(broker) as client:
        subscribed(settings)
        publish(client, [b'{"gas": 40}'], to=f"acme/{GATEWAY}/data")
        until(lambda: sequences(tmp_path) == [-1])
    rows = [r.body for r in records(tmp_path / "journal") if isinstance(r.body, Readings)]
    assert [body.value.tolist() for body in rows] == [[2.0]]


def test_small_groups_keep_the_order_of_a_device(tmp_path, broker, settings):
    limits = IngestLimits(queue_bytes=1 << 20, group_bytes=4 << 10)
    with running(tmp_path, mqtt=settings, limits=limits), publisher(broker) as client:
        subscribed(settings)
        publish(client, [one_reading(sequence=n) for n in range(300)])
        until(lambda: len(sequences(tmp_path)) == 300)
    assert sequences(tmp_path) == list(range(300))
