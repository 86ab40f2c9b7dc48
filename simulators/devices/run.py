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
) -> dict[str, Any]:
    """Run the city until ``stop`` is set; return the last stats document.

    Devices whose transport has no target are left out, and all but those in ``only`` where it names
    any: a broker may give each device an account of its own. Those in ``without`` are left out too:
    real hardware stands in for them. ``begin_ns`` is when the scenario
    begins, or began before a restart (default: now); ``boot`` must rise from start to start
    (default: the wall's Unix seconds). After ``stop`` what is under way has ``DRAIN_S`` to be
    delivered, so that the counts add up.

    Raises
    ------
    rules.problems.Invalid
        The scenario's places do not fit the registry, or it has no such device.
    """
    if unknown := sorted({*only, *without} - set(registry.device_row)):
        said = f"no such device{nearest(unknown[0], registry.device_row)}; see the registry"
        raise Invalid([Problem(unknown[0], 0, 0, "", said)])
    begin = clock.now_ns() if begin_ns is None else begin_ns
    factor = 1.0 / max(clock.wall_s(1_000_000_000), 1e-9)
    incidents = scenario.place(registry, begin, factor=factor)
    start = int(time.time()) if boot is None else boot
    speaks = set(only or registry.device_row) - set(without)
    city = _City(registry, scenario, incidents, clock, begin_ns=begin, boot=start, only=speaks)
    return asyncio.run(city.run(mqtt, coap, stop, stats_file))


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
        only: Collection[str],
    ) -> None:
        self._registry = registry
        self._only = frozenset(only)
        self._clock = clock
        self._incidents = incidents
        signals = Signals(registry, seed=scenario.seed, changes=incidents)
        self._fleet = Fleet(
            registry,
            scenario,
            signals=signals,
            incidents=incidents,
            # devices live from now on, whenever the scenario begins or began
            begin_ns=clock.now_ns(),
            boot=boot,
        )
        self._stats = Stats(scenario.name, begin_ns)
        self._queues: dict[int, asyncio.Queue[Message]] = {}

    async def run(
        self,
        mqtt: MqttTarget | None,
        coap: CoapTarget | None,
        stop: threading.Event,
        stats_file: Path | None,
    ) -> dict[str, Any]:
        senders = []
        for row, device in self._fleet.devices.items():
            target = mqtt if device.transport == "mqtt" else coap
            if target is not None and device.id in self._only:
                self._queues[row] = asyncio.Queue(MAX_WAITING)
                senders.append(asyncio.create_task(self._sender(row, target), name=device.id))
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

    async def _sender(self, row: int, target: MqttTarget | CoapTarget) -> None:
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
        try:
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
