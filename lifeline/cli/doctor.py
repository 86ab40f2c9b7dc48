"""``lifeline doctor``: what is installed, reachable, writable, and how far each reader is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def doctor(
    folder: Annotated[
        Path | None, typer.Argument(help="A city's folder; without one only the installation.")
    ] = None,
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder (FOLDER/data).")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the findings here too.")
    ] = None,
) -> None:
    """Examine an installation and a city. Exit code 2 when something needs a person."""
    from lifeline.doctor import examine

    findings = examine(folder, data)
    table = Table(box=None, pad_edge=False)
    for name in ("", "what", "found", "remedy"):
        table.add_column(name)
    marks = {"ok": "[green]ok[/]", "note": "note", "trouble": "[red]trouble[/]"}
    for finding in findings:
        said = (finding.what, finding.found, finding.remedy)
        table.add_row(marks[finding.state], *map(escape, said))
    Console(soft_wrap=True, highlight=False).print(table)
    if json_file is not None:
        text = json.dumps([asdict(f) for f in findings], ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    raise typer.Exit(2 if any(f.state == "trouble" for f in findings) else 0)
