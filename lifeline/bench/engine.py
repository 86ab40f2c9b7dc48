"""Measure the engine: one workload or all, on one core, by CPU time; as a table, JSON, a page."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from lifeline.bench.beside import run_beside
from lifeline.bench.city_run import run_city, run_start, run_state
from lifeline.bench.flatness import run_latency, run_rules, run_scale
from lifeline.bench.results import Ask, Row
from lifeline.bench.timing import one_core
from lifeline.bench.waveform import run_waveform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifeline.bench.results import Result, Runner

RUNNERS: dict[str, Runner] = {
    "T1": run_beside,
    "T2": run_beside,
    "T3": run_beside,
    "city": run_city,
    "rules": run_rules,
    "scale": run_scale,
    "latency": run_latency,
    "state": run_state,
    "waveform": run_waveform,
    "start": run_start,
}
"""Every workload and what runs it."""


def run_bench(
    workload: str, ask: Ask | None = None, console: Console | None = None
) -> list[Result]:
    """Run one workload and print its tables.

    Raises
    ------
    ValueError
        The workload is not known, or there is nothing to run.
    """
    if workload not in RUNNERS:
        raise ValueError(f"workload {workload!r} is not known; choose from {', '.join(RUNNERS)}")
    ask, console = ask or Ask(), console or Console()
    if (ask.channels or 1) < 1 or (ask.rounds or 1) < 1:
        raise ValueError(f"channels {ask.channels} and rounds {ask.rounds} must both be 1 or more")
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True,
        auto_refresh=False,  # a thread of its own would cost what is measured
    )  # fmt: skip
    with one_core(), bar:
        task = bar.add_task(workload)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total, refresh=True)

        results = RUNNERS[workload](workload, replace(ask, tell=tell))
    for table in tables(results):
        console.print(table)
    return results


def disagree(results: Sequence[Result]) -> bool:
    """Tell whether programs that were compared said different things."""
    return any(isinstance(row, Row) and row.events_equal is False for row in results)


def tables(results: Sequence[Result]) -> list[Table]:
    """Return the results as tables, one for each kind of row that follows another."""
    made = []
    for (workload, _), rows in groupby(by_kind(results), key=_kind):
        cells = [row.cells() for row in rows]
        table = Table(title=workload)
        for name in cells[0]:
            text = name in {"batch", "part", "step", "stage", "of"}
            table.add_column(name, justify="left" if text else "right", no_wrap=True)
        for cell in cells:
            table.add_row(*cell.values())
        made.append(table)
    return made


def by_kind(results: Sequence[Result]) -> list[Result]:
    """Return the results workload by workload, rows of one kind together, else in their order."""
    seen = list(dict.fromkeys(map(_kind, results)))
    return sorted(results, key=lambda row: seen.index(_kind(row)))


def _kind(row: Result) -> tuple[str, type]:
    return row.workload, type(row)


def write_json(results: Sequence[Result], file: Path) -> None:
    """Write the rows as JSON."""
    file.write_text(json.dumps([asdict(row) for row in results], indent=1) + "\n")
