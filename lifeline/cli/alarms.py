"""``lifeline alarms …``: the ledger from a terminal; the page may run or not."""

from __future__ import annotations

import getpass
import json
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lifeline.cli import alarm_orders
from lifeline.cli.cap import cap
from lifeline.cli.explain_alarm import explain

app = typer.Typer(help="Alarms in the ledger.", no_args_is_help=True)

Where = Annotated[Path, typer.Argument(help="A city's folder or its data folder.")]
COLOURS = {1: "blue", 2: "yellow", 3: "dark_orange", 4: "red"}
NAMES = {0: "none", 1: "blue", 2: "yellow", 3: "orange", 4: "red"}


@app.command("list")
def list_alarms(
    folder: Where = Path(),
    *,
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    min_severity: Annotated[int, typer.Option(min=0, max=4, help="1 blue … 4 red.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List alarms, worst and newest first."""
    from lifeline.ledger.open import open_ledger

    ledger = open_ledger(folder)
    found = ledger.list(ended=None if everything else False, min_severity=min_severity, limit=limit)
    ledger.close()
    if as_json:
        rows = [
            asdict(alarm) | {"word": str(alarm.word), "simulation": marked}
            for alarm, marked in found
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "level", "state", "since", "rule", "where", "value", "acknowledged"):
        table.add_column(name)
    for alarm, simulated in found:
        level = NAMES[alarm.shown_severity]
        since = datetime.fromtimestamp(alarm.raised_ns / 1e9, UTC)
        table.add_row(
            alarm.alarm_id,
            f"[{COLOURS.get(alarm.shown_severity, 'default')}]{level}[/]",
            f"{alarm.word}{' · simulation' if simulated else ''}",
            f"{since:%Y-%m-%d %H:%M:%SZ}",
            alarm.rule,
            alarm.subject,
            "" if alarm.value is None else f"{alarm.value:g}",
            alarm.acked_by,
        )
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=200)  # for grep: a line each, whatever the width of nothing
    screen.print(table if found else "no open alarms")


@app.command("ack")
def acknowledge(
    alarm_id: Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")],
    folder: Where = Path(),
    *,
    by: Annotated[str, typer.Option(help="Who you are.")] = "",
    comment: Annotated[str, typer.Option(help="What you know about it.")] = "",
) -> None:
    """Acknowledge an alarm."""
    from lifeline.ledger.open import open_ledger

    ledger = open_ledger(folder)
    who = by or getpass.getuser()
    try:
        alarm = ledger.acknowledge(alarm_id, who, comment, None, f"cli-{uuid.uuid4()}")
    finally:
        ledger.close()
    print(f"{alarm.alarm_id}: acknowledged by {alarm.acked_by}")


app.command("explain")(explain)
for order in (
    alarm_orders.shelve,
    alarm_orders.unshelve,
    alarm_orders.comment,
    alarm_orders.assign,
    alarm_orders.classify,
    alarm_orders.truth,
):
    app.command(order.__name__)(order)
app.command("cap")(cap)
