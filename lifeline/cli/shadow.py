"""``lifeline rules shadow``: what rules on trial raised beside the live ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.backtest.episodes import Episode
    from lifeline.shadow.report import Pair

SHOWN = 5
HEADS = (
    *("on trial 试用规则", "beside 对照规则", "both 均报", "only trial 仅试用"),
    *("only live 仅对照", "higher 偏高", "lower 偏低"),
)


def shadow(
    folder: Annotated[Path, typer.Argument(help="A city's folder or its data folder.")] = Path(),
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder (FOLDER/data).")] = None,
    begin: Annotated[
        str, typer.Option("--from", help="Open at or after: 2026-09-01T00:00+08:00.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Open before.")] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every episode here as JSON.")
    ] = None,
) -> None:
    """Compare rules on trial (mode: shadow) with the live ones, by the event log."""
    from lifeline.cli.backtest import time_ns_of
    from lifeline.errors import Missing
    from lifeline.preflight import compiled, hashes_in_force
    from lifeline.shadow.report import compared, logged, pairs_of

    where = data or (folder / "data" if (folder / "data").is_dir() else folder)
    if not (where / "events").is_dir():
        raise Missing(f"{where}: holds no event log; has a city run here?")
    plan, _ = compiled(where, hashes_in_force(where))
    from_ns, to_ns = time_ns_of(begin, "--from", 0), time_ns_of(end, "--to", 2**62)
    pairs = compared(logged(where), pairs_of(plan), from_ns=from_ns, to_ns=to_ns)
    if json_file is not None:
        held: dict[str, Any] = {
            "from_ns": from_ns or None,
            "to_ns": to_ns if to_ns < 2**62 else None,
            "rules": [pair.to_json() for pair in pairs],
        }
        text = json.dumps(held, ensure_ascii=False, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=240)
    if not pairs:
        screen.print("no rule is on trial / 没有试用中的规则")
        return
    screen.print(_table(pairs))
    names = {level.severity: level.name for level in plan.levels}
    for pair in pairs:
        for line in _examples(pair, names):
            screen.print(line, markup=False)


def _table(pairs: list[Pair]) -> Table:
    from lifeline.shadow.report import counts

    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(HEADS):
        table.add_column(head, justify="left" if number < 2 else "right")
    for pair in pairs:
        n = counts(pair)
        figures = (n.both, n.only_shadow, n.only_active, n.higher, n.lower)
        table.add_row(pair.shadow, pair.active or "–", *map(str, figures))
    return table


def _examples(pair: Pair, names: dict[int, str]) -> Iterator[str]:
    for word, some in (
        (f"only {pair.shadow} 仅试用", pair.only_shadow),
        (f"only {pair.active} 仅对照", pair.only_active),
    ):
        for episode in some[-SHOWN:]:
            yield f"{word}: {_said(episode, names)}"
        if len(some) > SHOWN:
            yield f"{word}: {len(some) - SHOWN} more before; --json has them all"
    differing = [(trial, live) for trial, live in pair.both if trial.severity != live.severity]
    for trial, live in differing[-SHOWN:]:
        level = names.get(live.severity, live.severity)
        yield f"level differs 等级不同: {_said(trial, names)}, {pair.active} {level}"


def _said(episode: Episode, names: dict[int, str]) -> str:
    at = datetime.fromtimestamp(episode.raised_ns / 1e9, UTC)
    level = names.get(episode.severity, episode.severity)
    return f"{at:%Y-%m-%d %H:%M:%SZ} {episode.subject} {level}"
