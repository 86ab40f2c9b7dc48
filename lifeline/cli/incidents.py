"""``lifeline incidents …``: incidents from a terminal; the page may run or not."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lifeline.cli import incident_orders
from lifeline.cli.alarms import COLOURS, NAMES
from lifeline.cli.city_api import CaFile, CityApi, Server, TokenFile
from lifeline.cli.incident_orders import AsJson, Id, Where, targets_of

app = typer.Typer(help="Incidents: alarms of one cause, handled as one.", no_args_is_help=True)


@app.command("list")
def list_incidents(
    folder: Annotated[Path, typer.Argument(help="A city's folder or its data folder.")] = Path(),
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 500,
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """List incidents, worst and newest first; by --server what your account sees."""
    if server:
        api = CityApi(server=server, token_file=token_file, ca_file=ca_file)
        told = [
            incident
            for over in ("false", "true")[: 1 + everything]
            for incident in api.get("/api/incidents", over=over, limit=min(limit, 5_000))[
                "incidents"
            ]
        ][:limit]
    else:
        told = _here(folder, everything=everything, limit=limit)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "level", "stage", "since", "alarms", "first out", "where", "with"):
        table.add_column(name)
    for each in told:
        level, words = each["severity"], each["words"]["en"]
        table.add_row(
            each["id"],
            f"[{COLOURS.get(level, 'default')}]{NAMES[level]}[/]",
            " · ".join(_marks(each)),
            _at(each["raised_ms"]),
            f"{each['members']}{'+' if each['partial'] else ''}",
            words["what"],
            words["place"],
            each["assigned_to"],
        )
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=220)  # for grep: a line each, whatever the width of nothing
    screen.print(table if told else "no open incidents")


def _here(folder: Path, *, everything: bool, limit: int) -> list[dict[str, Any]]:
    from lifeline.console.incident_view import incident_json
    from lifeline.ledger.incidents import Incidents
    from lifeline.ledger.open import open_ledger

    targets = targets_of(folder)
    with closing(open_ledger(folder)) as ledger:
        held = Incidents(ledger).list(over=None if everything else False, limit=limit)
        now_ns = ledger.now_ns()
    return [incident_json(each, None, now_ns=now_ns, targets=targets) for each in held]


def _marks(told: dict[str, Any]) -> list[str]:
    """Return the stage and what else there is to see at once."""
    late = [d["stage"] for d in told["dues"] if d["overdue"] and not d["met_ms"]]
    marks = [told["stage"].replace("_", " "), *(["news"] if told["news"] else [])]
    marks += [f"overdue: {stage.replace('_', ' ')}" for stage in late if told["overdue"]]
    return marks + (["simulation"] if told["simulation"] else [])


def _at(ms: int | None) -> str:
    return f"{datetime.fromtimestamp((ms or 0) / 1e3, UTC):%Y-%m-%d %H:%M:%SZ}"


@app.command("show")
def show(
    incident_id: Id,
    *,
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Show an incident: its alarms, whom it concerns, what happened."""
    if server:
        api = CityApi(server=server, token_file=token_file, ca_file=ca_file)
        told = api.get(f"/api/incidents/{incident_id}")
    else:
        told = _story_here(folder, incident_id)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    held = told["incident"]
    level = NAMES[held["severity"]]
    print(f"{incident_id}: {level}, {', '.join(_marks(held))} (seq {held['seq']})")
    for name in ("assigned_to", "handover", "cause", "reason"):
        if held[name]:
            print(f"  {name.replace('_', ' ')}: {held[name]}")
    if held["partial"]:
        print("  alarms of others belong to it too")
    for alarm in told["alarms"]:
        out = "  first out" if alarm["id"] == held["first_out"] else ""
        print(f"  alarm {alarm['id']} {alarm['rule']} {alarm['subject']} {alarm['word']}{out}")
    for line in (told["concern"] or {"says": {"en": []}})["says"]["en"]:
        print(f"  {line}")
    for event in told["events"]:
        said = " · ".join(str(event[k]) for k in ("alarm", "to", "cause", "reason") if event.get(k))
        print(f"  {_at(event['at_ms'])} {event['type']} {event['by']} {said}".rstrip())


def _story_here(folder: Path, incident_id: str) -> dict[str, Any]:
    """Return what the API would, from the ledger and the registry of the newest alarm's time."""
    from lifeline.console.incident_view import concern_json, incident_json, told_json
    from lifeline.console.sight import Sight
    from lifeline.errors import Missing
    from lifeline.explain.alarm import site_at
    from lifeline.ledger.incidents import Incidents
    from lifeline.ledger.open import open_ledger
    from lifeline.people.roles import ANYBODY

    targets = targets_of(folder)
    with closing(open_ledger(folder)) as ledger:
        incidents = Incidents(ledger)
        found, events = incidents.one(incident_id), incidents.events(incident_id)
        alarms = incidents.alarms([m.alarm_id for m in found.group.members])
        now_ns = ledger.now_ns()
    newest_ns = max(member.seen_ns for member in found.group.members)
    try:
        site = site_at(_data(folder), newest_ns)
    except Missing as error:
        print(f"no advice on isolation: {error}", file=sys.stderr)
        site = None
    return {
        "incident": incident_json(found, None, now_ns=now_ns, targets=targets),
        "alarms": [
            {"id": a.alarm_id, "rule": a.rule, "subject": a.subject, "word": a.word.value}
            for a in alarms.values()
        ],
        "events": [told_json(each) for each in events],
        "concern": concern_json(found, site, Sight(ANYBODY, site)),
    }


def _data(folder: Path) -> Path:
    data = folder / "data"
    return data if (data / "journal").is_dir() else folder


incident_orders.install(app)


@app.command("cap")
def cap(
    incident_id: Id,
    *,
    folder: Where = Path(),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here instead.")
    ] = None,
) -> None:
    """Write an incident as a CAP 1.2 message (XML); a simulated one is an Exercise."""
    from lifeline.explain.alarm import site_at
    from lifeline.ledger.incidents import Incidents
    from lifeline.ledger.open import open_ledger
    from lifeline.notify.cap import CapSender
    from lifeline.notify.cap_incident import incident_xml
    from lifeline.notify.outlets import cap_sender_of
    from lifeline.settings.config import FILE_NAME, load_config

    config = load_config(folder) if (folder / FILE_NAME).exists() else None
    with closing(open_ledger(folder)) as ledger:
        incidents = Incidents(ledger)
        found, events = incidents.one(incident_id), incidents.events(incident_id)
        alarms = incidents.alarms([m.alarm_id for m in found.group.members])
    newest_ns = max(member.seen_ns for member in found.group.members)
    raw = incident_xml(
        found,
        alarms,
        events,
        site_at(_data(folder), newest_ns),
        zone=config.entry.site.timezone if config is not None else "Asia/Shanghai",
        sender=cap_sender_of(config) if config is not None else CapSender(),
        web=config.page_url if config is not None else "",
    )
    if output is not None:
        output.write_bytes(raw)
    else:
        sys.stdout.buffer.write(raw)
