"""What people do with an alarm, and what follows by the clock from what they did.

Each move takes the alarm, the event and its number, and returns the step; the acknowledgement, the
shelf and the rest move independently of what the process does (rules/alarm_fold.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rules.alarms import Ack, Alarm, Condition, Hold, Step, Suppression
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.events import Event


def _said(event: Event, name: str) -> str:
    return str(event.evidence.get(name, ""))


def _acked(alarm: Alarm, event: Event, seq: int) -> Step:
    over = alarm.condition is Condition.NORMAL
    seen = replace(
        alarm,
        ack=Ack.ACKED,
        acked_by=_said(event, "by"),
        ack_comment=_said(event, "comment"),
        acked_ns=event.event_ns,
        ended=over,
        seq=seq,
        worse_seq=seq,
    )
    return Step((seen,), ended=(alarm.alarm_id,) if over else (), announce=True)


def _unseen(alarm: Alarm, seq: int) -> Alarm:
    return replace(
        alarm, ack=Ack.UNACKED, acked_by="", ack_comment="", acked_ns=0, seq=seq, worse_seq=seq
    )


def _revoked(alarm: Alarm, _: Event, seq: int) -> Step:
    if alarm.ack is Ack.UNACKED:
        return Step()
    # a level that closes by itself stays closed; the undo is about the acknowledgement
    over = alarm.condition is Condition.NORMAL and not alarm.life.latches(alarm.max_severity)
    return Step((replace(_unseen(alarm, seq), ended=over),), announce=True)


def _realarmed(alarm: Alarm, _: Event, seq: int) -> Step:
    if alarm.ack is Ack.UNACKED or alarm.condition is not Condition.ACTIVE:
        return Step()
    return Step((_unseen(alarm, seq),), announce=True)


def _asked(alarm: Alarm, event: Event, seq: int) -> Step:
    return Step((replace(alarm, shelve_asked_by=_said(event, "by"), seq=seq),))


def _shelved(alarm: Alarm, event: Event, seq: int) -> Step:
    shelf = Suppression(
        hold=Hold.SHELVED,
        until_ns=int(event.evidence.get("until_ns", 0)),
        cause=_said(event, "reason"),
        by=_said(event, "by"),
        severity=alarm.shown_severity,
    )
    others = tuple(s for s in alarm.suppression if s.hold is not Hold.SHELVED)
    quiet = replace(alarm, suppression=(*others, shelf), shelve_asked_by="", seq=seq)
    return Step((quiet,), announce=True)


def _unshelved(alarm: Alarm, _: Event, seq: int) -> Step:
    """Take it from its shelf; one that still stands and that nobody has seen is announced again."""
    if alarm.shelf is None:
        return Step()
    others = tuple(s for s in alarm.suppression if s.hold is not Hold.SHELVED)
    free = replace(alarm, suppression=others, seq=seq)
    return Step((free,), announce=free.calls and not others)


def _commented(alarm: Alarm, _: Event, seq: int) -> Step:
    return Step((replace(alarm, comments=alarm.comments + 1, seq=seq),))


def _assigned(alarm: Alarm, event: Event, seq: int) -> Step:
    return Step((replace(alarm, assigned_to=_said(event, "to"), seq=seq),))


def _classified(alarm: Alarm, event: Event, seq: int) -> Step:
    told = replace(alarm, verdict=_said(event, "verdict"), cause=_said(event, "cause"), seq=seq)
    return Step((told,))


PEOPLE_MOVES: Final[Mapping[EventType, Callable[[Alarm, Event, int], Step]]] = {
    EventType.ACKED: _acked,
    EventType.ACK_REVOKED: _revoked,
    EventType.REALARMED: _realarmed,
    EventType.SHELVE_ASKED: _asked,
    EventType.SHELVED: _shelved,
    EventType.UNSHELVED: _unshelved,
    EventType.COMMENTED: _commented,
    EventType.ASSIGNED: _assigned,
    EventType.CLASSIFIED: _classified,
}
