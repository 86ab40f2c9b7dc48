"""The page's process of a measurement: `serve` as it runs anywhere, on one core if asked to."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from lifeline.clock import Clock
from lifeline.serve import ServeSettings, run_serve

if TYPE_CHECKING:
    from pathlib import Path


def serve(data: Path, port: int, core: int | None, stop: Any, settings: dict[str, Any]) -> None:
    """Serve ``data`` at a port until ``stop``, an event of multiprocessing, is set."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    ended = threading.Event()

    def wait() -> None:
        stop.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    run_serve(
        data=data,
        settings=ServeSettings(port=port, simulation=True, **settings),
        clock=Clock(),
        stop=ended,
    )
