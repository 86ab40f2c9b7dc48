"""Tables of people, beside the ledger's and in its database; no secret stands in them.

Made when they are missing, so a ledger from before there were accounts gets them as it is opened.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

PEOPLE = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

ACCOUNT = Table(
    "account",
    PEOPLE,
    Column("login", String(32), primary_key=True),  # lower case: "Li" and "li" are one person
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("scope", Text, nullable=False),  # JSON of Scope.told
    Column("password", Text, nullable=False),  # argon2id, as its library writes it
    Column("disabled", Boolean, nullable=False),
    Column("made_wall_ns", BigInteger, nullable=False),
)

SESSION = Table(
    "session",
    PEOPLE,
    Column("hash", String(64), primary_key=True),  # SHA-256 of what the cookie holds
    Column("login", String(32), nullable=False, index=True),
    Column("made_wall_ns", BigInteger, nullable=False),
    Column("seen_wall_ns", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
)

TOKEN = Table(
    "token",
    PEOPLE,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the token
    Column("login", String(32), nullable=False, index=True),
    Column("label", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("scope", Text, nullable=False),
    Column("made_wall_ns", BigInteger, nullable=False),
    Column("ends_wall_ns", BigInteger, nullable=False),
)

ATTEMPT = Table(
    "login_attempt",
    PEOPLE,
    Column("key", String(64), primary_key=True),  # SHA-256 of what was tried from where
    Column("failures", Integer, nullable=False),
    Column("last_wall_ns", BigInteger, nullable=False, index=True),
)

AUDIT = Table(
    "audit",
    PEOPLE,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("wall_ns", BigInteger, nullable=False, index=True),
    Column("actor", Text, nullable=False),  # a login, or local:<user of the machine>
    Column("action", String(32), nullable=False),
    Column("about", Text, nullable=False),
    Column("said", Text, nullable=False),  # JSON
    sqlite_autoincrement=True,
)
