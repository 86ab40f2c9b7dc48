"""``lifeline people …``: accounts of the page and the API, on the machine that holds the ledger.

A password is asked for at the terminal, or comes in a file; never as an argument, where the list
of processes and the shell's history would hold it.
"""

from __future__ import annotations

import getpass
import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rules.durations import parse_duration

if TYPE_CHECKING:
    from lifeline.ledger import Ledger
    from lifeline.people.roles import Scope

app = typer.Typer(help="Accounts of the page and the API: docs/people.md.", no_args_is_help=True)


class RoleName(StrEnum):
    """As `lifeline.people.roles.Role`."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"


Login = Annotated[str, typer.Argument(help="The account's login.")]
Where = Annotated[Path, typer.Option("--in", help="A city's folder or its data folder.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="A file of one line that holds the password; left out, you are asked."),
]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", help="Only this lifeline (gas, water, …; system); may be repeated."),
]
Districts = Annotated[
    list[str] | None, typer.Option("--district", help="Only this district; may be repeated.")
]
Owners = Annotated[
    list[str] | None,
    typer.Option("--owner", help="Only assets of this company; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def _ledger(folder: Path) -> closing[Ledger]:
    from lifeline.ledger.open import open_or_make

    return closing(open_or_make(folder))


def _me() -> str:
    return f"local:{getpass.getuser()}"


def _scope(
    domains: list[str] | None, districts: list[str] | None, owners: list[str] | None
) -> Scope:
    from lifeline.people.roles import Scope

    return Scope(
        domains=frozenset(domains or ()),
        districts=frozenset(districts or ()),
        owners=frozenset(owners or ()),
    )


def _password(file: Path | None, login: str) -> str:
    """Return a password of a file's first line, or one typed twice.

    Raises
    ------
    Missing
        The file cannot be read, or there is neither a file nor a terminal.
    """
    from lifeline.errors import Missing

    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            said = f"{file}: cannot be read as text ({error}); write the password into it"
            raise Missing(said) from error
    if not sys.stdin.isatty():
        raise Missing("no terminal to ask for the password; name a file: --password-file")
    first = getpass.getpass(f"password of {login}: ")
    if getpass.getpass("again: ") != first:
        raise Missing("the two passwords differ; nothing was changed 两次输入不一致")
    return first


@app.command("add")
def add(
    login: Login,
    *,
    role: Annotated[RoleName, typer.Option(help="What it may do.")],
    name: Annotated[str, typer.Option(help="The person's or the program's name.")] = "",
    domains: Domains = None,
    districts: Districts = None,
    owners: Owners = None,
    password_file: PasswordFile = None,
    program: Annotated[
        bool, typer.Option("--program", help="No password: it comes in by tokens only.")
    ] = False,
    folder: Where = Path(),
) -> None:
    """Add an account. From the first one on the page asks everybody for a login."""
    from lifeline.people.accounts import Accounts, any_account
    from lifeline.people.roles import Role

    with _ledger(folder) as ledger:
        accounts = Accounts(ledger)
        first = not any_account(ledger)
        password = None if program else _password(password_file, login)
        made = accounts.add(
            login,
            role=Role.of(role.value),
            name=name,
            password=password,
            scope=_scope(domains, districts, owners),
            actor=_me(),
        )
    print(f"{made.login}: {made.role.word} added")
    if first:
        print("this is the first account: from now on page and API ask for a login 已启用登录")


@app.command("list")
def list_accounts(*, folder: Where = Path(), as_json: AsJson = False) -> None:
    """List accounts."""
    from lifeline.people.accounts import Accounts

    with _ledger(folder) as ledger:
        held = Accounts(ledger).all()
    if as_json:
        print(json.dumps([each.told() for each in held], ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("login", "name", "role", "domains", "districts", "owners", "state"):
        table.add_column(column)
    for each in held:
        scope = each.scope.told()
        state = "disabled" if each.disabled else "" if each.password else "tokens only"
        parts = (", ".join(scope[k]) or "all" for k in ("domains", "districts", "owners"))
        table.add_row(each.login, each.name, each.role.word, *parts, state)
    _screen().print(table if held else "no accounts: the page asks nobody for a login")


@app.command("role")
def change_role(
    login: Login,
    role: Annotated[RoleName | None, typer.Argument(help="What it may do from now on.")] = None,
    *,
    domains: Domains = None,
    districts: Districts = None,
    owners: Owners = None,
    whole_city: Annotated[bool, typer.Option("--whole-city", help="Of all assets.")] = False,
    folder: Where = Path(),
) -> None:
    """Give an account another role, another scope, or both; it holds at once."""
    from lifeline.people.accounts import Accounts
    from lifeline.people.roles import Role

    scope = _scope(domains, districts, owners)
    if whole_city and not scope.whole:
        raise typer.BadParameter("goes with no other scope", param_hint="--whole-city")
    with _ledger(folder) as ledger:
        held = Accounts(ledger).change(
            login,
            role=Role.of(role.value) if role else None,
            scope=scope if whole_city or not scope.whole else None,
            actor=_me(),
        )
    where = "the whole city" if held.scope.whole else json.dumps(held.scope.told())
    print(f"{held.login}: {held.role.word} of {where}")


@app.command("password")
def change_password(
    login: Login, *, password_file: PasswordFile = None, folder: Where = Path()
) -> None:
    """Give an account another password; its sessions end."""
    from lifeline.people.accounts import Accounts

    with _ledger(folder) as ledger:
        accounts = Accounts(ledger)
        accounts.get(login)
        accounts.set_password(login, _password(password_file, login), actor=_me())
    print(f"{login.lower()}: another password; its sessions have ended")


@app.command("disable")
def disable(
    login: Login,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let it in again.")] = False,
    folder: Where = Path(),
) -> None:
    """Keep an account out: its sessions end, its tokens no longer hold."""
    from lifeline.people.accounts import Accounts

    with _ledger(folder) as ledger:
        held = Accounts(ledger).change(login, disabled=not undo, actor=_me())
    print(f"{held.login}: {'disabled' if held.disabled else 'enabled'}")


@app.command("token")
def token(
    login: Login,
    *,
    label: Annotated[str, typer.Option(help="What it is for.")],
    out: Annotated[Path, typer.Option(help="The file to write it to, for you alone (0600).")],
    role: Annotated[RoleName, typer.Option(help="At most the account's.")] = RoleName.VIEWER,
    for_: Annotated[str, typer.Option("--for", help="How long, at most 400d.")] = "90d",
    domains: Domains = None,
    districts: Districts = None,
    owners: Owners = None,
    folder: Where = Path(),
) -> None:
    """Make a token for a program or the command line; only its hash is kept."""
    from lifeline.people.roles import Role
    from lifeline.people.tokens import Tokens
    from lifeline.private_files import write_private

    try:
        for_ns = parse_duration(for_)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    with _ledger(folder) as ledger:
        secret, made = Tokens(ledger).add(
            login,
            label=label,
            role=Role.of(role.value),
            scope=_scope(domains, districts, owners),
            for_ns=for_ns,
            actor=_me(),
        )
    write_private(out, f"{secret}\n".encode())
    print(
        f"{out}: token {made.id} of {made.login}, {made.role.word} until {_day(made.ends_wall_ns)}"
    )


@app.command("tokens")
def list_tokens(
    *,
    revoke: Annotated[str, typer.Option(help="End the token with this id now.")] = "",
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """List tokens, or end one."""
    from lifeline.people.tokens import Tokens

    with _ledger(folder) as ledger:
        tokens = Tokens(ledger)
        if revoke:
            gone = tokens.revoke(revoke, actor=_me())
            print(f"{gone.id}: token of {gone.login} ({gone.label}) holds no longer")
            return
        held = tokens.all()
    rows = [
        {
            "id": each.id,
            "login": each.login,
            "label": each.label,
            "role": each.role.word,
            **each.scope.told(),
            "until": _day(each.ends_wall_ns),
        }
        for each in held
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "login", "label", "role", "until"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(row[c]) for c in ("id", "login", "label", "role", "until")))
    _screen().print(table if rows else "no tokens")


@app.command("log")
def log(
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 200,
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Show who came in and what was done to accounts."""
    from lifeline.people.accounts import make_tables
    from lifeline.people.audit import lines

    with _ledger(folder) as ledger:
        make_tables(ledger)
        held = lines(ledger, limit=limit)
    for line in held:
        if as_json:
            print(json.dumps(line, ensure_ascii=False))
            continue
        at = datetime.fromtimestamp(line["at_ms"] / 1e3, UTC)
        said = json.dumps(line["said"], ensure_ascii=False) if line["said"] else ""
        who = line["actor"] or "nobody"
        print(f"{at:%Y-%m-%d %H:%M:%SZ}  {who}  {line['action']}  {line['about']}  {said}".rstrip())


def _day(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, UTC):%Y-%m-%d}"


def _screen() -> Console:
    screen = Console()
    return screen if screen.is_terminal else Console(width=200)
