"""What operators order. The ledger validates and may refuse; what it takes becomes a Control.

Idempotent by the caller's ``command`` id. Who acknowledges must have seen what made the alarm
worse (``expected_seq``): of two operators, the second is told the first one's name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from lifeline import metrics
from lifeline.ledger.book import Writing, append, next_seq, own_event
from lifeline.ledger.errors import Conflict, Refused, Unknown
from lifeline.ledger.tables import ALARM, COMMAND
from rules.alarm_forms import alarm_of
from rules.alarms import Ack, Alarm
from rules.events import EventType

if TYPE_CHECKING:
    from sqlalchemy import Connection

UNDO_S = 10.0
"""How long an acknowledgement can be taken back, in a person's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command of one person."""

    alarm_id: str
    by: str
    command: str
    now_ns: int
    wall_ns: int
    comment: str = ""
    expected_seq: int | None = None


def find(connection: Connection, alarm_id: str) -> tuple[Alarm, bool] | None:
    """Return an alarm and its simulation mark, or None."""
    query = select(ALARM.c.state, ALARM.c.simulation).where(ALARM.c.alarm_id == alarm_id)
    row = connection.execute(query).first()
    return None if row is None else (alarm_of(row.state), bool(row.simulation))


def known(connection: Connection, alarm_id: str) -> tuple[Alarm, bool]:
    """Return an alarm and its simulation mark; refuse an id that nothing has."""
    found = find(connection, alarm_id)
    if found is None:
        metrics.COMMANDS.labels("any", "unknown").inc()
        raise Unknown(
            f"there is no alarm {alarm_id!r}", remedy="reload the list; ids have 12 hex digits"
        )
    return found


def is_repeated(connection: Connection, order: Order, kind: str) -> bool:
    """Tell whether this very command was taken before; refuse its id for another purpose."""
    query = select(COMMAND).where(COMMAND.c.command == order.command)
    row = connection.execute(query).first()
    if row is None:
        return False
    if (row.type, row.alarm_id, row.by) != (kind, order.alarm_id, order.by):
        raise Refused(
            f"command id {order.command!r} was used for {row.type} of {row.alarm_id} by {row.by}",
            remedy="give every command an id of its own",
        )
    metrics.COMMANDS.labels(kind, "repeated").inc()
    return True


def refuse(kind: str, message: str, *, remedy: str, by: str = "", seq: int = 0) -> Conflict:
    """Return the refusal of a command that does not fit how the alarm stands."""
    metrics.COMMANDS.labels(kind, "conflict").inc()
    return Conflict(message, remedy=remedy, by=by, seq=seq)


def take(connection: Connection, order: Order, kind: str, seq: int, control: Any) -> None:
    """Note a command that was taken, with the Control record that it becomes."""
    metrics.COMMANDS.labels(kind, "accepted").inc()
    connection.execute(
        insert(COMMAND).values(
            command=order.command,
            type=kind,
            alarm_id=order.alarm_id,
            by=order.by,
            wall_ns=order.wall_ns,
            seq=seq,
            control=json.dumps(control, ensure_ascii=False),
        )
    )


def must_have_seen(alarm: Alarm, order: Order, kind: str) -> None:
    """Refuse what a person orders who has not seen what made the alarm worse."""
    if order.expected_seq is not None and order.expected_seq < alarm.worse_seq:
        raise refuse(
            kind,
            f"the alarm has changed since you saw it: now severity {alarm.shown_severity}",
            remedy=f"look at it again, then order it with expected_seq {alarm.seq}",
            seq=alarm.seq,
        )


def acknowledge(connection: Connection, writing: Writing, order: Order) -> Alarm:
    """Append ACKED (and ENDED where it had returned) and queue the Control record."""
    alarm, simulation = known(connection, order.alarm_id)
    if is_repeated(connection, order, "ack"):
        return alarm
    if alarm.ack is Ack.ACKED:
        raise refuse(
            "ack",
            f"already acknowledged by {alarm.acked_by}",
            remedy="nothing to do; reload to see the comment",
            by=alarm.acked_by,
            seq=alarm.seq,
        )
    if alarm.ended:
        raise refuse("ack", "the alarm is over", remedy="reload the list", seq=alarm.seq)
    if alarm.life.ack == "comment" and not order.comment.strip():
        raise Refused(
            f"rule {alarm.rule} wants a comment with each acknowledgement",
            remedy="say what you found, or what you do about it",
        )
    must_have_seen(alarm, order, "ack")
    seq = next_seq(connection)
    event = own_event(
        EventType.ACKED,
        alarm,
        seq=seq,
        event_ns=order.now_ns,
        receive_ns=order.now_ns,
        evidence={"by": order.by, "comment": order.comment, "command": order.command},
    )
    written = append(connection, [event], simulation=simulation, writing=writing)
    data = {"alarm": alarm.alarm_id, "by": order.by, "comment": order.comment}
    control = {"type": "ack", "data": data | {"command": order.command}}
    take(connection, order, "ack", seq, control)
    return written.alarms[-1]


def revoke(connection: Connection, writing: Writing, order: Order) -> Alarm:
    """Append ACK_REVOKED: the same person, within UNDO_S."""
    alarm, simulation = known(connection, order.alarm_id)
    if is_repeated(connection, order, "revoke"):
        return alarm
    query = (
        select(COMMAND)
        .where(COMMAND.c.alarm_id == order.alarm_id, COMMAND.c.type == "ack")
        .order_by(COMMAND.c.id.desc())
    )
    last = connection.execute(query).first()
    if last is None or alarm.ack is Ack.UNACKED:
        raise refuse("revoke", "the alarm is not acknowledged", remedy="nothing to undo")
    if last.by != order.by:
        raise refuse(
            "revoke",
            f"the acknowledgement is {last.by}'s",
            remedy=f"only {last.by} can take it back",
            by=last.by,
        )
    if order.wall_ns - last.wall_ns > UNDO_S * 1e9:
        raise refuse(
            "revoke",
            f"an acknowledgement can be taken back for {UNDO_S:g} s only",
            remedy="call the person on duty; the alarm comes back by itself when it gets worse",
        )
    seq = next_seq(connection)
    event = own_event(
        EventType.ACK_REVOKED,
        alarm,
        seq=seq,
        event_ns=order.now_ns,
        receive_ns=order.now_ns,
        evidence={"by": order.by, "command": order.command},
    )
    written = append(connection, [event], simulation=simulation, writing=writing)
    data = {"alarm": alarm.alarm_id, "by": order.by, "revoke": True, "command": order.command}
    take(connection, order, "revoke", seq, {"type": "ack", "data": data})
    return written.alarms[-1]


def reset(connection: Connection, order: Order) -> Alarm:
    """Queue a RESET for the engine, which answers with an event when it has seen it."""
    alarm, _simulation = known(connection, order.alarm_id)
    if is_repeated(connection, order, "reset"):
        return alarm
    if not alarm.over_range:
        raise refuse(
            "reset",
            "the alarm is not latched by a reading beyond the sensor's range",
            remedy="acknowledge it; it clears by itself",
            seq=alarm.seq,
        )
    data = {"rule": alarm.rule, "channel": alarm.subject, "by": order.by, "reason": order.comment}
    control = {"type": "reset", "data": data | {"command": order.command}}
    take(connection, order, "reset", 0, control)
    return alarm
