"""Alarms as a pure fold of events and commands. The ledger, the store and tests fold the same way.

An alarm stays open until it has returned *and* somebody has seen it; levels that do not latch
(blue) close by themselves. Late findings have no episode of the engine: those of one alarm key
join one open "late" alarm, which is returned from the start and waits to be acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rules.alarms import LATCH, Ack, Alarm, Condition, Hold, Step, Suppression
from rules.events import Event, EventType, alarm_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(slots=True)
class AlarmFold:
    """All alarms that are not over, by id and by key. The ledger and a test fold the same way."""

    latch: Mapping[int, bool] = field(default_factory=lambda: LATCH)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    _current: dict[tuple[str, bool], str] = field(default_factory=dict, repr=False)

    def put(self, alarm: Alarm) -> None:
        """Take an alarm as it stands (read back from a ledger, or just changed)."""
        self.alarms[alarm.alarm_id] = alarm
        self._current[(alarm.alarm_key, alarm.late)] = alarm.alarm_id

    def current(self, alarm_key: str, *, late: bool = False) -> Alarm | None:
        """Return the newest alarm of a key, open or just ended; None if there never was one."""
        return self.alarms.get(self._current.get((alarm_key, late), ""))

    def apply(self, event: Event, seq: int) -> Step:
        """Fold one event in. Events about no alarm (BLIND, HEARTBEAT, …) change nothing.

        Nor does what a shadow rule says: it is on trial, and nobody may take it for an alarm.
        """
        move = None if event.shadow else _MOVES.get(event.type)
        step = move(self, event, seq) if move else Step()
        for alarm in step.changed:
            self.put(alarm)
        return step


def apply_all(events: Iterable[Event], latch: Mapping[int, bool] = LATCH) -> AlarmFold:
    """Return the fold of ``events`` from nothing, numbered from 1."""
    fold = AlarmFold(latch=latch)
    for seq, event in enumerate(events, start=1):
        fold.apply(event, seq)
    return fold


def _facts(event: Event, seq: int) -> dict[str, Any]:
    return {
        "severity": event.severity,
        "event_ns": event.event_ns,
        "receive_ns": event.receive_ns,
        "value": event.value,
        "score": event.score,
        "limit": event.limit,
        "confirmed": event.confirmed,
        "over_range": event.over_range,
        "seq": seq,
    }


def _raised(fold: AlarmFold, event: Event, seq: int) -> Step:
    new = Alarm(
        alarm_id=event.alarm_id,
        rule=event.rule,
        side=event.side,
        subject=event.subject,
        klass=event.klass,
        episode=event.episode,
        condition=Condition.ACTIVE,
        max_severity=max(event.max_severity, event.severity),
        onset_ns=event.onset_ns,
        raised_ns=event.event_ns,
        suppression=tuple(_held(said) for said in event.evidence.get("held", ())),
        worse_seq=seq,
        **_facts(event, seq),
    )
    old = fold.current(event.alarm_key)
    if old is None or old.ended or old.alarm_id == new.alarm_id:
        return Step((new,), announce=True)
    # It had returned and nobody had looked: one row stays in the list, and it remembers.
    joined = replace(
        new,
        reactivations=old.reactivations + 1,
        max_severity=max(new.max_severity, old.max_severity),
        suppression=(*new.suppression, *_shelved(old)),
    )
    over = replace(old, ended=True, condition=Condition.NORMAL, seq=seq)
    return Step((over, joined), ended=(old.alarm_id,), announce=True)


def _escalated(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:  # its RAISED lies before what this ledger has seen
        return _raised(fold, event, seq)
    worse = replace(
        alarm,
        condition=Condition.ACTIVE,
        ack=Ack.UNACKED,
        max_severity=max(alarm.max_severity, event.severity),
        worse_seq=seq,
        ended=False,
        **_facts(event, seq),
    )
    return Step((worse,), announce=True)


def _lowered(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return _raised(fold, event, seq)
    # A level falls when the value has left it: what broke the limit still says why it stands.
    facts = _facts(event, seq) | {"value": alarm.value, "score": alarm.score, "limit": alarm.limit}
    return Step((replace(alarm, **facts),), announce=True)


def _cleared(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    facts = _facts(event, seq)
    # The value that broke the limit says why it stood; where it returned to is told beside it.
    facts |= {"value": alarm.value, "score": alarm.score, "limit": alarm.limit}
    facts["confirmed"] = alarm.confirmed
    over = alarm.ack is Ack.ACKED or not fold.latch.get(alarm.max_severity, True)
    cleared = replace(
        alarm,
        condition=Condition.NORMAL,
        cleared_ns=event.event_ns,
        cleared_value=event.value,
        ended=over,
        suppression=_shelved(alarm),  # the engine follows what holds an alarm while it stands
        **facts,
    )
    return Step((cleared,), ended=(alarm.alarm_id,) if over else (), announce=True)


def _rule_changed(fold: AlarmFold, event: Event, seq: int) -> Step:
    """End an alarm whose rule is gone or means something else, and let it be seen to end."""
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None or alarm.condition is Condition.NORMAL:
        return Step()
    over = alarm.ack is Ack.ACKED or not fold.latch.get(alarm.max_severity, True)
    facts: dict[str, Any] = {"cleared_ns": event.event_ns, "cleared_value": None, "seq": seq}
    facts["suppression"] = _shelved(alarm)
    ended = replace(alarm, condition=Condition.NORMAL, severity=0, ended=over, **facts)
    return Step((ended,), ended=(alarm.alarm_id,) if over else (), announce=True)


def _confirmed(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None or alarm.confirmed or alarm.condition is not Condition.ACTIVE:
        return Step()  # confirmed before its level was held: the RAISED to come says so itself
    # What was announced one level lower is now announced in full, so it is to be seen again.
    sure = replace(alarm, confirmed=True, ack=Ack.UNACKED, seq=seq, worse_seq=seq)
    return Step((sure,), announce=True)


def _late(fold: AlarmFold, event: Event, seq: int) -> Step:
    if not event.announce:
        return Step()  # listed among the events, contradicted by what was judged before it
    old = fold.current(event.alarm_key, late=True)
    if old is None or old.ended:
        episode = f"late {event.offset}.{event.row}"
        facts = _facts(event, seq)
        new = Alarm(
            alarm_id=alarm_id(event.alarm_key, episode),
            rule=event.rule,
            side=event.side,
            subject=event.subject,
            klass=event.klass,
            episode=episode,
            late=True,
            max_severity=event.severity,
            onset_ns=event.onset_ns,
            raised_ns=event.event_ns,
            cleared_ns=event.event_ns,
            findings=1,
            worse_seq=seq,
            **facts,
        )
        return Step((new,), announce=True)
    joined = replace(
        old,
        findings=old.findings + 1,
        onset_ns=min(old.onset_ns, event.onset_ns),
        receive_ns=event.receive_ns,
        seq=seq,
    )
    if event.severity <= old.max_severity:
        return Step((joined,))
    facts = _facts(event, seq)
    worse = replace(joined, max_severity=event.severity, ack=Ack.UNACKED, worse_seq=seq, **facts)
    return Step((worse,), announce=True)


def _reset(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.current(event.alarm_key)
    if alarm is None or not alarm.over_range:
        return Step()
    return Step((replace(alarm, over_range=False, seq=seq),), announce=True)


def _acked(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    over = alarm.condition is Condition.NORMAL
    seen = replace(
        alarm,
        ack=Ack.ACKED,
        acked_by=str(event.evidence.get("by", "")),
        ack_comment=str(event.evidence.get("comment", "")),
        acked_ns=event.event_ns,
        ended=over,
        seq=seq,
        worse_seq=seq,
    )
    return Step((seen,), ended=(alarm.alarm_id,) if over else (), announce=True)


def _revoked(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None or alarm.ack is Ack.UNACKED:
        return Step()
    again = replace(
        alarm,
        ack=Ack.UNACKED,
        acked_by="",
        ack_comment="",
        acked_ns=0,
        # a level that closes by itself stays closed; the undo is about the acknowledgement
        ended=alarm.condition is Condition.NORMAL and not fold.latch.get(alarm.max_severity, True),
        seq=seq,
        worse_seq=seq,
    )
    return Step((again,), announce=True)


def _held(said: Mapping[str, Any]) -> Suppression:
    """Return what an event says that holds an alarm."""
    return Suppression(
        hold=Hold(said.get("hold", Hold.BY_DESIGN)),
        until_ns=int(said.get("until_ns", 0)),
        cause=str(said.get("cause", "")),
        by=str(said.get("by", "")),
    )


def _shelved(alarm: Alarm) -> tuple[Suppression, ...]:
    return tuple(each for each in alarm.suppression if each.hold is Hold.SHELVED)


def _hold(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    said = _held(event.evidence)
    others = tuple(each for each in alarm.suppression if each.cause != said.cause)
    return Step((replace(alarm, suppression=(*others, said), seq=seq),))


def _release(fold: AlarmFold, event: Event, seq: int) -> Step:
    """Let go of an alarm; one that still stands and that nobody has seen is announced again."""
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    cause = event.evidence.get("cause")
    others = tuple(each for each in alarm.suppression if each.cause != cause)
    free = replace(alarm, suppression=others, seq=seq)
    waits = free.condition is Condition.ACTIVE and free.ack is Ack.UNACKED and not others
    return Step((free,), announce=waits)


_MOVES: dict[EventType, Any] = {
    EventType.RAISED: _raised,
    EventType.ESCALATED: _escalated,
    EventType.LOWERED: _lowered,
    EventType.CLEARED: _cleared,
    EventType.RULE_CHANGED: _rule_changed,
    EventType.RERUN_DIFFERS: _raised,
    EventType.CONFIRMED: _confirmed,
    EventType.LATE_FINDING: _late,
    EventType.SUPPRESSED: _hold,
    EventType.UNSUPPRESSED: _release,
    EventType.OUT_OF_SERVICE: _hold,
    EventType.IN_SERVICE: _release,
    EventType.RESET: _reset,
    EventType.ACKED: _acked,
    EventType.ACK_REVOKED: _revoked,
}
