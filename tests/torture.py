"""A small city under torture: our real processes, real senders, kill -9 at seeded moments.

Senders note a message as *kept* only when the other side said so: the broker's PUBACK, or CoAP
2.04. Everything is seeded; only the moments at which the machine does things are its own.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from ingest.codecs.compact import Series, encode
from lifeline.data_folder import DataFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GATEWAYS = ("410100-gas-gw-000001", "410100-gas-gw-000002")
MODULES = ("410100-gas-nb-000001", "410100-gas-nb-000002")
PORTS = (1, 2)
LEVELS = (0.2, 0.7, 1.1, 1.3, 3.0)  # %vol: from nothing to red

RULES = """
version: 1
defaults: {source: estimate}
rules:
- id: ch4-slow
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {blue: 0.5, yellow: 1.0, orange: 1.25, red: 2.5}
  hysteresis: 0.1
  for: 300ms
  keep_firing_for: 500ms
  max_gap: 3s
  message: "{{ asset.name }}: {{ value }}"
  message_zh: "{{ asset.name_zh }}：{{ value }}"
- id: ch4-loud
  kind: threshold
  fail_loud: true
  over_range: red
  select: {sensor: "*/ch4-01", quantity: ch4}
  unit: "%{vol}"
  above: {orange: 1.25, red: 2.5}
  for: {orange: 0s, red: {samples: 2, or: 1s}}
  keep_firing_for: 200ms
  max_gap: 3s
  message: "{{ asset.name }}: {{ value }}"
  message_zh: "{{ asset.name_zh }}：{{ value }}"
- id: silent
  kind: deadman
  class: maintenance
  select: {kind: [gateway, module]}
  missing: {yellow: 2s}
  message: "{{ device }} silent"
  message_zh: "{{ device }} 失联"
"""


def registry_text() -> str:
    """Return the registry: each device with two channels of its own."""
    lines = [
        "version: 1",
        "simulation: true",
        "sites: [{id: 410100-st-000001, name: Z, name_zh: 原}]",
    ]
    lines.append("devices:")
    for n, device in enumerate(GATEWAYS + MODULES):
        kind, transport = ("gateway", "mqtt") if device in GATEWAYS else ("module", "coap")
        lines.append(
            f"- {{id: {device}, kind: {kind}, transport: {transport}, codec: compact, "
            f"asset: 410100-gas-mh-00000{n}, every: 1s}}"
        )
    lines.append("assets:")
    for n, device in enumerate(GATEWAYS + MODULES):
        lines.append(
            f"- {{id: 410100-gas-mh-00000{n}, type: manhole, site: 410100-st-000001, "
            f"name: hole {n}, name_zh: 井{n}, district: Z, zone: z-1, at: [113.6, 34.7], sensors: ["
        )
        lines += [
            (
                f"  {{id: ch4-0{port}, device: {device}, channels: [{{id: vol, quantity: ch4, "
                f'unit: "%{{vol}}", port: {port}, range: [0, 5], resolution: 0.01, every: 1s, '
                "class: safety}]},"
            )
            for port in PORTS
        ]
        lines.append("  ]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everybody listens on loopback."""

    mqtt: int
    coap: int
    page: int
    influx_url: str


def write_site(folder: Path, ports: Ports) -> None:
    """Write a site folder: city.toml, registry, rules."""
    (folder / "registry").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "registry" / "all.yaml").write_text(registry_text(), encoding="utf-8")
    (folder / "rules" / "all.yaml").write_text(RULES, encoding="utf-8")
    (folder / "token").write_text("t")
    (folder / "city.toml").write_text(
        textwrap.dedent(f"""\
            [site]
            name = "Torture"
            simulation = true
            [mqtt]
            host = "127.0.0.1"
            port = {ports.mqtt}
            [coap]
            port = {ports.coap}
            [page]
            port = {ports.page}
            [journal]
            segment_mb = 1
            [influx]
            url = "{ports.influx_url}"
            bucket = "b"
            token_file = "token"
            """)
    )


# ---------------------------------------------------------------- what is sent


@dataclass(frozen=True, slots=True)
class Message:
    """One frame and what it says: (port, Unix ms, value) in the order of the frame."""

    device: str
    sequence: int
    samples: tuple[tuple[int, int, float], ...]
    frame: bytes


class Signal:
    """A seeded device: its values stay at a level for some messages, then jump to another."""

    boot = 7

    def __init__(self, device: str, seed: int) -> None:
        self._device = device
        self._random = random.Random(f"{seed}/{device}")
        self._sequence = 0
        self._level = dict.fromkeys(PORTS, LEVELS[0])
        self._last_ms = 0

    def next(self) -> Message:
        """Return the next message: one or two samples of each port, stamped now."""
        draw = self._random
        base_ms = max(time.time_ns() // 1_000_000, self._last_ms + 2)
        samples: list[tuple[int, int, float]] = []
        blocks = []
        for port in PORTS:
            if draw.random() < 0.12:
                self._level[port] = draw.choice(LEVELS)
            count = draw.choice((1, 1, 2))
            offsets = list(range(1 - count, 1))
            values = [round(self._level[port] + draw.uniform(0, 0.05), 2) for _ in offsets]
            blocks.append(Series(port=port, offsets_ms=offsets, values=values))
            samples += [(port, base_ms + o, v) for o, v in zip(offsets, values, strict=True)]
        self._sequence += 1
        self._last_ms = base_ms
        frame = encode(
            device=self._device,
            boot=self.boot,
            sequence=self._sequence,
            time_base_ms=base_ms,
            blocks=blocks,
            simulation=True,
        )
        return Message(self._device, self._sequence, tuple(samples), frame)


class Gateway(threading.Thread):
    """Publishes at QoS 1 until stopped; ``kept`` is what the broker acknowledged."""

    def __init__(self, device: str, port: int, *, seed: int, every_s: float) -> None:
        super().__init__(name=device, daemon=True)
        self._signal = Signal(device, seed)
        self._topic = f"lifeline/v1/{device}/up"
        self._every_s = every_s
        self._sent: list[tuple[MQTTMessageInfo, Message]] = []
        self._stopping = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=device, clean_session=False)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self) -> None:
        while not self._stopping.wait(self._every_s):
            message = self._signal.next()
            self._sent.append((self._client.publish(self._topic, message.frame, qos=1), message))

    @property
    def kept(self) -> list[Message]:
        return [message for info, message in self._sent if info.is_published()]

    def finish(self) -> None:
        """Publish no more; wait for the acknowledgements on their way."""
        self._stopping.set()
        self.join()
        for info, _ in self._sent[-20:]:
            info.wait_for_publish(5)
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
                    return code == 0x44
        except TimeoutError:
            return False
        except ConnectionError:  # nobody listens: the process was killed
            self._stopping.wait(0.1)
        return False


def _option(delta: int, value: bytes) -> bytes:
    if len(value) < 13:
        return bytes([delta << 4 | len(value)]) + value
    return bytes([delta << 4 | 13, len(value) - 13]) + value


# ---------------------------------------------------------------- what is killed


@dataclass
class Process:
    """One of our processes, as the supervisor starts it."""

    name: str
    site: Path
    data: Path
    starts: int = 0
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.data / "log" / f"{self.name}.log"

    def start(self) -> None:
        words = [sys.executable, "-m", "lifeline.processes", self.name, "--site", str(self.site)]
        words += ["--data", str(self.data), "--parent", str(os.getpid()), "--json-logs"]
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.starts += 1

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.popen is not None
        assert self.popen.poll() is None, f"{self.name} ended by itself:\n{self.tail()}"
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.terminate()
        return self.popen.wait(15)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class City:
    """The processes over one data folder; a block ends them whatever happened."""

    NAMES = ("ingest", "engine", "serve", "archive", "store")

    def __init__(self, site: Path, data: Path) -> None:
        self.data = data
        with DataFolder(data):  # makes the rooms
            pass
        self.processes = {name: Process(name, site, data) for name in self.NAMES}

    def __enter__(self) -> Self:
        for process in self.processes.values():
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.popen is not None and process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait(10)

    def torture(self, *, seed: int, kills: int) -> list[str]:
        """Kill at seeded moments, each process at least once where kills allow; return the names.

        A moment may lie in a start: recovery is killed too.
        """
        draw = random.Random(seed)
        names = [*self.NAMES[:3], *self.NAMES[:2]]
        while len(names) < kills:
            names.append(draw.choice(self.NAMES))
        draw.shuffle(names)
        for name in names[:kills]:
            time.sleep(draw.uniform(0.05, 2.0))
            self.processes[name].kill()
            time.sleep(draw.uniform(0.0, 0.3))
            self.processes[name].start()
        return names[:kills]


def until(is_so: Callable[[], bool], what: str, *, timeout_s: float = 20.0) -> None:
    """Wait until something is so, or fail naming it."""
    give_up = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up, f"after {timeout_s:g} s still not: {what}"
        time.sleep(0.05)
