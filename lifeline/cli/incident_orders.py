"""``lifeline incidents acknowledge|verify|…``: what people order of incidents.

By ``--server`` the running city's API does it, with the role and scope of the token's account;
otherwise the ledger in the folder is written, which needs its files and no login.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lifeline.cli.alarm_orders import By, Reach, command_id, signed_here
from lifeline.cli.city_api import CaFile, Server, TokenFile  # noqa: TC001 - typer reads them
from rules.incidents.flow import INCIDENT_CAUSES, ORDER_NAMES, STEPS, Kind

if TYPE_CHECKING:
    from rules.incidents.flow import Targets

Id = Annotated[str, typer.Argument(help="The id from `lifeline incidents list`.")]
Where = Annotated[Path, typer.Option("--in", help="A city's folder or its data folder.")]
Reason = Annotated[str, typer.Option(help="What there is to say of it.")]
Why = Annotated[str, typer.Option(help="Why.")]
Cause = Annotated[str, typer.Option(help=f"One of {', '.join(INCIDENT_CAUSES)}.")]
Seen = Annotated[
    int | None,
    typer.Option(
        "--seen", min=0, help="The seq you have seen; left out, the newest as the order is given."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the incident as JSON.")]
STEP_DOCS: Final = {
    Kind.ACKNOWLEDGE: "Take note of an incident, and of its alarms.",
    Kind.VERIFY: "Say that it is real: data, video or a call have shown it.",
    Kind.DISPATCH: "Send a crew.",
    Kind.ARRIVE: "The crew is on site.",
    Kind.MITIGATE: "The danger is under control.",
}


def targets_of(folder: Path) -> Targets:
    """Return the site's time limits; none beside a data folder alone."""
    from lifeline.settings.config import FILE_NAME, load_config

    if not (folder / FILE_NAME).is_file():
        return {}
    return load_config(folder).entry.incidents.targets()


def _give(
    reach: Reach, incident_id: str, kind: Kind, said: dict[str, str], *, seen: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Give an order one way or the other, and tell what became of the incident."""
    name, step = ORDER_NAMES[kind], kind in STEPS
    if reach.server:
        told = _by_server(reach, f"/api/incidents/{incident_id}", name, said, seen=seen, step=step)
    else:
        told = _here(reach, incident_id, kind, said, seen=seen)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print(f"{incident_id}: {name.replace('-', ' ')}; now {told['stage'].replace('_', ' ')}")


def _by_server(
    reach: Reach, path: str, name: str, said: dict[str, str], *, seen: int | None, step: bool
) -> dict[str, Any]:
    body: dict[str, Any] = {**said, "command": command_id()}
    body |= {"by": reach.by} if reach.by else reach.name()
    if step:
        newest = reach.api.get(path)["incident"]["seq"] if seen is None else seen
        body["expected_seq"] = newest
    told: dict[str, Any] = reach.api.post(f"{path}/{name}", body)["incident"]
    return told


def _here(
    reach: Reach, incident_id: str, kind: Kind, said: dict[str, str], *, seen: int | None
) -> dict[str, Any]:
    from lifeline.console.incident_view import incident_json
    from lifeline.ledger.incidents import Asked, Incidents
    from lifeline.ledger.open import open_ledger

    targets = targets_of(reach.folder)
    with closing(open_ledger(reach.folder)) as ledger:
        incidents = Incidents(ledger)
        signed = signed_here(ledger, reach.by, kind.value)
        newest = incidents.one(incident_id).handling.seq if seen is None else seen
        done = incidents.order(
            Asked(incident_id=incident_id, kind=kind, expected_seq=newest, **said, **signed)
        )
        return incident_json(done, None, now_ns=ledger.now_ns(), targets=targets)


def _step(kind: Kind) -> Any:
    def step(
        incident_id: Id,
        *,
        reason: Reason = "",
        by: By = "",
        seen: Seen = None,
        folder: Where = Path(),
        as_json: AsJson = False,
        server: Server = "",
        token_file: TokenFile = None,
        ca_file: CaFile = None,
    ) -> None:
        reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
        _give(reach, incident_id, kind, {"reason": reason}, seen=seen, as_json=as_json)

    return step


def close(
    incident_id: Id,
    *,
    cause: Cause,
    reason: Reason = "",
    by: By = "",
    seen: Seen = None,
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Close an incident with its cause; no alarm of it may stand."""
    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    said = {"cause": cause, "reason": reason}
    _give(reach, incident_id, Kind.CLOSE, said, seen=seen, as_json=as_json)


def false_alarm(
    incident_id: Id,
    *,
    cause: Cause,
    reason: Why,
    by: By = "",
    seen: Seen = None,
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Say that it is none, with the cause and why."""
    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    said = {"cause": cause, "reason": reason}
    _give(reach, incident_id, Kind.FALSE_ALARM, said, seen=seen, as_json=as_json)


def reopen(
    incident_id: Id,
    *,
    reason: Why,
    by: By = "",
    seen: Seen = None,
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Take up again what was closed."""
    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    _give(reach, incident_id, Kind.REOPEN, {"reason": reason}, seen=seen, as_json=as_json)


def _note(kind: Kind, meaning: str) -> Any:
    def note(
        incident_id: Id,
        text: str,
        *,
        by: By = "",
        folder: Where = Path(),
        as_json: AsJson = False,
        server: Server = "",
        token_file: TokenFile = None,
        ca_file: CaFile = None,
    ) -> None:
        reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
        said = {"to" if kind is Kind.ASSIGN else "reason": text}
        _give(reach, incident_id, kind, said, seen=None, as_json=as_json)

    note.__annotations__["text"] = Annotated[str, typer.Argument(help=meaning)]
    return note


def install(app: typer.Typer) -> None:
    """Add every order to the commands."""
    for kind, doc in STEP_DOCS.items():
        app.command(ORDER_NAMES[kind], help=doc)(_step(kind))
    for kind, order in (
        (Kind.CLOSE, close),
        (Kind.FALSE_ALARM, false_alarm),
        (Kind.REOPEN, reopen),
    ):
        app.command(ORDER_NAMES[kind])(order)
    for kind, doc, meaning in (
        (Kind.ASSIGN, "Say who looks after an incident.", "Who looks after it; '' nobody."),
        (Kind.COMMENT, "Write a note about an incident.", "What you know about it."),
        (
            Kind.HANDOVER,
            "Leave a note for who comes next; it stands until they acknowledge.",
            "What the next shift must know.",
        ),
    ):
        app.command(ORDER_NAMES[kind], help=doc)(_note(kind, meaning))
