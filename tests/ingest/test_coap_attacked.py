"""The CoAP port read as an attacker reads it: nothing comes back larger, nothing piles up."""

from __future__ import annotations

import gc
import os
import socket
import tracemalloc
from types import SimpleNamespace

import pytest
from aiocoap import ACK, CHANGED, CON, NON, POST, Message
from aiocoap.blockwise import ContinueException, IncompleteException
from aiocoap.message import Direction

from ingest.sources import coap_blocks, coap_repeats
from ingest.sources.coap import CoapSettings
from ingest.sources.coap_blocks import Blocks, TooLong
from ingest.sources.coap_repeats import Repeats
from tests import servers
from tests.intake_run import running

BLOCK = 1024


def part(number, *, more, sender="a", size=BLOCK, path="up/x"):
    message = Message(code=POST, payload=b"x" * size, block1=(number, more, 6))
    message.opt.uri_path = path.split("/")
    message.remote = SimpleNamespace(blockwise_key=sender, maximum_block_size_exp=6)
    return message


def fed(blocks, message):
    try:
        return blocks.feed_and_take(message)
    except (ContinueException, IncompleteException, TooLong) as answer:
        return type(answer)


def test_a_request_in_blocks_is_put_together_and_forgotten():
    blocks = Blocks()
    assert fed(blocks, part(0, more=True)) is ContinueException
    assert fed(blocks, part(1, more=True)) is ContinueException
    assert blocks.held_bytes == 2 * BLOCK
    assert len(fed(blocks, part(2, more=False, size=7)).payload) == 2 * BLOCK + 7
    assert (len(blocks), blocks.held_bytes) == (0, 0)
    assert fed(blocks, part(3, more=False)) is IncompleteException


def test_a_request_without_end_is_ended():
    blocks = Blocks()
    for number in range(coap_blocks.MAX_BYTES // BLOCK):
        assert fed(blocks, part(number, more=True)) is ContinueException
    assert fed(blocks, part(number + 1, more=True)) is TooLong
    assert (len(blocks), blocks.held_bytes) == (0, 0)


def test_a_gap_or_an_overlap_ends_it():
    blocks = Blocks()
    for strange in (2, 0):
        fed(blocks, part(0, more=True))
        fed(blocks, part(1, more=True))
        assert fed(blocks, part(strange, more=True)) in (IncompleteException, ContinueException)
    assert blocks.held_bytes <= BLOCK


def test_beginnings_of_many_senders_do_not_pile_up():
    blocks = Blocks()
    for sender in range(3 * coap_blocks.MAX_HELD):
        fed(blocks, part(0, more=True, sender=sender))
    assert len(blocks) <= coap_blocks.MAX_HELD
    assert fed(blocks, part(1, more=False, sender=sender)) is not IncompleteException, "the newest"
    for sender in range(40):
        for number in range(coap_blocks.MAX_BYTES // BLOCK):
            fed(blocks, part(number, more=True, sender=sender))
        assert blocks.held_bytes <= coap_blocks.MAX_HELD_BYTES


def test_what_waits_too_long_is_forgotten(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(coap_blocks.time, "monotonic", lambda: now_s[0])
    blocks = Blocks()
    fed(blocks, part(0, more=True))
    now_s[0] += coap_blocks.FORGET_S + 1
    fed(blocks, part(0, more=True, sender="b"))
    assert len(blocks) == 1


def datagram(code, *, kind=0x40, options=b"", payload=b""):
    head = bytes([kind, code]) + os.urandom(2)
    return head + options + (b"\xff" + payload if payload else b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
@pytest.mark.parametrize(
    "request_",
    [
        lambda: datagram(0),  # a ping
        lambda: datagram(1),  # GET /
        lambda: datagram(1, options=b"\xbb.well-known\x04core"),
        lambda: datagram(2),
        lambda: datagram(2, options=b"\xb2up\x01x", payload=b"j"),
        lambda: datagram(2, options=b"\xb2up\x01x", payload=b"j" * 500),
        lambda: datagram(2, kind=0x50, options=b"\xb2up\x01x", payload=b"j"),  # NON
        lambda: datagram(1, options=b"\x60\x51x"),  # observe
        lambda: datagram(2, options=b"\xd1\x0e\x08"),  # the first of many blocks
        lambda: b"\x00",
        lambda: b"\xff" * 40,
    ],
)
def test_who_forges_a_sender_does_not_multiply_what_he_sends(tmp_path, host, request_):
    """At most a few bytes more than came, and one datagram for one: no amplifier."""
    settings = CoapSettings(host=host, port=servers.free_port(socket.SOCK_DGRAM))
    with (
        running(tmp_path / "data", coap=settings),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire,
    ):
        sent = request_()
        wire.settimeout(1.0)
        wire.sendto(sent, ("127.0.0.1", settings.port))
        came = []
        try:
            while True:
                came.append(wire.recv(65_536))
                wire.settimeout(0.3)
        except TimeoutError:
            pass
    assert len(came) <= 2, "an acknowledgement, and what was refused"
    assert sum(map(len, came)) <= len(sent) + 48, came


def a_request(number, *, sender="a", kind=CON):
    return SimpleNamespace(remote=sender, mid=number, mtype=kind)


def an_answer(number, *, sender="a"):
    message = Message(code=CHANGED, payload=b"ok", _mtype=ACK, _mid=number, _token=b"t")
    message.remote, message.direction = sender, Direction.OUTGOING
    return message


@pytest.fixture
def repeats():
    """What is remembered, and what was sent again."""
    sent = []
    manager = SimpleNamespace(message_interface=SimpleNamespace(send=sent.append))
    return Repeats.take_over(manager), sent


def test_a_repeat_gets_the_same_answer_when_there_is_one(repeats):
    remembered, sent = repeats
    assert not remembered.is_repeat(a_request(7))
    assert remembered.is_repeat(a_request(7)), "it is still being journaled"
    assert sent == []
    remembered.answered(an_answer(7))
    assert not remembered.is_repeat(a_request(7, sender="b"))
    assert remembered.is_repeat(a_request(7, kind=NON))
    assert sent == [], "nobody waits for that one"
    assert remembered.is_repeat(a_request(7))
    assert [(m.encode(), m.remote) for m in sent] == [(an_answer(7).encode(), "a")]
    remembered.answered(an_answer(8))
    assert len(remembered) == 2, "an answer to nobody"


def test_messages_of_many_do_not_pile_up_and_are_forgotten(repeats, monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(coap_repeats.time, "monotonic", lambda: now_s[0])
    remembered, _ = repeats
    for number in range(3 * coap_repeats.MOST):
        assert not remembered.is_repeat(a_request(number & 0xFFFF, sender=number >> 16))
    assert len(remembered) == coap_repeats.MOST
    assert remembered.is_repeat(a_request(number & 0xFFFF, sender=number >> 16)), "the newest"
    now_s[0] += coap_repeats.FORGET_S
    assert not remembered.is_repeat(a_request(number & 0xFFFF, sender=number >> 16))
    assert len(remembered) == 1


def test_what_a_server_remembers_of_a_message_is_small(tmp_path):
    settings = CoapSettings(port=servers.free_port(socket.SOCK_DGRAM))
    with running(tmp_path, coap=settings), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        _post(udp, settings, range(300))
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            _post(udp, settings, range(300, 1_300))
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (after - before) / 1_000 < 1_500


def _post(udp, settings, numbers):
    """Post confirmable messages that are refused, one after the other."""
    for number in numbers:
        head = b"\x41\x02" + number.to_bytes(2, "big") + b"\xa1" + b"\xb2up"
        udp.sendto(head + b"\xff" + b"x" * 400, (settings.host, settings.port))
        while (answer := udp.recv(1500))[2:4] != number.to_bytes(2, "big"):
            udp.sendto(b"\x60\0" + answer[2:4], (settings.host, settings.port))  # a separate one
