"""``lifeline scenario``: stories with ground truth, played into the rules and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeline.scenarios.files import Scenario
    from lifeline.scenarios.judge import Verdict

T = TypeVar("T")
NOT_AS_WANTED = 1  # exit code; what a person must mend is 2

app = typer.Typer(
    help="Scenarios: incidents and faults in a simulated city, the alarms they must raise and "
    "those they must not.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Names, files, folders; all is every shipped one.")
]
Rules = Annotated[Path | None, typer.Option(help="Rules to try; the shipped ones.")]
Seeds = Annotated[int, typer.Option(min=1, max=10_000, help="Variants of each, seeds 1 to N.")]
First = Annotated[int, typer.Option(min=1, help="The first seed.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all rows here.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with time lines here.")]


@app.command("list")
def list_(names: Names = None) -> None:
    """Tell which scenarios there are, with their incidents and faults."""
    from rich.table import Table

    from lifeline.scenarios.files import load_scenarios

    held = Table("name", "city", "incidents", "faults", "title", box=None)
    for one in load_scenarios(names or ()):
        entry = one.entry
        part = f" ({', '.join(entry.city.part)})" if entry.city.part else ""
        held.add_row(
            one.name,
            entry.city.profile + part,
            ", ".join(each.kind for each in entry.incidents) or "–",
            ", ".join(each.kind for each in entry.faults) or "–",
            f"{entry.title} {entry.title_zh}",
        )
    wide_screen().print(held)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Write a scenario to begin with: a gas leak beside a sensor that is stuck."""
    from lifeline.scenarios.starter import write_starter

    write_starter(file)
    print(f"{file}: change it, then: lifeline scenario run {file}")


@app.command("run")
def run(
    names: Names = None,
    *,
    rules: Rules = None,
    seeds: Seeds = 1,
    first_seed: First = 1,
    json_file: JsonFile = None,
    html: Html = None,
) -> None:
    """Play scenarios into the rules and judge the alarms; exit code 1 if one is not as wanted."""
    from lifeline.scenarios.files import load_scenarios
    from lifeline.scenarios.report import page, remarks, table

    room_to_write(json_file, html)
    found = load_scenarios(names or ())
    verdicts = played(found, rules, range(first_seed, first_seed + seeds))
    rows = [verdict.row() for verdict in verdicts]
    screen = wide_screen()
    screen.print(table(rows))
    for row in rows:
        for line in remarks(row):
            screen.print(line, markup=False)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    if html is not None:
        html.write_text(page(verdicts), encoding="utf-8")
    if not all(verdict.passed for verdict in verdicts):
        raise typer.Exit(NOT_AS_WANTED)


def played(
    scenarios: Sequence[Scenario], rules: Path | None, seeds: Sequence[int]
) -> list[Verdict]:
    """Play every variant, telling how far it is if this is a terminal."""
    from lifeline.scenarios.run import Bench
    from rules.language.loader import load_rules
    from simulators.recording import shipped_rules

    bench = Bench(load_rules(rules or shipped_rules()))
    return list(tracked(bench.play_all(scenarios, seeds), len(scenarios) * len(seeds)))


def tracked(runs: Iterable[T], total: int) -> Iterable[T]:
    """Return runs as they are, telling how far they are if this is a terminal."""
    from rich.progress import track

    screen = Console(stderr=True)
    return track(
        runs,
        description="playing",
        total=total,
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )


def wide_screen() -> Console:
    """Return where tables go: a file or pipe gets whole lines."""
    screen = Console(highlight=False, soft_wrap=True)
    return screen if screen.is_terminal else Console(highlight=False, soft_wrap=True, width=240)


def room_to_write(*paths: Path | None) -> None:
    """Refuse a file in a folder that is not there, before anything is played."""
    for path in filter(None, paths):
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"{path}: no such folder to write into")
