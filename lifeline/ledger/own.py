"""Alarms about ourselves that no reading gives: raised by the ledger, one a rule, and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lifeline.ledger.book import append, next_seq, own_event
from lifeline.ledger.partition import LEDGER_PARTITION
from lifeline.ledger.tables import ALARM
from rules.alarm_forms import alarm_of
from rules.alarms import Condition
from rules.events import Event, EventType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from lifeline.ledger.book import Writing
    from rules.alarms import Alarm


def raise_once(
    connection: Connection,
    writing: Writing,
    rule: str,
    evidence: Mapping[str, Any],
    *,
    severity: int,
    now_ns: int,
    simulation: bool,
) -> bool:
    """Raise a maintenance alarm of ours unless it is active; return whether it was raised."""
    standing = _standing(connection, rule)
    if any(alarm.condition is Condition.ACTIVE for alarm in standing):
        return False
    seq = next_seq(connection)
    raised = Event(
        type=EventType.RAISED,
        partition=LEDGER_PARTITION,
        offset=seq,
        row=0,
        rule=rule,
        severity=severity,
        max_severity=severity,
        klass="maintenance",
        episode=f"{LEDGER_PARTITION} {seq}",
        onset_ns=now_ns,
        event_ns=now_ns,
        receive_ns=now_ns,
        evidence=dict(evidence),
    )
    append(connection, [raised], simulation=simulation, writing=writing)
    return True


def clear(
    connection: Connection, writing: Writing, rule: str, *, now_ns: int, simulation: bool
) -> bool:
    """Clear the active alarm of a rule of ours; return whether there was one."""
    for alarm in _standing(connection, rule):
        if alarm.condition is Condition.ACTIVE:
            cleared = own_event(
                EventType.CLEARED,
                alarm,
                seq=next_seq(connection),
                event_ns=now_ns,
                receive_ns=now_ns,
            )
            cleared = cleared._replace(severity=0)
            append(connection, [cleared], simulation=simulation, writing=writing)
            return True
    return False


def _standing(connection: Connection, rule: str) -> list[Alarm]:
    query = select(ALARM.c.state).where(ALARM.c.rule == rule, ALARM.c.ended.is_(False))
    return [alarm_of(state) for (state,) in connection.execute(query)]
