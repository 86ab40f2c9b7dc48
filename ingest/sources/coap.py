"""CoAP source: ``POST /up/<device>`` over UDP, answered after the commit (aiocoap, own thread).

2.04 means journaled; 4.xx means refused and kept in quarantine; 5.03 with Max-Age means "keep it
and come again": the queue or the disk is full. A confirmable message repeated by the device is
answered again without being taken twice (coap_repeats.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from aiocoap import Context, Message
from aiocoap.numbers.codes import Code
from aiocoap.resource import PathCapable, Resource

from ingest import metrics
from ingest.sources.coap_blocks import Blocks
from ingest.sources.coap_repeats import Repeats

if TYPE_CHECKING:
    from ingest.intake import Intake

log = structlog.get_logger("ingest.coap")

_ANY = ("", "::", "0.0.0.0")  # noqa: S104 - compared with, not bound to
_KERNEL_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
_CODES = {
    "unknown_device": Code.NOT_FOUND,
    "topic": Code.NOT_FOUND,
    "device_mismatch": Code.FORBIDDEN,
    "simulation": Code.FORBIDDEN,
    "signature": Code.FORBIDDEN,
    "content_format": Code.UNSUPPORTED_CONTENT_FORMAT,
    "too_long": Code.REQUEST_ENTITY_TOO_LARGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapSettings:
    """Where to listen. ``limit_waiting`` bounds requests that wait for their commit."""

    host: str = "127.0.0.1"
    port: int = 5683
    receive_buffer_bytes: int = 8 << 20
    limit_waiting: int = 10_000
    answer_within_s: float = 20.0
    retry_after_s: int = 30

    @property
    def address(self) -> str:
        """Return the endpoint as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"coap://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CoapReceipt:
    """A request that waits; answered from the writer's thread."""

    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[str | None]

    def answer(self, refused: str | None) -> None:
        """Let the request be answered: None 2.04, else the reason's code."""
        # a closed loop: the server is gone, the device will ask again
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._settle, refused)

    def _settle(self, refused: str | None) -> None:
        if not self.done.done():
            self.done.set_result(refused)


class _Uplink(Resource, PathCapable):  # type: ignore[misc]  # aiocoap has no types
    """The whole server: any path is taken to admission, which knows what is right."""

    def __init__(self, settings: CoapSettings, intake: Intake) -> None:
        super().__init__()
        self._block1 = Blocks()
        self.settings = settings
        self.intake = intake
        self.waiting = 0
        self.open = True

    async def render_post(self, request: Message) -> Message:
        """Hand the payload over, wait for the commit, answer."""
        full = not self.intake.accepts or self.waiting >= self.settings.limit_waiting
        if full or not self.open:
            return self._come_again()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()
        content_format = request.opt.content_format
        self.waiting += 1
        try:
            self.intake.put(
                bytes(request.payload),
                transport="coap",
                path="/".join(request.opt.uri_path),
                content_format=None if content_format is None else int(content_format),
                token=CoapReceipt(loop, done),
            )
            refused = await asyncio.wait_for(done, self.settings.answer_within_s)
        except TimeoutError:
            return self._come_again()
        finally:
            self.waiting -= 1
        if refused is None:
            return Message(code=Code.CHANGED)
        return Message(code=_CODES.get(refused, Code.BAD_REQUEST), payload=refused.encode())

    def _come_again(self) -> Message:
        metrics.UNAVAILABLE.inc()
        return Message(code=Code.SERVICE_UNAVAILABLE, max_age=self.settings.retry_after_s)


class CoapSource:
    """The server in its thread. ``start`` raises OSError when the port cannot be had."""

    def __init__(self, settings: CoapSettings, intake: Intake) -> None:
        self.settings = settings
        self._uplink = _Uplink(settings, intake)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="coap", daemon=True)
        self.receive_buffer_bytes = 0

    def start(self) -> None:
        """Bind and serve; returns when requests are answered."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise OSError(f"{self.settings.address}: cannot listen: {self._failure}")

    @property
    def alive(self) -> bool:
        """Say whether the source's thread runs."""
        return self._thread.is_alive()

    def stop_reading(self) -> None:
        """Answer new requests with 5.03 from now on; those waiting still get their answer."""
        self._uplink.open = False

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Let answers under way go out and end the server."""
        loop, stopping = self._loop, self._stopping
        if loop is None or stopping is None or not self._thread.is_alive():
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join(timeout_s)

    def kernel_drops(self) -> float:
        """Return how many datagrams to our port the kernel threw away, 0 where it does not say."""
        local = f":{self.settings.port:04X}"
        drops = 0
        for table in _KERNEL_TABLES:
            lines = table.read_text().splitlines()[1:] if table.exists() else []
            columns = [line.split() for line in lines]
            drops += sum(int(row[-1]) for row in columns if row[1].endswith(local))
        return float(drops)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failure = error
            if self._started.is_set():
                log.exception("coap server ended", address=self.settings.address)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        _refuse_a_taken_port(self.settings)
        logging.getLogger("coap-server").setLevel(logging.ERROR)  # strangers' noise is counted
        # udp6 alone can answer from the right one of many addresses; the other is 1.5 times faster
        transport = "udp6" if self.settings.host in _ANY else "simplesocketserver"
        host = "::" if self.settings.host in _ANY else self.settings.host
        context = await Context.create_server_context(
            self._uplink, bind=(host, self.settings.port), transports=[transport]
        )
        try:
            self._widen(context)
            for interface in context.request_interfaces:
                Repeats.take_over(interface.token_interface)
            for receiver, method in _receivers(context):
                _screen(receiver, method, self._uplink)
            metrics.COAP_DROPS.set_function(self.kernel_drops)
            log.info("coap listening", address=self.settings.address)
            self._started.set()
            await self._stopping.wait()
            deadline = self._loop.time() + 1.0
            while self._uplink.waiting and self._loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            await context.shutdown()
            await asyncio.sleep(0)  # requests just received begin, so that they can be cancelled

    def _widen(self, context: Any) -> None:
        """Ask for a large receive buffer: by default a burst of 1 000 datagrams loses most."""
        for sock in _sockets(context):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.settings.receive_buffer_bytes)
            self.receive_buffer_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if self.receive_buffer_bytes < self.settings.receive_buffer_bytes:
            log.info(
                "coap receive buffer is small, bursts may be lost: raise net.core.rmem_max",
                wanted_bytes=self.settings.receive_buffer_bytes,
                granted_bytes=self.receive_buffer_bytes,
            )


def _refuse_a_taken_port(settings: CoapSettings) -> None:
    """Raise OSError if somebody has the port: aiocoap would share it and lose half the messages."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((settings.host, settings.port))


def _screen(receiver: Any, method: str, uplink: _Uplink) -> None:
    """Take what is no CoAP message to quarantine; aiocoap drops some of it and raises at the rest.

    Nobody is answered: a datagram's sender is not to be believed.
    """
    taken = getattr(receiver, method)

    def screened(datagram: bytes, *where: Any) -> None:
        try:
            Message.decode(datagram)
        except Exception:  # noqa: BLE001 - UnparsableMessage, and what its options' decoders raise
            if uplink.open and uplink.intake.accepts:
                uplink.intake.put(bytes(datagram), transport="datagram", path="")
            else:
                metrics.UNAVAILABLE.inc()
        else:
            taken(datagram, *where)

    setattr(receiver, method, screened)


def _receivers(context: Any) -> list[tuple[Any, str]]:
    """Return who in an aiocoap context takes datagrams, by which method; it has no public way."""
    below = [each.token_interface.message_interface for each in context.request_interfaces]
    return [
        (each, "datagram_msg_received")
        if hasattr(each, "transport")
        else (each._pool, "datagram_received")  # noqa: SLF001
        for each in below
    ]


def _sockets(context: Any) -> list[Any]:
    """Return the UDP sockets inside an aiocoap context."""
    held = [getattr(each, "transport", None) or each._transport for each, _ in _receivers(context)]  # noqa: SLF001
    return [transport.get_extra_info("socket") for transport in held]
