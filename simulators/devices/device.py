"""A device without its network: samples its channels, keeps them, makes frames, plays link faults.

``wake`` is told the time and returns messages; who sends them, and when a second passes, is not
its business. So the live fleet and a recording made at full speed run the same devices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ingest.codecs import compact, json_mapping, senml
from simulators.devices.fate import UNHARMED
from simulators.noise import key_of, uniform
from simulators.wakes import WAKE_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.devices.fate import Fate
    from simulators.devices.faulted import Faulted
    from simulators.scenario import LinkEntry
    from simulators.signals import Signals

MODULE_FRAME_BYTES: Final = 512  # what an NB-IoT module keeps to
MAX_KEPT: Final = 5_000  # readings a device keeps while it cannot send; then the oldest go
OCTETS, SENML_JSON, JSON = 42, 110, 50  # CoAP content formats

Kind = Literal["good", "lost", "duplicate", "malformed", "off"]


@dataclass(frozen=True, slots=True)
class Message:
    """One frame on its way. ``lost`` is not sent; ``off`` says the device has lost its power."""

    device: int  # row in the registry
    kind: Kind
    due_ns: int
    path: str = ""
    payload: bytes = b""
    content_format: int = OCTETS
    readings: int = 0
    stored: bool = False
    out_of_order: bool = False
    wait_ns: int = 0  # by a fault: it leaves so much later


@dataclass(slots=True)
class _Kept:
    """Readings not yet in a frame: columns, oldest first."""

    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    t_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    value: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, rows: NDArray[np.int32], t_ns: NDArray[np.int64], value: object) -> int:
        """Keep more; return how many of the oldest had to go."""
        self.rows = np.concatenate((self.rows, rows))
        self.t_ns = np.concatenate((self.t_ns, t_ns))
        self.value = np.concatenate((self.value, np.asarray(value, np.float64)))
        shed = max(0, len(self.rows) - MAX_KEPT)
        if shed:
            self.rows, self.t_ns, self.value = (
                self.rows[shed:],
                self.t_ns[shed:],
                self.value[shed:],
            )
        return shed

    def cut(
        self, until_ns: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """Take out and return everything up to a time."""
        n = int(np.searchsorted(self.t_ns, until_ns, side="right"))
        taken = self.rows[:n], self.t_ns[:n], self.value[:n]
        self.rows, self.t_ns, self.value = self.rows[n:], self.t_ns[n:], self.value[n:]
        return taken


class Device:
    """A gateway or module of the registry, from ``begin_ns`` on.

    It has no power during ``silences`` (begin, end). ``always_in_reach`` is for a module that an
    incident needs: a link fault must not hide one.
    """

    def __init__(
        self,
        registry: Registry,
        row: int,
        *,
        signals: Signals,
        links: LinkEntry,
        silences: Sequence[tuple[int, int]] = (),
        always_in_reach: bool = False,
        faulted: Faulted | None = None,
        seed: int,
        begin_ns: int,
        boot: int = 1,
    ) -> None:
        self.row = row
        self.id = registry.devices.id[row]
        self.transport = registry.devices.transport[row]
        self.codec = registry.devices.codec[row]
        self.boot = boot
        self.sequence = 0
        self.shed = 0
        self._registry = registry
        self._signals = signals  # for units and resolutions
        self._links = links
        self._random = Random(f"{seed} {self.id} {boot}")
        self._silences = tuple(silences)
        c = registry.channels
        mine = np.flatnonzero((c.device == row) & c.alive)
        self.channels = np.array([i for i in mine if c.quantity[i] != "heartbeat"], np.int32)
        self._every = np.maximum(c.interval_ns[self.channels], 1)
        self._report_ns = int(registry.devices.interval_ns[row])
        everything = [*self._every.tolist(), self._report_ns]
        self._step_ns = int(np.gcd.reduce(np.array(everything, np.int64)))
        share = float(uniform(key_of(seed, "phase", self.id), 0))
        phase_ns = int(share * self._step_ns) // 1_000_000 * 1_000_000
        self._phase_ns = phase_ns
        self.next_ns = -(-(begin_ns - phase_ns) // self._step_ns) * self._step_ns + phase_ns
        self._reported_ns = begin_ns - int(
            uniform(key_of(seed, "report", self.id), 0) * self._report_ns
        )
        self._begin_ns = begin_ns
        self._kept = _Kept()
        self._ahead = _Kept()  # sampled already, for later
        self._planned_ns: int | None = None
        self._held: Message | None = None
        self._silent = False
        self._spared = False
        self._faulted = faulted
        self._fate = UNHARMED  # of the last report
        self._wakes = [WAKE_AT.get(q) for q in (c.quantity[i] for i in self.channels)]
        self._late = not always_in_reach and self._is_late(seed)

    def _is_late(self, seed: int) -> bool:
        """Choose the modules that are out of reach at times."""
        if self.transport != "coap":
            return False
        return float(uniform(key_of(seed, "late", self.id), 0)) < self._links.late.share

    def wake(self, now_ns: int) -> list[Message]:
        """Take the samples due up to ``now_ns`` and return what is to be sent, in order.

        They must have been planned and supplied before.
        """
        if self.next_ns > now_ns:
            return []
        now_ns = self.next_ns + (now_ns - self.next_ns) // self._step_ns * self._step_ns
        self.next_ns = now_ns + self._step_ns
        if any(begin_ns <= now_ns < end_ns for begin_ns, end_ns in self._silences):
            said = [] if self._silent else [Message(self.row, "off", now_ns)]
            self._silent, self._kept, self._held = True, _Kept(), None
            self._ahead.cut(now_ns)
            return said
        if self._silent:  # power is back: a new start, nothing of the meantime
            self._silent, self.boot, self.sequence = False, self.boot + 1, 0
            self._ahead.cut(now_ns - 1)
        alert = self._sample(now_ns)
        due = alert or now_ns - self._reported_ns >= self._report_ns
        if not due or self._unreachable(now_ns) or not len(self._kept.rows):
            return []
        before, self._fate = self._fate, self._faulted_fate(now_ns)
        if self._fate.boots != before.boots:
            self.boot, self.sequence = self.boot + self._fate.boots - before.boots, 0
        long_ns = 2 * self._report_ns
        stored = now_ns - self._reported_ns > long_ns or self._fate.wait_ns > long_ns
        self._reported_ns = now_ns
        frames = self._frames(now_ns, stored=stored)
        said = _laid(self._fate, [m for frame in frames for m in self._link(frame)])
        # a link that is cut, and a device that starts anew, leave their connection
        cut = self._fate.wait_ns > long_ns >= before.wait_ns
        if cut or self._fate.boots != before.boots:
            said.insert(0, Message(self.row, "off", now_ns))
        return said

    def _faulted_fate(self, now_ns: int) -> Fate:
        return self._faulted.fate(self.row, now_ns) if self._faulted else UNHARMED

    def flush(self) -> list[Message]:
        """Return what was held back to come out of order, before the device stops."""
        held, self._held = self._held, None
        return [held] if held else []

    def plan(self, until_ns: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return (rows, times) of the samples due from the last plan's end to ``until_ns``."""
        first = self.next_ns if self._planned_ns is None else self._planned_ns
        steps = np.arange(first, until_ns + 1, self._step_ns, dtype=np.int64)
        self._planned_ns = first + len(steps) * self._step_ns
        due = (steps[:, None] - self._phase_ns) % self._every[None, :] == 0
        at_step, at_channel = np.nonzero(due)
        return self.channels[at_channel], steps[at_step]

    def supply(
        self, rows: NDArray[np.int32], t_ns: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        """Take the values of a plan: a city's are computed together, which is 50 times faster.

        NaN is a sample that a broken sensor does not give.
        """
        given = ~np.isnan(values)
        self._ahead.add(rows[given], t_ns[given], values[given])

    def _sample(self, now_ns: int) -> bool:
        """Take the samples due up to ``now_ns``; return whether one is worth an early report."""
        rows, t_ns, values = self._ahead.cut(now_ns)
        self.shed += self._kept.add(rows, t_ns, values)
        if self.transport != "coap":
            return False
        for wakes, row in zip(self._wakes, self.channels.tolist(), strict=True):
            if wakes and np.any(wakes[0] * values[rows == row] >= wakes[0] * wakes[1]):
                return True
        return False

    def _unreachable(self, now_ns: int) -> bool:
        late = self._links.late
        if not self._late:
            return False
        shift = hash_of(self.id) % late.every
        return (now_ns - self._begin_ns + shift) % late.every < late.of

    def _frames(self, now_ns: int, *, stored: bool) -> list[Message]:
        kept, self._kept = self._kept, _Kept()
        if self.codec != "compact":
            return [self._text_frame(kept, now_ns)]
        # a module's frame has room for so many readings of eight bytes beside blocks' heads
        room = len(kept.rows)
        if self.transport == "coap":
            room = max(1, (MODULE_FRAME_BYTES - 80 - 10 * len(self.channels)) // 8)
        return [
            self._compact_frame(kept, slice(at, at + room), now_ns, stored=stored)
            for at in range(0, len(kept.rows), room)
        ]

    def _compact_frame(self, kept: _Kept, part: slice, now_ns: int, *, stored: bool) -> Message:
        rows, t_ns = kept.rows[part], kept.t_ns[part] + self._fate.stamp_ns
        raw = self._signals.raw(rows, kept.value[part])
        steps = self._signals.raw_step(rows)
        base_ms = int(t_ns[-1]) // 1_000_000
        blocks = []
        for row in dict.fromkeys(rows.tolist()):
            at = rows == row
            blocks.append(
                compact.Series(
                    port=int(self._registry.channels.port[row]),
                    offsets_ms=t_ns[at] // 1_000_000 - base_ms,
                    values=raw[at],
                    encoding=compact.SCALED,
                    scale=float(steps[at][0]),
                )
            )
        payload = compact.encode(
            device=self.id,
            boot=self.boot,
            sequence=self._next_sequence(),
            time_base_ms=base_ms,
            simulation=True,
            stored=stored,
            blocks=blocks,
        )
        leaf = f"lifeline/v1/{self.id}/up" if self.transport == "mqtt" else f"up/{self.id}"
        return Message(self.row, "good", now_ns, leaf, payload, OCTETS, len(rows), stored=stored)

    def _text_frame(self, kept: _Kept, now_ns: int) -> Message:
        keys = [self._registry.channels.key[row] for row in kept.rows.tolist()]
        raw = self._signals.raw(kept.rows, kept.value)
        # as a device prints: no more digits than its resolution has
        shown = np.round(raw, 6)
        times = (kept.t_ns + self._fate.stamp_ns).tolist()
        if self.codec == "senml":
            units = [self._registry.channels.unit[row] for row in kept.rows.tolist()]
            payload = senml.encode(
                device=self.id,
                keys=keys,
                event_ns=times,
                values=shown,
                units=units,
                simulation=True,
            )
            form = SENML_JSON
        else:
            payload = json_mapping.encode(
                device=self.id,
                keys=keys,
                event_ns=times,
                values=shown,
                boot=self.boot,
                sequence=self._next_sequence(),
                simulation=True,
            )
            form = JSON
        leaf = (
            f"lifeline/v1/{self.id}/{self.codec}" if self.transport == "mqtt" else f"up/{self.id}"
        )
        return Message(self.row, "good", now_ns, leaf, payload, form, len(keys))

    def _next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence - 1

    def _link(self, good: Message) -> list[Message]:
        """Return what the link makes of a good message: lost, doubled, overtaken, garbled."""
        links, random = self._links, self._random
        lost = links.lost.mqtt if self.transport == "mqtt" else links.lost.coap
        if self._held is not None:
            overtaken, self._held = self._held, None
            return [good, overtaken]
        # after a message that did not come, or came late, the next one comes plainly: a link of
        # this quality does not make a device look dead
        spared, self._spared = self._spared, False
        if not spared and not self._late and random.random() < lost:
            self._spared = True
            return [_as(good, "lost")]
        if not spared and random.random() < links.out_of_order:
            self._held, self._spared = _as(good, "good", out_of_order=True), True
            return []
        sent = [good]
        if random.random() < links.duplicate:
            sent.append(_as(good, "duplicate"))
        if random.random() < links.malformed:
            sent.insert(0, _as(good, "malformed", payload=_garbled(good.payload, random)))
        return sent


def _laid(fate: Fate, said: list[Message]) -> list[Message]:
    """Return what a fault of the link makes of a report's messages."""
    if fate.lost:
        return [_as(m, "lost") for m in said if m.kind in ("good", "lost")]
    if fate.twice:
        again = [[m, _as(m, "duplicate")] if m.kind == "good" else [m] for m in said]
        said = [m for pair in again for m in pair]
    if fate.wait_ns:
        said = [replace(m, wait_ns=fate.wait_ns) for m in said]
    return said


def hash_of(name: str) -> int:
    """Return a stable positive number of a name."""
    return key_of(0, name)


def _as(
    message: Message, kind: Kind, *, payload: bytes = b"", out_of_order: bool = False
) -> Message:
    return Message(
        message.device,
        kind,
        message.due_ns,
        message.path,
        payload or message.payload,
        message.content_format,
        0 if kind == "malformed" else message.readings,
        stored=message.stored,
        out_of_order=out_of_order,
    )


def _garbled(payload: bytes, random: Random) -> bytes:
    """Return the payload as a bad link leaves it: cut short, or one byte wrong."""
    if payload[:2] != compact.MAGIC or random.random() < 0.5:
        return payload[: max(1, len(payload) // 2)]
    at = random.randrange(len(payload))
    return payload[:at] + bytes([payload[at] ^ 0x55]) + payload[at + 1 :]
