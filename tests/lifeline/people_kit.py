"""Accounts for tests: three firms' people in a ledger, and how they log in over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.ledger import Ledger
from lifeline.people.accounts import Accounts
from lifeline.people.roles import WHOLE_CITY, Role

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from lifeline.people.roles import Scope

PASSWORD = "horse battery staple 9"  # noqa: S105 - of accounts that tests make


def add(
    where: Path | Ledger, login: str, role: str = "operator", scope: Scope = WHOLE_CITY
) -> None:
    ledger = where if isinstance(where, Ledger) else Ledger(f"sqlite:///{where / 'ledger.sqlite'}")
    accounts = Accounts(ledger)
    accounts.add(login, role=Role.of(role), password=PASSWORD, actor="local:test", scope=scope)
    if ledger is not where:
        ledger.close()


def log_in(http: httpx.Client, login: str, password: str = PASSWORD) -> httpx.Response:
    """Log in; the client then has the cookie and shows the token with each order."""
    http.cookies.clear()
    origin = str(http.base_url).rstrip("/")
    http.headers["Origin"] = origin
    answer = http.post("/login", json={"login": login, "password": password})
    if answer.status_code == 200:
        http.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return answer
