"""``lifeline rules …``: what is wrong with rule files, before they run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.backtest import backtest
from lifeline.cli.explain import explain_rules

app = typer.Typer(help="Rule files.", no_args_is_help=True)


@app.command("check")
def check_rules(
    folder: Annotated[Path, typer.Argument(help="A folder of rules, or a city's folder.")],
    *,
    registry: Annotated[
        Path | None,
        typer.Option(help="A folder of registry files; found by itself in a city's folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Tell every problem of rule files, with file, line and column. Exit code 2 on errors."""
    from lifeline.errors import Missing
    from rules.language import check
    from rules.registry_file import load_registry

    rules_folder = folder / "rules" if (folder / "rules").is_dir() else folder
    if not rules_folder.exists():
        raise Missing(f"{rules_folder}: no such folder")
    beside = rules_folder.parent / "registry"
    found = registry or (beside if beside.is_dir() else None)
    today = datetime.now(UTC).date().isoformat()
    problems = check(rules_folder, load_registry(found) if found else None, today=today)
    errors = sum(1 for p in problems if p.severity == "error")
    if as_json:
        print(json.dumps([p.to_json() for p in problems], ensure_ascii=False, indent=2))
    else:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        for problem in problems:
            said.print(str(problem), markup=False)
        against = f"against {found}" if found else "without a registry (--registry checks more)"
        said.print(f"{rules_folder}: {errors} errors, {len(problems) - errors} warnings, {against}")
    raise typer.Exit(2 if errors else 0)


app.command("backtest")(backtest)
app.command("explain")(explain_rules)
