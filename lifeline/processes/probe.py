"""The watcher is watched: a synthetic reading takes the way of all others, every 30 s.

Each channel of quantity ``heartbeat`` in the registry gets a rising number from its own device,
published to the broker (or posted); what comes out at the far end is a HEARTBEAT event.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from ingest.codecs import compact
from ingest.tls import machine_authorities
from lifeline.processes.ingest import mqtt_settings
from simulators.devices.coap import CoapLine, CoapTarget
from simulators.devices.counters import write_atomically
from simulators.devices.device import Message
from simulators.devices.mqtt import MqttLine, MqttTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifeline.processes.context import Context
    from rules.registry import Registry

STATS_FILE = "probe.json"  # in the data folder's run/: how many beats were taken
LEAST_PERIOD_S = 0.2
LONGEST_NAP_S = 0.2  # so that a stop is seen
CONNECT_WITHIN_S = 1.0  # a stop waits for a connection that is being made
CLOSE_WITHIN_S = 0.5


def run(context: Context) -> None:
    """Beat until stopped; without a heartbeat channel there is only the waiting."""
    registry = context.texts(context.config()).registry
    asyncio.run(_beat(context, registry))


async def _beat(context: Context, registry: Registry) -> None:
    channels, devices = registry.channels, registry.devices
    alive = channels.alive.tolist()
    rows = [r for r, q in enumerate(channels.quantity) if q == "heartbeat" and alive[r]]
    if not rows:
        structlog.get_logger("probe").warning("no heartbeat channel: nobody watches the watcher")
    lines = {row: _line(context, devices.id[int(channels.device[row])]) for row in rows}
    beating = asyncio.create_task(_beats(context, registry, lines))
    try:
        # A beat is sent until it is answered, and without a broker that is never: a stop does not
        # wait for it.
        while not context.stop.is_set() and not beating.done():
            await asyncio.wait([beating], timeout=LONGEST_NAP_S)
    finally:
        beating.cancel()
        await asyncio.wait([beating])
        await asyncio.gather(*(_closed(line) for line in lines.values() if line is not None))
    if not beating.cancelled():
        beating.result()  # it ended by itself: raises what ended it


async def _beats(
    context: Context, registry: Registry, lines: Mapping[int, MqttLine | CoapLine | None]
) -> None:
    """Send one beat after the other, each until it is answered."""
    clock, intervals = context.origin.clock(), registry.channels.interval_ns
    period_ns = min((int(intervals[row]) for row in lines), default=30 * 10**9)
    period_s = max(clock.wall_s(period_ns), LEAST_PERIOD_S)
    boot, sequence, due_s = int(time.time()), 0, 0.0
    while True:
        if time.monotonic() >= due_s:
            due_s, sequence = time.monotonic() + period_s, sequence + 1
            beats = [
                _send(line, registry, row, (boot, sequence), clock.now_ns())
                for row, line in lines.items()
                if line is not None
            ]
            await asyncio.gather(*beats)
            held = {"readings_sent": sequence * len(beats)}
            write_atomically(context.data / "run" / STATS_FILE, held)
        await asyncio.sleep(min(LONGEST_NAP_S, period_s))


async def _closed(line: MqttLine | CoapLine) -> None:
    """Say good-bye, if there is somebody who hears it."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await line.close()
    except TimeoutError:
        structlog.get_logger("probe").warning("the broker did not answer the good-bye")


def _line(context: Context, device: str) -> MqttLine | CoapLine | None:
    config = context.config()
    mqtt, coap = mqtt_settings(config), config.entry.coap

    def retried() -> None:
        structlog.get_logger("probe").warning("the probe is not answered; trying again")

    if mqtt is not None:
        target = MqttTarget(
            host=mqtt.host,
            port=mqtt.port,
            username=mqtt.username,
            password=mqtt.password,
            tls_ca=(mqtt.ca_file or machine_authorities()) if mqtt.tls else None,
            connect_timeout_s=CONNECT_WITHIN_S,
        )
        return MqttLine(device, target, retried=retried)
    if coap is not None:
        return CoapLine(device, CoapTarget(host=coap.bind, port=coap.port), retried=retried)
    return None


async def _send(
    line: MqttLine | CoapLine, registry: Registry, row: int, number: tuple[int, int], now_ns: int
) -> None:
    channels, device = registry.channels, int(registry.channels.device[row])
    identity = registry.devices.id[device]
    beat = compact.Series(port=int(channels.port[row]), offsets_ms=[0], values=[float(number[1])])
    payload = compact.encode(
        device=identity,
        boot=number[0],
        sequence=number[1],
        time_base_ms=now_ns // 1_000_000,
        simulation=registry.simulation,
        blocks=[beat],
    )
    path = f"lifeline/v1/{identity}/up" if isinstance(line, MqttLine) else f"up/{identity}"
    message = Message(device=device, kind="good", due_ns=now_ns, path=path, payload=payload)
    await line.send(message)  # until it is answered: a probe that is stuck is what we look for
