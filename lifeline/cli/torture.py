"""``lifeline torture``: faults on purpose, and what is promised compared afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lifeline.cli.ending import ending_by_signal

if TYPE_CHECKING:
    from collections.abc import Callable


def torture(
    *,
    kills: Annotated[
        int | None, typer.Option(min=0, help="Lives of our processes ended by SIGKILL.")
    ] = None,
    power_cuts: Annotated[
        int | None, typer.Option(min=0, help="Losses of power, and failing disks between them.")
    ] = None,
    flips: Annotated[
        int | None, typer.Option(min=0, help="Bits flipped in what is kept, all files.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the schedule, the faults, what is sent.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write docs/reliability.md anew; needs all three.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep what the killed city leaves here.")
    ] = None,
) -> None:
    """Kill our processes, cut the power, flip bits; compare what was promised with what is left.

    With no number each campaign has a short one of its own; with some, only those are run. Ends
    with 1 where a promise is broken, with 2 where a campaign cannot be run.
    """
    from lifeline.torture.campaign import SHORT, Campaigns, broken
    from lifeline.torture.page import page
    from lifeline.torture.schedule import MOST
    from lifeline.torture.sections import carried_over

    asked = {"kills": kills, "power_cuts": power_cuts, "flips": flips}
    if 0 < (kills or 0) < len(MOST):
        raise typer.BadParameter(f"--kills {kills}: there are {len(MOST)} processes to kill")
    counts = {name: n for name, n in asked.items() if n} if any(asked.values()) else SHORT
    if markdown is not None and len(counts) < len(SHORT):
        raise typer.BadParameter(
            "--markdown tells of all campaigns: give --kills, --power-cuts "
            "and --flips a number, or none of them"
        )
    screen = Console(stderr=True, highlight=False)
    rows: dict[str, dict[str, Any]] = {}
    with ending_by_signal() as stop, _bar(screen) as bar:
        campaigns = Campaigns(seed=seed, stop=stop, keep=data)
        for name, count in counts.items():
            task = bar.add_task(name.replace("_", " "), total=count)
            if not stop.is_set():
                rows[name] = campaigns.run(name, count, _teller(bar, task))
    print(json.dumps(rows, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if stop.is_set():
        screen.print("stopped before its end: these are the figures of what was done")
    elif markdown is not None:
        old = markdown.read_text(encoding="utf-8") if markdown.exists() else ""
        markdown.write_text(carried_over(page(rows), old), encoding="utf-8")
    if said := broken(rows):
        screen.print(f"broken: {', '.join(said)}", style="bold red")
        raise typer.Exit(1)


def _bar(screen: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    quiet = not screen.is_terminal
    return Progress(*columns, TimeRemainingColumn(), console=screen, transient=True, disable=quiet)


def _teller(bar: Progress, task: Any) -> Callable[[int], None]:
    return lambda done: bar.update(task, completed=done)
