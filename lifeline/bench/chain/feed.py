"""What gateways send: the engine bench's readings as messages, and who publishes them.

A case says how many readings a message has and in which form. The publisher speaks MQTT over a
plain socket, QoS 1, and ends when the broker has acknowledged all: what it counts as sent, the
broker has taken over.
"""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest.codecs import compact, json_mapping
from ingest.codecs.compact import Series
from ingest.sources import mqtt_wire as wire
from lifeline.bench.arrival import T0_NS, values_of
from lifeline.bench.workload import SECOND_NS, STATION, channels_with, registry_with
from lifeline.broker import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry

WINDOW = 20_000  # messages on their way to the broker
_PIECE_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Case:
    """``channels`` send a value in every one of ``rounds``, ``per`` readings a message.

    ``warmup`` rounds come before and are not measured: afterwards the minutes that the rules look
    back upon are full, and what is made once is made.
    """

    name: str
    form: str  # json or compact
    per: int
    channels: int
    rounds: int
    warmup: int = 62

    @property
    def readings(self) -> int:
        """Return how many readings are measured."""
        return self.channels * self.rounds

    @property
    def messages(self) -> int:
        """Return how many messages are measured."""
        return self.readings // self.per

    @property
    def early(self) -> int:
        """Return how many messages come before."""
        return self.channels * self.warmup // self.per

    @property
    def all_readings(self) -> int:
        """Return how many readings are sent, with those of the warm-up."""
        return self.channels * (self.warmup + self.rounds)

    def shorter(self, share: float) -> Case:
        """Return it with a share of its rounds, even numbers for two samples a message."""
        rounds, warmup = (max(2, round(n * share / 2) * 2) for n in (self.rounds, self.warmup))
        return replace(self, rounds=rounds, warmup=warmup)


CASES = (
    Case("JSON, 500 readings a message", "json", 500, 10_000, 200),
    Case("JSON, 1 reading a message", "json", 1, 2_000, 80),
    Case("compact frame, 500 readings a message", "compact", 500, 10_000, 200),
)


def key_of(port: int) -> str:
    """Return the key of a device's channel."""
    return f"c{port:03d}"


def site(case: Case) -> Registry:
    """Return a registry in which each device has as many channels as its messages have readings.

    The compact frame has 255 blocks at most: its devices have half as many, with two samples each.
    """
    each = _ports(case)
    names = tuple(f"{STATION}/s{i:06d}/v" for i in range(case.channels))
    number = np.arange(case.channels)
    channels = channels_with(names, (number // each).astype(np.int32), SECOND_NS)
    port = (number % each).astype(np.int32)
    channels = replace(channels, port=port, key=tuple(key_of(p) for p in port.tolist()))
    return registry_with(f"chain-{case.channels}-{each}", channels)


def _ports(case: Case) -> int:
    return case.per // 2 if case.form == "compact" and case.per > 1 else case.per


def messages(case: Case) -> Iterator[tuple[str, bytes]]:
    """Yield (topic, payload) in the order they are sent."""
    rounds = case.warmup + case.rounds
    values = values_of(case.channels, rounds)
    each = _ports(case)
    samples = case.per // each
    devices = site(case).devices.id
    keys = [key_of(port) for port in range(each)]
    for first in range(0, rounds, samples):
        for number, device in enumerate(devices):
            own = values[first : first + samples, number * each : (number + 1) * each]
            sequence = first // samples + 1
            yield _message(case, device, keys, own, when_s=first, sequence=sequence)


def _message(
    case: Case,
    device: str,
    keys: Sequence[str],
    values: NDArray[np.float64],
    *,
    when_s: int,
    sequence: int,
) -> tuple[str, bytes]:
    at_ns = T0_NS + when_s * SECOND_NS
    if case.form == "compact":
        offsets = np.arange(len(values)) * 1000
        blocks = [Series(port=p, offsets_ms=offsets, values=v) for p, v in enumerate(values.T)]
        return f"lifeline/v1/{device}/up", compact.encode(
            device=device,
            boot=1,
            sequence=sequence,
            time_base_ms=at_ns // 1_000_000,
            blocks=blocks,
            simulation=True,
        )
    return f"lifeline/v1/{device}/json", json_mapping.encode(
        device=device,
        keys=keys,
        event_ns=[at_ns] * len(keys),
        values=values[0],
        boot=1,
        sequence=sequence,
        simulation=True,
    )


def packets(sent: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Return messages as PUBLISH packets of QoS 1; ids go round, far beyond the window."""
    return [
        wire.publish(topic, payload, packet_id=number % 65_535 + 1)
        for number, (topic, payload) in enumerate(sent)
    ]


class Publisher:
    """One connection to the broker; ``acknowledged`` counts what it has taken over."""

    def __init__(self, port: int) -> None:
        self.acknowledged = 0
        self._offered = 0
        self._waiting = bytearray()
        self._inbox = wire.Inbox()
        self._socket = socket.create_connection((HOST, port))
        hello = wire.connect(
            client_id="bench-publisher", username=None, password=None, keepalive_s=0
        )
        self._socket.sendall(hello)
        while not self._inbox.others:
            self._inbox.take(self._socket.recv(64))
        self._socket.setblocking(False)

    def offer(self, packed: Sequence[bytes]) -> None:
        """Take packets to be sent; ask ``room`` before."""
        self._waiting += b"".join(packed)
        self._offered += len(packed)

    @property
    def room(self) -> int:
        """Return how many packets may be offered now."""
        if len(self._waiting) >= _PIECE_BYTES:
            return 0
        return max(0, WINDOW - (self._offered - self.acknowledged))

    def pump(self, timeout_s: float) -> None:
        """Send what the broker takes, and hear what it has taken over."""
        write = [self._socket] if self._waiting else []
        readable, writable, _ = select.select([self._socket], write, [], timeout_s)
        if writable:
            del self._waiting[: self._socket.send(self._waiting)]
        if readable:
            self._hear()

    def publish(self, packed: Sequence[bytes]) -> None:
        """Send packets as fast as the broker takes them; return when it has taken over all."""
        sent = 0
        while sent < len(packed):
            some = packed[sent : sent + min(self.room, 50)]
            self.offer(some)
            sent += len(some)
            self.pump(0.0 if some else 0.1)
        self.finish()

    def finish(self) -> None:
        """Return when the broker has taken over all that was offered."""
        while self.acknowledged < self._offered:
            self.pump(0.5)

    def _hear(self) -> None:
        data = self._socket.recv(_PIECE_BYTES)
        if not data:
            raise ConnectionError("the broker ended the connection")
        self._inbox.take(data)
        self.acknowledged += len(self._inbox.others)

    def close(self) -> None:
        """Say goodbye."""
        self._socket.sendall(wire.DISCONNECT)
        self._socket.close()
