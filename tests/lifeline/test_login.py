"""Accounts, sessions and tokens in the ledger's database, without a page."""

from __future__ import annotations

import sqlite3
import statistics
import time

import pytest

from lifeline.ledger import Ledger, Refused, Unavailable
from lifeline.people import attempts, passwords
from lifeline.people.accounts import Accounts
from lifeline.people.audit import lines
from lifeline.people.doorman import Doorman, LoginRules, TooEarly, WrongLogin
from lifeline.people.roles import SYSTEM, Role, Scope
from lifeline.people.tokens import DAY_NS, Tokens
from tests.lifeline.people_kit import PASSWORD, add
from tests.postgresql import postgresql

SECOND = 10**9
HOUR = 3_600 * SECOND
HERE = "192.0.2.7"


class Wall:
    """A person's time, moved by hand."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def ledger(tmp_path, wall):
    held = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", wait_s=0.3, wall_ns=wall)
    yield held
    held.close()


def doorman(ledger, **rules) -> Doorman:
    return Doorman(ledger, LoginRules(**rules))


def test_a_ledger_from_before_there_were_accounts_gets_their_tables(tmp_path, ledger):
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        query = "select name from sqlite_master where type = 'table'"
        assert ("account",) not in connection.execute(query).fetchall()
        assert not doorman(ledger).asks
        assert ("account",) in connection.execute(query).fetchall()


def test_a_ledger_that_cannot_be_written_at_the_start_asks_nobody_until_there_are_accounts(ledger):
    with sqlite3.connect(ledger.url.removeprefix("sqlite:///")) as busy:
        busy.isolation_level = None
        busy.execute("begin immediate")
        door = doorman(ledger)
        assert not door.asks
        busy.execute("rollback")
    add(ledger, "li")
    assert door.asks


def test_only_a_hash_of_passwords_sessions_and_tokens_is_kept(tmp_path, ledger):
    add(ledger, "li")
    session, _ = doorman(ledger).log_in("li", PASSWORD, address=HERE)
    how = {"label": "cli", "role": Role.VIEWER, "for_ns": DAY_NS, "actor": "local:x"}
    token, _ = Tokens(ledger).add("li", **how)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in kept
    for secret in (PASSWORD, session, token):
        assert secret.encode() not in kept
    assert len(session) == 43, "256 bits"


def test_a_session_is_its_persons_until_it_idles_or_has_lasted_long_enough(ledger, wall):
    add(ledger, "Li")
    door = doorman(ledger, idle_ns=HOUR, longest_ns=10 * HOUR)
    session, actor = door.log_in("LI", PASSWORD, address=HERE)
    assert (actor.login, actor.role) == ("li", Role.OPERATOR)
    assert door.by_session("x" * 43) is None
    for _ in range(12):  # asked every 50 min it lasts, until ten hours are over
        wall.ns += 50 * 60 * SECOND
        found = door.by_session(session)
        assert (found is not None) == (wall.ns <= actor.ends_wall_ns)
    session, _ = door.log_in("li", PASSWORD, address=HERE)
    wall.ns += HOUR + 1
    assert door.by_session(session) is None


def test_a_login_gives_another_session_and_ends_the_one_it_replaces(ledger):
    add(ledger, "li")
    door = doorman(ledger)
    first, _ = door.log_in("li", PASSWORD, address=HERE)
    second, _ = door.log_in("li", PASSWORD, address=HERE, old=first)
    assert first != second
    assert door.by_session(first) is None
    assert door.by_session(second) is not None


def test_logout_ends_one_session_and_logout_everywhere_all_of_the_account_alone(ledger):
    add(ledger, "li")
    add(ledger, "wang")
    door = doorman(ledger)
    mine = [door.log_in("li", PASSWORD, address=HERE) for _ in range(3)]
    other, _ = door.log_in("wang", PASSWORD, address=HERE)
    assert door.log_out(mine[0][1], everywhere=False) == 1
    assert [door.by_session(s) is None for s, _ in mine] == [True, False, False]
    assert door.log_out(mine[1][1], everywhere=True) == 2
    assert all(door.by_session(s) is None for s, _ in mine)
    assert door.by_session(other) is not None


def test_who_is_disabled_or_has_another_password_is_out_at_once(ledger):
    add(ledger, "li")
    door, accounts = doorman(ledger), Accounts(ledger)
    how = {"label": "cli", "role": Role.OPERATOR, "for_ns": DAY_NS, "actor": "local:x"}
    token, _ = Tokens(ledger).add("li", **how)
    session, _ = door.log_in("li", PASSWORD, address=HERE)
    accounts.set_password("li", "quite another one 7", actor="local:x")
    assert door.by_session(session) is None
    session, _ = door.log_in("li", "quite another one 7", address=HERE)
    accounts.change("li", disabled=True, actor="local:x")
    assert door.by_session(session) is None
    assert door.by_token(token) is None
    with pytest.raises(WrongLogin):
        door.log_in("li", "quite another one 7", address=HERE)
    accounts.change("li", disabled=False, actor="local:x")
    assert door.by_session(session) is None, "it ended; enabling brings none back"


def test_another_role_or_scope_holds_from_the_next_request_on(ledger):
    add(ledger, "li")
    door = doorman(ledger)
    session, _ = door.log_in("li", PASSWORD, address=HERE)
    scope = Scope(owners=frozenset({"gas-firm"}))
    Accounts(ledger).change("li", role=Role.VIEWER, scope=scope, actor="local:x")
    found = door.by_session(session)
    assert found.role is Role.VIEWER
    assert not found.whole
    assert found.holds(domain="gas", district="", owner="gas-firm")
    assert not found.holds(domain="gas", district="", owner="")


def test_failures_cost_time_by_login_and_address_and_are_counted_over_a_restart(ledger, wall):
    add(ledger, "li")
    add(ledger, "wang")
    for n in range(5):
        with pytest.raises(WrongLogin):
            doorman(ledger).log_in("li", f"wrong {n}", address=HERE)
    with pytest.raises(TooEarly) as early:
        doorman(ledger).log_in("li", PASSWORD, address=HERE)
    assert early.value.wait_s == 1.0
    doorman(ledger).log_in("wang", PASSWORD, address=HERE)  # others of that address
    doorman(ledger).log_in("li", PASSWORD, address="192.0.2.8")  # and the person from elsewhere
    waits = []
    for n in range(12):
        wall.ns += 3_600 * SECOND // 4
        with pytest.raises(WrongLogin):
            doorman(ledger).log_in("li", f"wrong {n}", address=HERE)
        with pytest.raises(TooEarly) as early:
            doorman(ledger).log_in("li", PASSWORD, address=HERE)
        waits.append(early.value.wait_s)
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == 900
    wall.ns += 901 * SECOND
    doorman(ledger).log_in("li", PASSWORD, address=HERE)
    with pytest.raises(WrongLogin):
        doorman(ledger).log_in("li", "wrong", address=HERE)  # it counts from the start again


def test_one_address_that_tries_many_logins_waits_and_so_does_its_ipv6_network(ledger):
    door = doorman(ledger)
    for n in range(30):
        with pytest.raises(WrongLogin):
            door.log_in(f"guess{n}", "wrong wrong wrong", address=f"2001:db8::{n + 1:x}")
    with pytest.raises(TooEarly):
        door.log_in("another", "wrong wrong wrong", address="2001:db8::ffff")
    with pytest.raises(WrongLogin):
        door.log_in("another", "wrong wrong wrong", address="2001:db8:0:1::1")


def test_what_is_counted_is_bounded_and_forgotten(ledger, wall, monkeypatch):
    monkeypatch.setattr(attempts, "MOST_KEPT", 30)
    Accounts(ledger)  # makes the tables
    for n in range(60):
        wall.ns += 1
        with ledger.write() as connection:
            attempts.failed(connection, f"l{n}", f"192.0.2.{n}", wall_ns=wall.ns)
    with sqlite3.connect(ledger.url.removeprefix("sqlite:///")) as connection:
        (held,) = connection.execute("select count(*) from login_attempt").fetchone()
        assert 20 < held <= 33
    wall.ns += attempts.FORGET_NS + 1
    with ledger.write() as connection:
        attempts.failed(connection, "z", HERE, wall_ns=wall.ns)
    with sqlite3.connect(ledger.url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("select count(*) from login_attempt").fetchone() == (3,)


def test_nobody_learns_from_the_time_whether_there_is_an_account(ledger):
    add(ledger, "li")
    door = doorman(ledger)
    passwords.fits("", "warm")
    took: dict[str, list[float]] = {"li": [], "nobody": []}
    for n in range(12):
        for login, times in took.items():
            begin = time.process_time()
            with pytest.raises(WrongLogin):
                door.log_in(login, "wrong wrong wrong", address=f"198.51.100.{n}")
            times.append(time.process_time() - begin)
    known, unknown = (statistics.median(times) for times in took.values())
    assert 0.5 < known / unknown < 2


def test_a_password_hashed_with_less_is_hashed_anew_at_the_next_login(ledger):
    add(ledger, "li")
    old = passwords.PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    with sqlite3.connect(ledger.url.removeprefix("sqlite:///")) as connection:
        connection.execute("update account set password = ?", (old,))
    assert passwords.is_old(old)
    doorman(ledger).log_in("li", PASSWORD, address=HERE)
    kept = Accounts(ledger).get("li").password
    assert not passwords.is_old(kept)
    doorman(ledger).log_in("li", PASSWORD, address=HERE)
    assert Accounts(ledger).get("li").password == kept


@pytest.mark.parametrize(
    "bad", ["short", "x" * 257, "aaaaaaaaaaaaaaa", "my name is li.wei", "LI.WEI 1234567"]
)
def test_a_weak_password_is_refused_and_not_repeated(ledger, bad):
    with pytest.raises(Refused) as refused:
        Accounts(ledger).add("li.wei", role=Role.VIEWER, password=bad, actor="local:x")
    assert bad not in f"{refused.value} {refused.value.remedy}"
    assert refused.value.remedy
    assert Accounts(ledger).all() == []


@pytest.mark.parametrize("bad", ["", "a b", "ü", "x" * 33, "-a", "../x", "a@b"])
def test_a_login_that_is_none_is_refused(ledger, bad):
    with pytest.raises(Refused, match="login"):
        Accounts(ledger).add(bad, role=Role.VIEWER, password=PASSWORD, actor="local:x")


def test_a_login_is_one_person_in_any_case(ledger):
    add(ledger, "li")
    with pytest.raises(Refused, match="there is an account"):
        Accounts(ledger).add("LI", role=Role.VIEWER, password=PASSWORD, actor="local:x")


def test_a_token_has_a_role_a_scope_and_an_end_and_never_more_than_its_account(ledger, wall):
    add(ledger, "li", "operator", Scope(domains=frozenset({"gas", "heat"})))
    tokens, door = Tokens(ledger), doorman(ledger)
    narrow = Scope(domains=frozenset({"gas", "bridge"}))
    how = {"label": "board", "for_ns": 30 * DAY_NS, "actor": "local:x"}
    token, kept = tokens.add("li", role=Role.VIEWER, scope=narrow, **how)
    found = door.by_token(token)
    assert (found.role, found.by) == (Role.VIEWER, "token")
    sees = [d for d in ("gas", "heat", "bridge") if found.holds(domain=d, district="", owner="")]
    assert sees == ["gas"], "both scopes hold"
    with pytest.raises(Refused, match="cannot be more"):
        tokens.add("li", role=Role.ENGINEER, **how)
    Accounts(ledger).change("li", scope=Scope(domains=frozenset({"heat"})), actor="local:x")
    assert not door.by_token(token).holds(domain="gas", district="", owner="")
    wall.ns += 30 * DAY_NS
    assert door.by_token(token) is None
    other, kept = tokens.add("li", role=Role.VIEWER, **how)
    assert tokens.revoke(kept.id, actor="local:x").label == "board"
    assert door.by_token(other) is None
    with pytest.raises(Refused, match="0 tokens"):
        tokens.revoke(kept.id, actor="local:x")
    for days in (0, 401):
        with pytest.raises(Refused, match="days"):
            tokens.add("li", role=Role.VIEWER, **how | {"for_ns": days * DAY_NS})


def test_who_was_known_stays_known_while_the_database_does_not_answer(ledger, wall, monkeypatch):
    add(ledger, "li")
    door = doorman(ledger, idle_ns=HOUR)
    session, _ = door.log_in("li", PASSWORD, address=HERE)
    unseen, _ = doorman(ledger).log_in("li", PASSWORD, address=HERE)
    door.by_session(session)

    def gone():
        raise Unavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "read", gone)
        assert door.by_session(session).login == "li"
        with pytest.raises(Unavailable):
            door.by_session(unseen)
        assert door.asks, "what was asked for once is asked for still"
        wall.ns += HOUR + 1
        with pytest.raises(Unavailable):
            door.by_session(session)


def test_a_login_that_is_required_is_so_before_there_is_an_account_and_after(ledger):
    assert doorman(ledger, required=True).asks
    door = doorman(ledger)
    assert not door.asks
    add(ledger, "li")
    assert door.asks, "at once, without a restart"
    Accounts(ledger).change("li", disabled=True, actor="local:x")
    assert doorman(ledger).asks, "a disabled account is one"


def test_every_change_stands_in_the_ledger_with_its_actor(ledger):
    add(ledger, "li")
    accounts, door = Accounts(ledger), doorman(ledger)
    accounts.change("li", role=Role.ENGINEER, actor="local:root")
    _, actor = door.log_in("li", PASSWORD, address=HERE)
    accounts.set_password("li", "quite another one 7", actor="local:root")
    door.log_out(actor, everywhere=True)
    told = [(line["actor"], line["action"], line["about"]) for line in lines(ledger)]
    assert told == [
        ("local:test", "added", "li"),
        ("local:root", "changed", "li"),
        ("li", "login", "li"),
        ("local:root", "password", "li"),
        ("li", "logout-everywhere", "li"),
    ]
    assert PASSWORD not in str(lines(ledger))


def test_a_scope_asks_for_all_it_names_and_the_system_is_a_domain():
    firm = Scope(domains=frozenset({"gas"}), owners=frozenset({"firm"}))
    assert firm.holds(domain="gas", district="x", owner="firm")
    assert not firm.holds(domain="gas", district="x", owner="other")
    assert not firm.holds(domain="heat", district="x", owner="firm")
    assert not firm.system
    assert Scope(domains=frozenset({SYSTEM})).system
    assert Scope().system


@pytest.mark.real
def test_postgresql_holds_accounts_as_sqlite_does(tmp_path):
    with postgresql(tmp_path) as url:
        ledger = Ledger(url.replace("postgresql://", "postgresql+psycopg://"))
        add(ledger, "li")
        door = doorman(ledger)
        session, actor = door.log_in("li", PASSWORD, address=HERE)
        assert door.by_session(session).login == "li"
        with pytest.raises(WrongLogin):
            door.log_in("li", "wrong wrong wrong", address=HERE)
        how = {"label": "x", "role": Role.VIEWER, "for_ns": DAY_NS, "actor": "local:x"}
        token, kept = Tokens(ledger).add("li", **how)
        assert door.by_token(token).role is Role.VIEWER
        assert Tokens(ledger).revoke(kept.id, actor="local:x").id == kept.id
        assert door.log_out(actor, everywhere=True) == 1
        assert [line["action"] for line in lines(ledger)][-1] == "logout-everywhere"
        ledger.close()
