"""What waits to be told outside: read, settled, and looked back at by what is retold.

``told`` asks the rows themselves who was told of what: an outlet that keeps others' picture
of an alarm current (Alertmanager, retained MQTT) goes on after a restart by what was delivered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, func, or_, select, update

from lifeline.ledger.tables import ALARM, EVENT, OUTBOX
from rules.alarm_forms import alarm_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger.ledger import Ledger
    from rules.alarms import Alarm

PUT_OFF_NS: Final = 3_600 * 10**9  # longer than any outlet puts a message off


class Told(NamedTuple):
    """An alarm, and the messages about it that an outlet has delivered, oldest first."""

    alarm: Alarm
    bodies: tuple[dict[str, Any], ...]


class Waiting(NamedTuple):
    """How an outlet stands: rows that wait, rows given up, and why the newest of them did."""

    channel: str
    pending: int
    given_up: int
    reason: str


def due(connection: Connection, *, channel: str, wall_ns: int, limit: int) -> tuple[Any, ...]:
    """Return pending rows whose time has come, oldest first; ``channel`` "" = of all outlets.

    One put off by more than PUT_OFF_NS was so by a clock that has been set back since.
    """
    next_ns = OUTBOX.c.next_wall_ns
    query = (
        select(OUTBOX)
        .where(OUTBOX.c.status == "pending")
        .where(or_(next_ns <= wall_ns, next_ns > wall_ns + PUT_OFF_NS))
    )
    if channel:
        query = query.where(OUTBOX.c.channel == channel)
    return tuple(connection.execute(query.order_by(OUTBOX.c.seq).limit(limit)).all())


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


def told(ledger: Ledger, channel: str, *, alarm_id: str = "", limit: int = 5_000) -> list[Told]:
    """Return alarms that an outlet has told of: the one named, else all that are not over."""
    query = (
        select(ALARM.c.alarm_id, ALARM.c.state, OUTBOX.c.body)
        .select_from(
            ALARM.join(EVENT, EVENT.c.alarm_id == ALARM.c.alarm_id).join(
                OUTBOX, OUTBOX.c.seq == EVENT.c.seq
            )
        )
        .where(OUTBOX.c.channel == channel, OUTBOX.c.status == "delivered")
        .order_by(OUTBOX.c.seq)
    )
    if alarm_id:
        query = query.where(ALARM.c.alarm_id == alarm_id)
    else:
        open_ones = select(ALARM.c.alarm_id).where(ALARM.c.ended.is_(False)).limit(limit)
        query = query.where(ALARM.c.alarm_id.in_(open_ones))
    states: dict[str, str] = {}
    bodies: dict[str, list[dict[str, Any]]] = {}
    with ledger.read() as connection:
        for row in connection.execute(query):
            states[row.alarm_id] = row.state
            bodies.setdefault(row.alarm_id, []).append(json.loads(row.body))
    return [Told(alarm_of(states[key]), tuple(bodies[key])) for key in states]


def waiting(ledger: Ledger) -> list[Waiting]:
    """Return how each outlet stands that has rows which wait or were given up."""
    counts = (
        select(OUTBOX.c.channel, OUTBOX.c.status, func.count(), func.max(OUTBOX.c.seq))
        .where(OUTBOX.c.status.in_(("pending", "given_up")))
        .group_by(OUTBOX.c.channel, OUTBOX.c.status)
    )
    found: dict[str, dict[str, int]] = {}
    newest: dict[str, int] = {}
    reasons: dict[str, str] = {}
    with ledger.read() as connection:
        for channel, status, rows, seq in connection.execute(counts):
            found.setdefault(channel, {})[status] = int(rows)
            newest[channel] = max(newest.get(channel, 0), int(seq))
        for channel, seq in newest.items():
            row = and_(OUTBOX.c.seq == seq, OUTBOX.c.channel == channel)
            reasons[channel] = str(connection.execute(select(OUTBOX.c.reason).where(row)).scalar())
    return [
        Waiting(name, held.get("pending", 0), held.get("given_up", 0), reasons[name])
        for name, held in sorted(found.items())
    ]
