"""MQTT: what happens as messages, and each alarm as it stands as a retained message of its own.

    <prefix>/event            every row of the outbox, as the webhook has it
    <prefix>/alarm/<id>       the alarm as it stands, retained; empty (gone) when it is over
    <prefix>/status           online, and by the broker's word offline when we are gone; retained

QoS 1 throughout, MQTT 5: so a broker that does not let us publish says so. Who comes later finds
the alarms that stand. What was retained and is over by now (we were away) is cleared.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.tls import client_context, tls_trouble
from lifeline.ledger import Outlet
from lifeline.ledger.outbox import Told, told
from lifeline.notify.sending import TAKEN, Answer, Limits, Message, later

if TYPE_CHECKING:
    from lifeline.ledger import Ledger
    from rules.alarms import Alarm

WAIT_S: Final = 5.0
LOOK_S: Final = 30.0
"""How often the retained states are compared with the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Which broker, as whom, and below which topic."""

    name: str
    host: str
    port: int
    prefix: str = "lifeline/out"
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str | None = None  # with tls; None = the machine's authorities
    min_severity: int = 1
    look_s: float = LOOK_S

    @property
    def outlet(self) -> Outlet:
        """Return the outlet; machines hear all of it."""
        return Outlet(name=self.name, min_severity=self.min_severity)

    @property
    def limits(self) -> Limits:
        """Return how hard it is tried."""
        return Limits()

    def sender(self, ledger: Ledger) -> MqttOut:
        """Return the way out."""
        return MqttOut(ledger, self)

    def probe(self) -> str:
        """Return why the broker does not take us, "" if it does; under another client's id."""
        line = _Line(self, client_id=f"{self.client_id}-check")
        try:
            return line.open()
        finally:
            line.close()

    @property
    def client_id(self) -> str:
        """Return what the broker knows us by."""
        return f"lifeline-out-{self.name.rpartition(':')[2]}"


class _Line:
    """One connection; when something goes wrong it is thrown away with all that it queued."""

    def __init__(self, settings: MqttSettings, *, client_id: str, will: bool = False) -> None:
        self._settings = settings
        self.retained: set[str] = set()  # ids the broker holds a state of
        self.opened_s = 0.0
        self._answered = threading.Event()
        self._refusal = "no answer"
        self._denied: dict[int, str] = {}
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        if settings.user:
            self.client.username_pw_set(settings.user, settings.password)
        if settings.tls:
            self.client.tls_set_context(client_context(settings.ca_file))
        if will:
            self.client.will_set(f"{settings.prefix}/status", "offline", qos=1, retain=True)
        self.client.connect_timeout = WAIT_S
        self.client.on_connect = self._on_connect
        self.client.on_publish = self._on_publish
        self.client.on_message = self._on_message

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self._refusal = f"the broker refuses us: {reason}" if reason.is_failure else ""
        self._answered.set()

    def _on_publish(self, _c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._denied[mid] = str(reason)

    def _on_message(self, _c: Any, _u: Any, message: MQTTMessage) -> None:
        if message.payload:
            self.retained.add(message.topic.rpartition("/")[2])

    def open(self) -> str:
        """Connect; return what is wrong, "" if nothing is."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self.client.connect(self._settings.host, self._settings.port, keepalive=30)
        except (OSError, ValueError) as error:
            said = tls_trouble(error, self._settings.host, connecting=self._settings.tls)
            return f"{where}: {said or getattr(error, 'strerror', None) or error}"
        self.client.loop_start()
        if not self._answered.wait(WAIT_S):
            return f"{where}: {self._refusal} within {WAIT_S:g} s"
        self.opened_s = time.monotonic()
        return f"{where}: {self._refusal}" if self._refusal else ""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        """Publish and wait for the broker's word; return what is wrong, "" if nothing is."""
        sent = self.client.publish(topic, payload, qos=1, retain=retain)
        try:
            sent.wait_for_publish(WAIT_S)
        except (RuntimeError, ValueError) as error:
            return f"not published: {error}"
        if not sent.is_published():
            return f"the broker did not acknowledge within {WAIT_S:g} s"
        denied = self._denied.pop(sent.mid, "")
        return f"the broker does not let us publish to {topic}: {denied}" if denied else ""

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class MqttOut:
    """Publishes each row and the alarm's state beside it."""

    def __init__(self, ledger: Ledger, settings: MqttSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._line: _Line | None = None
        self._due_s = 0.0
        self._said: dict[str, int] = {}  # alarm: seq of the state published

    def close(self) -> None:
        """Say that we are gone, and disconnect."""
        if self._line is not None:
            self._line.publish(f"{self._settings.prefix}/status", b"offline", retain=True)
            self._drop()

    def deliver(self, message: Message) -> Answer:
        """Publish the event, then the state of its alarm."""
        if trouble := self._connected():
            return later(trouble)
        body = message.told
        trouble = self._publish("event", message.body.encode())
        found = self._ledger.alarm(body.get("alarm", ""))
        if not trouble and found is not None:
            trouble = self._state(found[0], body)
        return later(trouble) if trouble else TAKEN

    def turn(self) -> str:
        """Bring the retained states in line with the ledger."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return ""
        self._due_s = now_s + min(WAIT_S, self._settings.look_s)
        if trouble := self._connected():
            return trouble
        line = self._line
        if line is None or now_s - line.opened_s < 1.0:
            return ""  # what the broker holds has not come yet
        held = told(self._ledger, self._settings.name)
        for each in held:
            if self._said.get(each.alarm.alarm_id) != each.alarm.seq and (
                trouble := self._state(each.alarm, _newest(each))
            ):
                return trouble
        open_ones = {each.alarm.alarm_id for each in held}
        for alarm_id in (set(self._said) | line.retained) - open_ones:
            if trouble := self._publish(f"alarm/{alarm_id}", b"", retain=True):
                return trouble
            self._said.pop(alarm_id, None)
            line.retained.discard(alarm_id)
        self._due_s = now_s + self._settings.look_s
        return ""

    def _state(self, alarm: Alarm, body: dict[str, Any]) -> str:
        payload = b"" if alarm.ended else state_of(alarm, body)
        trouble = self._publish(f"alarm/{alarm.alarm_id}", payload, retain=True)
        if not trouble:
            self._said[alarm.alarm_id] = alarm.seq
            if alarm.ended:
                self._said.pop(alarm.alarm_id)
        return trouble

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        if self._line is None:
            return "not connected"
        whole = f"{self._settings.prefix}/{topic}"
        trouble = self._line.publish(whole, payload, retain=retain)
        if trouble:
            self._drop()
        return trouble

    def _connected(self) -> str:
        """Connect where we are not; return what is wrong, "" if nothing is."""
        if self._line is not None and self._line.client.is_connected():
            return ""
        self._drop()
        line = _Line(self._settings, client_id=self._settings.client_id, will=True)
        trouble = line.open()
        if trouble:
            line.close()
            return trouble
        self._line = line
        options = SubscribeOptions(qos=1, noLocal=True)
        line.client.subscribe(f"{self._settings.prefix}/alarm/+", options=options)
        self._said = {}
        return self._publish("status", b"online", retain=True)

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _newest(each: Told) -> dict[str, Any]:
    return next((b for b in reversed(each.bodies) if "sentence" in b), each.bodies[-1])


def state_of(alarm: Alarm, body: dict[str, Any]) -> bytes:
    """Return an alarm as it stands; words and labels as the newest message had them."""
    said = {
        "alarm": alarm.alarm_id,
        "seq": alarm.seq,
        "rule": alarm.rule,
        "subject": alarm.subject,
        "word": alarm.word.value,
        "condition": alarm.condition.value,
        "severity": alarm.shown_severity,
        "max_severity": alarm.max_severity,
        "confirmed": alarm.confirmed,
        "acked_by": alarm.acked_by,
        "assigned_to": alarm.assigned_to,
        "held": [s.hold.value for s in alarm.suppression],
        "onset_ns": alarm.onset_ns,
        "measured_ns": alarm.event_ns,
        "received_ns": alarm.receive_ns,
        "value": alarm.value,
        "limit": alarm.limit,
    }
    said |= {name: body[name] for name in ("sentence", "labels") if name in body}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
