"""``lifeline alarms …``: the ledger from a terminal; the page may run or not."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lifeline.cli import alarm_orders
from lifeline.cli.cap import cap
from lifeline.cli.city_api import CaFile, CityApi, Server, TokenFile
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
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """List alarms, worst and newest first; by --server what your account sees."""
    from lifeline.ledger.open import open_ledger

    if server:
        api = CityApi(server=server, token_file=token_file, ca_file=ca_file)
        query = {"min_severity": min_severity, "limit": min(limit, 5_000)}
        told = [
            alarm
            for ended in ("false", "true")[: 1 + everything]
            for alarm in api.get("/api/alarms", ended=ended, **query)["alarms"]
        ]
        _listed(told[:limit], as_json=as_json)
        return

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
    _listed(
        [
            {
                "id": alarm.alarm_id,
                "severity": alarm.shown_severity,
                "word": alarm.word,
                "simulation": simulated,
                "raised_ms": alarm.raised_ns / 1e6,
                "rule": alarm.rule,
                "subject": alarm.subject,
                "value": alarm.value,
                "acked_by": alarm.acked_by,
            }
            for alarm, simulated in found
        ],
        as_json=False,
    )


def _listed(alarms: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print alarms as the API tells them."""
    if as_json:
        print(json.dumps(alarms, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "level", "state", "since", "rule", "where", "value", "acknowledged"):
        table.add_column(name)
    for alarm in alarms:
        severity, value = alarm["severity"], alarm["value"]
        since = datetime.fromtimestamp((alarm["raised_ms"] or 0) / 1e3, UTC)
        table.add_row(
            alarm["id"],
            f"[{COLOURS.get(severity, 'default')}]{NAMES[severity]}[/]",
            f"{alarm['word']}{' · simulation' if alarm['simulation'] else ''}",
            f"{since:%Y-%m-%d %H:%M:%SZ}",
            alarm["rule"],
            alarm["subject"],
            f"{value:g}" if isinstance(value, float | int) else value or "",
            alarm["acked_by"],
        )
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=200)  # for grep: a line each, whatever the width of nothing
    screen.print(table if alarms else "no open alarms")


@app.command("ack")
def acknowledge(
    alarm_id: Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")],
    folder: Where = Path(),
    *,
    by: alarm_orders.By = "",
    comment: Annotated[str, typer.Option(help="What you know about it.")] = "",
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Acknowledge an alarm."""
    reach = alarm_orders.Reach(
        folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file
    )
    body: dict[str, Any] = {"comment": comment}
    if server:
        body["expected_seq"] = reach.api.alarm(alarm_id)["seq"]
    done = reach.give(
        alarm_id,
        "ack",
        body,
        lambda ledger, signed: ledger.acknowledge(
            alarm_id, signed["by"], comment, None, signed["command"]
        ),
    )
    print(f"{done.alarm_id}: acknowledged by {done.acked_by}")


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
