"""MQTT source: paho in a thread of its own, read by our own loop, acknowledged after the commit.

paho's own loop reads always; ours reads only while the intake accepts. Not acknowledging alone
is no back-pressure: a broker sends as many new messages as were acknowledged. So when the queue or
the disk is full the socket is left unread, TCP stops the broker, and pings go on being sent.

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
from typing import TYPE_CHECKING, Any

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from ingest import metrics
from ingest.codecs import MQTT_FILTER
from ingest.crash_points import reach

if TYPE_CHECKING:
    from ingest.intake import Intake

log = structlog.get_logger("ingest.mqtt")

_POLL_S = 0.5
_READS_A_TURN = 200
_WRONG_PASSWORD = (4, 5, 134, 135)  # reason codes: bad user name or password, not authorised


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
    keepalive_s: int = 30
    topics: tuple[str, ...] = (MQTT_FILTER,)
    retry_max_s: float = 30.0

    @property
    def address(self) -> str:
        """Return the broker as people write it."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class MqttReceipt:
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
        self._reading = True
        self._closing = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._received = 0
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
            except (OSError, ValueError) as error:
                self.cause = str(error) or type(error).__name__
            except Exception as error:  # a packet paho cannot read must not end the intake
                self.cause = f"paho failed: {error!r}"
                log.exception("mqtt client failed", broker=self.settings.address)
            finally:
                was_connected = self.connected.is_set()
                self.connected.clear()
                metrics.MQTT_CONNECTED.set(0)
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
        client = self._client()
        client.connect(self.settings.host, self.settings.port, self.settings.keepalive_s)
        try:
            self._serve(client)
            if self._closing.is_set():
                self._acknowledge_all(client)
                self._flush(client)
        finally:
            client.disconnect()
            self._flush(client)
            left = client.socket()
            if left is not None:
                left.close()

    def _client(self) -> Client:
        settings = self.settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        client.connect_timeout = 5.0
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls:
            context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.certificate_file:
                context.load_cert_chain(settings.certificate_file, settings.key_file)
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            remedy = "; check user and password" if reason.value in _WRONG_PASSWORD else ""
            self._refused = f"the broker refused the connection: {reason}{remedy}"
            return
        log.info("mqtt connected", broker=self.settings.address, session_kept=flags.session_present)
        client.subscribe([(topic, 1) for topic in self.settings.topics])

    def _on_subscribe(self, _: Client, __: Any, ___: int, reasons: list[Any], ____: Any) -> None:
        refused = [
            topic
            for topic, reason in zip(self.settings.topics, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._refused = f"the broker refused the subscription to {', '.join(refused)}"
            return
        metrics.MQTT_CONNECTED.set(1)
        metrics.MQTT_CONNECTS.labels("connected").inc()
        self.connected.set()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self._received += 1
        try:
            topic = message.topic
        except UnicodeDecodeError as error:  # 3.1.1 forbids it, and so a broker may send it
            topic = error.object.decode("utf-8", "backslashreplace")
        receipt = None
        if message.qos:
            receipt = MqttReceipt(self, self._generation, message.mid)
        else:
            metrics.UNACKED_QOS0.inc()
        self.intake.put(bytes(message.payload), transport="mqtt", path=topic, token=receipt)

    # -------------------------------------------------------------- the loop

    def _serve(self, client: Client) -> None:
        """Read, write and ping until the connection ends or ``close`` is called."""
        heard_s = pinged_s = time.monotonic()
        silence_s = self.settings.keepalive_s * 1.5
        paused = False
        while not (self._closing.is_set() or self._refused):
            connection = client.socket()
            if connection is None:
                return
            may_read = self._reading and self.intake.accepts
            if paused != (not may_read):
                paused = not may_read
                metrics.MQTT_PAUSES.inc(int(paused))
                heard_s = time.monotonic()
            if self._wait(client, connection, may_read=may_read):
                heard_s = time.monotonic()
                if not self._read(client):
                    return
            self._acknowledge_all(client)
            if client.want_write() and client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            now_s = time.monotonic()
            if now_s - pinged_s >= self.settings.keepalive_s / 2:
                pinged_s = now_s
                # paho's own keepalive wants the answer read; ours must go on while we do not read
                client._send_pingreq()  # noqa: SLF001
            if may_read and now_s - heard_s > silence_s:
                self._refused = f"the broker said nothing for {silence_s:.0f} s"

    def _wait(self, client: Client, connection: Any, *, may_read: bool) -> bool:
        """Wait for something to do; return whether the connection can be read."""
        pending = getattr(connection, "pending", None)  # TLS may hold decrypted bytes
        if may_read and pending is not None and pending():
            return True
        read = [self._wake_in, connection] if may_read else [self._wake_in]
        write = [connection] if client.want_write() else []
        readable, _, _ = select.select(read, write, [], _POLL_S)
        if self._wake_in in readable:
            self._wake_in.recv(65_536)
        return connection in readable

    def _read(self, client: Client) -> bool:
        """Read messages while there are any and room for them; False when the connection ended."""
        for _ in range(_READS_A_TURN):
            before = self._received
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
            if self._received == before or not self.intake.accepts or not self._reading:
                break
        return True

    def _acknowledge_all(self, client: Client) -> None:
        while self._receipts:
            receipt = self._receipts.popleft()
            if receipt.generation == self._generation:
                client.ack(receipt.packet_id, 1)
                reach("after-ack")
            else:
                metrics.STALE_ACKS.inc()

    def _flush(self, client: Client) -> None:
        deadline_s = time.monotonic() + 1.0
        while client.want_write() and client.socket() and time.monotonic() < deadline_s:
            if client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
