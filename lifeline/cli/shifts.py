"""``lifeline hand-over …`` and ``lifeline proof-tests …``: of a running city, by its API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from lifeline.cli.alarm_orders import command_id
from lifeline.cli.city_api import CaFile, CityApi, Server, TokenFile

hand_over = typer.Typer(help="Hand a shift over, or take one over.", no_args_is_help=True)
proof_tests = typer.Typer(help="Proof tests of safety devices.", no_args_is_help=True)

By = Annotated[str, typer.Option(help="Who you are, in a city without accounts.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Id = Annotated[str, typer.Argument(help="The id from `lifeline hand-over list`.")]


def _api(server: str, token_file: Any, ca_file: Any) -> CityApi:
    if not server:
        raise typer.BadParameter("name the running city: https://…", param_hint="--server")
    return CityApi(server=server, token_file=token_file, ca_file=ca_file)


def _signed(by: str) -> dict[str, str]:
    return {"command": command_id()} | ({"by": by} if by else {})


def _told(held: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(held, ensure_ascii=False, indent=2))
        return
    at = datetime.fromtimestamp(held["offered_ms"] / 1e3, UTC)
    said = f"{held['id']}: {held['by']} → {held['to']}, {held['state']}; {held['shift']}"
    print(f"{said}, offered {at:%Y-%m-%d %H:%M:%SZ}: {held['note']}")


@hand_over.command("list")
def list_hand_overs(
    *,
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Tell the newest hand-overs, newest first."""
    held = _api(server, token_file, ca_file).get("/api/shift")["hand_overs"]
    if as_json:
        print(json.dumps(held, ensure_ascii=False, indent=2))
        return
    for each in held:
        _told(each, as_json=False)


@hand_over.command("offer")
def offer(
    to: Annotated[str, typer.Argument(help="Who takes over.")],
    note: Annotated[str, typer.Argument(help="What they have to know.")],
    *,
    by: By = "",
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Hand the shift over; who takes over confirms."""
    body = {"to": to, "note": note} | _signed(by)
    done = _api(server, token_file, ca_file).post("/api/hand-overs", body)
    _told(done["hand_over"], as_json=as_json)


@hand_over.command("take")
def take(
    name: Id,
    *,
    remark: Annotated[str, typer.Option(help="What there is to say to it.")] = "",
    by: By = "",
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Confirm a hand-over to yourself."""
    body = {"id": name, "remark": remark} | _signed(by)
    done = _api(server, token_file, ca_file).post("/api/hand-overs/take", body)
    _told(done["hand_over"], as_json=as_json)


@proof_tests.command("list")
def list_tests(
    *,
    due: Annotated[bool, typer.Option("--due", help="Only overdue and failed ones.")] = False,
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Tell which safety channels are to be tested, the worst first."""
    query = {"due": str(due).lower(), "limit": 5_000}
    told = _api(server, token_file, ca_file).get("/api/proof-tests", **query)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    print(f"{told['total']} to test: {told['overdue']} overdue, {told['failed']} FAILED")
    for each in told["tests"]:
        last, due_at = _day(each["last_ms"]), _day(each["due_ms"])
        by = f" by {each['by']}" if each["by"] else ""
        print(f"{each['state']:8} {each['channel']}  last {last}{by}, due {due_at} {each['note']}")


def _day(ms: int | None) -> str:
    return f"{datetime.fromtimestamp(ms / 1e3, UTC):%Y-%m-%d}" if ms else "never"


@proof_tests.command("record")
def record(
    channel: Annotated[str, typer.Argument(help="asset/sensor/channel.")],
    *,
    passed: Annotated[bool, typer.Option("--passed/--failed", help="Whether it answered.")],
    note: Annotated[str, typer.Option(help="What was seen; needed where it failed.")] = "",
    by: By = "",
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Note a proof test that was just made."""
    body = {"channel": channel, "passed": passed, "note": note} | _signed(by)
    test = _api(server, token_file, ca_file).post("/api/proof-tests", body)["test"]
    if as_json:
        print(json.dumps(test, ensure_ascii=False, indent=2))
    else:
        print(f"{test['channel']}: {'passed' if test['passed'] else 'FAILED'}, by {test['by']}")
