"""Who sends: gateways at QoS 1, NB-IoT modules with confirmable CoAP; seeded.

A message counts as *kept* only when the other side said so: the broker's PUBACK, or CoAP 2.04.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest.codecs.compact import Series, encode
from lifeline.torture.site import LEVELS, PORTS

BOOT: Final = 7
RECONNECT_S: Final = 1  # whole seconds, paho's least
ACKNOWLEDGED_WITHIN_S: Final = 10.0
CHANGED: Final = 0x44  # CoAP 2.04


@dataclass(frozen=True, slots=True)
class Message:
    """One frame and what it says: (port, Unix ms, value) in the order of the frame."""

    device: str
    sequence: int
    samples: tuple[tuple[int, int, float], ...]
    frame: bytes


class Signal:
    """A seeded device: its values stay at a level for some messages, then jump to another.

    A message has one sample of a port, or ``most``, a millisecond apart.
    """

    def __init__(self, device: str, seed: int, *, most: int = 2) -> None:
        self._device, self._most = device, most
        self._random = random.Random(f"{seed}/{device}")
        self._sequence = 0
        self._level = dict.fromkeys(PORTS, LEVELS[0])
        self._last_ms = 0

    def next(self) -> Message:
        """Return the next message: one or two samples of each port, stamped now."""
        draw = self._random
        base_ms = max(time.time_ns() // 1_000_000, self._last_ms + self._most)
        samples: list[tuple[int, int, float]] = []
        blocks = []
        for port in PORTS:
            if draw.random() < 0.12:
                self._level[port] = draw.choice(LEVELS)
            count = draw.choice((1, 1, self._most))
            offsets = list(range(1 - count, 1))
            values = [round(self._level[port] + draw.uniform(0, 0.05), 2) for _ in offsets]
            blocks.append(Series(port=port, offsets_ms=offsets, values=values))
            samples += [(port, base_ms + o, v) for o, v in zip(offsets, values, strict=True)]
        self._sequence += 1
        self._last_ms = base_ms
        frame = encode(
            device=self._device,
            boot=BOOT,
            sequence=self._sequence,
            time_base_ms=base_ms,
            blocks=blocks,
        )
        return Message(self._device, self._sequence, tuple(samples), frame)


class Gateway(threading.Thread):
    """Publishes at QoS 1 until stopped; ``kept`` is what the broker acknowledged."""

    def __init__(self, device: str, port: int, *, seed: int, every_s: float, most: int = 2) -> None:
        super().__init__(name=device, daemon=True)
        self._signal = Signal(device, seed, most=most)
        self._topic = f"lifeline/v1/{device}/up"
        self._every_s = every_s
        self._waiting: dict[int, Message] = {}  # by packet id
        self._early: set[int] = set()  # acknowledged before `publish` had told its packet id
        self._kept: list[Message] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=device, clean_session=False)
        self._client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)
        self._client.on_publish = self._acknowledged
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say_hello(self) -> None:
        """Publish a frame without readings, of a boot that does not count."""
        hello = encode(device=self.name, boot=1, sequence=0, time_base_ms=0)
        self._client.publish(self._topic, hello, qos=1).wait_for_publish(5)

    def run(self) -> None:
        """Publish on and on."""
        self._early.clear()
        while not self._stopping.wait(self._every_s):
            message = self._signal.next()
            # While there is no connection the client keeps it, and sends it then. Our lock is not
            # held here: the client calls back under its own.
            mid = self._client.publish(self._topic, message.frame, qos=1).mid
            with self._lock:
                if mid in self._early:
                    self._early.remove(mid)
                    self._kept.append(message)
                else:
                    self._waiting[mid] = message

    def _acknowledged(self, _client: Any, _data: Any, mid: int, *_: Any) -> None:
        with self._lock:
            if message := self._waiting.pop(mid, None):
                self._kept.append(message)
            else:
                self._early.add(mid)

    @property
    def kept(self) -> list[Message]:
        """Return what the broker acknowledged."""
        with self._lock:
            return list(self._kept)

    def finish(self) -> None:
        """Publish no more; wait for the acknowledgements on their way."""
        self._stopping.set()
        self.join()
        give_up_s = time.monotonic() + ACKNOWLEDGED_WITHIN_S
        while self._waiting and time.monotonic() < give_up_s:
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()


class Module(threading.Thread):
    """Posts confirmable CoAP messages until stopped; tries each until it is answered.

    A small client of its own (RFC 7252), so that the server is not tested by its own library.
    ``kept`` is what was answered 2.04; ``tries`` counts datagrams sent.
    """

    def __init__(self, device: str, port: int, *, seed: int, every_s: float) -> None:
        super().__init__(name=device, daemon=True)
        self._signal = Signal(device, seed)
        self._device = device
        self._every_s = every_s
        self._stopping = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._id = random.Random(f"{seed}/{device}/id").randrange(1 << 16)
        self.kept: list[Message] = []
        self.tries = 0

    def run(self) -> None:
        """Post one message after the other, each until it is kept."""
        while not self._stopping.wait(self._every_s):
            message = self._signal.next()
            while not self._stopping.is_set():
                if self._post(message):
                    self.kept.append(message)
                    break

    def finish(self) -> None:
        """Send no more."""
        self._stopping.set()
        self.join()
        self._socket.close()

    def _post(self, message: Message) -> bool:
        """Send one confirmable POST with a new message id; return whether 2.04 came in time."""
        self._id = (self._id + 1) % (1 << 16)
        token = struct.pack(">H", self._id)
        options = _option(11, b"up") + _option(0, self._device.encode()) + _option(1, b"\x2a")
        head = struct.pack(">BBH", 0x40 | len(token), 0x02, self._id)
        self.tries += 1
        give_up = time.monotonic() + 0.8
        try:
            self._socket.send(head + token + options + b"\xff" + message.frame)
            while (left_s := give_up - time.monotonic()) > 0:
                self._socket.settimeout(left_s)
                answer = self._socket.recv(2048)
                kind, code, number = struct.unpack_from(">BBH", answer)
                if kind >> 4 & 3 == 0:  # a separate response is confirmable itself
                    self._socket.send(struct.pack(">BBH", 0x60, 0, number))
                if code and answer[4:6] == token:
                    return int(code) == CHANGED
        except TimeoutError:
            return False
        except ConnectionError:  # nobody listens: the process was killed
            self._stopping.wait(0.1)
        return False


def _option(delta: int, value: bytes) -> bytes:
    if len(value) < 13:
        return bytes([delta << 4 | len(value)]) + value
    return bytes([delta << 4 | 13, len(value) - 13]) + value
