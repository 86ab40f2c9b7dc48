"""Columns and indexes that ledgers from before them lack: added where they are missing, and filled.

A program of before writes no such columns; what it left empty is filled at the next opening too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy import func, inspect, select, text, update
from sqlalchemy.schema import CreateColumn

from lifeline.ledger.floods import asks_for_an_eye
from lifeline.ledger.tables import ALARM, EVENT
from rules.alarm_fold import AlarmFold
from rules.events import decode

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOG: Any = structlog.get_logger("ledger")
_LATER: Final = ("receive_ns", "called")  # of EVENT, in the order they were added
_CHUNK: Final = 5_000


def bring_up(connection: Connection) -> int:
    """Add and fill what is missing; return how many events were filled.

    What called somebody depends on all that came before, so the events are folded from the first.
    """
    held = {column["name"] for column in inspect(connection).get_columns(EVENT.name)}
    for name in _LATER:
        if name not in held:
            column = CreateColumn(EVENT.c[name]).compile(connection)
            connection.execute(text(f"ALTER TABLE {EVENT.name} ADD COLUMN {column}"))
    for index in (*EVENT.indexes, *ALARM.indexes):
        index.create(connection, checkfirst=True)
    empty = select(func.min(EVENT.c.seq)).where(EVENT.c.receive_ns.is_(None))
    first = connection.execute(empty).scalar_one()
    if first is None:
        return 0
    filled = _fill(connection, int(first))
    LOG.info("the ledger's events were given their columns", events=filled)
    return filled


def _fill(connection: Connection, first: int) -> int:
    fold, at, filled = AlarmFold(), 0, 0
    while True:
        query = select(EVENT.c.seq, EVENT.c.body).where(EVENT.c.seq > at)
        rows = connection.execute(query.order_by(EVENT.c.seq).limit(_CHUNK)).all()
        if not rows:
            return filled
        for seq, body in rows:
            event = decode(body.encode())
            step = fold.apply(event, seq)
            if seq >= first:
                filled += 1
                told = {"receive_ns": event.receive_ns, "called": asks_for_an_eye(event, step)}
                connection.execute(update(EVENT).where(EVENT.c.seq == seq).values(**told))
        at = rows[-1].seq
