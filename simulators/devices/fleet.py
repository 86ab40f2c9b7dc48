"""All devices of a city on one time line; the network is somebody else's."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.devices.device import Device
from simulators.devices.faulted import Faulted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rules.registry import Registry
    from simulators.devices.counters import Stats
    from simulators.devices.device import Message
    from simulators.faults import Fault
    from simulators.incidents import Incident
    from simulators.scenario import Scenario
    from simulators.signals import Signals


AHEAD_NS: Final = 600_000_000_000  # ten minutes of samples are computed at once


class Fleet:
    """The devices of a registry under a scenario, woken in order of their times.

    ``only`` are the rows of those it plays, all where it is None; ``faults`` are laid over them.
    """

    def __init__(
        self,
        registry: Registry,
        scenario: Scenario,
        *,
        signals: Signals,
        incidents: Sequence[Incident],
        begin_ns: int,
        boot: int = 1,
        faults: Sequence[Fault] = (),
        only: Collection[int] | None = None,
    ) -> None:
        rows = [
            row
            for row in range(len(registry.devices.id))
            if registry.devices.alive[row]
            and registry.devices.transport[row] in ("mqtt", "coap")
            and (only is None or row in only)
        ]
        silences: dict[int, list[tuple[int, int]]] = defaultdict(list)
        needed: set[int] = set()
        for incident in incidents:
            needed.update(registry.channels.device[incident.channels].tolist())
            for row in incident.silenced.tolist():
                silences[row].append((incident.begin_ns, incident.end_ns))
        self._faulted = (
            Faulted(registry, faults, signals=signals, seed=scenario.seed) if faults else None
        )
        made = (
            Device(
                registry,
                row,
                signals=signals,
                links=scenario.entry.links,
                silences=silences[row],
                always_in_reach=row in needed,
                faulted=self._faulted,
                seed=scenario.seed,
                begin_ns=begin_ns,
                boot=boot,
            )
            for row in rows
        )
        # a device without channels of its own (the heartbeat's) is not the city's to play
        self.devices = {device.row: device for device in made if len(device.channels)}
        self._signals = signals
        self._prepared_ns = begin_ns
        self._due = [(device.next_ns, row) for row, device in self.devices.items()]
        heapq.heapify(self._due)
        self._waiting: list[tuple[int, int, Message]] = []  # (when it leaves, turn, message)
        self._turn = 0

    @property
    def next_ns(self) -> int:
        """When the next device wakes, or a message that a fault keeps leaves."""
        due_ns = self._due[0][0]
        return min(due_ns, self._waiting[0][0]) if self._waiting else due_ns

    def wake(self, now_ns: int) -> list[Message]:
        """Wake every device that is due and return their messages in order of time."""
        said: list[Message] = []
        if now_ns >= self._prepared_ns:
            self._prepare(now_ns + AHEAD_NS)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, row = heapq.heappop(self._due)
            device = self.devices[row]
            said += self._let_go(due_ns)
            said += self._at_once(device.wake(due_ns))
            heapq.heappush(self._due, (device.next_ns, row))
        return said + self._let_go(now_ns)

    def _at_once(self, messages: list[Message]) -> list[Message]:
        """Return what leaves now; what a fault keeps waits."""
        for message in messages:
            if message.wait_ns:
                self._turn += 1
                leaves_ns = message.due_ns + message.wait_ns
                kept = replace(message, due_ns=leaves_ns)
                heapq.heappush(self._waiting, (leaves_ns, self._turn, kept))
        return [message for message in messages if not message.wait_ns]

    def _let_go(self, now_ns: int) -> list[Message]:
        held = []
        while self._waiting and self._waiting[0][0] <= now_ns:
            held.append(heapq.heappop(self._waiting)[2])
        return held

    def _prepare(self, until_ns: int) -> None:
        """Sample all devices up to a time in one pass over the city."""
        plans = [(device, *device.plan(until_ns)) for device in self.devices.values()]
        rows = np.concatenate([rows for _, rows, _ in plans])
        t_ns = np.concatenate([t_ns for _, _, t_ns in plans])
        values = self._signals.sample(rows, t_ns)
        if self._faulted is not None:
            values = self._faulted.shown(rows, t_ns, values)
        at = 0
        for device, its_rows, its_t_ns in plans:
            device.supply(its_rows, its_t_ns, values[at : at + len(its_rows)])
            at += len(its_rows)
        self._prepared_ns = until_ns

    def flush(self) -> list[Message]:
        """Return what devices held back and what faults kept, at the end of a run."""
        held = [message for device in self.devices.values() for message in device.flush()]
        return held + self._let_go(1 << 62)

    def messages(self, until_ns: int) -> Iterator[Message]:
        """Yield everything up to ``until_ns`` as fast as it is asked for, then what was held."""
        while self._due and self.next_ns < until_ns:
            yield from self.wake(self.next_ns)
        yield from self.flush()


def count_emitted(stats: Stats, transport: str, message: Message) -> None:
    """Count a message as it leaves its device (or does not)."""
    counts = stats.of(transport)
    if message.kind in ("good", "lost"):
        counts.readings_sent += message.readings
    if message.kind == "lost":
        counts.readings_lost += message.readings
    counts.frames_stored += message.stored and message.kind == "good"
    counts.frames_out_of_order += message.out_of_order
    counts.frames_delayed += message.wait_ns > 0 and message.kind == "good"


def count_delivered(stats: Stats, transport: str, message: Message) -> None:
    """Count a message that the receiver has answered for."""
    counts = stats.of(transport)
    if message.kind == "good":
        counts.frames_acked += 1
        counts.readings_acked += message.readings
    elif message.kind == "duplicate":
        counts.frames_duplicated += 1
        counts.readings_duplicated += message.readings
    elif message.kind == "malformed":
        counts.frames_malformed += 1
