"""What was done to accounts and by whom, appended in the transaction that did it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from lifeline.people.tables import AUDIT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger import Ledger


def note(
    connection: Connection, *, wall_ns: int, actor: str, action: str, about: str, **said: Any
) -> None:
    """Append one line."""
    row = {"wall_ns": wall_ns, "actor": actor, "action": action, "about": about}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    connection.execute(insert(AUDIT), [row | {"said": text}])


def lines(ledger: Ledger, *, limit: int = 200) -> list[dict[str, Any]]:
    """Return the newest lines, oldest first."""
    query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    return [
        {
            "at_ms": row.wall_ns // 1_000_000,
            "actor": row.actor,
            "action": row.action,
            "about": row.about,
            "said": json.loads(row.said),
        }
        for row in reversed(rows)
    ]
