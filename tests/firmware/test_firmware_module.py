"""The NB-IoT module in C against aiocoap, and the retransmission of RFC 7252 on the wire."""

import asyncio
import socket
import subprocess
import time

import aiocoap
import pytest
from aiocoap import resource

from ingest.codecs import compact
from tests import servers

DEVICE = "410100-gas-nb-000123"


class Up(resource.Resource, resource.PathCapable):
    """Takes what is posted below ``/up``; ``answer`` says with what code and after how long."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.posts = []
        self.answer = answer

    async def render_post(self, request):
        self.posts.append(request)
        code, delay_s = self.answer(len(self.posts))
        await asyncio.sleep(delay_s)
        return aiocoap.Message(code=code)

    async def needs_blockwise_assembly(self, _request):
        return False


def posted(firmware, answer, **options):
    """Run a module against an aiocoap server; return the posts it got and the module's tally."""

    async def serve():
        up, site = Up(answer), resource.Site()
        site.add_resource(["up"], up)
        port = servers.free_port(socket.SOCK_DGRAM)
        context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port))
        process = firmware.start("module", DEVICE, port, **options)
        try:
            tally = await asyncio.to_thread(firmware.tally, process)
        finally:
            await context.shutdown()
        return up.posts, tally

    return asyncio.run(serve())


@pytest.mark.parametrize("delay_s", [0.0, 0.3], ids=["piggybacked", "separate"])
def test_batches_arrive_and_are_acknowledged(firmware, delay_s):
    posts, tally = posted(
        firmware, lambda _: (aiocoap.CHANGED, delay_s), count=3, batch=8, interval_ms=2
    )
    frames = [compact.decode(p.payload) for p in posts]
    assert [p.opt.uri_path for p in posts] == [(DEVICE,)] * 3  # below "up", which the site took off
    assert {int(p.opt.content_format) for p in posts} == {42}
    assert [f.sequence for f in frames] == [1, 2, 3]
    assert all(f.port.tolist() == [1] * 8 + [2] * 8 for f in frames)
    assert (tally["exit"], tally["acknowledged"], tally["retried"]) == (0, 3, 0)


def test_a_server_in_trouble_gets_the_same_message_again_later(firmware):
    def answer(n):
        return (aiocoap.SERVICE_UNAVAILABLE if n == 1 else aiocoap.CHANGED), 0

    posts, tally = posted(firmware, answer, count=1, batch=2, interval_ms=2, ack_timeout_ms=100)
    assert len(posts) == 2
    assert posts[0].payload == posts[1].payload
    assert (tally["acknowledged"], tally["retried"], tally["exit"]) == (1, 1, 0)


def test_a_refused_message_is_counted_and_not_sent_again(firmware):
    posts, tally = posted(
        firmware, lambda _: (aiocoap.BAD_REQUEST, 0), count=2, batch=1, interval_ms=2
    )
    assert len(posts) == 2
    assert (tally["refused"], tally["acknowledged"], tally["exit"]) == (2, 0, 1)


def test_a_datagram_is_repeated_after_waits_that_double(firmware):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        process = firmware.start(
            "module", DEVICE, server.getsockname()[1], count=1, batch=1, interval_ms=1,
            ack_timeout_ms=200,
        )  # fmt: skip
        came, datagrams = [], []
        for _ in range(3):
            datagram, sender = server.recvfrom(2048)
            came.append(time.monotonic())
            datagrams.append(datagram)
        answer = bytes([0x64, 0x44]) + datagrams[0][2:8]
        server.sendto(answer, sender)
        tally = firmware.tally(process)
    first_s, second_s = came[1] - came[0], came[2] - came[1]
    assert 0.19 <= first_s <= 0.4
    assert 1.6 <= second_s / first_s <= 2.4
    assert datagrams[0] == datagrams[1] == datagrams[2]
    assert (tally["sent"], tally["retried"], tally["acknowledged"]) == (1, 2, 1)


def test_a_command_line_that_is_wrong_is_explained_with_exit_code_2(firmware):
    for wrong, named in ((["module", "--device", "a/b"], "--device"),
                         (["gateway", "--count", "many"], "--count"),
                         (["gateway", "--colour", "red"], "--colour")):  # fmt: skip
        ended = subprocess.run(
            [firmware.program, *wrong], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert named in ended.stderr
