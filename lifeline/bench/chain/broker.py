"""The real mosquitto, for the bench alone, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lifeline.broker import HOST, free_port, wait_until_up
from lifeline.errors import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = "mosquitto"
IN_FLIGHT: Final = 400
"""Messages the broker sends us before we acknowledge the first of them: as in deploy/mosquitto."""
START_S: Final = 20.0


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run mosquitto and give its port.

    Its queue is without limit: the bench counts what is lost, and what a broker drops never reached
    us.

    Raises
    ------
    Missing
        It is not installed.
    """
    program = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Missing(f"{PROGRAM} is not installed; on Debian: apt-get install mosquitto")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as name:
        config = Path(name) / "mosquitto.conf"
        lines = (
            f"listener {port} {HOST}",
            "allow_anonymous true",
            "persistence false",
            f"max_inflight_messages {IN_FLIGHT}",
            "max_queued_messages 0",
            "log_dest none",
        )
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        process = subprocess.Popen(
            [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            alive = lambda: process.poll() is None  # noqa: E731
            wait_until_up(port, timeout_s=START_S, alive=alive, what=PROGRAM)
            yield port
        finally:
            process.terminate()
            process.wait(30)
