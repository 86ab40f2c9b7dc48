"""Our processes as they run, each in one of its own: ingest, engine, and the store up to its text.

The engine judges the rules T3 of the engine's bench, by its own process's code. The store's text
is counted where it would be posted.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from ingest.journal import Cursor, JournalReader, durable_end
from ingest.limits import IngestLimits
from ingest.service import run_ingest
from ingest.sources.mqtt import MqttSettings
from ingest.store.readings_input import ReadingsInput
from ingest.store.settings import InfluxSettings
from lifeline.allocation import environment, settle, yield_to_others
from lifeline.bench.workload import plan_of
from lifeline.broker import HOST
from lifeline.clock import Clock
from lifeline.engine_process import run_engine
from lifeline.metrics_files import MetricsFile
from rules.readings import Block, Readings, texts_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.store.lines import Lines
    from rules.plan import Plan
    from rules.readings import Control
    from rules.registry import Registry

CURSOR_S = 0.2
_CONTEXT = multiprocessing.get_context("spawn")
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the processes work on: rules of the engine's bench on every channel of a registry."""

    rules: str
    registry: Registry
    limits: IngestLimits = field(default_factory=IngestLimits)


class FixedTexts:
    """The bench's rules and registry, whatever hash a record names: they stand in no file."""

    def __init__(self, setting: Setting) -> None:
        channels = len(setting.registry.channels.id)
        self._site = plan_of(setting.rules, channels), setting.registry
        self.hashes: dict[str, str] = {}

    def resolve(self, control: Control) -> tuple[Plan, Registry] | None:
        """Return both at the first record that names any."""
        if self.hashes:
            return None
        self.hashes = texts_named(control)
        return self._site

    def load(self) -> tuple[Plan, Registry] | None:
        """Return both."""
        return self._site


class Counting:
    """Stands where lines go to InfluxDB, and counts them."""

    rests = False

    def __init__(self, shared: Any) -> None:
        self._shared = shared

    def send(self, lines: Lines, place: str) -> None:  # noqa: ARG002 - as the store's sender
        """Take note."""
        self._shared.lines.value += lines.count
        self._shared.bytes.value += len(lines.body)


@dataclass
class Shared:
    """What the processes tell each other."""

    stop: Any
    lines: Any
    bytes: Any

    @classmethod
    def made(cls) -> Shared:
        """Return it, nothing told yet."""
        return cls(_CONTEXT.Event(), _CONTEXT.Value("q", 0), _CONTEXT.Value("q", 0))


def _begin(process: str) -> None:
    """Begin as our processes do; a Ctrl-C is the bench's own to see to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle(process)
    yield_to_others(process)


def ingest(setting: Setting, data: Path, port: int, shared: Shared) -> None:
    """Run ingest."""
    _begin("ingest")
    MetricsFile(data, "ingest", stop=shared.stop).start()
    run_ingest(
        data=data,
        registry=setting.registry,
        rules_hash=setting.rules,
        clock=Clock(),
        stop=shared.stop,
        mqtt=MqttSettings(host=HOST, port=port, client_id="bench"),
        limits=setting.limits,
    )


def engine(setting: Setting, data: Path, shared: Shared) -> None:
    """Run the engine."""
    _begin("engine")
    run_engine(data=data, stop=shared.stop, texts=FixedTexts(setting), cursor_s=CURSOR_S)


def store(setting: Setting, data: Path, shared: Shared) -> None:
    """Run the store's way from the journal to line protocol."""
    _begin("store")
    settings = InfluxSettings(url="http://127.0.0.1:1", bucket="bench", token_env="")
    sender: Any = Counting(shared)
    with contextlib.closing(ReadingsInput(data, setting.registry)) as readings:
        while not shared.stop.is_set():
            readings.pump(sender, settings, shared.stop)


class Chain:
    """The three processes over a data folder."""

    def __init__(self, setting: Setting, data: Path, port: int) -> None:
        self.data = data
        self.shared = Shared.made()
        (data / "journal").mkdir(parents=True)
        self._processes = [
            _CONTEXT.Process(target=ingest, args=(setting, data, port, self.shared)),
            _CONTEXT.Process(target=engine, args=(setting, data, self.shared)),
            _CONTEXT.Process(target=store, args=(setting, data, self.shared)),
        ]

    def start(self) -> None:
        """Start them; return when the engine and the store have read what ingest begins with."""
        before = dict(os.environ)
        os.environ.update(environment())  # as the supervisor starts them
        try:
            for process in self._processes:
                process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        deadline_s = time.monotonic() + _START_S
        while not (self.end() >= 3 and self.caught_up()):
            self.check()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the chain does not come up within {_START_S:.0f} s")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise where one of them ended."""
        for process in self._processes:
            if process.exitcode is not None:
                raise RuntimeError(f"{process.name} ended with {process.exitcode}; see above")

    def end(self) -> int:
        """Return the journal's durable end."""
        return durable_end(self.data / "journal")

    def caught_up(self, end: int | None = None) -> bool:
        """Say whether the engine has folded all below ``end``, the journal's end where None."""
        done = Cursor.load(self.data / "cursors" / "engine").offset
        return done >= (self.end() if end is None else end)

    @property
    def lines(self) -> int:
        """Return how many lines the store has made."""
        return int(self.shared.lines.value)

    def cpu_s(self) -> list[float]:
        """Return the CPU seconds of ingest, engine and store."""
        spent = [psutil.Process(p.pid).cpu_times() for p in self._processes]
        return [float(each.user + each.system) for each in spent]

    def pin(self, core: int) -> None:
        """Let all of them share one core."""
        for pid in self.pids:
            os.sched_setaffinity(pid, {core})

    @property
    def pids(self) -> list[int]:
        """Return the process ids of ingest, engine and store."""
        return [process.pid for process in self._processes if process.pid is not None]

    def rss_bytes(self) -> list[int]:
        """Return the resident memory of ingest, engine and store."""
        return [int(psutil.Process(p.pid).memory_info().rss) for p in self._processes]

    def stop(self) -> None:
        """End them."""
        self.shared.stop.set()
        for process in self._processes:
            if process.pid is not None:
                process.join(30)
                if process.exitcode is None:
                    process.kill()
                    process.join(10)


@contextlib.contextmanager
def running(setting: Setting, data: Path, port: int) -> Iterator[Chain]:
    """Run the chain within the block."""
    chain = Chain(setting, data, port)
    try:
        chain.start()
        yield chain
    finally:
        chain.stop()


def journaled(data: Path, channels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many readings, and samples of waveforms, of each channel stand in the journal."""
    end = durable_end(data / "journal")
    readings, samples = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    with JournalReader(data / "journal") as reader:
        while records := reader.read(until=end, max_rows=1_000_000):
            for body in (record.body for record in records):
                if isinstance(body, Readings):
                    known = body.channel[body.channel >= 0]
                    readings += np.bincount(known, minlength=channels)
                elif isinstance(body, Block):
                    np.add.at(samples, body.channel, body.samples.shape[1])
    return readings, samples
