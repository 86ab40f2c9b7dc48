"""Where readers of the event log stand: moved in the transaction of what they wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from lifeline.ledger.tables import CURSOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a reader is: events of journal records below ``through`` are in the ledger."""

    through: int = 0
    position: int = 0
    extra: Mapping[str, Any]


def cursor_of(connection: Connection, reader: str) -> Cursor:
    """Return where a reader stands; the beginning if it never moved."""
    row = connection.execute(select(CURSOR).where(CURSOR.c.reader == reader)).first()
    if row is None:
        return Cursor(extra={})
    return Cursor(through=row.through, position=row.position, extra=json.loads(row.extra))


def move(
    connection: Connection, reader: str, through: int, position: int, extra: Mapping[str, Any]
) -> None:
    """Note where a reader stands."""
    values = {"through": through, "position": position, "extra": json.dumps(dict(extra))}
    moved = connection.execute(update(CURSOR).where(CURSOR.c.reader == reader).values(**values))
    if moved.rowcount == 0:
        connection.execute(insert(CURSOR).values(reader=reader, **values))
