"""Official warnings by MQTT: one topic of the site's broker, one CAP message each.

The session outlives us (QoS 1, acknowledged only when the ledger has it), so what was published
while we were away comes when we are back. Who may publish there is the broker's affair: one
account, the issuer's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.tls import client_context, tls_trouble
from lifeline.bulletins.cap_in import Unreadable
from lifeline.ledger.errors import Conflict, LedgerError

if TYPE_CHECKING:
    from lifeline.bulletins.board import Board

LOG = structlog.get_logger("warnings")
TOPIC_RULE: Final = "warning-topic"
WAIT_S: Final = 5.0
PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """Which broker, as whom, and which topic."""

    host: str
    port: int
    topic: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str | None = None
    client_id: str = "lifeline-warnings"


class Subscriber:
    """Takes messages until stopped; ``trouble`` says why none can come."""

    def __init__(self, settings: TopicSettings, board: Board) -> None:
        self._settings, self._board = settings, board
        self._answered, self._broken = threading.Event(), threading.Event()
        self._refusal = ""
        self.trouble = ""

    def run(self, problems: dict[str, str], stop: threading.Event) -> None:
        """Be subscribed until stopped; what is wrong is one of ``problems``."""
        while not stop.is_set():
            self.trouble = self._session(problems, stop)
            if self.trouble:
                problems[TOPIC_RULE] = f"official warnings 官方预警主题: {self.trouble}"
                LOG.warning("no warnings from the broker", reason=self.trouble)
                stop.wait(PAUSE_S)

    def _session(self, problems: dict[str, str], stop: threading.Event) -> str:
        """Hold one connection; return why it ended, "" where we were stopped."""
        settings = self._settings
        self._answered.clear()
        self._broken.clear()
        self._refusal = ""
        client = self._client()
        try:
            client.connect(settings.host, settings.port, keepalive=30)
        except (OSError, ValueError) as error:
            said = tls_trouble(error, settings.host, connecting=settings.tls)
            return f"{settings.host}: {said or getattr(error, 'strerror', None) or error}"
        client.loop_start()
        try:
            if not self._answered.wait(WAIT_S):
                return f"{settings.host}: {self._refusal or f'no answer within {WAIT_S:g} s'}"
            if self._refusal:
                return f"{settings.host}: {self._refusal}"
            problems.pop(TOPIC_RULE, None)
            self.trouble = ""
            while not stop.is_set() and not self._broken.wait(0.2):
                pass
            return "" if stop.is_set() else self._refusal or "the connection ended"
        finally:
            client.disconnect()
            client.loop_stop()

    def _client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if settings.user:
            client.username_pw_set(settings.user, settings.password)
        if settings.tls:
            client.tls_set_context(client_context(settings.ca_file))
        client.connect_timeout = WAIT_S
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(self, client: Client, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses us: {reason}"
            self._answered.set()
        else:
            client.subscribe(self._settings.topic, qos=1)

    def _on_subscribe(self, _c: Any, _u: Any, _m: Any, reasons: list[Any], _p: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = f"the broker does not let us read {self._settings.topic}"
        self._answered.set()

    def _on_disconnect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._refusal = self._refusal or f"the connection ended: {reason}"
        self._broken.set()

    def _on_message(self, client: Client, _u: Any, message: MQTTMessage) -> None:
        """Take one; it is acknowledged unless the ledger could not be written."""
        if self._broken.is_set():
            return  # after one that waits: they come again in order
        try:
            self._board.take(bytes(message.payload), via="mqtt")
        except (Unreadable, Conflict):
            pass  # kept and told by the board: it would be no better the next time
        except LedgerError as error:
            self._refusal = f"a warning waits at the broker: {error}"
            self._broken.set()
            return
        client.ack(message.mid, message.qos)
