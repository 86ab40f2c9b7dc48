"""``lifeline rules …``: what is wrong with rule files, and their tests, before they run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lifeline.cli.backtest import backtest
from lifeline.cli.explain import explain_rules
from lifeline.cli.false_alarms import false_alarms
from lifeline.cli.shadow import shadow
from lifeline.cli.suggest import suggest

if TYPE_CHECKING:
    from rules.problems import Problem

app = typer.Typer(help="Rule files.", no_args_is_help=True)


@app.command("check")
def check_rules(
    folder: Annotated[Path, typer.Argument(help="A folder of rules, or a city's folder.")],
    *,
    registry: Annotated[
        Path | None,
        typer.Option(help="A folder of registry files; found by itself in a city's folder."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the problems here, as JSON.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count: exit code 1.")] = False,
    history: Annotated[
        Path | None,
        typer.Option(help="A city's folder, recording or CSV: expected false alarms from it."),
    ] = None,
    max_false_per_day: Annotated[
        float | None,
        typer.Option(min=0, help="A rule expected to raise more false ones ends it with code 1."),
    ] = None,
    trial: Annotated[
        Path | None,
        typer.Option(
            "--shadow", help="A folder of rules on trial; in a city's folder, that of city.toml."
        ),
    ] = None,
) -> None:
    """Tell every problem of rule files, with file, line and column. Exit code 2 on errors."""
    from lifeline.errors import Missing
    from lifeline.settings.config import shadow_folder
    from lifeline.workbench.catalogue import maturity
    from rules.language import check, load_rules
    from rules.registry_file import load_registry

    rules_folder = folder / "rules" if (folder / "rules").is_dir() else folder
    if not rules_folder.exists():
        raise Missing(f"{rules_folder}: no such folder")
    beside = rules_folder.parent / "registry"
    found = registry or (beside if beside.is_dir() else None)
    today = datetime.now(UTC).date().isoformat()
    trial = trial or shadow_folder(rules_folder.parent)
    known = load_registry(found) if found else None
    problems = check(rules_folder, known, today=today, shadow=trial)
    errors = sum(1 for p in problems if p.severity == "error")
    over = 0
    if not errors and (known is not None or history is not None):
        told = false_alarms(rules_folder, known, found, history, budget=max_false_per_day)
        over, problems = told.over, sorted({*problems, *told.warnings})
        for line in told.lines:
            print(line)
    warnings = len(problems) - errors
    said = _tell(problems, json_file)
    against = f"against {found}" if found else "without a registry (--registry checks more)"
    said.print(f"{rules_folder}: {errors} errors, {warnings} warnings, {against}")
    if not errors:
        said.print(maturity(rule.body.status for rule in load_rules(rules_folder).rules))
    raise typer.Exit(2 if errors else int((strict and warnings > 0) or over > 0))


def _tell(problems: list[Problem], json_file: Path | None) -> Console:
    """Print problems, and write them as JSON; return where they were printed."""
    if json_file is not None:
        held = [problem.to_json() for problem in problems]
        text = json.dumps(held, ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    said = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        said.print(str(problem), markup=False)
    return said


@app.command("list")
def list_rules(
    folder: Annotated[Path, typer.Argument(help="A folder of rules, or a city's folder.")],
    *,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write a page of tables here.")
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Rules",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write it here, as JSON.")
    ] = None,
) -> None:
    """Tell of every rule how mature it is, where its limits come from, what to do."""
    from rich.table import Table

    from lifeline.errors import Missing
    from lifeline.workbench.catalogue import markdown, maturity, rows_of
    from rules.language import load_rules

    at = folder / "rules" if (folder / "rules").is_dir() else folder
    if not at.exists():
        raise Missing(f"{at}: no such folder")
    rules = load_rules(at, today=datetime.now(UTC).date().isoformat())
    rows = rows_of(rules)
    table = Table(box=None, pad_edge=False)
    for name in ("rule", "kind", "class", "status", "source", "runbook", "labels"):
        table.add_column(name)
    for row in rows:
        labels = " ".join(f"{name}={text}" for name, text in row["labels"].items())
        cells = (row["rule"], row["kind"], row["class"], row["status"], row["source"])
        table.add_row(*cells, row["runbook"], labels)
    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=200)
    screen.print(table)
    screen.print(maturity(row["status"] for row in rows))
    if markdown_file is not None:
        page = markdown(rules, title=title, folder=folder.as_posix())
        markdown_file.write_text(page, encoding="utf-8")
    if json_file is not None:
        text = json.dumps(rows, ensure_ascii=False, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")


@app.command("schema")
def schema(
    out: Annotated[
        Path | None, typer.Option("--out", "--json", help="Write it here instead of printing it.")
    ] = None,
    *,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the same as a page to read.")
    ] = None,
) -> None:
    """Give the JSON Schema of a rule file, for editors (yaml-language-server: $schema=…)."""
    from lifeline.workbench.reference import reference
    from rules.language.schema import rule_schema

    if markdown_file is not None:
        markdown_file.write_text(reference(), encoding="utf-8")
        return
    text = json.dumps(rule_schema(), ensure_ascii=False, indent=1)
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")


@app.command("test")
def run_tests(
    paths: Annotated[
        list[Path], typer.Argument(help="Test files, rule files with tests:, or their folders.")
    ],
    *,
    only: Annotated[str, typer.Option("-k", help="Only tests whose name holds this.")] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report here, as JSON.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", help="Write the report here, as JUnit XML.")
    ] = None,
    update_golden: Annotated[
        bool, typer.Option("--update-golden", help="Write the files of events: anew.")
    ] = False,
) -> None:
    """Run tests of rules. Exit code 1 if one fails, 2 if a file has errors."""
    from lifeline.workbench.junit import junit_xml
    from lifeline.workbench.rule_tests import as_json, run_suites, say

    screen = Console(highlight=False)
    report = run_suites(paths, only=only, update_golden=update_golden, screen=screen)
    say(report, screen)
    if json_file is not None:
        text = json.dumps(as_json(report), ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    if junit_file is not None:
        junit_file.write_bytes(junit_xml(report))
    raise typer.Exit(report.exit_code)


@app.command("new")
def new_rule(
    kind: Annotated[str, typer.Argument(help="threshold, rate, vote, …: docs/rules.md has all.")],
    *,
    out: Annotated[Path | None, typer.Option(help="The file to write (KIND.yaml).")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what was made here, as JSON.")
    ] = None,
) -> None:
    """Write a commented starter rule of a kind, with its tests."""
    from lifeline.workbench.starters import write_starter

    path = out or Path(f"{kind}.yaml")
    write_starter(kind, path)
    if json_file is not None:
        json_file.write_text(json.dumps({"kind": kind, "file": str(path)}) + "\n", encoding="utf-8")
    print(f"{path}: a rule and its tests; next: lifeline rules test {path}")


app.command("backtest")(backtest)
app.command("explain")(explain_rules)
app.command("suggest")(suggest)
app.command("shadow")(shadow)
