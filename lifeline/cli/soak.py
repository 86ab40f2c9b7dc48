"""``lifeline soak``: hours under a mix of all faults, a slice at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal


def soak(
    *,
    state: Annotated[Path, typer.Option(help="Slices done are kept here, and summed.")],
    minutes: Annotated[
        float, typer.Option(min=0.05, max=24 * 60, help="Of this slice, at real speed.")
    ] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the faults and what is sent.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the section of docs/reliability.md anew.")
    ] = None,
) -> None:
    """Run one more slice of the soak; tell of all slices: nothing lost, memory flat, no leak.

    A slice that is broken off by Ctrl-C ends early and counts. Ends with 1 where a promise is
    broken, with 2 where it cannot be run.
    """
    from lifeline.torture.campaign import quiet
    from lifeline.torture.sections import with_section
    from lifeline.torture.soak import soak as run_soak
    from lifeline.torture.soak import untrue
    from lifeline.torture.soak_page import section

    screen = Console(stderr=True, highlight=False)
    with ending_by_signal() as stop, quiet():
        total = run_soak(state, minutes=minutes, seed=seed, stop=stop, told=screen.print)
    print(json.dumps(total, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(total, indent=1) + "\n", encoding="utf-8")
    if markdown is not None:
        text = markdown.read_text(encoding="utf-8")
        body = section(total, seed=seed)
        markdown.write_text(with_section(text, "soak", body), encoding="utf-8")
    if said := untrue(total):
        screen.print(f"broken: {', '.join(said)}", style="bold red")
        raise typer.Exit(1)
