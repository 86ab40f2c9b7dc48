"""The CoAP way in: independent clients get 2.04 only for what is journaled."""

import asyncio
import shutil
import socket
import subprocess
import time
from dataclasses import replace

import pytest
from aiocoap import Context, Message
from aiocoap.numbers.codes import Code
from prometheus_client import generate_latest

from ingest.codecs import json_mapping, senml
from ingest.codecs.compact import Series
from ingest.intake import Intake
from ingest.sources import SourceDied, chosen
from ingest.sources.coap import CoapSettings, CoapSource
from lifeline.clock import Clock
from tests import servers
from tests.intake_run import Running, quarantined, running, sequences, until
from tests.intake_site import MODULE, NOW_NS, compact_payload, one_reading

pytestmark = pytest.mark.real


@pytest.fixture
def settings():
    return CoapSettings(port=servers.free_port(socket.SOCK_DGRAM))


def post(settings, payload, tmp_path, *, path=f"up/{MODULE}", content_format=42, options=()):
    """Post with libcoap's client and return what it printed: nothing for 2.04."""
    body = tmp_path / "body"
    body.write_bytes(payload)
    done = subprocess.run(
        [
            *(servers.program("coap-client-openssl"), "-m", "post", "-B", "8"),
            *("-t", str(content_format), "-f", str(body), *options),
            f"coap://{settings.host}:{settings.port}/{path}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    return (done.stdout + done.stderr).strip()


def asked(settings, *messages):
    """Send (path, content format, payload) by aiocoap, concurrently; return the answers."""

    async def send():
        context = await Context.create_client_context()
        try:
            requests = [
                context.request(
                    Message(
                        code=Code.POST,
                        uri=f"coap://{settings.host}:{settings.port}/{path}",
                        content_format=content_format,
                        payload=payload,
                    )
                ).response
                for path, content_format, payload in messages
            ]
            return await asyncio.gather(*requests)
        finally:
            await context.shutdown()

    return asyncio.run(send())


def reading(sequence=1, value=1.0):
    return one_reading(value, device=MODULE, sequence=sequence)


def test_libcoap_posts_all_three_formats_and_a_long_batch_in_blocks(tmp_path, settings):
    data = tmp_path / "data"
    pack = senml.encode(device=MODULE, keys=["ch4"], event_ns=[NOW_NS], values=[2.0])
    text = json_mapping.encode(
        device=MODULE, keys=["ch4"], event_ns=[NOW_NS], values=[3.0], boot=1, sequence=3
    )
    series = Series(port=1, offsets_ms=range(0, -1000, -1), values=[4.0] * 1000)
    batch = compact_payload(series, device=MODULE, sequence=4)
    with running(data, coap=settings):
        assert post(settings, reading(1), tmp_path) == ""
        assert post(settings, pack, tmp_path, content_format=110) == ""
        assert post(settings, text, tmp_path, content_format=50) == ""
        assert post(settings, batch, tmp_path, options=("-b", "512")) == ""
        assert sequences(data) == [1, -1, 3] + [4] * 1000


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_a_datagram_that_is_no_coap_goes_to_quarantine_and_stops_nothing(
    tmp_path, settings, host, caplog
):
    strange = [
        b"",
        b"\x00",
        b"\xff" * 40,
        bytes.fromhex("40020001") + b"\xb2\xc1\xff" + b"\xff" + b"x",  # Uri-Path not UTF-8
        bytes.fromhex("40020002") + b"\xf0",  # reserved option
        bytes.fromhex("80020003"),  # another version
    ]
    data = tmp_path / "data"
    settings = replace(settings, host=host)
    with running(data, coap=settings), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        for datagram in strange:
            wire.sendto(datagram, ("127.0.0.1", settings.port))
        until(lambda: len(quarantined(data)) == len(strange), what="quarantine")
        (answer,) = asked(replace(settings, host="127.0.0.1"), (f"up/{MODULE}", 42, reading(5)))
    assert answer.code == Code.CHANGED
    assert [(reason, body) for reason, _, body in quarantined(data)] == [
        ("coap", datagram) for datagram in strange
    ]
    assert "Traceback" not in caplog.text


def test_a_refused_frame_gets_its_code_after_it_is_in_quarantine(tmp_path, settings):
    data = tmp_path / "data"
    path = f"up/{MODULE}"
    with running(data, coap=settings):
        answers = asked(
            settings,
            (path, 42, b"junk"),
            ("up/stranger", 42, one_reading(device="stranger")),
            ("up/other", 42, reading()),
            (path, 60, reading()),
            ("elsewhere", 42, reading()),
            (path, 42, reading(5)),
        )
        refused = quarantined(data)
    assert [a.code for a in answers] == [
        Code.BAD_REQUEST,
        Code.NOT_FOUND,
        Code.FORBIDDEN,
        Code.UNSUPPORTED_CONTENT_FORMAT,
        Code.NOT_FOUND,
        Code.CHANGED,
    ]
    assert answers[0].payload == b"short"
    reasons = {"short", "unknown_device", "device_mismatch", "content_format", "topic"}
    assert {reason for reason, _, _ in refused} == reasons
    assert sequences(data) == [5]


def test_other_methods_and_stray_datagrams_change_nothing(tmp_path, settings):
    data = tmp_path / "data"
    with running(data, coap=settings), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stray:
        for datagram in (b"", b"\x00", b"\xff" * 40, b"\x41\x02\x12\x34\xa1\xff", b"D" * 2000):
            stray.sendto(datagram, (settings.host, settings.port))
        assert (
            "4.05"
            in subprocess.run(
                [
                    *(servers.program("coap-client-openssl"), "-m", "get", "-B", "8"),
                    f"coap://{settings.host}:{settings.port}/up/{MODULE}",
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=15,
            ).stderr
        )
        assert post(settings, reading(9), tmp_path) == ""
    assert sequences(data) == [9]


def con_post(message_id, payload):
    """Return a confirmable POST to /up/MODULE, byte by byte."""
    segment = MODULE.encode()
    options = b"\xb2up" + bytes([0x0D, len(segment) - 13]) + segment + bytes([0x11, 42])
    return b"\x41\x02" + message_id.to_bytes(2, "big") + b"\xa1" + options + b"\xff" + payload


def test_a_repeated_confirmable_message_is_answered_again_and_taken_once(tmp_path, settings):
    with running(tmp_path, coap=settings), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        datagram = con_post(0x1234, reading(3))
        answers = []
        for _ in range(3):
            udp.sendto(datagram, (settings.host, settings.port))
            answers.append(udp.recv(1500))
        assert {a[1] for a in answers} == {0x44}
        assert {a[2:4] for a in answers} == {b"\x12\x34"}
    assert sequences(tmp_path) == [3]


def test_a_burst_of_unconfirmed_datagrams_survives_the_receive_buffer(tmp_path, settings):
    with running(tmp_path, coap=settings), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for n in range(500):
            unconfirmed = b"\x51" + con_post(n, reading(n))[1:]
            udp.sendto(unconfirmed, (settings.host, settings.port))
        until(lambda: len(set(sequences(tmp_path))) == 500)


def test_datagrams_the_kernel_throws_away_are_counted():
    settings = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM), receive_buffer_bytes=4096)
    source = CoapSource(settings, Intake(Clock()))
    source.start()
    try:
        assert source.kernel_drops() == 0
        source._loop.call_soon_threadsafe(time.sleep, 0.5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for n in range(300):
                udp.sendto(con_post(n, reading(n)), (settings.host, settings.port))
        assert source.kernel_drops() > 0
        assert b"lifeline_coap_kernel_drops 0.0" not in generate_latest()
        until(lambda: source._uplink.waiting > 0)
        time.sleep(0.2)  # the rest of what the buffer held has begun too
    finally:
        source.close()


def test_a_full_queue_answers_come_again_at_once(settings):
    intake = Intake(Clock(), limit_bytes=1)
    source = CoapSource(settings, intake)
    source.start()
    try:
        intake.block("disk full")
        began = time.monotonic()
        (answer,) = asked(settings, (f"up/{MODULE}", 42, reading()))
        assert answer.code == Code.SERVICE_UNAVAILABLE
        assert answer.opt.max_age == settings.retry_after_s
        assert time.monotonic() - began < 2
        assert intake.empty()
    finally:
        source.close()


def test_a_commit_that_does_not_come_is_not_claimed():
    """Nobody commits: the device is told to come again, never 2.04."""
    settings = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM), answer_within_s=0.3)
    source = CoapSource(settings, Intake(Clock()))
    source.start()
    try:
        (answer,) = asked(settings, (f"up/{MODULE}", 42, reading()))
        assert answer.code == Code.SERVICE_UNAVAILABLE
    finally:
        source.close()


def test_a_server_that_dies_ends_the_process_instead_of_leaving_it_deaf(
    tmp_path, settings, monkeypatch
):
    made = []
    real = chosen.CoapSource
    monkeypatch.setattr(chosen, "CoapSource", lambda *a: made.append(real(*a)) or made[-1])
    service = Running(tmp_path, coap=settings)
    made[0]._loop.call_soon_threadsafe(made[0]._stopping.set)
    service.thread.join(10)
    assert isinstance(service.failure, SourceDied)


def test_a_taken_port_is_told_with_its_address(tmp_path, settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((settings.host, settings.port))
        with pytest.raises(OSError, match=str(settings.port)):
            Running(tmp_path, coap=settings)
    shutil.rmtree(tmp_path / "journal")
