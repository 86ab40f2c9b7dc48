"""``lifeline rules backtest``: rules tried on the past before they are trusted with the present."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifeline.backtest.sources import Given
    from lifeline.backtest.whole import Report

OVER_BUDGET = 1  # exit code; what a person must mend is 2

Rules = Annotated[
    Path | None,
    typer.Argument(help="A folder or file of rules, or a city's folder; the shipped ones."),
]
Registry = Annotated[
    Path | None, typer.Option(help="Registry files instead of the recorded registry.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", "--archive", help="A city's or data folder: archive, then journal."),
]
Recording = Annotated[Path | None, typer.Option(help="A recording: folder or .zip.")]
Csv = Annotated[
    list[Path] | None,
    typer.Option(help="A CSV's mapping, or an exported .csv, .parquet, .jsonl. May be repeated."),
]
Begin = Annotated[str, typer.Option("--from", help="Received from: 2026-09-01T00:00+08:00.")]
End = Annotated[str, typer.Option("--to", help="Received before.")]
Warmup = Annotated[str, typer.Option(help="Let the engine begin so long before --from: 30d.")]
Truth = Annotated[
    Path | None,
    typer.Option(help="Incidents: CSV, JSON Lines, or a city's folder; a recording's own."),
]
Against = Annotated[str, typer.Option(help="Other rules: a folder, or a Git revision.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with pictures here.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write everything here as JSON.")]
Events = Annotated[Path | None, typer.Option(help="Write the event log here, JSONL.")]
Budget = Annotated[float | None, typer.Option(help="More alarms end it with code 1.")]
Operators = Annotated[int, typer.Option(min=1, help="How many share the alarms.")]


def backtest(
    rules: Rules = None,
    *,
    registry: Registry = None,
    data: Data = None,
    recording: Recording = None,
    csv: Csv = None,
    begin: Begin = "",
    end: End = "",
    warmup: Warmup = "",
    truth: Truth = None,
    against: Against = "",
    html: Html = None,
    json_file: Json = None,
    events: Events = None,
    max_per_op_day: Budget = None,
    operators: Operators = 1,
) -> None:
    """Run rules over what was recorded: the same engine, and what it would have said."""
    from lifeline.backtest.sources import opened
    from lifeline.backtest.versions import other_rules, rules_of
    from lifeline.backtest.whole import Ask, back_test

    given = source_options(data, recording, csv)
    for path in filter(None, (html, json_file, events)):
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"{path}: no such folder to write into")
    from_ns, to_ns = time_ns_of(begin, "--from", 0), time_ns_of(end, "--to", 2**62)
    with ExitStack() as stack:
        source = stack.enter_context(opened(**given, registry=registry, from_ns=from_ns))
        chosen, today = rules or source.rules, datetime.now(UTC).date().isoformat()
        ask = Ask(
            rules=rules_of(chosen, today=today),
            other=other_rules(against, chosen, today=today) if against else None,
            from_ns=from_ns,
            to_ns=to_ns,
            warmup_ns=warmup_ns_of(warmup),
            truth=truth,
            operators=operators,
            lines=stack.enter_context(events.open("wb")) if events else None,
            tell=stack.enter_context(_progress(source.rows)),
        )
        report = back_test(source, ask)
    _tell(report, against, json_file=json_file, html=html)
    _keep_budget(report, max_per_op_day)


def _tell(report: Report, against: str, *, json_file: Path | None, html: Path | None) -> None:
    from lifeline.backtest.html import page
    from lifeline.backtest.report import remarks, table

    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=240)
    screen.print(table(report, against=against))
    for line in remarks(report):
        screen.print(line, markup=False)
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_json(), ensure_ascii=False, indent=1) + "\n")
    if html is not None:
        html.write_text(page(report, against=against), encoding="utf-8")


def source_options(data: Path | None, recording: Path | None, csv: list[Path] | None) -> Given:
    """Return the one source that was named, as ``opened`` takes it."""
    if sum(bool(where) for where in (data, recording, csv)) != 1:
        raise typer.BadParameter("give one of --data, --recording, --csv")
    return {"data": data, "recording": recording, "csv": tuple(csv or ())}


def warmup_ns_of(text: str) -> int:
    """Return what --warmup says."""
    from rules.durations import parse_duration

    try:
        return parse_duration(text) if text else 0
    except ValueError as error:
        raise typer.BadParameter(f"--warmup: {error}") from error


def _keep_budget(report: Report, most: float | None) -> None:
    had = report.total.per_op_day
    if most is not None and had > most:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        said.print(f"{had:.2f} alarms an operator and day: more than the {most:g} allowed")
        raise typer.Exit(OVER_BUDGET)


def time_ns_of(text: str, what: str, default: int) -> int:
    """Return what --from or --to says, or the default where it is not given."""
    from lifeline.backtest import truth

    try:
        return truth.time_ns(text, what) if text else default
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int, int], None]]:
    """Give what tells rows done and city time, shown while it runs if this is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("reading", total=rows or None)

        def tell(done: int, time_ns: int) -> None:
            at = datetime.fromtimestamp(time_ns / 1e9, UTC)
            bar.update(task, completed=done, description=f"{at:%Y-%m-%d %H:%M} {done:,} rows")

        yield tell
