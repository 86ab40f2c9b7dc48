"""``lifeline score``: whether alarms can be trusted, in figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lifeline.cli.scenario import (
    First,
    Html,
    JsonFile,
    Rules,
    Seeds,
    played,
    room_to_write,
    tracked,
    wide_screen,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.scenarios.judge import Verdict


class _OrFile(TyperGroup):
    """``lifeline score FILE`` is ``lifeline score file FILE``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command; a file that is there is scored."""
        if args and args[0] not in self.commands and Path(args[0]).exists():
            args = ["file", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_OrFile,
    help="Score alarms against ground truth: events found, delay, false alarms, load on people.",
    no_args_is_help=True,
)
Operators = Annotated[int, typer.Option(min=1, help="How many share the alarms.")]
Markdown = Annotated[
    Path | None, typer.Option(help="Put the tables into this page, docs/detection.md.")
]


@app.command("scenarios")
def scenarios(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names, files, folders; all is every shipped one.")
    ] = None,
    *,
    rules: Rules = None,
    seeds: Seeds = 1,
    first_seed: First = 1,
    operators: Operators = 1,
    json_file: JsonFile = None,
    html: Html = None,
    markdown: Markdown = None,
) -> None:
    """Score scenarios over many seeds, kind by kind."""
    from lifeline.scenarios.files import load_scenarios

    room_to_write(json_file, html, markdown)
    wanted = load_scenarios(names or ())
    verdicts = played(wanted, rules, range(first_seed, first_seed + seeds))
    _tell("scenarios", verdicts, operators, json_file, html, markdown)


@app.command("quiet")
def quiet(
    *,
    profile: Annotated[str, typer.Option(help="demo, bozhou or hefei.")] = "bozhou",
    days: Annotated[int, typer.Option(min=1, max=366, help="Of city time.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the city's layout.")] = 5,
    rules: Rules = None,
    first_seed: First = 1,
    operators: Operators = 1,
    json_file: JsonFile = None,
    html: Html = None,
    markdown: Markdown = None,
) -> None:
    """Score quiet days with usual links and faults: nobody should be called, or almost."""
    from lifeline.scenarios.quiet import quiet_scenario

    room_to_write(json_file, html, markdown)
    verdicts = played([quiet_scenario(profile, seed=seed, days=days)], rules, [first_seed])
    _tell("quiet", verdicts, operators, json_file, html, markdown)


@app.command("reach")
def reach(
    *,
    rules: Rules = None,
    seeds: Seeds = 20,
    first_seed: First = 1000,
    json_file: JsonFile = None,
    markdown: Markdown = None,
) -> None:
    """Measure what is asked of alarms: how early, how small, where; told by size beside the aim."""
    from lifeline.scenarios.detection_page import reach_section
    from lifeline.scenarios.reach import aims, reach_scenarios

    room_to_write(json_file, markdown)
    verdicts = played(reach_scenarios(), rules, range(first_seed, first_seed + seeds))
    held = aims(verdicts)
    text = reach_section(held, seeds=seeds, first_seed=first_seed)
    _put("reach", text, [aim.to_json() for aim in held], json_file, markdown)


@app.command("modal")
def modal(
    *,
    rules: Rules = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Of city time that count.")] = 365,
    shift: Annotated[float, typer.Option(min=3, max=50, help="Per cent of the frequency.")] = 3.0,
    seed: Annotated[int, typer.Option(min=1, help="Of weather, noise and faults.")] = 1,
    json_file: JsonFile = None,
    markdown: Markdown = None,
) -> None:
    """Play a year of bridges: false alarms of natural frequencies, and how soon a shift is told."""
    from lifeline.scenarios.modal_year import modal_section, modal_year
    from rules.language.loader import load_rules
    from simulators.recording import shipped_rules

    room_to_write(json_file, markdown)
    held = modal_year(
        load_rules(rules or shipped_rules()), days=days, shift=shift / 100, seed=seed,
        tracked=lambda all_days: tracked(all_days, len(all_days)),
    )  # fmt: skip
    since = f" --seed {seed}" if seed != 1 else ""
    command = f"lifeline score modal --days {days} --shift {shift:g}{since}"
    text = modal_section(held, f"{command} --markdown docs/detection.md")
    _put("modal", text, held.to_json(), json_file, markdown)


@app.command("incidents")
def incidents(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names, files, folders; left out, every shipped one and pairs."),
    ] = None,
    *,
    rules: Rules = None,
    seeds: Seeds = 1,
    first_seed: First = 1,
    json_file: JsonFile = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Put the table into this page, docs/incidents.md.")
    ] = None,
) -> None:
    """Score grouping: one incident a cause, and no incident of two causes."""
    from lifeline.scenarios.files import load_scenarios
    from lifeline.scenarios.grouped import grouped, section, together
    from lifeline.scenarios.run import Bench
    from rules.language.loader import load_rules
    from simulators.recording import shipped_rules

    room_to_write(json_file, markdown)
    wanted = load_scenarios(names) if names else [*load_scenarios(()), *together()]
    bench = Bench(load_rules(rules or shipped_rules()))
    chosen = range(first_seed, first_seed + seeds)
    pairs = [(scenario, seed) for scenario in wanted for seed in chosen]
    runs = [grouped(bench, *pair) for pair in tracked(pairs, len(pairs))]
    page = f" --markdown {markdown}" if markdown is not None else ""
    since = f" --first-seed {first_seed}" if first_seed != 1 else ""
    text = section(runs, f"lifeline score incidents --seeds {seeds}{since}{page}")
    _put("incidents", text, [asdict(run) for run in runs], json_file, markdown)


@app.command("file")
def file(
    recording: Annotated[Path, typer.Argument(help="A recording that tells its own truth.")],
    *,
    rules: Rules = None,
    truth: Annotated[Path | None, typer.Option(help="Incidents: CSV or JSON Lines.")] = None,
    operators: Operators = 1,
    json_file: JsonFile = None,
) -> None:
    """Score a recording against its incidents, rule by rule."""
    from lifeline.scenarios.recorded import score_recording

    room_to_write(json_file)
    found, table = score_recording(recording, rules, truth, operators=operators)
    wide_screen().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def _tell(
    what: str,
    verdicts: Sequence[Verdict],
    operators: int,
    json_file: Path | None,
    html: Path | None,
    markdown: Path | None,
) -> None:
    from lifeline.scenarios.detection_page import section
    from lifeline.scenarios.report import page
    from lifeline.scenarios.score import by_rule, score

    held = score(verdicts, operators=operators)
    rules = by_rule(verdicts)
    text = section(what, held, rules if what == "quiet" else (), verdicts)
    told: dict[str, Any] = held.to_json()
    told["by_rule"] = [asdict(one) for one in rules]
    told["rows"] = [verdict.row() for verdict in verdicts]
    _put(what, text, told, json_file, markdown)
    if html is not None:
        html.write_text(page(verdicts), encoding="utf-8")


def _put(what: str, text: str, told: Any, json_file: Path | None, markdown: Path | None) -> None:
    """Print a section, write what it was made of, and put it into a page."""
    from lifeline.scenarios.detection_page import with_tables

    wide_screen().print(text, markup=False)
    if json_file is not None:
        json_file.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    if markdown is not None:
        old = markdown.read_text(encoding="utf-8")
        markdown.write_text(with_tables(old, what, text), encoding="utf-8")
