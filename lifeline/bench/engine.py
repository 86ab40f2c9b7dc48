"""Measure the engine beside the tight loop, in one process, by CPU time, on the same readings."""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import pstats
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lifeline.bench.loop import Loop
from lifeline.bench.workload import ORDERS, WORKLOADS, Order, chunks, plan_of, registry_of, shape_of
from rules.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifeline.bench.loop import Told
    from rules.events import Event
    from rules.registry import Registry


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result; figures by CPU second, None where not run."""

    workload: str
    batch: str
    channels: int
    readings_per_s: float
    loop_readings_per_s: float
    c_readings_per_s: float | None
    events: int
    events_equal: bool


def run_bench(
    workload: str,
    channels: int = 10_000,
    rounds: int = 500,
    json_file: Path | None = None,
    profile: bool = False,  # noqa: FBT001, FBT002 - mirrors the command line
    *,
    orders: Sequence[Order] = ORDERS,
    trouble: float = 0.0,
    console: Console | None = None,
) -> list[Row]:
    """Run one workload in every order; print a table, and write the rows as JSON if asked.

    Raises
    ------
    ValueError
        The workload is not known, or there is nothing to run.
    """
    if workload not in WORKLOADS:
        raise ValueError(f"workload {workload!r} is not known; choose from {', '.join(WORKLOADS)}")
    if channels < 1 or rounds < 1:
        raise ValueError(f"channels {channels} and rounds {rounds} must both be 1 or more")
    console = console or Console()
    profiler = cProfile.Profile() if profile else None
    rows = []
    bar = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*bar, console=console, transient=True) as progress:
        for order in orders:
            task = progress.add_task(f"{workload} {order.name}", total=channels * rounds)
            for done, row in _measure(workload, order, channels, rounds, trouble, profiler):
                progress.update(task, completed=done)
                if row is not None:
                    rows.append(row)
            progress.remove_task(task)
    console.print(_table(rows))
    if profiler is not None:
        _print_profile(profiler, console)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return rows


def _measure(
    workload: str,
    order: Order,
    channels: int,
    rounds: int,
    trouble: float,
    profiler: cProfile.Profile | None,
) -> Iterator[tuple[int, Row | None]]:
    """Yield the number of readings done, and at the end the row."""
    used_channels, used_rounds = shape_of(order, channels, rounds)
    registry = registry_of(used_channels)
    engine = Engine(plan_of(workload, used_channels), registry)
    loop = Loop(workload, used_channels)
    done, events, equal = 0, 0, True
    engine_s = loop_s = 0.0
    for chunk in chunks(order, used_channels, used_rounds, trouble=trouble):
        said: list[Event] = []
        if profiler is not None:
            profiler.enable()
        begun = time.process_time()
        for batch in chunk.batches:
            said += engine.fold(batch)
        engine_s += time.process_time() - begun
        if profiler is not None:
            profiler.disable()
        begun = time.process_time()
        told = loop.fold(chunk.lists)
        loop_s += time.process_time() - begun
        done += chunk.rows
        events += len(said)
        equal = equal and _as_told(said, registry) == Counter(told)
        yield done, None
    yield (
        done,
        Row(
            workload=workload,
            batch=order.name,
            channels=used_channels,
            readings_per_s=round(done / engine_s),
            loop_readings_per_s=round(done / loop_s),
            c_readings_per_s=None,
            events=events,
            events_equal=equal,
        ),
    )


def _as_told(said: Sequence[Event], registry: Registry) -> Counter[Told]:
    """Return the engine's events as the loop tells them: type, rule, side, channel, time, score."""
    row = registry.channel_row
    return Counter(
        (
            str(event.type),
            event.rule,
            event.side,
            row.get(event.subject, -1),
            event.event_ns,
            0.0 if event.score is None else event.score,
        )
        for event in said
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Readings a CPU second, engine beside a tight Python loop")
    for name in ("workload", "batch", "channels", "engine", "loop", "ratio", "events", "equal"):
        table.add_column(name, justify="left" if name in {"workload", "batch"} else "right")
    for row in rows:
        table.add_row(
            row.workload,
            row.batch,
            f"{row.channels:,}",
            f"{row.readings_per_s / 1e6:.2f} M",
            f"{row.loop_readings_per_s / 1e6:.2f} M",
            f"{row.readings_per_s / row.loop_readings_per_s:.1f} x",
            f"{row.events:,}",
            "yes" if row.events_equal else "NO",
        )
    return table


def _print_profile(profiler: cProfile.Profile, console: Console) -> None:
    """Print where the engine's own time goes: its 25 dearest functions."""
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(25)
    console.print(text.getvalue(), markup=False, highlight=False)


def main() -> None:
    """Run from the command line: ``python -m lifeline.bench.engine --workload T1``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=WORKLOADS, default="T2")
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    parser.add_argument("--profile", action="store_true", help="where the engine's time goes")
    said = parser.parse_args()
    rows = run_bench(said.workload, said.channels, said.rounds, said.json, said.profile)
    if not all(row.events_equal for row in rows):
        raise SystemExit("engine and loop disagree on the events")


if __name__ == "__main__":
    main()
