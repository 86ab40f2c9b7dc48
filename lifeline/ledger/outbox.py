"""The outbox inside a transaction: what is due, what became of it, what is due again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, or_, select, update

from lifeline.ledger.tables import OUTBOX

if TYPE_CHECKING:
    from sqlalchemy import Connection

PUT_OFF_NS: Final = 3_600 * 10**9  # longer than any outlet puts a message off


def due(connection: Connection, *, wall_ns: int, limit: int) -> tuple[Any, ...]:
    """Return pending rows whose time has come, oldest first.

    One put off by more than PUT_OFF_NS was so by a clock that has been set back since.
    """
    next_ns = OUTBOX.c.next_wall_ns
    query = (
        select(OUTBOX)
        .where(OUTBOX.c.status == "pending")
        .where(or_(next_ns <= wall_ns, next_ns > wall_ns + PUT_OFF_NS))
        .order_by(OUTBOX.c.seq)
        .limit(limit)
    )
    return tuple(connection.execute(query).all())


def due_again(connection: Connection, channel: str) -> None:
    """Let all that was put off be due: its receiver is there again."""
    waiting = and_(OUTBOX.c.channel == channel, OUTBOX.c.status == "pending")
    connection.execute(update(OUTBOX).where(waiting).values(next_wall_ns=0))


def settle(
    connection: Connection, seq: int, channel: str, *, status: str, reason: str, next_wall_ns: int
) -> None:
    """Note what became of one attempt: delivered, given_up, or pending until a time."""
    connection.execute(
        update(OUTBOX)
        .where(and_(OUTBOX.c.seq == seq, OUTBOX.c.channel == channel))
        .values(
            status=status,
            reason=reason[:500],
            next_wall_ns=next_wall_ns,
            attempts=OUTBOX.c.attempts + 1,
        )
    )


def take_over(connection: Connection, row: Any) -> None:
    """Let a row be as ``row`` of another ledger says that it became."""
    where = and_(OUTBOX.c.seq == row.seq, OUTBOX.c.channel == row.channel)
    became = {name: getattr(row, name) for name in ("status", "reason", "attempts", "next_wall_ns")}
    connection.execute(update(OUTBOX).where(where).values(**became))
