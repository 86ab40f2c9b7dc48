"""The live city: devices on a clock that may run fast, each with its own real connection."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from rules.problems import Invalid, Problem, nearest
from simulators.devices.coap import CoapLine, CoapTarget
from simulators.devices.counters import Stats, write_atomically
from simulators.devices.fleet import Fleet, count_delivered, count_emitted
from simulators.devices.mqtt import MqttLine, MqttTarget, Refused
from simulators.devices.sockets import room_for
from simulators.faults import truth_of_faults
from simulators.noise import key_of
from simulators.signals import Signals

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from rules.registry import Registry
    from simulators.devices.device import Message
    from simulators.incidents import Incident
    from simulators.scenario import Scenario

MAX_WAITING: Final = 500  # messages a device may have waiting; then it sheds the newest
STATS_EVERY_S: Final = 1.0
DRAIN_S: Final = 4.0  # after stop, how long what is under way may still be delivered
STEP_S: Final = 0.05
OPENED_A_SECOND: Final = 200  # connections, so that no broker is stormed at the start


class Clock(Protocol):
    """What the city needs of a clock; lifeline.clock.Clock is one."""

    def now_ns(self) -> int:
        """Return the city time."""
        ...

    def wall_s(self, city_ns: int) -> float:
        """Return how many wall seconds some city time takes."""
        ...


def run_city(
    *,
    registry: Registry,
    map: Mapping[str, Any] | None = None,  # noqa: A002, ARG001 - the page's map; the city needs none
    scenario: Scenario,
    clock: Clock,
    mqtt: MqttTarget | None,
    coap: CoapTarget | None,
    stop: threading.Event,
    stats_file: Path | None = None,
    begin_ns: int | None = None,
    boot: int | None = None,
    only: Collection[str] = (),
    without: Collection[str] = (),
    most: int | None = None,
) -> dict[str, Any]:
    """Run the city until ``stop`` is set; return the last stats document.

    Devices whose transport has no target are left out, and all but those in ``only`` where it names
    any: a broker may give each device an account of its own. Those in ``without`` are left out too:
    real hardware stands in for them. ``most`` is how many speak of each transport at most, drawn by
    the seed. Each is a client of its own, connected from the start on. ``begin_ns`` is when the
    scenario begins, or began before a restart (default: now); ``boot`` must rise from start to
    start (default: the wall's Unix seconds). After ``stop`` what is under way has ``DRAIN_S`` to be
    delivered, so that the counts add up.

    Raises
    ------
    rules.problems.Invalid
        The scenario's places do not fit the registry, it has no such device, or this machine
        gives a process too few sockets.
    """
    if unknown := sorted({*only, *without} - set(registry.device_row)):
        said = f"no such device{nearest(unknown[0], registry.device_row)}; see the registry"
        raise Invalid([Problem(unknown[0], 0, 0, "", said)])
    begin = clock.now_ns() if begin_ns is None else begin_ns
    factor = 1.0 / max(clock.wall_s(1_000_000_000), 1e-9)
    incidents = scenario.place(registry, begin, factor=factor)
    start = int(time.time()) if boot is None else boot
    transports = {name for name, target in (("mqtt", mqtt), ("coap", coap)) if target is not None}
    named = set(only or registry.device_row) - set(without)
    speaks = _chosen(registry, named, transports, most, seed=scenario.seed)
    room_for(len(speaks))
    city = _City(registry, scenario, incidents, clock, begin_ns=begin, boot=start, only=speaks)
    return asyncio.run(city.run(mqtt, coap, stop, stats_file))


def _chosen(
    registry: Registry, named: set[str], transports: set[str], most: int | None, *, seed: int
) -> set[int]:
    """Return the rows of the devices that speak: those with more than the heartbeat's channel."""
    c, d = registry.channels, registry.devices
    play = {int(row) for row, of in zip(c.device, c.quantity, strict=True) if of != "heartbeat"}
    rows = [registry.device_row[name] for name in sorted(named)]
    held: set[int] = set()
    for transport in transports:
        mine = [
            row for row in rows if d.transport[row] == transport and d.alive[row] and row in play
        ]
        mine.sort(key=lambda row: key_of(seed, "client", d.id[row]))
        held.update(mine[:most])
    return held


class _City:
    def __init__(
        self,
        registry: Registry,
        scenario: Scenario,
        incidents: list[Incident],
        clock: Clock,
        *,
        begin_ns: int,
        boot: int,
        only: Collection[int],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._incidents = incidents
        signals = Signals(registry, seed=scenario.seed, changes=incidents)
        faults = scenario.faults(registry, begin_ns)
        self._fleet = Fleet(
            registry,
            scenario,
            signals=signals,
            incidents=incidents,
            # devices live from now on, whenever the scenario begins or began
            begin_ns=clock.now_ns(),
            boot=boot,
            faults=faults,
            only=only,
        )
        self._stats = Stats(scenario.name, begin_ns, faults=truth_of_faults(faults, registry))
        self._lines: list[MqttLine | CoapLine] = []
        self._queues: dict[int, asyncio.Queue[Message]] = {}

    async def run(
        self,
        mqtt: MqttTarget | None,
        coap: CoapTarget | None,
        stop: threading.Event,
        stats_file: Path | None,
    ) -> dict[str, Any]:
        senders: list[asyncio.Task[None]] = []
        for row, device in self._fleet.devices.items():
            target = mqtt if device.transport == "mqtt" else coap
            if target is not None:
                self._queues[row] = asyncio.Queue(MAX_WAITING)
                opens_s = len(senders) / OPENED_A_SECOND
                sender = self._sender(row, target, opens_s)
                senders.append(asyncio.create_task(sender, name=device.id))
        told_s = 0.0
        try:
            while not stop.is_set():
                self._emit(self._fleet.wake(self._clock.now_ns()))
                self._note_onsets()
                if time.monotonic() - told_s >= STATS_EVERY_S:
                    told_s = time.monotonic()
                    self._tell(stats_file, done=False)
                _raise_failed(senders)
                await asyncio.sleep(self._pause_s())
            self._emit(self._fleet.flush())
            await self._drain()
        finally:
            for task in senders:
                task.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return self._tell(stats_file, done=True)

    def _pause_s(self) -> float:
        """Sleep to the next device's time, but look at ``stop`` twenty times a second."""
        ahead_ns = self._fleet.next_ns - self._clock.now_ns()
        return min(max(self._clock.wall_s(ahead_ns), 0.001), STEP_S)

    def _emit(self, messages: list[Message]) -> None:
        for message in messages:
            queue = self._queues.get(message.device)
            if queue is None:
                continue
            transport = self._fleet.devices[message.device].transport
            count_emitted(self._stats, transport, message)
            if message.kind == "lost":
                continue
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                if message.kind == "good":
                    self._stats.of(transport).readings_shed += message.readings

    async def _sender(self, row: int, target: MqttTarget | CoapTarget, opens_s: float) -> None:
        """Deliver one device's messages one after another, each until it is answered."""
        device = self._fleet.devices[row]
        counts = self._stats.of(device.transport)

        def retried() -> None:
            counts.retries += 1

        line: MqttLine | CoapLine
        if isinstance(target, MqttTarget):
            line = MqttLine(device.id, target, retried=retried)
        else:
            line = CoapLine(device.id, target, retried=retried)
        queue = self._queues[row]
        self._lines.append(line)
        try:
            await asyncio.sleep(opens_s)
            await line.open()
            while True:
                message = await queue.get()
                await self._deliver(line, message, device.transport)
                queue.task_done()
        finally:
            await line.close()

    async def _deliver(self, line: MqttLine | CoapLine, message: Message, transport: str) -> None:
        if message.kind == "off":
            await line.close()
            return
        try:
            await line.send(message)
        except Refused:
            if message.kind != "malformed":
                self._stats.of(transport).readings_refused += message.readings
                return
        count_delivered(self._stats, transport, message)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*(queue.join() for queue in self._queues.values()))
        except TimeoutError:
            return  # sent and acked then differ in the stats, which says it

    def _note_onsets(self) -> None:
        now_ns = self._clock.now_ns()
        for incident in self._incidents:
            if incident.begin_ns > now_ns:
                break
            self._stats.began_wall_ns.setdefault(incident.id, time.time_ns())

    def _tell(self, stats_file: Path | None, *, done: bool) -> dict[str, Any]:
        for transport, kind in (("mqtt", MqttLine), ("coap", CoapLine)):
            now = sum(line.is_open for line in self._lines if isinstance(line, kind))
            self._stats.clients[transport] = max(now, self._stats.clients.get(transport, 0))
        document = self._stats.document(
            self._incidents,
            self._registry,
            city_ns=self._clock.now_ns(),
            wall_ns=time.time_ns(),
            done=done,
        )
        if stats_file is not None:
            write_atomically(stats_file, document)
        return document


def _raise_failed(tasks: list[asyncio.Task[None]]) -> None:
    """Raise what ended a sender: only cancellation should."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
