"""A re-run must give the same events: what lies below the cursor is compared, not written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lifeline.ledger.partition import LEDGER_PARTITION
from lifeline.ledger.tables import EVENT
from rules.events import Event, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


def _identity(event: Event) -> tuple[Any, ...]:
    return (*event.key, event.type.value)


def new_and_differing(
    connection: Connection, events: Sequence[Event], through: int, since: int | None
) -> tuple[list[Event], list[dict[str, str]]]:
    """Split into events not yet here, and what a re-run of older ones gave differently."""
    old = [e for e in events if e.offset < through]
    found: list[dict[str, str]] = []
    lowest = min((e.offset for e in old), default=through)
    if since is not None:
        lowest = min(lowest, since)
    if lowest < through:
        highest = max((e.offset for e in events), default=through - 1)
        query = select(EVENT.c.body).where(
            EVENT.c.partition != LEDGER_PARTITION,
            EVENT.c.offset >= lowest,
            EVENT.c.offset < min(through, highest + 1),
        )
        held = {_identity(decode(b.encode())): b for (b,) in connection.execute(query)}
        for event in old:
            body, stored = encode(event).decode(), held.pop(_identity(event), None)
            if stored is None:
                found.append({"kind": "added", "stored": "", "rerun": body})
            elif stored != body:
                found.append({"kind": "differs", "stored": stored, "rerun": body})
        if since is not None:
            found += [{"kind": "missing", "stored": b, "rerun": ""} for b in held.values()]
    fresh: dict[tuple[Any, ...], Event] = {}
    for event in events:
        if event.offset < through:
            continue
        if fresh.setdefault(_identity(event), event) is not event:
            body = encode(event).decode()
            found.append({"kind": "differs", "stored": "twice in one log", "rerun": body})
    return list(fresh.values()), found
