"""The service keeps its word when the disk fills, when it is killed, and when operators ask."""

import json
import multiprocessing
import os
import random
import signal
import socket
import threading
import time

import paho.mqtt.client as paho
import pytest

from ingest import metrics
from ingest import service as service_module
from ingest.codecs.compact import Series, Wave
from ingest.journal import JournalReader, durable_end
from ingest.limits import IngestLimits
from ingest.service import run_ingest
from ingest.sources.coap import CoapSettings
from ingest.sources.mqtt import MqttSettings
from lifeline.clock import Clock
from rules.readings import Block, Control, Readings, Tick, texts_named
from tests import servers
from tests.intake_run import quarantined, records, running, sequences, topic, until
from tests.intake_site import BRIDGE, MODULE, compact_payload, one_reading, site
from tests.journal_kit import FaultyFiles

NO_RESERVE = IngestLimits(reserve_bytes=0, full_retry_s=0.05)


class Receipt:
    """Stands for a source's own: remembers what it was told."""

    def __init__(self):
        self.told = []

    def answer(self, refused):
        self.told.append(refused)


def offered(service, payload, *, path=None, transport="mqtt"):
    receipt = Receipt()
    service.intake.put(payload, transport=transport, path=path or topic(), token=receipt)
    return receipt


@pytest.fixture
def catch(monkeypatch):
    """Let a test put frames straight into the intake of the service it starts."""
    made = []
    real = service_module.Intake

    def build(*args, **options):
        made.append(real(*args, **options))
        return made[-1]

    monkeypatch.setattr(service_module, "Intake", build)
    return made


# ---------------------------------------------------------------- controls


def test_a_control_request_is_answered_with_its_durable_offset_and_taken_once(tmp_path):
    reset = {"rule": "methane", "channel": "c", "by": "li", "reason": "re-test", "command": "k1"}
    with running(tmp_path) as service:
        first = service.control(type="reset", data=reset)
        again = service.control(type="reset", data=reset)
        other = service.control(type="ack", data={"alarm": "a", "by": "li", "command": "k2"})
        assert first == again
        assert other["offset"] > first["offset"]
        assert durable_end(tmp_path / "journal") > other["offset"]
    with running(tmp_path) as service:
        assert service.control(type="reset", data=reset) == first
    (tmp_path / "cursors" / "ingest").unlink()
    with running(tmp_path) as service:
        assert service.control(type="reset", data=reset) == first
    asked = [
        r.offset
        for r in records(tmp_path / "journal")
        if isinstance(r.body, Control) and r.body.type in ("reset", "ack")
    ]
    assert asked == [first["offset"], other["offset"]]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"nonsense", "not a JSON object"),
        (b"[" * 20_000, "not a JSON object"),
        (b"[]", "wanted"),
        (b'{"type":"format","data":{}}', "unknown type"),
        (b'{"type":["x"],"data":{}}', "unknown type"),
        (b'{"type":"reset","data":5}', "no object"),
        (b'{"type":"reset","data":{"rule":"r","channel":"c"}}', "'command'"),
        (b'{"type":"registry","data":{"hash":"h"}}', "no registry to load"),
        (b'{"type":"rules","data":{"hash":"h"}}', "no rules to load"),
        (b"x" * 70_000, "at most"),
    ],
)
def test_a_wrong_control_request_is_refused_with_the_reason(tmp_path, line, word):
    with running(tmp_path), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(tmp_path / "run" / "control.sock"))
        client.sendall(line + b"\n")
        assert word in json.loads(client.makefile().readline())["error"]
    types = [r.body.type for r in records(tmp_path / "journal") if isinstance(r.body, Control)]
    assert types == ["site"]


def test_a_registry_change_takes_effect_at_its_record(tmp_path, catch):
    simulated = site(simulation=True)
    frame = one_reading(simulation=True)
    with running(
        tmp_path, load_site=lambda hashes: {simulated.content_hash: simulated}[hashes["registry"]]
    ) as service:
        service.intake = catch[0]
        before = offered(service, frame)
        until(lambda: before.told)
        answer = service.control(type="registry", data={"hash": simulated.content_hash})
        after = offered(service, frame)
        until(lambda: after.told)
        unknown = service.control(type="registry", data={"hash": "nobody's"})
    assert (before.told, after.told) == (["simulation"], [None])
    assert "nobody's" in unknown["error"]
    rows = [r.offset for r in records(tmp_path / "journal") if isinstance(r.body, Readings)]
    assert rows > [answer["offset"]]


def test_rules_the_engine_could_not_read_never_reach_the_journal(tmp_path):
    def load(hashes):
        if hashes["rules"] not in ("rules-1", "rules-2"):
            raise FileNotFoundError(hashes["rules"])
        return site()

    with running(tmp_path, load_site=load) as service:
        lost = service.control(type="rules", data={"hash": "../x"})
        taken = service.control(type="rules", data={"hash": "rules-2"})
    assert "rules ../x: " in lost["error"]
    told = [r for r in records(tmp_path / "journal") if isinstance(r.body, Control)]
    assert [texts_named(r.body)["rules"] for r in told] == ["rules-1", "rules-2"]
    assert told[-1].offset == taken["offset"]


# ---------------------------------------------------------------- time


def test_ticks_come_by_themselves_and_go_on_after_the_last_time_in_the_journal(tmp_path):
    with running(tmp_path, tick_s=0.02):
        time.sleep(0.3)
    ticks = [r.body.tick_ns for r in records(tmp_path / "journal") if isinstance(r.body, Tick)]
    assert len(ticks) >= 3
    assert ticks == sorted(ticks)
    back = Clock(wall_origin_ns=0, city_origin_ns=-(10**18))  # thirty years slow
    threading_stop = threading.Event()
    threading_stop.set()
    run_ingest(
        data=tmp_path, registry=site(), rules_hash="rules-1", clock=back, stop=threading_stop
    )
    last = records(tmp_path / "journal")[-1].body
    assert isinstance(last, Tick)
    assert ticks[-1] <= last.tick_ns < ticks[-1] + 60 * 10**9


def test_waveforms_and_rows_stand_in_the_journal_in_order_of_receipt(tmp_path, catch):
    waves = [
        Wave(port=p, start_ms=-1000, period_us=10_000, samples=[0.0, 1.0, 2.0]) for p in (10, 11)
    ]
    mixed = compact_payload(Series(port=10, offsets_ms=[0], values=[1]), *waves, device=BRIDGE)
    with running(tmp_path, tick_s=60) as service:
        service.intake = catch[0]
        receipts = [
            offered(service, one_reading(sequence=1)),
            offered(service, mixed, path=topic(BRIDGE)),
            offered(service, one_reading(sequence=2)),
        ]
        until(lambda: all(r.told for r in receipts))
    bodies = [r.body for r in records(tmp_path / "journal")]
    kinds = [type(b) for b in bodies if isinstance(b, Readings | Block)]
    assert kinds.index(Block) > kinds.index(Readings)
    times = [b.receive_ns if isinstance(b, Block) else b.receive_ns[0] for b in bodies[3:]]
    assert times == sorted(times)


def test_the_raw_log_keeps_every_frame_as_it_came(tmp_path, catch):
    payloads = [one_reading(sequence=1), b"junk", one_reading(sequence=2)]
    with running(tmp_path) as service:
        service.intake = catch[0]
        receipts = [offered(service, p) for p in payloads]
        until(lambda: all(r.told for r in receipts))
    kept = JournalReader(tmp_path / "raw").frames(until=durable_end(tmp_path / "raw"))
    assert [p for _, frames in kept for p in frames.payload] == payloads


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_stops_acknowledging_says_so_and_goes_on_when_there_is_room(tmp_path, catch):
    files = FaultyFiles(tmp_path / "journal")
    with running(tmp_path, files=files, limits=NO_RESERVE, tick_s=0.05) as service:
        service.intake = catch[0]
        first = offered(service, one_reading(sequence=1))
        until(lambda: first.told == [None])
        files.room_bytes = 0
        waiting = offered(service, one_reading(sequence=2))
        until(lambda: metrics.DISK_FULL._value.get() == 1)
        time.sleep(0.3)
        assert waiting.told == []
        assert not service.intake.accepts
        assert sequences(tmp_path) == [1]
        files.room_bytes = None
        until(lambda: waiting.told == [None])
        until(lambda: service.intake.accepts)
        assert metrics.DISK_FULL._value.get() == 0
    assert sequences(tmp_path) == [1, 2]


def test_a_stop_on_a_full_disk_is_prompt_and_claims_nothing(tmp_path, catch):
    files = FaultyFiles(tmp_path / "journal")
    with running(tmp_path, files=files, limits=NO_RESERVE) as service:
        service.intake = catch[0]
        files.room_bytes = 0
        waiting = offered(service, one_reading(sequence=2))
        until(lambda: metrics.DISK_FULL._value.get() == 1)
        assert service.stop() < 5
    assert waiting.told == []
    assert sequences(tmp_path) == []


def test_alarms_go_on_from_the_reserve_behind_ordinary_and_refused_frames_and_it_is_said(
    tmp_path, catch
):
    files = FaultyFiles(tmp_path)
    limits = IngestLimits(reserve_bytes=32 << 20, full_retry_s=0.05)
    with running(tmp_path, files=files, limits=limits, tick_s=60) as service:
        service.intake = catch[0]
        assert metrics.DISK_FULL._value.get() == 0
        files.room_bytes = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
        ordinary = offered(service, one_reading(sequence=1, port=2))
        junk = offered(service, b"junk")
        gas = offered(service, one_reading(sequence=2, port=1))
        until(lambda: gas.told == [None])
        assert (ordinary.told, junk.told) == ([None], ["short"])
        assert metrics.DISK_FULL._value.get() == 1
        files.room_bytes = None
        last = offered(service, one_reading(sequence=3, port=1))
        until(lambda: last.told == [None])
        assert metrics.DISK_FULL._value.get() == 0


def test_ingest_that_finds_the_disk_full_begins_when_there_is_room(tmp_path):
    (tmp_path / "journal").mkdir()
    files = FaultyFiles(tmp_path / "journal")
    files.room_bytes = 0
    stop, ready = threading.Event(), threading.Event()
    options = {"registry": site(), "rules_hash": "r", "clock": Clock(), "limits": NO_RESERVE}
    thread = threading.Thread(
        target=run_ingest,
        kwargs={"data": tmp_path, "stop": stop, "ready": ready, "files": files} | options,
    )
    thread.start()
    assert not ready.wait(0.3)
    files.room_bytes = None
    assert ready.wait(10)
    stop.set()
    thread.join(10)
    assert isinstance(records(tmp_path / "journal")[0].body, Tick)


# ---------------------------------------------------------------- killed


def serve_until_killed(data, mqtt, coap):
    run_ingest(
        data=data,
        registry=site(),
        rules_hash="rules-1",
        clock=Clock(),
        stop=threading.Event(),
        mqtt=mqtt,
        coap=coap,
        tick_s=0.2,
    )


@pytest.mark.real
def test_what_was_acknowledged_survives_kill_9(tmp_path):
    """2.04 of CoAP and PUBACK of a gateway to its broker: all of it is in the journal at last."""
    seed = random.Random(20260101)
    spawn = multiprocessing.get_context("spawn")
    with servers.mosquitto() as broker:
        mqtt = MqttSettings(host=broker.host, port=broker.port, retry_max_s=0.3)
        coap = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM))
        stop = threading.Event()
        acknowledged = {"mqtt": set(), "coap": set()}
        forward = threading.Thread(target=publish_on, args=(broker, stop, acknowledged["mqtt"]))
        ask = threading.Thread(target=post_on, args=(coap, stop, acknowledged["coap"]))
        with running(tmp_path, mqtt=mqtt):  # the session must exist before the first message
            until(lambda: metrics.MQTT_CONNECTED._value.get() == 1)
        forward.start()
        ask.start()
        for _ in range(3):
            process = spawn.Process(target=serve_until_killed, args=(tmp_path, mqtt, coap))
            process.start()
            even, odd = journaled_ways(tmp_path)
            until(
                lambda even=even, odd=odd: (
                    journaled_ways(tmp_path)[0] > even + 10
                    and journaled_ways(tmp_path)[1] > odd + 10
                ),
                what="progress of both ways",
            )
            time.sleep(seed.uniform(0.02, 0.3))
            os.kill(process.pid, signal.SIGKILL)
            process.join(10)
        stop.set()
        forward.join(10)
        ask.join(10)
        wanted = acknowledged["mqtt"] | acknowledged["coap"]
        assert len(acknowledged["mqtt"]) > 20
        assert len(acknowledged["coap"]) > 20
        assert acknowledged["coap"] <= set(sequences(tmp_path)), "2.04 means journaled already"
        with running(tmp_path, mqtt=mqtt):
            until(lambda: wanted <= set(sequences(tmp_path)), what="redelivery")
    assert quarantined(tmp_path) == []


def journaled_ways(data):
    """Return how many sequences came by MQTT (even) and by CoAP (odd)."""
    found = set(sequences(data))
    return sum(s % 2 == 0 for s in found), sum(s % 2 for s in found)


def publish_on(broker, stop, acknowledged):
    """Publish even sequences at QoS 1 until told to stop."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="gateway")
    client.connect(broker.host, broker.port)
    client.loop_start()
    sequence = 0
    while not stop.is_set():
        sequence += 2
        sent = client.publish(topic(), one_reading(sequence=sequence), qos=1)
        sent.wait_for_publish(5)
        if sent.is_published():
            acknowledged.add(sequence)
        stop.wait(0.005)
    client.disconnect()
    client.loop_stop()


def post_on(coap, stop, acknowledged):
    """Post odd sequences, confirmable, until told to stop; ask again until there is an answer."""
    segment = MODULE.encode()
    options = b"\xb2up" + bytes([0x0D, len(segment) - 13]) + segment + bytes([0x11, 42])
    sequence = -1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        udp.connect((coap.host, coap.port))
        while not stop.is_set():
            sequence += 2
            head = b"\x41\x02" + (sequence % 65_536).to_bytes(2, "big") + b"\xa1"
            datagram = head + options + b"\xff" + one_reading(device=MODULE, sequence=sequence)
            while not stop.is_set():
                try:
                    udp.send(datagram)
                    if udp.recv(1500)[1] == 0x44:
                        acknowledged.add(sequence)
                        break
                except OSError:  # refused or silent: ingest is dead just now
                    stop.wait(0.02)
