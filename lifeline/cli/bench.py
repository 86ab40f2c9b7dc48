"""``lifeline bench …``: speed, measured on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Benchmarks, beside the obvious alternative.", no_args_is_help=True)

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]


@app.command("engine")
def engine(
    workload: Annotated[str, typer.Option(help="T1 or T2.")] = "T2",
    channels: Annotated[int, typer.Option(min=1)] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Samples of each channel.")] = 500,
    json_file: Json = None,
    *,
    profile: Annotated[bool, typer.Option(help="Where the engine's time goes.")] = False,
) -> None:
    """Measure the engine, dense and shuffled, beside a tight Python loop."""
    from lifeline.bench.engine import run_bench

    rows = run_bench(workload, channels, rounds, json_file, profile)
    if not all(row.events_equal for row in rows):
        print("engine and loop disagree on the events")
        raise typer.Exit(1)


@app.command("store")
def store(rows: Annotated[int, typer.Option(min=1)] = 200_000, json_file: Json = None) -> None:
    """Measure how fast points become text, beside the client's Point."""
    from lifeline.bench.store import measure

    found = measure(rows=rows, channels=2_000, turns=3)
    for row in found:
        print(f"{row['encoder']:24} {row['lines_per_s']:>12,} lines/s {row['times_point']:>7} ×")
    if json_file is not None:
        json_file.write_text(json.dumps({"bench": "store", "rows": found}, indent=1) + "\n")
