"""A broker that serves a real city says so, by a retained message; simulated data keep away.

``lifeline run`` puts the mark where its site is not a simulation; the simulators look for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.tls import machine_authorities, tls_trouble
from lifeline.errors import Unreachable

if TYPE_CHECKING:
    from ingest.sources.mqtt import MqttSettings

TOPIC = "lifeline/v1/production"
ANSWER_WITHIN_S = 5.0
RETRY_S = 10.0
LOG: Any = structlog.get_logger("mark")


class ProductionBroker(Unreachable):
    """The broker carries the mark: simulated data would mix with real alarms."""


def put_mark(settings: MqttSettings | None, name: str) -> None:
    """Say on the broker, if there is one, that it serves ``name``; it stays until removed.

    Raises
    ------
    Unreachable
        It does not take it.
    """
    if settings is None:
        return
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    if settings.username:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls:
        client.tls_set(settings.ca_file or machine_authorities())
    try:
        client.connect(settings.host, settings.port, keepalive=10)
        client.loop_start()
        taken = client.publish(TOPIC, name, qos=1, retain=True)
        taken.wait_for_publish(ANSWER_WITHIN_S)
        if not taken.is_published():
            raise Unreachable(f"broker {settings.host}:{settings.port}: takes no message of ours")
    except (OSError, RuntimeError) as error:
        if trouble := tls_trouble(error, settings.host, connecting=settings.tls):
            raise Unreachable(f"broker {settings.host}:{settings.port}: {trouble}") from error
        said = f"broker {settings.host}:{settings.port}: does not take {TOPIC} ({error})"
        raise Unreachable(f"{said}; let this user write it") from error
    finally:
        client.disconnect()
        client.loop_stop()


class MarkLater(threading.Thread):
    """Puts the mark as soon as the broker takes it, for a service that does not wait for it."""

    def __init__(self, settings: MqttSettings | None, name: str, *, stop: threading.Event) -> None:
        super().__init__(name="mark", daemon=True)
        self._settings, self._name, self._stop_event = settings, name, stop

    def run(self) -> None:
        """Try until it is taken or ``stop`` is set."""
        while not self._stop_event.is_set():
            try:
                put_mark(self._settings, self._name)
            except Unreachable as error:
                LOG.warning("the broker is not marked as production yet", cause=str(error))
                self._stop_event.wait(RETRY_S)
            else:
                return


def read_mark(
    host: str, port: int, *, user: str = "", password: str = "", ca_file: str | None = None
) -> str:
    """Return the city a broker serves, "" where it is not marked; with ``ca_file`` over TLS.

    Raises
    ------
    Unreachable
        It does not answer.
    """
    found: list[str] = []
    connected, subscribed, unsubscribed = (threading.Event() for _ in range(3))

    def on_connect(client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            connected.set()
            client.subscribe(TOPIC, 1)

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        found.append(message.payload.decode(errors="replace"))

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    if user:
        client.username_pw_set(user, password)
    if ca_file is not None:
        client.tls_set(ca_file)
    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_unsubscribe = lambda *_: unsubscribed.set()
    try:
        client.connect(host, port, keepalive=10)
        client.loop_start()
        if not subscribed.wait(ANSWER_WITHIN_S):
            said = (
                "refuses us; give --user and --password-file"
                if not connected.is_set()
                else "does not answer a subscription"
            )
            raise Unreachable(f"broker {host}:{port}: {said}")
        client.unsubscribe(TOPIC)  # answered after the retained message, if there is one
        unsubscribed.wait(ANSWER_WITHIN_S)
    except OSError as error:
        if trouble := tls_trouble(error, host, connecting=ca_file is not None):
            raise Unreachable(f"broker {host}:{port}: {trouble}") from error
        raise Unreachable(f"broker {host}:{port}: no answer ({error}); is it running?") from error
    finally:
        client.disconnect()
        client.loop_stop()
    return found[0] if found else ""


def refuse_production(
    host: str, port: int, *, user: str = "", password: str = "", ca_file: str | None = None
) -> None:
    """Raise ProductionBroker where the broker serves a real city."""
    if name := read_mark(host, port, user=user, password=password, ca_file=ca_file):
        raise ProductionBroker(
            f"broker {host}:{port} serves the city {name!r} (retained {TOPIC}); simulated data go "
            "to a broker of their own"
        )
