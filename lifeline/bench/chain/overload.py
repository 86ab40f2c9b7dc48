"""``lifeline bench overload``: at three times what one core carries, who waits and what is shed."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import queue
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from ingest.journal import Cursor
from ingest.limits import IngestLimits
from ingest.overload import UNLIMITED, OverloadLimits
from ingest.store.follow import Follower
from lifeline.bench.chain import broker, crowd, parts
from lifeline.bench.chain.crowd import CHANNELS, Phase
from lifeline.metrics_files import metrics_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RULES: Final = "T1"
SHOWN_S: Final = 5.0
"""What an alarm of a safety channel may take at most, from sensor to event log, at p99."""
RECOVERY_S: Final = 30.0
"""How long after the last reading is judged all of them must be taken again."""
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Seconds of each phase, how many times the rate, and the memory a process may have."""

    calm_s: float = 10.0
    overload_s: float = 30.0
    after_s: float = 45.0
    times: float = 3.0
    measure_s: float = 8.0
    rate: float | None = None  # readings/s that one core carries; None: measured first
    memory_mb: int = 1024
    limits: OverloadLimits = field(default_factory=OverloadLimits)


@dataclass
class Watch:
    """What is seen while it runs: alarms with their latency, memory, steps of shedding."""

    alarms: list[tuple[float, float]] = field(default_factory=list)  # (sent at, seconds)
    rss: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    steps: list[tuple[float, int]] = field(default_factory=list)  # (at, step)
    behind: list[tuple[float, float]] = field(default_factory=list)  # (at, seconds)

    @property
    def recovered(self) -> bool:
        """Return whether nothing was given up any more, and the engine was near, when last seen."""
        return self.steps[-1][1] == 0 and self.behind[-1][1] < 1.0


def run(ask: Ask, *, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Measure one core's rate, then send ``times`` as much; return what JSON holds.

    Raises
    ------
    Missing
        mosquitto is not installed.
    """
    cores = os.sched_getaffinity(0)
    core = max(cores)
    os.sched_setaffinity(0, cores - {core} or cores)  # broker and crowd too, as our children
    rate = _capacity(ask, core) if ask.rate is None else ask.rate
    tell(f"one core carries {rate:,.0f} readings/s of this kind")
    phases = [
        Phase("calm", ask.calm_s, 0.4 * rate),
        Phase("overload", ask.overload_s, ask.times * rate),
        Phase("after", ask.after_s, 0.4 * rate),
    ]
    watch = Watch()
    with broker.running() as port, tempfile.TemporaryDirectory(prefix="lifeline-bench-") as name:
        data = Path(name)
        setting = parts.Setting(RULES, crowd.site(), IngestLimits(overload=ask.limits))
        with parts.running(setting, data, port) as chain:
            chain.pin(core)
            told, sent = _send(chain, port, phases, data, watch)
            _drain(chain, watch, data)
            _await_recovery(chain, watch, data)
            shed = _shed(data)
        found = parts.journaled(data, CHANNELS)
    result = _result(ask, rate, phases, told, watch) | _accounts(sent, found, shed)
    for name, value in result.items():
        tell(f"{name}: {json.dumps(value)}")
    return result


def _capacity(ask: Ask, core: int) -> float:
    """Return readings a second by the wall that the three processes carry on one core."""
    unlimited = IngestLimits(overload=UNLIMITED)
    with broker.running() as port, tempfile.TemporaryDirectory(prefix="lifeline-bench-") as name:
        data = Path(name)
        setting = parts.Setting(RULES, crowd.site(), unlimited)
        with parts.running(setting, data, port) as chain:
            chain.pin(core)
            begun_s = time.monotonic()
            phases = [Phase("as much as it takes", ask.measure_s, 1e9)]
            _, (readings, _) = _send(chain, port, phases, data, Watch())
            _drain(chain, Watch(), data)
            seconds = time.monotonic() - begun_s
    return float(readings.sum()) / seconds


def _send(
    chain: parts.Chain, port: int, phases: list[Phase], data: Path, watch: Watch
) -> tuple[list[Any], Any]:
    """Let the crowd send in a process of its own, and watch meanwhile."""
    told: Any = _CONTEXT.Queue()
    process = _CONTEXT.Process(target=crowd.send, args=(port, phases, told))
    stop = threading.Event()
    eyes = threading.Thread(target=_timed, args=(data, watch, stop), daemon=True)
    process.start()
    eyes.start()
    heard: list[Any] = []
    try:
        while len(heard) <= len(phases):
            chain.check()
            _look(chain, data, watch)
            with contextlib.suppress(queue.Empty):
                heard.append(told.get(timeout=0.2))
            if process.exitcode not in (None, 0):
                raise RuntimeError(f"the crowd ended with {process.exitcode}; see above")
        process.join(10)
    finally:
        if process.exitcode is None:
            process.kill()
        stop.set()
        eyes.join(5)
    return heard[:-1], heard[-1]


def _drain(chain: parts.Chain, watch: Watch, data: Path) -> None:
    """Wait until all that was sent is judged."""
    quiet, before = 0, -1
    while quiet < 5:
        chain.check()
        _look(chain, data, watch)
        at = Cursor.load(data / "cursors" / "engine").offset
        done = chain.caught_up() or at >= chain.end() - 2  # ticks go on
        quiet = quiet + 1 if done and chain.end() - before <= 1 else 0
        before = chain.end()
        time.sleep(0.3)


def _timed(data: Path, watch: Watch, stop: threading.Event) -> None:
    """Read the event log as it grows; note how long each alarm of a safety channel took."""
    names = crowd.site().channels.id
    safe = {name for name, is_safe in zip(names, crowd.safety(), strict=True) if is_safe}
    with contextlib.closing(
        Follower(data / "events", start=0, wake=data / "run" / "events.sock")
    ) as follower:
        while not stop.is_set():
            follower.wait(0.2)
            now_s = time.time()
            for _, record in follower.events(max_rows=10_000):
                for line in record.lines:
                    event = json.loads(line)
                    if event["type"] == "RAISED" and event["subject"] in safe:
                        sent_s = event["event_ns"] / 1e9
                        watch.alarms.append((sent_s, now_s - sent_s))


def _look(chain: parts.Chain, data: Path, watch: Watch) -> None:
    watch.rss = np.maximum(watch.rss, chain.rss_bytes())
    said = _metrics(data)
    now_s = time.time()
    watch.steps.append((now_s, int(said.get("lifeline_shed_step", 0))))
    watch.behind.append((now_s, said.get("lifeline_engine_behind_seconds", 0.0)))


def _metrics(data: Path) -> dict[str, float]:
    """Return ingest's metrics without labels; of the others there may be thousands."""
    lines = _text(data).splitlines()
    plain = (line.split(" ") for line in lines if line[:1] != "#" and "{" not in line)
    return {name: float(value) for name, value, *_ in plain}


def _text(data: Path) -> str:
    path = metrics_folder(data) / "ingest.prom"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _await_counts(data: Path) -> None:
    """Wait until /metrics was written anew: what was counted before is in it then."""
    path, since, deadline_s = (
        metrics_folder(data) / "ingest.prom",
        time.time(),
        time.monotonic() + 60,
    )
    while path.stat().st_mtime <= since + 1.0:  # it may have been under way
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{path} is not written any more")
        time.sleep(0.2)


def _await_recovery(chain: parts.Chain, watch: Watch, data: Path) -> None:
    """Look at /metrics written anew until they say that it is over, `RECOVERY_S` at most.

    What was written before the last reading was judged may still tell of a step given up since.
    """
    deadline_s = time.monotonic() + RECOVERY_S
    while True:
        _await_counts(data)
        chain.check()
        _look(chain, data, watch)
        if watch.recovered or time.monotonic() > deadline_s:
            return


def _shed(data: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what /metrics says was shed of each channel: readings, and samples of waveforms."""
    row = {name: n for n, name in enumerate(crowd.site().channels.id)}
    found = {form: np.zeros(CHANNELS, np.int64) for form in ("readings", "samples")}
    for family in text_string_to_metric_families(_text(data)):
        for sample in family.samples:
            if sample.name == "lifeline_shed_total":
                found[sample.labels["form"]][row[sample.labels["channel"]]] = int(sample.value)
    return found["readings"], found["samples"]


# ------------------------------------------------------------------ what it says


def _result(
    ask: Ask, rate: float, phases: list[Phase], told: list[Any], watch: Watch
) -> dict[str, Any]:
    alarms = np.array(watch.alarms).reshape(-1, 2)
    rows = []
    for phase, (name, begun_s, ended_s, readings) in zip(phases, told, strict=True):
        own = alarms[(alarms[:, 0] >= begun_s) & (alarms[:, 0] < ended_s), 1]
        steps = [step for at, step in watch.steps if begun_s <= at < ended_s]
        p50, p99, most = np.percentile(own, (50, 99, 100)) if len(own) else (np.nan,) * 3
        rows.append(
            {
                "phase": name,
                "seconds": round(ended_s - begun_s, 1),
                "wanted_per_s": round(phase.readings_per_s),
                "sent_per_s": round(readings / (ended_s - begun_s)),
                "alarms": len(own),
                "p50_s": round(float(p50), 3),
                "p99_s": round(float(p99), 3),
                "max_s": round(float(most), 3),
                "most_shed_step": max(steps, default=0),
            }
        )
    over_s = told[1][2]
    last = max((at for at, step in watch.steps if step), default=over_s)
    mb = (watch.rss >> 20).tolist()
    return {
        "one_core_per_s": round(rate),
        "phases": rows,
        "most_shed_step": max(step for _, step in watch.steps),  # a queue may fill after its phase
        "recovered_after_s": round(max(0.0, last - over_s), 1),
        "recovered": watch.recovered,
        "rss_mb": dict(zip(("ingest", "engine", "store"), mb, strict=True)),
        "memory_limit_mb": ask.memory_mb,
        "within_memory": max(mb) <= ask.memory_mb,
    }


def _accounts(sent: Any, found: Any, shed: Any) -> dict[str, Any]:
    """Compare, channel by channel, what was sent with what is journaled and what was shed."""
    safe = crowd.safety()
    klass = np.array(crowd.site().channels.klass)
    missing = [int(np.abs(s - f - x).sum()) for s, f, x in zip(sent, found, shed, strict=True)]
    return {
        "sent": int(sent[0].sum()),
        "sent_samples": int(sent[1].sum()),
        "shed": {name: int(shed[0][klass == name].sum()) for name in ("info", "maintenance")},
        "shed_samples": int(shed[1].sum()),
        "safety_shed": int(shed[0][safe].sum() + shed[1][safe].sum()),
        "uncounted": sum(missing),
    }


def faults(result: dict[str, Any]) -> list[str]:
    """Return what of the promises did not hold."""
    said = []
    if result["uncounted"]:
        said.append(f"{result['uncounted']} readings or samples are neither journaled nor counted")
    if result["safety_shed"]:
        said.append(f"{result['safety_shed']} readings of safety channels were shed")
    if not result["within_memory"]:
        said.append(f"memory {result['rss_mb']} MB is over {result['memory_limit_mb']} MB")
    if not result["recovered"]:
        said.append("it did not recover by itself")
    said += [
        f"{row['phase']}: alarms took {row['p99_s']} s at p99, over {SHOWN_S:.0f} s"
        for row in result["phases"]
        if not row["p99_s"] <= SHOWN_S
    ]
    return said
