"""What one would put together of good Python parts: paho, msgspec, numpy and text, one process.

The same messages and the rules T3 (by index instead of time for the slope), state in arrays,
prefixes of lines made once. Nothing else: no journal, nothing acknowledged after a sync, no
duplicates, no late rows, no flags, no units, no quarantine, no hold, no restart.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.codecs import MQTT_FILTER
from ingest.store.schema import prefix
from lifeline.bench.workload import (
    ALPHA,
    HIGH,
    HYSTERESIS,
    LOW,
    RATE_LIMIT,
    SLOPE_LIMIT,
    WARMUP,
    Z_LIMIT,
)
from lifeline.broker import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lifeline.bench.chain.feed import Case
    from rules.registry import Registry

BATCH: Final = 10_000
WINDOW: Final = 60
_QUIET_S: Final = 20.0


class Reading(msgspec.Struct, gc=False):
    """One reading of a message."""

    key: str
    t: int
    v: float


class Sent(msgspec.Struct, gc=False):
    """One message."""

    device: str
    boot: Annotated[int, msgspec.Meta(ge=0)]
    seq: int
    readings: list[Reading]


class Rules:
    """T3 as arrays by channel; ``judge`` wants each channel once."""

    def __init__(self, channels: int) -> None:
        self.level = np.zeros((4, channels), np.bool_)
        self.mean, self.variance = np.zeros(channels), np.zeros(channels)
        self.count = np.zeros(channels, np.int64)
        self.last, self.last_ms = np.zeros(channels), np.zeros(channels, np.int64)
        self.ring = np.zeros((channels, WINDOW))
        self.sum, self.moment = np.zeros(channels), np.zeros(channels)
        self.edges = np.zeros((3, channels), np.bool_)
        self.events = 0

    def judge(self, c: NDArray[np.int64], ms: NDArray[np.int64], x: NDArray[np.float64]) -> None:
        """Take one value of each channel in ``c``."""
        for rank, (limit, side) in enumerate(
            [*((each, 1.0) for each in HIGH), *((each, -1.0) for each in LOW)]
        ):
            was = self.level[rank, c]
            over = side * (x - limit)
            self._told(self.level, rank, c, was, (over >= 0) | (was & (over >= -HYSTERESIS)))
        n = self.count[c]
        d = x - self.mean[c]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = d / np.sqrt(self.variance[c])
        z[n < WARMUP] = 0.0
        self._told(self.edges, 0, c, self.edges[0, c], np.abs(z) >= Z_LIMIT)
        first = n == 0
        self.mean[c] = np.where(first, x, ALPHA * x + (1 - ALPHA) * self.mean[c])
        spread = ALPHA * ((1 - ALPHA) * d * d) + (1 - ALPHA) * self.variance[c]
        self.variance[c] = np.where(first, 0.0, spread)
        rate = (x - self.last[c]) / np.maximum(ms - self.last_ms[c], 1) * 1000
        rate[first] = 0.0
        self._told(self.edges, 1, c, self.edges[1, c], np.abs(rate) >= RATE_LIMIT)
        self.last[c], self.last_ms[c] = x, ms
        place = n % WINDOW
        oldest = np.where(n >= WINDOW, self.ring[c, place], 0.0)
        self.ring[c, place] = x
        held = np.minimum(n, WINDOW - 1)  # the index of the newest in its window
        moment = self.moment[c] - np.where(n >= WINDOW, self.sum[c] - oldest, 0.0) + held * x
        total = self.sum[c] - oldest + x
        self.moment[c], self.sum[c] = moment, total
        size = WINDOW
        slope = (size * moment - total * (size * (size - 1) / 2)) / (size**2 * (size**2 - 1) / 12)
        slope[n < WINDOW - 1] = 0.0
        self._told(self.edges, 2, c, self.edges[2, c], np.abs(slope) >= SLOPE_LIMIT)
        self.count[c] = n + 1

    def _told(self, state: Any, n: int, c: Any, was: Any, now: Any) -> None:
        state[n, c] = now
        self.events += int(np.count_nonzero(was != now))


class Bare:
    """The program."""

    def __init__(self, case: Case, registry: Registry) -> None:
        self.case = case
        self.readings = self.text_bytes = 0
        self._decode = msgspec.json.Decoder(Sent).decode
        channels, devices = registry.channels, registry.devices
        self._rows: dict[str, dict[str, int]] = {device: {} for device in devices.id}
        for row, (device, key) in enumerate(zip(channels.device, channels.key, strict=True)):
            self._rows[devices.id[device]][key] = row
        self._prefixes = [
            prefix(registry, row, quality=1, late=False).decode() for row in range(case.channels)
        ]
        self._rules = Rules(case.channels)
        self._waiting: list[bytes] = []

    def run(self, port: int, *, ready: Callable[[], None]) -> tuple[float, float]:
        """Take all messages; return (CPU seconds, wall seconds) of those after the warm-up."""
        client = Client(CallbackAPIVersion.VERSION2, client_id="bench-bare")
        client.on_connect = lambda c, *_: c.subscribe(MQTT_FILTER, 1)
        client.on_subscribe = lambda *_: ready()
        client.on_message = self._on_message
        client.connect(HOST, port)
        self._take(client, self.case.early * self.case.per)
        cpu_s, begun_s = time.process_time(), time.monotonic()
        self._take(client, self.case.all_readings)
        client.disconnect()
        return time.process_time() - cpu_s, time.monotonic() - begun_s

    def _take(self, client: Client, readings: int) -> None:
        """Take messages until there were so many readings in all, or nothing comes any more."""
        heard_s = time.monotonic()
        while self.readings < readings:
            before = len(self._waiting)
            client.loop(0.05)
            quiet = len(self._waiting) == before
            if not quiet:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _QUIET_S:
                return
            if quiet or len(self._waiting) * self.case.per >= BATCH:
                self._judge()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self._waiting.append(bytes(message.payload))

    def _judge(self) -> None:
        """Decode what waits, judge it in rounds of each channel once, make the text."""
        channel: list[int] = []
        ms: list[int] = []
        value: list[float] = []
        for payload in self._waiting:
            sent = self._decode(payload)
            rows, readings = self._rows[sent.device], sent.readings
            channel += [rows[each.key] for each in readings]
            ms += [each.t for each in readings]
            value += [each.v for each in readings]
        self._waiting.clear()
        if not channel:
            return
        c, t, x = np.array(channel), np.array(ms), np.array(value)
        order = np.argsort(c, kind="stable")
        starts = np.flatnonzero(np.diff(c[order], prepend=-1))
        again = np.arange(len(c)) - np.repeat(starts, np.diff(starts, append=len(c)))
        for turn in range(int(again.max()) + 1):
            rows = order[again == turn]
            self._rules.judge(c[rows], t[rows], x[rows])
        each = zip(channel, value, ms, strict=True)
        prefixes = self._prefixes
        text = "".join([f"{prefixes[row]}{v} {at}000000\n" for row, v, at in each]).encode()
        self.text_bytes += len(text)
        self.readings += len(channel)
