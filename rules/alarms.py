"""Alarm states after ISA-18.2: a pure fold of events and commands, one alarm an episode.

A flat machine loses facts (shelve an acknowledged alarm, unshelve it: is it acknowledged?), so an
alarm has four regions that move independently: condition, acknowledgement, suppression, data.
The one ISA word that lists show is derived from them. An alarm stays open until it has returned
*and* somebody has seen it; levels that do not latch (blue) close by themselves.

Late findings have no episode of the engine: those of one alarm key join one open "late" alarm,
which is returned from the start and waits to be acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rules.events import Event, EventType, alarm_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Condition(StrEnum):
    """What the process does. PENDING and RECOVERING are known to the engine only, so far."""

    NORMAL = "normal"
    PENDING = "pending"
    ACTIVE = "active"
    RECOVERING = "recovering"


class Ack(StrEnum):
    """Whether a person has taken note of the alarm as it stands."""

    UNACKED = "unacked"
    ACKED = "acked"


class Data(StrEnum):
    """Whether the channel behind the alarm still speaks. A badge on any word."""

    LIVE = "live"
    STALE = "stale"
    BAD = "bad"


class Hold(StrEnum):
    """Why an alarm may be kept from announcing; several may hold at once."""

    SHELVED = "shelved"
    BY_DESIGN = "by_design"
    OUT_OF_SERVICE = "out_of_service"


class Word(StrEnum):
    """The ISA-18.2 state shown; the first that holds, in this order."""

    OOSRV = "OOSRV"
    DSUPR = "DSUPR"
    SHLVD = "SHLVD"
    UNACK = "UNACK"
    RTNUN = "RTNUN"
    ACKED = "ACKED"
    NORM = "NORM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One reason to hold the announcement: until when, because of what, on whose word."""

    hold: Hold
    until_ns: int = 0  # 0 = until lifted
    cause: str = ""
    by: str = ""


LATCH: Mapping[int, bool] = {1: False, 2: True, 3: True, 4: True}
"""Which severities wait for a person after they returned: blue closes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One episode of one alarm key. Times are Unix ns; ``seq`` counts in the ledger's order."""

    alarm_id: str
    rule: str
    side: int
    subject: str
    klass: str = ""
    episode: str = ""
    late: bool = False  # of a late finding: returned from the start
    condition: Condition = Condition.NORMAL
    ack: Ack = Ack.UNACKED
    suppression: tuple[Suppression, ...] = ()
    data: Data = Data.LIVE
    severity: int = 0
    max_severity: int = 0
    confirmed: bool = True
    over_range: bool = False
    onset_ns: int = 0  # the breach began
    raised_ns: int = 0  # first raise of the episode, measured at
    event_ns: int = 0  # of the newest event, measured at
    receive_ns: int = 0  # of the newest event, received at
    cleared_ns: int = 0
    cleared_value: float | None = None
    value: float | None = None
    score: float | None = None
    limit: float | None = None
    findings: int = 0  # late findings joined into this alarm
    reactivations: int = 0  # returned unacknowledged, then raised again
    acked_by: str = ""
    acked_ns: int = 0
    ack_comment: str = ""
    ended: bool = False
    seq: int = 0
    worse_seq: int = 0
    """The newest ``seq`` that made it worse or moved the acknowledgement: who acknowledges must
    have seen at least this."""

    @property
    def alarm_key(self) -> str:
        """Return rule, side and subject as one text."""
        return f"{self.rule}|{'high' if self.side > 0 else 'low'}|{self.subject}"

    @property
    def shown_severity(self) -> int:
        """Return the level to announce: one lower while a first dangerous sample stands alone."""
        at = self.severity or self.max_severity
        return at if self.confirmed or at <= 1 else at - 1

    @property
    def word(self) -> Word:
        """Return the ISA word."""
        holds = {s.hold for s in self.suppression}
        active = self.condition in (Condition.ACTIVE, Condition.RECOVERING)
        for word, held in (
            (Word.OOSRV, Hold.OUT_OF_SERVICE in holds),
            (Word.DSUPR, Hold.BY_DESIGN in holds),
            (Word.SHLVD, Hold.SHELVED in holds),
            (Word.UNACK, active and self.ack is Ack.UNACKED),
            (Word.RTNUN, not active and self.ack is Ack.UNACKED and not self.ended),
            (Word.ACKED, active),
        ):
            if held:
                return word
        return Word.NORM


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did: the alarms it changed, newest last, and the ids that ended by it."""

    changed: tuple[Alarm, ...] = ()
    ended: tuple[str, ...] = ()
    announce: bool = False


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
        suppression=old.suppression,
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


_MOVES: dict[EventType, Any] = {
    EventType.RAISED: _raised,
    EventType.ESCALATED: _escalated,
    EventType.LOWERED: _lowered,
    EventType.CLEARED: _cleared,
    EventType.RULE_CHANGED: _rule_changed,
    EventType.RERUN_DIFFERS: _raised,
    EventType.CONFIRMED: _confirmed,
    EventType.LATE_FINDING: _late,
    EventType.RESET: _reset,
    EventType.ACKED: _acked,
    EventType.ACK_REVOKED: _revoked,
}
