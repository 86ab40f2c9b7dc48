"""``lifeline rules explain``: each value that holds on a channel, and where it was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rules.language.explain import Explained, Explanation, Meant, Place


def explain_rules(
    channel: Annotated[str, typer.Argument(help="An id: asset/sensor/channel.")],
    rule: Annotated[str | None, typer.Argument(help="Only this rule.")] = None,
    *,
    site: Annotated[
        Path, typer.Option(help="A city's folder, with registry/ and rules/.")
    ] = Path(),
    rules: Annotated[Path | None, typer.Option(help="A folder or file of rules.")] = None,
    registry: Annotated[Path | None, typer.Option(help="A folder of registry files.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything here as JSON.")
    ] = None,
) -> None:
    """Tell what holds on a channel, who said it where, and which rules do not match."""
    from lifeline.errors import Missing
    from lifeline.settings.config import shadow_folder
    from rules.language import load_rules
    from rules.language.explain import explain
    from rules.problems import nearest
    from rules.registry_file import load_registry

    rules_at, registry_at = rules or site / "rules", registry or site / "registry"
    for place, option in ((rules_at, "--rules"), (registry_at, "--registry")):
        if not place.exists():
            raise Missing(f"{place}: not there; give a city's folder with --site, or {option}")
    today = datetime.now(UTC).date().isoformat()
    loaded = load_rules(rules_at, today=today, shadow=shadow_folder(site))
    known = load_registry(registry_at)
    if channel not in known.channel_row:
        raise Missing(
            f"{channel}: no such channel in {registry_at}{nearest(channel, known.channels.id)}"
        )
    names = [held.id for held in loaded.rules]
    if rule is not None and rule not in names:
        raise Missing(f"{rule}: no such rule in {rules_at}{nearest(rule, names)}")
    found = explain(loaded, known, channel, rule)
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n")
    _show(found)


def _show(found: Explanation) -> None:
    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=240)
    for held in found.rules:
        side = "" if held.kind == "deadman" else (" above" if held.side > 0 else " below")
        trial = "" if held.mode == "live" else "  (shadow: told to nobody / 影子规则，不报警)"
        said = f"[bold]{held.rule}[/]  {held.kind}{side} on {held.subject}  {held.file}{trial}"
        screen.print(said)
        screen.print(_table(held))
    lines = [f"checked by {check}" for check in found.checks]
    lines += [f"joined with others by {rule}" for rule in found.across]
    lines += [f"override at {at} does not hold: {why}" for at, why in found.idle.items()]
    lines += [f"{rule} does not match: {why}" for rule, why in found.others.items()]
    for line in lines:
        screen.print(line, markup=False)


def _table(held: Explained) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("  key", "value", "said", "where", "by"):
        table.add_column(name)
    for meant in held.values:
        table.add_row(f"  {meant.key}", _value(meant), meant.said.text, meant.said.at, _by(meant))
    return table


def _value(meant: Meant) -> str:
    from lifeline.console.sentences import unit_word

    if meant.value is None:
        return ""
    value = f"{meant.value:.6g}" if isinstance(meant.value, float) else str(meant.value)
    return f"{value} {unit_word(meant.unit)}".strip()


def _by(meant: Meant) -> str:
    said: Place = meant.said
    until = f", until {said.until}" if said.until else ""
    reason = f" ({said.reason}{until})" if said.reason else ""
    beaten = "".join(f"; was {b.text} by {b.by} {b.at}" for b in meant.before)
    return f"{said.by}{reason}{beaten}"
