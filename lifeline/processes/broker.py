"""The demo's broker as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.broker import become_broker, free_port, write_config
from lifeline.errors import Missing
from lifeline.reachable import broker_port

if TYPE_CHECKING:
    from lifeline.processes.context import Context


def run(context: Context) -> None:
    """Write the configuration and become the server."""
    mqtt = context.config().entry.mqtt
    if mqtt is None:
        raise Missing(f"{context.site}: no [mqtt] table: there is no port to serve")
    folder = context.data / "broker"
    become_broker(write_config(folder, port=broker_port(mqtt), client_port=free_port()))
