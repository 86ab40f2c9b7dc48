"""``lifeline torture``: faults on purpose, and what is promised compared afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lifeline.cli.ending import ending_by_signal


def torture(
    *,
    kills: Annotated[
        int, typer.Option(min=0, help="Lives of our processes ended by SIGKILL; 0 = none.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of the schedule and of what is sent.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here too.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep what the killed city leaves here (nowhere).")
    ] = None,
) -> None:
    """Kill our processes, and compare what was acknowledged with what is left.

    Ends with 1 where a promise is broken, with 2 where the campaign cannot be run.
    """
    from lifeline.torture.campaign import kill_campaign, write_json

    screen = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    rows = {}
    with (
        ending_by_signal() as stop,
        Progress(*columns, TimeRemainingColumn(), console=screen, transient=True) as bar,
    ):
        if kills:
            task = bar.add_task("kills", total=kills)
            rows["kills"] = kill_campaign(
                kills=kills,
                seed=seed,
                keep=data,
                stop=stop,
                told=lambda n: bar.update(task, completed=n),
            )
    for name, row in rows.items():
        print(f"{name}: {row}")
    if json_file is not None:
        write_json(rows, json_file)
