"""Tokens for programs and the command line: hashed, of a role and scope, with an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select

from lifeline.ledger import Refused
from lifeline.people.accounts import find, make_tables, scope_of, scope_text
from lifeline.people.audit import note
from lifeline.people.roles import WHOLE_CITY, Role, Scope
from lifeline.people.secrets_of_ours import TOKEN_MARK, made
from lifeline.people.tables import TOKEN

if TYPE_CHECKING:
    from lifeline.ledger import Ledger

DAY_NS: Final = 86_400 * 10**9
LONGEST_NS: Final = 400 * DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token."""

    id: str  # the first figures of its hash
    login: str
    label: str
    role: Role
    scope: Scope
    made_wall_ns: int
    ends_wall_ns: int


class Tokens:
    """The tokens of a ledger's accounts."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        make_tables(ledger)

    def add(
        self,
        login: str,
        *,
        label: str,
        role: Role,
        for_ns: int,
        actor: str,
        scope: Scope = WHOLE_CITY,
    ) -> tuple[str, Token]:
        """Return a new token and what is kept of it; it is told this once.

        Raises
        ------
        Refused
            No such account, a role above the account's, or too long.
        """
        if not 0 < for_ns <= LONGEST_NS:
            said = f"a token for {for_ns / DAY_NS:g} days"
            raise Refused(said, remedy=f"give more than 0 and at most {LONGEST_NS // DAY_NS}")
        if not 1 <= len(label) <= 64:
            raise Refused(f"label {label[:70]!r}", remedy="say in 1 to 64 characters what for")
        secret, key = made(TOKEN_MARK)
        wall_ns = self._ledger.wall_ns()
        row: dict[str, Any] = {
            "hash": key,
            "login": login.lower(),
            "label": label,
            "role": role.word,
            "scope": scope_text(scope),
            "made_wall_ns": wall_ns,
            "ends_wall_ns": wall_ns + for_ns,
        }
        with self._ledger.write() as connection:
            account = find(connection, login)
            if account is None or account.disabled:
                said = f"there is no enabled account {login[:40]!r}"
                raise Refused(said, remedy="`lifeline people list` names them")
            if role > account.role:
                said = f"{account.login} is {account.role.word}, a token of it cannot be more"
                raise Refused(said, remedy=f"give --role {account.role.word} or less")
            connection.execute(delete(TOKEN).where(TOKEN.c.ends_wall_ns < wall_ns - LONGEST_NS))
            connection.execute(insert(TOKEN), [row])
            told = {"label": label, "token": key[:12], "role": role.word, **scope.told()}
            note(
                connection,
                wall_ns=wall_ns,
                actor=actor,
                action="token",
                about=account.login,
                **told,
            )
        return secret, _token(row)

    def all(self) -> list[Token]:
        """Return every token that is kept, ended ones too."""
        query = select(TOKEN).order_by(TOKEN.c.login, TOKEN.c.made_wall_ns)
        with self._ledger.read() as connection:
            return [_token(dict(row._mapping)) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name

    def revoke(self, token_id: str, *, actor: str) -> Token:
        """End a token now, by its id.

        Raises
        ------
        Refused
            There is none, or more than one begins so.
        """
        with self._ledger.write() as connection:
            where = TOKEN.c.hash.startswith(token_id, autoescape=True)
            rows = connection.execute(select(TOKEN).where(where)).all() if token_id else []
            if len(rows) != 1:
                said = f"{len(rows)} tokens have the id {token_id[:20]!r}"
                raise Refused(said, remedy="`lifeline people tokens` lists them")
            held = _token(dict(rows[0]._mapping))  # noqa: SLF001 - SQLAlchemy's public name
            connection.execute(delete(TOKEN).where(TOKEN.c.hash == rows[0].hash))
            told = {"label": held.label, "token": held.id}
            wall_ns = self._ledger.wall_ns()
            note(
                connection,
                wall_ns=wall_ns,
                actor=actor,
                action="token-revoked",
                about=held.login,
                **told,
            )
        return held


def _token(row: dict[str, Any]) -> Token:
    return Token(
        id=row["hash"][:12],
        login=row["login"],
        label=row["label"],
        role=Role.of(row["role"]),
        scope=scope_of(row["scope"]),
        made_wall_ns=row["made_wall_ns"],
        ends_wall_ns=row["ends_wall_ns"],
    )
