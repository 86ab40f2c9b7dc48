"""The ledger's tables (SQLAlchemy Core) and how its databases are opened.

``event`` is the truth of what happened, append only; ``alarm`` is a projection of it and could be
folded again from it; so is ``incident`` of ``incident_event``. One writer at a time: every writing
transaction begins IMMEDIATE on SQLite, so two processes never find out at commit that they read
the same state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

METADATA = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself

EVENT = Table(
    "event",
    METADATA,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    Column("partition", String(32), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("row", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("side", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("type", String(16), nullable=False),
    Column("alarm_id", String(12), nullable=False, index=True),
    Column("severity", Integer, nullable=False),
    Column("event_ns", BigInteger, nullable=False),
    Column("simulation", Boolean, nullable=False),
    Column("body", Text, nullable=False),  # the event's line as the log has it
    Column("receive_ns", BigInteger, nullable=True, index=True),  # NULL: not brought up yet
    Column("called", Boolean, nullable=True),  # it asked for somebody's eye
    UniqueConstraint("partition", "offset", "row", "rule", "subject", "side", "ordinal", "type"),
    sqlite_autoincrement=True,
)

ALARM = Table(
    "alarm",
    METADATA,
    Column("alarm_id", String(12), primary_key=True),
    Column("alarm_key", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("word", String(8), nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("max_severity", Integer, nullable=False),
    Column("onset_ns", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("simulation", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # the whole Alarm as JSON
    Index("alarm_current", "alarm_key", "late"),
    Index("alarm_open", "ended", "seq"),
    Index("alarm_of_rule", "rule", "seq"),
)

INCIDENT = Table(
    "incident",
    METADATA,
    Column("incident_id", String(12), primary_key=True),
    Column("stage", String(16), nullable=False),
    Column("over", Boolean, nullable=False),
    Column("severity", Integer, nullable=False),  # the worst any of its alarms reached
    Column("seq", BigInteger, nullable=False),  # of its newest event
    Column("simulation", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # its Handling as JSON
    Index("incident_open", "over", "seq"),
)

INCIDENT_MEMBER = Table(
    "incident_member",
    METADATA,
    Column("alarm_id", String(12), primary_key=True),
    Column("incident_id", String(12), nullable=False, index=True),
    Column("number", Integer, nullable=False),  # in the order they joined
    Column("body", Text, nullable=False),  # the Member as JSON
)

INCIDENT_EVENT = Table(
    "incident_event",
    METADATA,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    Column("incident_id", String(12), nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("by", Text, nullable=False),  # "" = it followed from an alarm
    Column("body", Text, nullable=False),  # what was said: alarm, reason, cause, to
    sqlite_autoincrement=True,
)

FIELD_ENTRY = Table(
    "field_entry",
    METADATA,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    Column("entry_id", String(12), nullable=False, unique=True),
    Column("asset_id", Text, nullable=False, index=True),
    Column("incident_id", String(12), nullable=False, index=True),  # "" = of none
    Column("kind", String(16), nullable=False),
    Column("at_ns", BigInteger, nullable=False),  # when it was done
    Column("got_ns", BigInteger, nullable=False),  # when it arrived; both on the site's Clock
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),  # what was said
    sqlite_autoincrement=True,
)

COMMAND = Table(
    "command",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("command", String(64), nullable=False, unique=True),  # the caller's idempotency key
    Column("type", String(16), nullable=False),
    Column("alarm_id", String(12), nullable=False),
    Column("by", Text, nullable=False),
    Column("wall_ns", BigInteger, nullable=False),  # a person's time: undo counts from here
    Column("seq", BigInteger, nullable=False),  # of the event it made; 0 = none of our own
    Column("control", Text, nullable=False),  # the Control record's JSON
    Column("mirrored_offset", BigInteger, nullable=True, index=True),  # NULL = not in the journal
    Column("refusals", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)

BULLETIN = Table(
    "bulletin",
    METADATA,
    Column("key", String(512), primary_key=True),  # sender,identifier
    Column("sent_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False, index=True),
    Column("taken_ns", BigInteger, nullable=False),
    Column("via", String(32), nullable=False),
    Column("state", Text, nullable=False),  # the Bulletin as JSON
)

BULLETIN_REFUSED = Table(
    "bulletin_refused",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("taken_ns", BigInteger, nullable=False),
    Column("via", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("seq", BigInteger, primary_key=True),  # of the event
    Column("channel", String(64), primary_key=True),
    Column("status", String(16), nullable=False, index=True),  # pending delivered withheld given_up
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_wall_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

CURSOR = Table(
    "cursor",
    METADATA,
    Column("reader", String(32), primary_key=True),
    Column("through", BigInteger, nullable=False),  # events of journal records below it are here
    Column("position", BigInteger, nullable=False),  # where to go on reading
    Column("extra", Text, nullable=False),
)

MISMATCH = Table(
    "mismatch",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("wall_ns", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),  # differs | missing | added
    Column("stored", Text, nullable=False),
    Column("rerun", Text, nullable=False),
)


WRITER: Final = 0x6C696665_6C696E65  # "lifeline": the advisory lock of whoever writes the ledger


def _open_server(url: str, *, wait_s: float) -> Engine:
    """Return an engine for PostgreSQL: one writer at a time there too, and a bounded wait."""
    told = {"connect_timeout": max(2, int(wait_s))}
    engine = create_engine(url, pool_pre_ping=True, connect_args=told)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("reading", False):
            return
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(wait_s * 1000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")

    return engine


def open_database(url: str, *, wait_s: float) -> Engine:
    """Return an engine for ``url``; SQLite gets WAL, a bounded lock wait and real transactions."""
    if not url.startswith("sqlite"):
        return _open_server(url, wait_s=wait_s)
    engine = create_engine(url, connect_args={"timeout": wait_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # an acknowledgement answered is an acknowledgement on disk
            "foreign_keys = ON",
            f"busy_timeout = {int(wait_s * 1000)}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
