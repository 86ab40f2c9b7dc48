"""The device in C to our real intake: through the journal, each reading once in the store."""

import random
import socket
import time

import pytest

from ingest.journal import durable_end
from ingest.sources.coap import CoapSettings
from ingest.sources.mqtt import MqttSettings
from rules.readings import Readings
from tests import intake_run, servers, store_data, store_run, store_server
from tests.firmware.test_firmware_modem import Dialogue, payload
from tests.intake_site import GATEWAY, MODULE, site

pytestmark = pytest.mark.real


def stored(data):
    """Let the store take the whole journal in; return what it wrote of channels: series, times."""
    end = durable_end(data / "journal")
    registry = site()
    store_data.registry_text(data, registry)
    with store_server.answering() as server:
        with store_run.running(data, registry, store_run.settings_of(server)):
            store_data.until(lambda: store_run.cursor_of(data) == end)
        return [(series, at_ns) for series, at_ns in server.points if b",channel=" in series]


def rows(data):
    """(boot, sequence, index) and event time of every row in the journal."""
    bodies = [r.body for r in intake_run.records(data / "journal") if isinstance(r.body, Readings)]
    keys = [
        (int(b), int(s), int(i))
        for body in bodies
        for b, s, i in zip(body.boot, body.sequence, body.index, strict=True)
    ]
    return keys, [int(t) for body in bodies for t in body.event_ns]


def test_a_module_killed_again_and_again_has_each_reading_once_in_the_store(firmware, tmp_path):
    settings = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM))
    kept = {"state": tmp_path / "boot", "ring_file": tmp_path / "ring"}
    options = {"ports": 1, "batch": 4, "interval_ms": 5, "say": True, "ack_timeout_ms": 100}
    said, draw = set(), random.Random(4)
    data = tmp_path / "data"
    with intake_run.running(data, coap=settings):
        for _ in range(5):
            process = firmware.start(
                "module", MODULE, settings.port, count=100_000, **options, **kept
            )
            time.sleep(draw.uniform(0.2, 0.6))
            process.kill()
            out, _ = process.communicate(timeout=10)
            lines = out[: out.rfind("\n") + 1].splitlines()
            said |= {tuple(map(int, line.split()[1:])) for line in lines}
        tally = firmware.tally(
            firmware.start("module", MODULE, settings.port, count=5, **options, **kept)
        )
    assert tally["exit"] == 0
    keys, times = rows(data)
    assert len(said) > 40
    assert said <= {(boot, sequence) for boot, sequence, _ in keys}
    unlike = dict(zip(keys, times, strict=True))
    points = stored(data)
    assert len(unlike) == len(points)  # repeats of the journal's end once
    assert {at_ns for _, at_ns in points} == set(unlike.values())


def test_a_gateway_through_mosquitto_has_each_reading_once_in_the_store(firmware, tmp_path):
    data = tmp_path / "data"
    with servers.mosquitto() as broker:
        settings = MqttSettings(host=broker.host, port=broker.port, client_id="end-to-end")
        with intake_run.running(data, mqtt=settings):
            store_data.until((broker.folder / "mosquitto.db").exists, what="the session on disk")
            process = firmware.start(
                "gateway", GATEWAY, broker.port, count=150, interval_ms=10,
                state=tmp_path / "boot", ring_file=tmp_path / "ring",
            )  # fmt: skip
            time.sleep(0.5)
            with broker.pause():  # frozen first, so that messages are under way when it dies
                time.sleep(0.2)
                broker.kill()
                time.sleep(0.3)
                broker.start()
            tally = firmware.tally(process)
            intake_run.until(lambda: len({k[1] for k in rows(data)[0]}) == 150, what="150 messages")
    assert (tally["acknowledged"], tally["dropped"]) == (150, 0)
    points = stored(data)
    assert len(points) == 300
    assert len({at_ns for _, at_ns in points}) == 150


def test_a_module_spoken_to_by_at_commands_delivers_to_the_intake(firmware, tmp_path):
    settings = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM))
    data = tmp_path / "data"
    with intake_run.running(data, coap=settings):
        line = Dialogue(firmware, settings.port)
        line.ask(f"AT+NCDP=127.0.0.1,{settings.port}")
        line.ask("AT+CGATT=1", "+QLWEVTIND:3")
        for sequence in (1, 2, 2, 3):  # one twice: the controller was not sure
            frame = payload(sequence)
            said = line.ask(f"AT+QLWULDATAEX={len(frame)},{frame.hex()},0x0100,5", "+QLWULDATAS")
            assert said == ["OK", "+QLWULDATASTATUS:4,5"]
        unknown = b"no frame"
        said = line.ask(f"AT+QLWULDATAEX=8,{unknown.hex()},0x0100,6", "+QLWULDATAS")
        assert said == ["OK", "+QLWULDATASTATUS:5,6"]  # refused for good
        line.end()
    assert [reason for reason, _, _ in intake_run.quarantined(data)] == ["short"]
    assert len(set(rows(data)[0])) == 3
