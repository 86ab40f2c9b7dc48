"""MQTT source: a connection in a thread of its own, read in bulk, acknowledged after the commit.

Many messages come with one read of the socket, enter the intake together, and are acknowledged by
one write (mqtt_wire). A client library takes each by itself, which costs more than all the rest of
the intake.

It reads only while the intake accepts. Not acknowledging alone is no back-pressure: a broker sends
as many new messages as were acknowledged. So when the queue or the disk is full the socket is left
unread, TCP stops the broker, and pings go on being sent.

The session is persistent (MQTT 3.1.1, clean session off, a stable client id): the broker keeps
what arrives while we are away and sends again what was not acknowledged. A receipt carries the
generation of its connection; after a reconnect its packet id may be another message's, so stale
ones are dropped.
"""

from __future__ import annotations

import random
import select
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import structlog

from ingest import metrics
from ingest.codecs import MQTT_FILTER
from ingest.crash_points import reach
from ingest.sources import mqtt_wire as wire
from ingest.tls import client_context, secured, tls_trouble

if TYPE_CHECKING:
    from ingest.intake import Intake, Message

log = structlog.get_logger("ingest.mqtt")

_POLL_S = 0.5
_CONNECT_S = 5.0
_READ_BYTES = 1 << 20
_GOODBYE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Where the broker is. Secrets come from the environment or a file, see the configuration."""

    host: str
    port: int = 1883
    client_id: str = "lifeline-ingest"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    keepalive_s: int = 10  # a link that is dead without a word is noticed after 1.5 times that
    topics: tuple[str, ...] = (MQTT_FILTER,)
    retry_max_s: float = 5.0  # how long after the broker's return alarms may still wait

    @property
    def address(self) -> str:
        """Return the broker as people write it."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


class MqttReceipt(NamedTuple):
    """One message of one connection."""

    source: MqttSource
    generation: int
    packet_id: int

    def answer(self, refused: str | None) -> None:  # noqa: ARG002 - the broker wants no reason
        """Acknowledge: journaled and refused frames alike, in order."""
        self.source.acknowledge(self)


class MqttSource:
    """Keeps one subscription alive until ``close``; see the module's head."""

    def __init__(self, settings: MqttSettings, intake: Intake) -> None:
        self.settings = settings
        self.intake = intake
        self.connected = threading.Event()
        self.cause = "not tried yet"  # why it was not connected last
        self._generation = 0
        self._receipts: deque[MqttReceipt] = deque()  # bounded: each is a message in the intake
        self._kept: list[Message] = []  # of the last read, what the full queue did not take
        self._reading = True
        self._closing = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._woken = False  # a wake-up is on its way: one for many receipts
        self._refused = ""
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        intake.on_room.append(self._wake)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def acknowledge(self, receipt: MqttReceipt) -> None:
        """Take a receipt from the writer's thread; the source's thread sends it."""
        self._receipts.append(receipt)
        self._wake()

    @property
    def alive(self) -> bool:
        """Say whether the source's thread runs."""
        return self._thread.is_alive()

    def stop_reading(self) -> None:
        """Read no more; acknowledgements still go out."""
        self._reading = False
        self._wake()

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Send what is to be acknowledged, say goodbye, end the thread."""
        self._closing.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _wake(self) -> None:
        if self._woken:
            return
        self._woken = True
        try:
            self._wake_out.send(b"\0")
        except BlockingIOError:
            return  # it has plenty of reasons to wake already

    # -------------------------------------------------------------- connecting

    def _run(self) -> None:
        attempt = 0
        while not self._closing.is_set():
            began_s = time.monotonic()
            try:
                self._converse()
                self.cause = self._refused or "the connection was lost"
            except wire.Malformed as error:
                self.cause = f"the broker sent what is not MQTT 3.1.1: {error}"
            except (OSError, ValueError) as error:
                said = tls_trouble(error, self.settings.host)
                self.cause = said or str(error) or type(error).__name__
            except Exception as error:  # a mistake of ours must not end the intake
                self.cause = f"the MQTT client failed: {error!r}"
                log.exception("mqtt client failed", broker=self.settings.address)
            finally:
                was_connected = self.connected.is_set()
                self.connected.clear()
                metrics.MQTT_CONNECTED.set(0)
                if was_connected or not attempt:
                    metrics.MQTT_DOWN_SINCE.set(time.time())
                self._hand_over(beyond=True)
            if self._closing.is_set():
                return
            metrics.MQTT_CONNECTS.labels("lost" if was_connected else "failed").inc()
            long_lived = was_connected and time.monotonic() - began_s > self.settings.retry_max_s
            attempt = 0 if long_lived else attempt + 1
            # full jitter: after a broker's restart not everyone comes back at once
            wait_s = random.uniform(0.1, min(self.settings.retry_max_s, 0.25 * 2**attempt))
            log.warning(
                "mqtt not connected",
                broker=self.settings.address,
                cause=self.cause,
                retry_in_s=round(wait_s, 1),
            )
            self._closing.wait(wait_s)

    def _converse(self) -> None:
        """Connect and serve one connection until it ends; OSError where it cannot begin."""
        self._generation += 1
        self._refused = ""
        with self._connection() as connection:
            connection.setblocking(False)
            line = _Line(connection)
            line.send(self._hello())
            try:
                self._serve(line)
                if self._closing.is_set():
                    self._acknowledge_all(line)
                line.send(wire.DISCONNECT)
            finally:
                line.flush(_GOODBYE_S)

    def _connection(self) -> socket.socket:
        settings = self.settings
        plain = socket.create_connection((settings.host, settings.port), _CONNECT_S)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not settings.tls:
                return plain
            context = client_context(settings.ca_file)
            if settings.certificate_file:
                context.load_cert_chain(settings.certificate_file, settings.key_file)
            return secured(plain, settings.host, context)
        except BaseException:
            plain.close()
            raise

    def _hello(self) -> bytes:
        settings = self.settings
        return wire.connect(
            client_id=settings.client_id,
            username=settings.username,
            password=settings.password,
            keepalive_s=settings.keepalive_s,
        )

    # -------------------------------------------------------------- the loop

    def _serve(self, line: _Line) -> None:
        """Read, write and ping until the connection ends or ``close`` is called."""
        inbox = wire.Inbox()
        heard_s = pinged_s = time.monotonic()
        silence_s = self.settings.keepalive_s * 1.5
        paused = False
        while not (self._closing.is_set() or self._refused):
            may_read = self._reading and self.intake.accepts and self._hand_over()
            if paused != (not may_read):
                paused = not may_read
                metrics.MQTT_PAUSES.inc(int(paused))
                heard_s = time.monotonic()
            if self._wait(line, may_read=may_read):
                heard_s = time.monotonic()
                data = line.receive()
                if data == b"":
                    return
                if data:
                    self._take(line, inbox, data)
            self._acknowledge_all(line)
            line.write()
            now_s = time.monotonic()
            if now_s - pinged_s >= self.settings.keepalive_s / 2:
                pinged_s = now_s
                line.send(wire.PINGREQ)
            if may_read and now_s - heard_s > silence_s:
                self._refused = f"the broker said nothing for {silence_s:.0f} s"

    def _wait(self, line: _Line, *, may_read: bool) -> bool:
        """Wait for something to do; return whether the connection can be read."""
        if may_read and line.holds_read_bytes():
            return True
        connection = line.connection
        read = [self._wake_in, connection] if may_read else [self._wake_in]
        readable, _, _ = select.select(read, [connection] if line.unsent else [], [], _POLL_S)
        if self._wake_in in readable:
            self._woken = False  # before what it is about is looked at: nothing is overlooked
            self._wake_in.recv(65_536)
        return connection in readable

    def _take(self, line: _Line, inbox: wire.Inbox, data: bytes) -> None:
        """Take what came with one read."""
        try:
            inbox.take(data)
        finally:  # what stands before something malformed has come
            generation = self._generation
            self._kept = [
                (topic, payload, MqttReceipt(self, generation, number) if number else None)
                for topic, payload, number in inbox.messages
            ]
            unacknowledged = sum(token is None for _, _, token in self._kept)
            if unacknowledged:
                metrics.UNACKED_QOS0.inc(unacknowledged)
            self._hand_over()
        for kind, body in inbox.others:
            self._other(line, kind, body)

    def _hand_over(self, *, beyond: bool = False) -> bool:
        """Give what is kept to the intake as far as it takes it; return whether all is gone.

        At the end of a connection it goes ``beyond`` the limit: nobody sends QoS 0 again.
        """
        if self._kept:
            taken = self.intake.put_many(self._kept, transport="mqtt", beyond=beyond)
            del self._kept[:taken]
        return not self._kept

    def _other(self, line: _Line, kind: int, body: bytes) -> None:
        topics = self.settings.topics
        if kind == wire.CONNACK:
            why = wire.refusal(body)
            if why is not None:
                self._refused = f"the broker refused the connection: {why}"
                return
            log.info("mqtt connected", broker=self.settings.address, session_kept=bool(body[0]))
            line.send(wire.subscribe(topics))
        elif kind == wire.SUBACK:
            refused = wire.refused_topics(body, topics)
            if refused:
                self._refused = f"the broker refused the subscription to {', '.join(refused)}"
                return
            metrics.MQTT_CONNECTED.set(1)
            metrics.MQTT_DOWN_SINCE.set(0)
            metrics.MQTT_CONNECTS.labels("connected").inc()
            self.connected.set()
        elif kind != wire.PINGRESP:
            raise wire.Malformed(f"a packet of type {kind} that no broker sends")

    def _acknowledge_all(self, line: _Line) -> None:
        """Send what is to be acknowledged, in the order it came, as one piece."""
        numbers: list[int] = []
        stale = 0
        while self._receipts:
            receipt = self._receipts.popleft()
            if receipt.generation == self._generation:
                numbers.append(receipt.packet_id)
            else:
                stale += 1
        if stale:
            metrics.STALE_ACKS.inc(stale)
        if numbers:
            line.send(wire.pubacks(numbers))
            reach("after-ack")


class _Line:
    """A connected socket that never blocks, plain or TLS, and what is still to be sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unsent = b""  # bounded: pings, and acknowledgements of messages in the intake
        # Kept: room asked for at each read, and given back but for what came, cuts the heap up.
        self._room = memoryview(bytearray(_READ_BYTES))

    def holds_read_bytes(self) -> bool:
        """Say whether TLS has bytes decrypted that the socket no longer shows."""
        return isinstance(self.connection, ssl.SSLSocket) and self.connection.pending() > 0

    def receive(self) -> bytes | None:
        """Return what is there, b"" at the end of the connection, None where nothing is."""
        try:
            came = self.connection.recv_into(self._room)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        return bytes(self._room[:came])

    def send(self, data: bytes) -> None:
        """Send now what can be sent, the rest when there is room."""
        self.unsent += data
        self.write()

    def write(self) -> None:
        """Send on."""
        if not self.unsent:
            return
        try:
            sent = self.connection.send(self.unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        self.unsent = self.unsent[sent:]

    def flush(self, timeout_s: float) -> None:
        """Send what is left, as far as the other side takes it within the time."""
        deadline_s = time.monotonic() + timeout_s
        try:
            while self.unsent and (left_s := deadline_s - time.monotonic()) > 0:
                select.select([], [self.connection], [], left_s)
                self.write()
        except OSError as error:
            log.info("mqtt connection ended before all was sent", cause=str(error))
