"""Three times what one core carries: gateways of all classes, waveforms, and alarms to be timed.

Every message is stamped as it is sent. Safety gateways raise one of their channels in each message
and lower it in the next, so that each message of theirs is an alarm whose way can be timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.codecs import compact
from ingest.codecs.compact import Wave
from ingest.sources import mqtt_wire as wire
from lifeline.bench.chain.feed import Publisher, key_of
from lifeline.bench.workload import SECOND_NS, STATION, channels_with, registry_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.registry import Registry

PER: Final = 500
CLASSES: Final = ("safety",) * 2 + ("maintenance",) * 6 + ("info",) * 12
"""Of the gateways with 500 channels each, in turn."""
WAVE_DEVICES: Final = 4
WAVE_CHANNELS: Final = 10
WAVE_SAMPLES: Final = 500
CHANNELS: Final = PER * len(CLASSES) + WAVE_DEVICES * WAVE_CHANNELS
SCALARS: Final = PER * len(CLASSES)
ROUND: Final = len(CLASSES) + WAVE_DEVICES
"""Messages until it is the first gateway's turn again."""
_TIME: Final = b"1111111111111"  # where the time of a message goes
_QUIET, _ALARM = b"20.00", b"27.00"
_TURN_S: Final = 0.005


def site() -> Registry:
    """Return the registry: gateways as in CLASSES, then devices of waveforms."""
    names = tuple(f"{STATION}/s{i:06d}/v" for i in range(CHANNELS))
    number = np.arange(CHANNELS)
    waves = number >= SCALARS
    device = np.where(
        waves, len(CLASSES) + (number - SCALARS) // WAVE_CHANNELS, number // PER
    ).astype(np.int32)
    port = np.where(waves, (number - SCALARS) % WAVE_CHANNELS, number % PER).astype(np.int32)
    channels = replace(
        channels_with(names, device, SECOND_NS),
        port=port,
        key=tuple(key_of(p) for p in port.tolist()),
        klass=tuple(CLASSES[d] if d < len(CLASSES) else "info" for d in device.tolist()),
    )
    return registry_with("crowd", channels)


def safety() -> NDArray[np.bool_]:
    """Return which channels are of class safety."""
    return np.array([klass == "safety" for klass in site().channels.klass], np.bool_)


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds at so many readings a second."""

    name: str
    seconds: float
    readings_per_s: float


class Crowd:
    """Makes the messages, in turn; ``sent`` counts readings and samples by channel."""

    def __init__(self) -> None:
        self._devices = site().devices.id
        body = b",".join(
            b'{"key":"%s","t":%s,"v":%s}' % (key_of(port).encode(), _TIME, _QUIET)
            for port in range(PER)
        )
        self._body = body
        self._values = [at for at in range(len(body)) if body.startswith(_QUIET, at)]
        self._turn = self._number = 0
        self.readings = np.zeros(CHANNELS, np.int64)
        self.samples = np.zeros(CHANNELS, np.int64)

    def next(self) -> bytes:
        """Return the next message as a packet, stamped now."""
        turn = self._turn % ROUND
        sequence = self._turn // ROUND + 1
        self._turn += 1
        self._number = self._number % 65_535 + 1
        now_ms = time.time_ns() // 1_000_000
        if turn >= len(CLASSES):
            return self._wave(turn, sequence, now_ms)
        body = self._body
        if CLASSES[turn] == "safety":
            at = self._values[sequence % PER]
            body = body[:at] + _ALARM + body[at + len(_ALARM) :]
        device = self._devices[turn]
        payload = b'{"device":"%s","boot":1,"seq":%d,"simulation":true,"readings":[%s]}' % (
            device.encode(), sequence, body.replace(_TIME, b"%d" % now_ms),
        )  # fmt: skip
        self.readings[PER * turn : PER * (turn + 1)] += 1
        return wire.publish(f"lifeline/v1/{device}/json", payload, packet_id=self._number)

    def _wave(self, turn: int, sequence: int, now_ms: int) -> bytes:
        device = self._devices[turn]
        samples = np.arange(WAVE_SAMPLES) % 20 / 10
        waves = [
            Wave(port=port, start_ms=0, period_us=1000, samples=samples)
            for port in range(WAVE_CHANNELS)
        ]
        payload = compact.encode(
            device=device,
            boot=1,
            sequence=sequence,
            time_base_ms=now_ms - WAVE_SAMPLES,
            blocks=waves,
            simulation=True,
        )
        begin = SCALARS + (turn - len(CLASSES)) * WAVE_CHANNELS
        self.samples[begin : begin + WAVE_CHANNELS] += WAVE_SAMPLES
        return wire.publish(f"lifeline/v1/{device}/up", payload, packet_id=self._number)


def flood(crowd: Crowd, publisher: Publisher, phase: Phase) -> Iterator[float]:
    """Send for the phase's time at its rate, as far as the broker takes it; yield now and then."""
    per_s = phase.readings_per_s / PER * ROUND / len(CLASSES)
    begun_s = time.monotonic()
    made = 0
    while (passed_s := time.monotonic() - begun_s) < phase.seconds:
        due = min(int(passed_s * per_s) + 1 - made, publisher.room, 50)
        if due > 0:
            publisher.offer([crowd.next() for _ in range(due)])
            made += due
        publisher.pump(0.0 if due > 0 else _TURN_S)
        yield passed_s


def send(port: int, phases: list[Phase], told: Any) -> None:
    """Run the phases in a process of its own; tell when each began and what was sent in all."""
    crowd, publisher = Crowd(), Publisher(port)
    for phase in phases:
        before = int(crowd.readings.sum())
        begun_s = time.time()
        for _ in flood(crowd, publisher, phase):
            pass
        sent = int(crowd.readings.sum()) - before
        told.put((phase.name, begun_s, time.time(), sent))
    publisher.finish()
    told.put((crowd.readings, crowd.samples))
    publisher.close()
