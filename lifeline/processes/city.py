"""The simulated city as a process: its gateways and modules speak to our own broker and port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.preflight import read_site
from lifeline.reachable import broker_port
from simulators.devices.coap import CoapTarget
from simulators.devices.mqtt import MqttTarget
from simulators.devices.run import run_city
from simulators.scenario import load_scenario

if TYPE_CHECKING:
    from lifeline.processes.context import Context

STATS_FILE = "city.json"  # in the data folder's run/: what the city sent, and what happened in it


def run(context: Context) -> None:
    """Let the city live until stopped."""
    config = context.config()
    mqtt, coap = config.entry.mqtt, config.entry.coap
    run_city(
        registry=read_site(config, context.data).registry,
        scenario=load_scenario(context.scenario or "quiet"),
        clock=context.origin.clock(),
        mqtt=MqttTarget(host=mqtt.host, port=broker_port(mqtt)) if mqtt else None,
        coap=CoapTarget(host=coap.bind, port=coap.port) if coap else None,
        stop=context.stop,
        stats_file=context.data / "run" / STATS_FILE,
        begin_ns=context.begin_ns or None,
    )
