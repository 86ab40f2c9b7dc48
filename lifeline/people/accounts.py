"""Accounts: who there is. Nobody is deleted, for the ledger names them; one is disabled."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, delete, insert, inspect, select, update

from lifeline.ledger import Refused
from lifeline.people import passwords
from lifeline.people.audit import note
from lifeline.people.roles import WHOLE_CITY, Role, Scope
from lifeline.people.tables import ACCOUNT, PEOPLE, SESSION

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger import Ledger

LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person, or one program that has tokens only."""

    login: str
    name: str
    role: Role
    scope: Scope
    disabled: bool
    made_wall_ns: int
    password: str = field(repr=False)  # the hash; "" = none: it comes in by tokens only

    def told(self) -> dict[str, Any]:
        """Return it as JSON, without the hash."""
        return {
            "login": self.login,
            "name": self.name,
            "role": self.role.word,
            **self.scope.told(),
            "disabled": self.disabled,
            "password": bool(self.password),
        }


def scope_of(text: str) -> Scope:
    """Return the scope that `Scope.told` wrote."""
    held = json.loads(text)
    return Scope(**{name: frozenset(held[name]) for name in ("domains", "districts", "owners")})


def scope_text(scope: Scope) -> str:
    """Return a scope as it is kept."""
    return json.dumps(scope.told(), ensure_ascii=False)


def are_made(ledger: Ledger) -> bool:
    """Tell whether all tables of people are in a ledger's database."""
    with ledger.read() as connection:
        return set(PEOPLE.tables) <= set(inspect(connection).get_table_names())


def make_tables(ledger: Ledger) -> None:
    """Make what tables are missing; nothing is written where all are there."""
    if not are_made(ledger):
        with ledger.write() as connection:
            PEOPLE.create_all(connection)


def any_account(ledger: Ledger) -> bool:
    """Tell whether there is an account, disabled ones too: a login once asked for stays."""
    with ledger.read() as connection:
        return connection.execute(select(ACCOUNT.c.login).limit(1)).first() is not None


def find(connection: Connection, login: str) -> Account | None:
    """Return an account by its login in any case."""
    row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.login == login.lower())).first()
    return None if row is None else _account(row)


def _account(row: Row[Any]) -> Account:
    return Account(
        login=row.login,
        name=row.name,
        role=Role.of(row.role),
        scope=scope_of(row.scope),
        disabled=bool(row.disabled),
        made_wall_ns=row.made_wall_ns,
        password=row.password,
    )


class Accounts:
    """The accounts of a ledger; ``actor`` everywhere is who orders, for the audit.

    Raises everywhere: Refused (what was asked for cannot be), Unavailable (the database).
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        make_tables(ledger)

    def all(self) -> list[Account]:
        """Return every account by its login."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(ACCOUNT).order_by(ACCOUNT.c.login)).all()
        return [_account(row) for row in rows]

    def get(self, login: str) -> Account:
        """Return one account."""
        with self._ledger.read() as connection:
            return _known(connection, login)

    def add(
        self,
        login: str,
        *,
        role: Role,
        password: str | None,
        actor: str,
        name: str = "",
        scope: Scope = WHOLE_CITY,
    ) -> Account:
        """Add an account; without a password it comes in by tokens only."""
        login = login.lower()
        if not LOGIN.fullmatch(login):
            remedy = "write a to z, 0 to 9, . _ -, at most 32, beginning with a letter or digit"
            raise Refused(f"login {login[:40]!r} is none", remedy=remedy)
        if password is not None:
            passwords.check_new(password, login=login)
        row = {
            "login": login,
            "name": name or login,
            "role": role.word,
            "scope": scope_text(scope),
            "password": "" if password is None else passwords.hashed(password),
            "disabled": False,
            "made_wall_ns": self._ledger.wall_ns(),
        }
        with self._ledger.write() as connection:
            if find(connection, login) is not None:
                said = f"there is an account {login!r}"
                raise Refused(said, remedy="take another login; a disabled one can be enabled")
            connection.execute(insert(ACCOUNT), [row])
            self._note(connection, actor, "added", login, role=role.word, **scope.told())
            return _known(connection, login)

    def change(
        self,
        login: str,
        *,
        actor: str,
        role: Role | None = None,
        scope: Scope | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change role, scope or whether it may come in; holds from its next request on."""
        changed: dict[str, Any] = {}
        said: dict[str, Any] = {}
        if role is not None:
            changed["role"] = said["role"] = role.word
        if scope is not None:
            changed["scope"] = scope_text(scope)
            said |= scope.told()
        if disabled is not None:
            changed["disabled"] = said["disabled"] = disabled
        if not changed:
            raise Refused("nothing to change", remedy="name a role or a scope")
        with self._ledger.write() as connection:
            held = _known(connection, login)
            where = ACCOUNT.c.login == held.login
            connection.execute(update(ACCOUNT).where(where).values(**changed))
            if disabled:
                _log_out(connection, held.login)
            self._note(connection, actor, "changed", held.login, **said)
            return _known(connection, login)

    def set_password(self, login: str, password: str, *, actor: str, keep: str = "") -> None:
        """Give another password; every session but ``keep`` ends, tokens stay."""
        with self._ledger.read() as connection:
            held = _known(connection, login)
        passwords.check_new(password, login=held.login)
        kept = passwords.hashed(password)
        with self._ledger.write() as connection:
            where = ACCOUNT.c.login == held.login
            connection.execute(update(ACCOUNT).where(where).values(password=kept))
            _log_out(connection, held.login, keep=keep)
            self._note(connection, actor, "password", held.login)

    def _note(
        self, connection: Connection, actor: str, action: str, about: str, **said: Any
    ) -> None:
        wall_ns = self._ledger.wall_ns()
        note(connection, wall_ns=wall_ns, actor=actor, action=action, about=about, **said)


def _known(connection: Connection, login: str) -> Account:
    held = find(connection, login)
    if held is None:
        said = f"there is no account {login[:40]!r}"
        raise Refused(said, remedy="`lifeline people list` names them")
    return held


def _log_out(connection: Connection, login: str, *, keep: str = "") -> None:
    connection.execute(delete(SESSION).where(SESSION.c.login == login, SESSION.c.hash != keep))
