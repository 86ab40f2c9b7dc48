"""Alarms as a pure fold of events and commands. The ledger, the store and tests fold the same way.

An alarm stays open until it has returned *and* somebody has seen it; levels that do not latch
(blue) close by themselves. Late findings have no episode of the engine: those of one alarm key
join one open "late" alarm, which is returned from the start and waits to be acknowledged.

What the process does moves alarms here; what people do, in rules/alarm_people.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rules.alarm_life import Life
from rules.alarm_people import PEOPLE_MOVES
from rules.alarms import Ack, Alarm, Condition, Hold, Step, Suppression
from rules.bulletins import cited_of
from rules.events import Event, EventType, alarm_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RED: Final = 4
PLAIN_BOUTS: Final = 16
"""How many raises are remembered at most, whatever a rule counts as chattering."""


@dataclass(slots=True)
class AlarmFold:
    """All alarms that are not over, by id and by key. The ledger and a test fold the same way."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    _of_key: dict[tuple[str, bool], list[str]] = field(default_factory=dict, repr=False)

    def put(self, alarm: Alarm) -> None:
        """Take an alarm as it stands (read back from a ledger, or just changed)."""
        self.alarms[alarm.alarm_id] = alarm
        key = (alarm.alarm_key, alarm.late)
        known = [i for i in self._of_key.get(key, ()) if i in self.alarms and i != alarm.alarm_id]
        ids = sorted([*known, alarm.alarm_id], key=lambda i: _age(self.alarms[i]))
        self._of_key[key] = [i for i in ids if i == ids[-1] or not self.alarms[i].ended]

    def current(self, alarm_key: str, *, late: bool = False) -> Alarm | None:
        """Return the newest open alarm of a key, else the last that ended, else None."""
        ids = self._of_key.get((alarm_key, late), ())
        return self.alarms.get(ids[-1]) if ids else None

    def apply(self, event: Event, seq: int) -> Step:
        """Fold one event in. Events about no alarm (BLIND, HEARTBEAT, …) change nothing.

        Nor does what a shadow rule says: it is on trial, and nobody may take it for an alarm.
        """
        if event.shadow:
            return Step()
        people = PEOPLE_MOVES.get(event.type)
        if people is not None:
            alarm = self.alarms.get(event.alarm_id)
            step = people(alarm, event, seq) if alarm is not None else Step()
        else:
            move = _MOVES.get(event.type)
            step = move(self, event, seq) if move else Step()
        for alarm in step.changed:
            self.put(alarm)
        return step


def _age(alarm: Alarm) -> tuple[bool, int, int]:
    return (not alarm.ended, alarm.raised_ns, alarm.seq)


def apply_all(events: Iterable[Event]) -> AlarmFold:
    """Return the fold of ``events`` from nothing, numbered from 1."""
    fold = AlarmFold()
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
        "warning": cited_of(event.evidence.get("warning")),
        "seq": seq,
    }


def _why(alarm: Alarm) -> dict[str, Any]:
    """Return what broke the limit: it says why an alarm stands, or stood, when that falls."""
    return {name: getattr(alarm, name) for name in ("value", "score", "limit", "warning")}


def _raised(fold: AlarmFold, event: Event, seq: int) -> Step:
    life = Life.of(event.evidence.get("life", {}))
    new = Alarm(
        alarm_id=event.alarm_id,
        rule=event.rule,
        side=event.side,
        subject=event.subject,
        klass=event.klass,
        episode=event.episode,
        condition=Condition.ACTIVE,
        ack=Ack.ACKED if life.ack == "none" else Ack.UNACKED,
        max_severity=max(event.max_severity, event.severity),
        onset_ns=event.onset_ns,
        raised_ns=event.event_ns,
        suppression=tuple(_held(said) for said in event.evidence.get("held", ())),
        life=life,
        bouts=(event.receive_ns,),
        worse_seq=seq,
        **_facts(event, seq),
    )
    old = fold.current(event.alarm_key)
    if old is None or old.alarm_id == new.alarm_id:
        return Step((new,), announce=True)
    new = _following(new, old)
    first = not (new.chattering and old.chattering) or new.shown_severity >= RED
    if old.ended or _apart(old, new):
        return Step((new,), announce=first)
    # It had returned and nobody had looked: one row stays in the list, and it remembers.
    joined = replace(
        new,
        reactivations=old.reactivations + 1,
        max_severity=max(new.max_severity, old.max_severity),
        assigned_to=old.assigned_to,
        comments=old.comments,
    )
    over = replace(old, ended=True, condition=Condition.NORMAL, seq=seq)
    return Step((over, joined), ended=(old.alarm_id,), announce=first)


def _apart(old: Alarm, new: Alarm) -> bool:
    """Tell whether an alarm that waits to be seen returned too long ago to be the same one."""
    return bool(
        new.life.join_ns
        and old.condition is Condition.NORMAL
        and new.receive_ns - old.receive_ns > new.life.join_ns
    )


def _following(new: Alarm, old: Alarm) -> Alarm:
    """Return the new alarm with what the one before of its key leaves it: its shelf, its bouts."""
    life = new.life
    since = new.receive_ns - life.chatter_ns
    kept = max(min(life.chatter_count, PLAIN_BOUTS), 1)
    bouts = tuple(t for t in (*old.bouts, *new.bouts) if t > since)[-kept:]
    shelf = old.shelf
    still = shelf is not None and (not shelf.until_ns or new.receive_ns < shelf.until_ns)
    if shelf is not None and still and new.shown_severity <= shelf.severity:
        new = replace(new, suppression=(*new.suppression, shelf))
    return replace(new, bouts=bouts, chattering=len(bouts) >= life.chatter_count)


def _out_of_its_shelf(alarm: Alarm) -> tuple[Suppression, ...]:
    """Return what still holds an alarm that has got worse: a shelf is for what was seen."""
    return tuple(
        s
        for s in alarm.suppression
        if s.hold is not Hold.SHELVED or alarm.shown_severity <= s.severity
    )


def _escalated(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:  # its RAISED lies before what this ledger has seen
        return _raised(fold, event, seq)
    worse = replace(
        alarm,
        condition=Condition.ACTIVE,
        ack=Ack.ACKED if alarm.life.ack == "none" else Ack.UNACKED,
        max_severity=max(alarm.max_severity, event.severity),
        worse_seq=seq,
        ended=False,
        **_facts(event, seq),
    )
    return Step((replace(worse, suppression=_out_of_its_shelf(worse)),), announce=True)


def _lowered(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return _raised(fold, event, seq)
    return Step((replace(alarm, **(_facts(event, seq) | _why(alarm))),), announce=True)


def _cleared(fold: AlarmFold, event: Event, seq: int) -> Step:
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    facts = _facts(event, seq) | _why(alarm)  # where it returned to is told beside it
    facts["confirmed"] = alarm.confirmed
    over = _is_over(alarm)
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


def _is_over(alarm: Alarm) -> bool:
    """Tell whether an alarm that returns now is over: somebody has seen it, or need not."""
    return alarm.ack is Ack.ACKED or not alarm.life.latches(alarm.max_severity)


def _rule_changed(fold: AlarmFold, event: Event, seq: int) -> Step:
    """End an alarm whose rule is gone or means something else, and let it be seen to end."""
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None or alarm.condition is Condition.NORMAL:
        return Step()
    over = _is_over(alarm)
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
    return Step((replace(sure, suppression=_out_of_its_shelf(sure)),), announce=True)


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
    others = tuple(s for s in alarm.suppression if (s.hold, s.cause) != (said.hold, said.cause))
    return Step((replace(alarm, suppression=(*others, said), seq=seq),))


def _release(fold: AlarmFold, event: Event, seq: int) -> Step:
    """Let go of an alarm; one that still stands and that nobody has seen is announced again."""
    alarm = fold.alarms.get(event.alarm_id)
    if alarm is None:
        return Step()
    cause = event.evidence.get("cause")
    others = tuple(s for s in alarm.suppression if s.hold is Hold.SHELVED or s.cause != cause)
    free = replace(alarm, suppression=others, seq=seq)
    return Step((free,), announce=free.calls and not others)


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
}
