"""A city whose page is measured: a registry, two rules, and alarms when they are asked for.

Journal and event log are written here as ingest and engine write them; the page's process is the
real one. So what is measured is the way from an event in the log to a screen.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np

from ingest.journal import EventLines, JournalWriter, WakeServer
from lifeline.bench.page.process import serve
from lifeline.broker import free_port
from rules.engine import Engine
from rules.events import encode
from rules.language import compile_plan, load_rules, rules_bytes
from rules.readings import Control, Readings, Record, Tick
from rules.registry_codec import content_hash, registry_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from rules.registry import Registry

START_S: Final = 120.0
RULES: Final = """\
version: 1
defaults: {source: estimate}
rules:
- id: methane
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {blue: 0.5, yellow: 1.0, orange: 1.25, red: 2.5}
  hysteresis: 0.1
  for: 0s
  keep_firing_for: 1h
"""
LEVELS: Final = (0.6, 1.1, 1.3, 2.6)  # %vol: blue, yellow, orange, red


class PageCity:
    """Writes a data folder as ingest and engine would, reading by reading."""

    def __init__(self, data: Path, registry: Registry) -> None:
        for name in ("registry", "rules", "run", "archive"):
            (data / name).mkdir(parents=True, exist_ok=True)
        self.data, self.registry = data, registry
        loaded = load_rules({"rules.yaml": RULES})
        plan, _ = compile_plan(loaded, registry)
        self._engine = Engine(plan, registry)
        self._wake = WakeServer(data / "run" / "events.sock")
        self._journal = JournalWriter(data / "journal")
        self._events = JournalWriter(data / "events", wake=self._wake)
        self._now_ns = time.time_ns()
        self._append(Tick(self._now_ns))
        texts = (("registry", registry_bytes(registry)), ("rules", rules_bytes(loaded)))
        for kind, text in texts:
            digest = content_hash(text)
            (data / kind / f"{digest}.json").write_bytes(text)
            self._append(Control(kind, {"hash": digest}))
        methane = np.array([q == "ch4" for q in registry.channels.quantity])
        _, first = np.unique(registry.channels.asset[methane], return_index=True)
        self.gas: NDArray[np.intp] = np.flatnonzero(methane)[np.sort(first)]  # one an asset

    def _append(self, body: Any) -> int:
        """Append to the journal and, what the engine makes of it, to the event log."""
        offset = self._journal.append(body)
        self._journal.commit()
        lines = tuple(encode(event) for event in self._engine.fold([Record(offset, body)]))
        self._events.append(EventLines(through=offset + 1, lines=lines))
        self._events.commit()
        return len(lines)

    def send(self, channels: NDArray[np.intp], values: Any) -> int:
        """Append a reading of each channel, now; return how many events they made."""
        self._now_ns = max(self._now_ns + 1, time.time_ns())
        n = len(channels)
        columns = {
            "channel": channels,
            "device": self.registry.channels.device[channels],
            "judged_ns": np.full(n, self._now_ns),
            "receive_ns": np.full(n, self._now_ns),
            "value": values,
        }
        return self._append(Readings.of(columns))

    def alarms(self, count: int) -> int:
        """Raise so many alarms of all levels, spread over the city; return how many events."""
        step = max(1, len(self.gas) // max(count, 1))
        rows = self.gas[::step][:count]
        levels = np.array(LEVELS)[np.minimum(3, np.arange(len(rows)) % 7)]
        return self.send(rows, np.where(levels > 2, 1.3, levels))

    def close(self) -> None:
        """Close what is written to."""
        self._journal.close()
        self._events.close()
        self._wake.close()


@contextmanager
def served(data: Path, *, core: int | None = None, **settings: Any) -> Iterator[tuple[str, int]]:
    """Run the page's own process on ``data``; give its address and process id.

    Raises
    ------
    TimeoutError
        It does not answer within two minutes.
    """
    port = free_port()
    context = get_context("spawn")
    stop = context.Event()
    process = context.Process(target=serve, args=(data, port, core, stop, settings), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url, process.pid or 0
    finally:
        stop.set()
        process.join(timeout=15)
        if process.is_alive():
            process.kill()


def _wait(url: str, process: Any) -> None:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if not process.is_alive():
            raise RuntimeError(f"the page's process ended with {process.exitcode}")
        try:
            if httpx.get(f"{url}/api/state", timeout=30).json()["site"]:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer within {START_S:.0f} s")
