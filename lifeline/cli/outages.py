"""``lifeline outages``: what our program stands among fails, one thing after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal


def outages(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="An outage by name; may be given again.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=4.0, max=600.0, help="How long each lasts.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the order, what flaps, what is sent.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write the section of docs/reliability.md anew; needs all."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Keep what the cities leave here.")] = None,
) -> None:
    """Let InfluxDB, broker, ledger, receiver, links and clock fail; measure and compare.

    Ends with 1 where a promise is broken, with 2 where the campaign cannot be run.
    """
    from lifeline.torture.campaign import quiet
    from lifeline.torture.catalogue import OUTAGES
    from lifeline.torture.outages import late, run_outages, untrue
    from lifeline.torture.outages_page import section
    from lifeline.torture.sections import with_section

    names = list(only or OUTAGES)
    if unknown := sorted(set(names) - set(OUTAGES)):
        raise typer.BadParameter(f"--only {unknown[0]}: there is {', '.join(OUTAGES)}")
    if markdown is not None and len(set(names)) < len(OUTAGES):
        raise typer.BadParameter("--markdown tells of all outages: leave out --only")
    screen = Console(stderr=True, highlight=False)
    with ending_by_signal() as stop, quiet():
        rows = run_outages(
            names, seed=seed, seconds=seconds, stop=stop, told=screen.print, keep=data
        )
    print(json.dumps(rows, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if stop.is_set():
        screen.print("stopped before its end: these are the figures of what was done")
    elif markdown is not None:
        text = markdown.read_text(encoding="utf-8")
        markdown.write_text(with_section(text, "outages", section(rows)), encoding="utf-8")
    broken = False
    for row in rows:
        outage = OUTAGES[row["outage"]]
        for said in [*untrue(row, outage), *late(row, outage)]:
            screen.print(f"{row['outage']}: {said}", style="bold red")
            broken = True
    if broken:
        raise typer.Exit(1)
