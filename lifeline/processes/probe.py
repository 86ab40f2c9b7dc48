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
from lifeline.processes.ingest import mqtt_settings
from simulators.devices.coap import CoapLine, CoapTarget
from simulators.devices.counters import write_atomically
from simulators.devices.device import Message
from simulators.devices.mqtt import MqttLine, MqttTarget

if TYPE_CHECKING:
    from lifeline.processes.context import Context
    from rules.registry import Registry

STATS_FILE = "probe.json"  # in the data folder's run/: how many beats were taken
LEAST_PERIOD_S = 0.2
LONGEST_NAP_S = 0.2  # so that a stop is seen


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
    clock = context.origin.clock()
    period_ns = min((int(channels.interval_ns[row]) for row in rows), default=30 * 10**9)
    period_s = max(clock.wall_s(period_ns), LEAST_PERIOD_S)
    boot, sequence, due_s = int(time.time()), 0, 0.0
    try:
        while not context.stop.is_set():
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
    finally:
        await asyncio.gather(*(line.close() for line in lines.values() if line is not None))


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
            tls_ca=mqtt.ca_file,
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
