"""Ask the servers of a configuration once, before anything starts: one clear line for each.

What is checked here may be down later: then the sources and the store wait and say so. At the
start a wrong address or password is far more likely than an outage, so it is told and ends.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

import httpx

from ingest.secret_words import without_secrets
from ingest.tls import client_context, secured, tls_trouble
from lifeline.errors import Unreachable

if TYPE_CHECKING:
    import ssl

    from lifeline.settings.config import CityConfig, InfluxEntry, MqttEntry

TIMEOUT_S = 3.0
_CONNACK = {
    1: "does not speak MQTT 3.1.1",
    2: "refuses the client id",
    3: "says it is unavailable",
    4: "refuses user or password",
    5: "refuses this user",
}


def check_servers(config: CityConfig) -> None:
    """Try the broker and InfluxDB as they would be used.

    Raises
    ------
    Unreachable
        One line for each server that does not do.
    """
    lines = []
    if config.entry.mqtt is not None:
        lines.append(broker_trouble(config, config.entry.mqtt))
    if config.entry.influx is not None:
        lines.append(influx_trouble(config, config.entry.influx))
    said = [line for line in lines if line]
    if said:
        raise Unreachable(*said)


def broker_port(entry: MqttEntry) -> int:
    """Return the port: as written, or the usual one."""
    return entry.port or (8883 if entry.tls else 1883)


def broker_trouble(config: CityConfig, entry: MqttEntry) -> str:
    """Return what is wrong with the broker and what to do, "" if it takes us."""
    where = f"broker {entry.host}:{broker_port(entry)} ([mqtt])"
    try:
        with _connected(config, entry) as wire:
            wire.sendall(_connect_packet(config, entry))
            answer = wire.recv(4)
    except OSError as error:
        if said := tls_trouble(error, entry.host):
            return f"{where}: {said}"
        reason = error.strerror or str(error)
        return f"{where}: no answer ({reason}); is it running, and are host and port right?"
    if len(answer) < 4 or answer[0] != 0x20:
        return f"{where}: closed the connection; is that an MQTT broker, and does it want TLS?"
    if answer[3]:
        said = _CONNACK.get(answer[3], f"answers {answer[3]}")
        return f"{where}: {said}; check user and password_file or password_env"
    return ""


def open_to_all(config: CityConfig, entry: MqttEntry) -> bool:
    """Tell whether the broker takes a stranger without an account; False where it cannot be told.

    Then no list of topics holds anybody: whoever reaches it speaks for any device.
    """
    stranger = entry.model_copy(update={"user": ""})
    try:
        with _connected(config, stranger) as wire:
            wire.sendall(_connect_packet(config, stranger))
            answer = wire.recv(4)
    except OSError:
        return False  # what is wrong with it tells broker_trouble
    return len(answer) == 4 and answer[0] == 0x20 and answer[3] == 0


def _connected(config: CityConfig, entry: MqttEntry) -> socket.socket:
    wire = socket.create_connection((entry.host, broker_port(entry)), TIMEOUT_S)
    if not entry.tls:
        return wire
    cafile = str(config.path(entry.ca_file)) if entry.ca_file else None
    try:
        return secured(wire, entry.host, client_context(cafile))
    except BaseException:
        wire.close()
        raise


def _connect_packet(config: CityConfig, entry: MqttEntry) -> bytes:
    """Return a CONNECT under an id of its own with a clean session: it disturbs nobody."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return struct.pack(">H", len(raw)) + raw

    body = text("MQTT") + bytes([4, 0xC2 if entry.user else 0x02, 0, 10])
    body += text(f"lifeline-check-{os.getpid()}")
    if entry.user:
        body += text(entry.user) + text(config.secret(entry.password_file, entry.password_env))
    length = len(body)
    head = (
        bytes([0x10, length]) if length < 128 else bytes([0x10, length & 0x7F | 0x80, length >> 7])
    )
    return head + body


def influx_trouble(config: CityConfig, entry: InfluxEntry) -> str:
    """Return what is wrong with the bucket and what to do, "" if an empty write is taken."""
    where = f"InfluxDB {entry.url} ([influx])"
    token = config.secret(entry.token_file, entry.token_env)
    verify: ssl.SSLContext | bool = entry.verify_tls
    if entry.ca_file and entry.verify_tls:
        verify = client_context(str(config.path(entry.ca_file)))
    try:
        answer = httpx.post(
            f"{entry.url.rstrip('/')}/api/v2/write",
            params={"org": entry.org, "bucket": entry.bucket, "precision": "ns"},
            headers={"Authorization": f"Token {token}"} if token else {},
            content=b"",
            timeout=TIMEOUT_S,
            verify=verify,
        )
    except httpx.HTTPError as error:
        if said := tls_trouble(error, httpx.URL(entry.url).host):
            return f"{where}: {said}"
        return f"{where}: no answer ({error}); is it running, and is url right?"
    if answer.status_code in (401, 403):
        return f"{where}: refuses the token; put one with write access into token_file or token_env"
    if answer.status_code == 404:
        said = f"{where}: knows no bucket {entry.bucket!r} in org {entry.org!r}"
        return f"{said}; lifeline influx setup makes it"
    if answer.status_code >= 400 and answer.status_code != 400:
        said = without_secrets(answer.text[:4_000])[:120]
        return f"{where}: answers {answer.status_code} {said!r}; see its own log"
    return ""
