"""Who comes in: logins, sessions and tokens, looked at anew with every request.

A session ends after ``idle_ns`` without a request (an open page asks all the time) and after
``longest_ns`` at latest. While the database does not answer, whoever was known a moment ago stays
known within these limits: the page must go on when the ledger cannot.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update

from lifeline import metrics
from lifeline.ledger import Unavailable
from lifeline.people import attempts, passwords
from lifeline.people.accounts import (
    Account,
    any_account,
    are_made,
    find,
    make_tables,
    scope_of,
)
from lifeline.people.audit import note
from lifeline.people.roles import Actor, Role
from lifeline.people.secrets_of_ours import csrf_of, digest, made
from lifeline.people.tables import ACCOUNT, SESSION, TOKEN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger import Ledger

HOUR_NS: Final = 3_600 * 10**9
TOUCH_NS: Final = 60 * 10**9  # a session's last request is written no more often than this
MOST_SESSIONS: Final = 20  # of one account; the oldest end
MOST_REMEMBERED: Final = 2_000
REMEMBERED_NS: Final = HOUR_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRules:
    """``[login]`` of city.toml."""

    required: bool = False  # also before there is an account: then nobody comes in
    idle_ns: int = HOUR_NS
    longest_ns: int = 12 * HOUR_NS


class WrongLogin(Exception):  # noqa: N818 - reads as what it says
    """No such account, another password, or disabled: one answer for all."""


class TooEarly(Exception):  # noqa: N818 - reads as what it says
    """Too many failures: the next try may come in ``wait_s``."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many failures; try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class Doorman:
    """Lets people in; every method may raise Unavailable."""

    def __init__(self, ledger: Ledger, rules: LoginRules) -> None:
        self._ledger = ledger
        self.rules = rules
        self._made = False  # are the tables there
        self._asked = self._any() or rules.required
        self._remembered: dict[str, tuple[Actor, int]] = {}  # by hash: and seen when
        self._lock = threading.Lock()

    @property
    def asks(self) -> bool:
        """Tell whether a login is required. Once it is, it stays so."""
        if not self._asked:
            try:
                self._asked = self._any()
            except Unavailable:  # there was no account a moment ago, and none can be made now
                return False
        return self._asked

    def _any(self) -> bool:
        """Tell whether there are accounts; where the tables cannot be made yet there are none."""
        if not self._made:
            try:
                make_tables(self._ledger)
            except Unavailable:
                return are_made(self._ledger) and any_account(self._ledger)
            self._made = True
        return any_account(self._ledger)

    def log_in(
        self, login: str, password: str, *, address: str, old: str = ""
    ) -> tuple[str, Actor]:
        """Return a new session's secret and its actor; the session of ``old`` ends.

        Raises
        ------
        WrongLogin, TooEarly
        lifeline.people.passwords.Busy
        """
        account = self.prove(login, password, address=address)
        wall_ns, kept = self._ledger.wall_ns(), account.password
        renewed = passwords.hashed(password) if passwords.is_old(kept) else ""
        secret, key = made()
        with self._ledger.write() as connection:
            held = find(connection, account.login)
            if held is None or held.disabled or held.password != kept:
                raise WrongLogin  # it was changed in between
            attempts.succeeded(connection, login, address)
            if renewed:
                where = ACCOUNT.c.login == held.login
                connection.execute(update(ACCOUNT).where(where).values(password=renewed))
            self._open(connection, held.login, key, address=address, old=old)
        return secret, self._actor(held, secret, key, wall_ns)

    def prove(self, login: str, password: str, *, address: str) -> Account:
        """Return the account whose password this is; failures are counted. Raises as log_in."""
        wall_ns = self._ledger.wall_ns()
        with self._ledger.read() as connection:
            early_ns = attempts.waits_ns(connection, login, address, wall_ns=wall_ns)
            account = find(connection, login)
        if early_ns:
            metrics.HTTP_REFUSED.labels("login early").inc()
            raise TooEarly(max(1.0, early_ns / 1e9))
        kept = account.password if account is not None and not account.disabled else ""
        if not passwords.fits(kept, password) or account is None:
            self._failed(login, address, known=account is not None)
            raise WrongLogin
        return account

    def _failed(self, login: str, address: str, *, known: bool) -> None:
        metrics.HTTP_REFUSED.labels("login").inc()
        wall_ns = self._ledger.wall_ns()
        with self._ledger.write() as connection:
            count = attempts.failed(connection, login, address, wall_ns=wall_ns)
            if count == attempts.LIMITS[0].free and known:
                note(
                    connection,
                    wall_ns=wall_ns,
                    actor="",
                    action="login-failed",
                    about=login.lower(),
                    address=address,
                    times=count,
                )

    def _open(
        self, connection: Connection, login: str, key: str, *, address: str, old: str
    ) -> None:
        wall_ns = self._ledger.wall_ns()
        ended = SESSION.c.made_wall_ns < wall_ns - self.rules.longest_ns
        idle = SESSION.c.seen_wall_ns < wall_ns - self.rules.idle_ns
        connection.execute(delete(SESSION).where(ended | idle | (SESSION.c.hash == digest(old))))
        query = select(SESSION.c.hash).where(SESSION.c.login == login)
        query = query.order_by(SESSION.c.made_wall_ns.desc()).offset(MOST_SESSIONS - 1)
        over = list(connection.execute(query).scalars())
        connection.execute(delete(SESSION).where(SESSION.c.hash.in_(over)))
        row: dict[str, Any] = {"hash": key, "login": login, "address": address[:64]}
        row |= {"made_wall_ns": wall_ns, "seen_wall_ns": wall_ns}
        connection.execute(insert(SESSION), [row])
        note(connection, wall_ns=wall_ns, actor=login, action="login", about=login, address=address)

    def _actor(self, account: Account, secret: str, key: str, made_wall_ns: int) -> Actor:
        return Actor(
            login=account.login,
            name=account.name,
            role=account.role,
            scopes=(account.scope,),
            ends_wall_ns=made_wall_ns + self.rules.longest_ns,
            csrf=csrf_of(secret),
            key=key,
        )

    def by_session(self, secret: str) -> Actor | None:
        """Return whose session it is, None where it is none any more."""
        key, wall_ns = digest(secret), self._ledger.wall_ns()
        try:
            with self._ledger.read() as connection:
                row = connection.execute(select(SESSION).where(SESSION.c.hash == key)).first()
                account = find(connection, row.login) if row is not None else None
        except Unavailable:
            return self._remember(key, wall_ns)
        if row is None or account is None or account.disabled:
            self._forget(key)
            return None
        if (
            wall_ns - row.seen_wall_ns > self.rules.idle_ns
            or wall_ns - row.made_wall_ns > self.rules.longest_ns
        ):
            self._forget(key)
            return None
        if wall_ns - row.seen_wall_ns > min(TOUCH_NS, self.rules.idle_ns // 4):
            self._touch(key, wall_ns)
        return self._known(self._actor(account, secret, key, row.made_wall_ns), wall_ns)

    def _touch(self, key: str, wall_ns: int) -> None:
        try:
            with self._ledger.write() as connection:
                where = SESSION.c.hash == key
                connection.execute(update(SESSION).where(where).values(seen_wall_ns=wall_ns))
        except Unavailable:  # counted there; it is written with a later request
            return

    def by_token(self, secret: str) -> Actor | None:
        """Return whose token it is, None where it is none, ended, or its account disabled."""
        key, wall_ns = digest(secret), self._ledger.wall_ns()
        try:
            with self._ledger.read() as connection:
                row = connection.execute(select(TOKEN).where(TOKEN.c.hash == key)).first()
                account = find(connection, row.login) if row is not None else None
        except Unavailable:
            return self._remember(key, wall_ns)
        if row is None or account is None or account.disabled or wall_ns >= row.ends_wall_ns:
            self._forget(key)
            return None
        actor = self._actor(account, "", key, 0)
        return self._known(
            replace(
                actor,
                role=min(account.role, Role.of(row.role)),
                scopes=(account.scope, scope_of(row.scope)),
                by="token",
                csrf="",
                ends_wall_ns=row.ends_wall_ns,
            ),
            wall_ns,
        )

    def log_out(self, actor: Actor, *, everywhere: bool) -> int:
        """End this session, or all of the account; return how many ended."""
        which = SESSION.c.login == actor.login if everywhere else SESSION.c.hash == actor.key
        wall_ns = self._ledger.wall_ns()
        with self._ledger.write() as connection:
            ended = connection.execute(delete(SESSION).where(which)).rowcount
            action = "logout-everywhere" if everywhere else "logout"
            note(connection, wall_ns=wall_ns, actor=actor.login, action=action, about=actor.login)
        self._forget(actor.key)
        return int(ended)

    # ── while the database does not answer ───────────────────────────────────────────────────

    def _known(self, actor: Actor, wall_ns: int) -> Actor:
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered.pop(actor.key, None)
            self._remembered[actor.key] = (actor, wall_ns)
        return actor

    def _forget(self, key: str) -> None:
        with self._lock:
            self._remembered.pop(key, None)

    def _remember(self, key: str, wall_ns: int) -> Actor | None:
        """Return who was known within the last hour; nobody known: the database must say.

        Raises
        ------
        Unavailable
        """
        with self._lock:
            actor, seen_ns = self._remembered.get(key, (None, 0))
        fresh = wall_ns - seen_ns < min(REMEMBERED_NS, self.rules.idle_ns)
        if actor is None or not fresh or wall_ns >= actor.ends_wall_ns:
            raise Unavailable("who you are cannot be looked up: the ledger does not answer")
        return actor
