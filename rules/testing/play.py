"""Playing a case: its journal through the engine, its operator through the alarm states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.alarm_fold import AlarmFold
from rules.alarms import Ack, Alarm
from rules.durations import format_duration
from rules.engine import Engine
from rules.events import Event, EventType
from rules.readings import Control, Readings, Record
from rules.testing.journal import SECOND_NS
from rules.testing.ticks import STEP_TICKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.series import Series
    from rules.testing.cases import Case
    from rules.testing.journal import Act, Entries, Journal

BATCH: Final = 20_000
RED: Final = 4
REPEATED: Final = 8  # records before one that are sent once more with it


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How the same journal is read: in batches, with restarts, or with everything sent twice."""

    batch: int = BATCH
    batch_until: int = 1 << 62  # records; what follows is read in batches of BATCH
    restart: Callable[[int], bool] | None = None  # after which record, by its number
    twice: bool = False
    scores: bool = False
    inputs: bool = False  # tell also of conditions that are only joined by other rules


@dataclass(slots=True)
class Played:
    """What came of it: the engine's events, with the operator's among them in ``told``."""

    events: list[Event] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)  # actions that could not be done
    series: list[Series] = field(default_factory=list)


def play(case: Case, journal: Journal, entries: Entries, how: How | None = None) -> Played:
    """Play ``entries`` (Journal.records of some ticks) and return what came of it."""
    return _Player(case, journal, how or How()).play(entries)


class _Player:
    """One run of one engine, and of the alarm states its operator acts upon."""

    def __init__(self, case: Case, journal: Journal, how: How) -> None:
        self.case, self.journal, self.how = case, journal, how
        # ticks that are left out are no sign that anything of ours stood still
        longest = 2 * STEP_TICKS * SECOND_NS
        blind_after_ns = max(case.plan.blind_after_ns, longest)
        plan = replace(case.plan.as_live(), blind_after_ns=blind_after_ns)
        if how.inputs:
            told = (*plan.channel_rules, *plan.input_rules)
            plan = replace(plan, channel_rules=told, input_rules=())
        self.plan = plan
        self.engine = Engine(self.plan, case.registry, reads_out=how.scores)
        self.alarms = AlarmFold()
        self.played = Played()
        self.pending: list[Record] = []
        self.before: list[Readings] = []
        self.shelf_ends: set[int] = set()  # Unix ns, of shelves that were ordered

    def play(self, entries: Entries) -> Played:
        how = self.how
        for number, entry in enumerate(entries):
            self._end_shelves(int(entries.offset[number]) - 1)
            if isinstance(entry, Record):
                self._take(entry)
            else:
                self._flush()
                offset = int(entries.offset[number])
                control = self._act(offset, entry)
                if control is not None:
                    self.pending.append(Record(self._offset(offset), control))
            if len(self.pending) >= (how.batch if number < how.batch_until else BATCH):
                self._flush()
            if how.restart is not None and how.restart(number):
                self._flush()
                self._restart()
        self._flush()
        self._end_shelves(self.journal.until(self.journal.end_ns))
        if how.scores:
            self.played.series = self.engine.series()
        return self.played

    def _offset(self, offset: int) -> int:
        return 2 * offset if self.how.twice else offset

    def _take(self, record: Record) -> None:
        if not self.how.twice:
            self.pending.append(record)
            return
        self.pending.append(Record(2 * record.offset, record.body))
        if isinstance(record.body, Readings):
            again = self._again(record.body)
            self.pending.append(Record(2 * record.offset + 1, again))
        elif not hasattr(record.body, "tick_ns"):
            self.pending.append(Record(2 * record.offset + 1, record.body))

    def _again(self, rows: Readings) -> Readings:
        """Return a redelivery: these rows, and those of the last messages of the same devices."""
        self.before = [*self.before[-REPEATED:], rows]
        every = Readings.concatenate(self.before)
        mine = every.take(np.isin(every.device, rows.device))
        at_ns = np.full(len(mine), rows.receive_ns[-1])
        return replace(mine, receive_ns=at_ns)

    def _flush(self) -> None:
        if not self.pending:
            return
        events = self.engine.fold(self.pending)
        self.pending = []
        if self.how.twice:
            events = [_renumbered(event) for event in events]
        for event in events:
            self.alarms.apply(event, len(self.played.told) + 1)
            self.played.told.append(event)
        self.played.events += events

    def _restart(self) -> None:
        state: dict[str, Any] = self.engine.snapshot()
        series = self.engine.series()
        self.engine = Engine(self.plan, self.case.registry, reads_out=self.how.scores)
        self.played.events += self.engine.restore(state)
        self.played.series += series

    def _act(self, offset: int, act: Act) -> Control | None:
        """Return the Control of an action, None after noting that there is nothing to do it to."""
        action, subject = act.action, self.case.action_subjects[act.number]
        at_ns = self.case.start_ns + action.at
        who = {"by": action.by, "command": f"{action.do}-{act.number}"}
        if action.do == "reset":
            return Control("reset", {"rule": action.rule, "channel": subject, **who})
        if action.do != "ack":
            return self._shelf(offset, act)
        alarm = self._waiting(act)
        if alarm is None:
            at = format_duration(action.at)
            said = f"nothing to acknowledge at {at}: {action.rule} has no alarm that waits there"
            self.played.refused.append((act.number, said))
            return None
        seen = {"by": action.by, "comment": action.comment}
        self._tell(EventType.ACKED, alarm, offset, at_ns, seen)
        return Control("ack", {"alarm": self._engine_id(alarm), **who})

    def _tell(
        self, kind: EventType, alarm: Alarm, offset: int, at_ns: int, said: dict[str, Any]
    ) -> None:
        """Put an event of people, or of the clock, among the engine's."""
        event = Event(
            type=kind,
            offset=offset,
            row=0,
            rule=alarm.rule,
            subject=alarm.subject,
            side=alarm.side,
            episode=alarm.episode,
            event_ns=at_ns,
            receive_ns=at_ns,
            evidence=said,
        )
        self.alarms.apply(event, len(self.played.told) + 1)
        self.played.told.append(event)

    def _shelf(self, offset: int, act: Act) -> Control | None:
        """Shelve or unshelve as the ledger does: red by two persons, as long as the rule allows."""
        action, at_ns = act.action, self.case.start_ns + act.action.at
        shelves = action.do == "shelve"
        alarm = self._found(act, lambda a: (a.shelf is None) == shelves)
        at = format_duration(action.at)
        if alarm is None:
            said = f"nothing to {action.do} at {at}: {action.rule} has no such alarm"
            self.played.refused.append((act.number, said))
            return None
        by: dict[str, Any] = {"by": action.by}
        for_ns, most = action.for_ or 0, alarm.life.shelve_max_ns
        if not shelves:
            kind = EventType.UNSHELVED
        elif for_ns > most:
            allows = f"{alarm.rule} allows at most {format_duration(most)}"
            said = f"shelved at {at} for {format_duration(for_ns)}: {allows}"
            self.played.refused.append((act.number, said))
            return None
        elif max(alarm.severity, alarm.shown_severity) >= RED and not alarm.shelve_asked_by:
            kind = EventType.SHELVE_ASKED
            by |= {"reason": action.reason, "for_ns": for_ns}
        elif alarm.shelve_asked_by == action.by:
            said = f"shelved at {at} by {action.by}, who asked for it: red takes a second person"
            self.played.refused.append((act.number, said))
            return None
        else:
            kind = EventType.SHELVED
            by |= {"reason": action.reason, "until_ns": at_ns + for_ns}
            self.shelf_ends.add(at_ns + for_ns)
        self._tell(kind, alarm, offset, at_ns, by)
        told = {"alarm": self._engine_id(alarm), "event": kind.value, "said": by}
        return Control("operate", told | {"command": f"{action.do}-{act.number}"})

    def _end_shelves(self, before: int) -> None:
        """End the shelves whose time is up at or before an offset, each at its moment."""
        for end_ns in sorted(self.shelf_ends):
            offset = self.journal.until(end_ns - self.case.start_ns)
            if offset > before:
                return
            self._flush()
            self.shelf_ends.discard(end_ns)
            for alarm in list(self.alarms.alarms.values()):
                if alarm.shelf is not None and alarm.shelf.until_ns == end_ns:
                    said = {"by": "", "reason": "time is up"}
                    self._tell(EventType.UNSHELVED, alarm, offset, end_ns, said)

    def _waiting(self, act: Act) -> Alarm | None:
        """Return the alarm an acknowledgement means: unacknowledged, and not over."""
        return self._found(act, lambda alarm: alarm.ack is Ack.UNACKED)

    def _found(self, act: Act, fits: Callable[[Alarm], bool]) -> Alarm | None:
        """Return the newest alarm an action means that fits, and is not over."""
        action, subject = act.action, self.case.action_subjects[act.number]
        side = {"high": 1, "low": -1, None: 0}[action.side]
        found = [
            alarm
            for alarm in self.alarms.alarms.values()
            if alarm.rule == action.rule
            and subject in ("", alarm.subject)
            and side in (0, alarm.side)
            and fits(alarm)
            and not alarm.ended
        ]
        return found[-1] if found else None

    def _engine_id(self, alarm: Alarm) -> str:
        """Return the alarm's id by the engine's own numbers, which ``twice`` doubles."""
        if not self.how.twice or not alarm.episode or alarm.late:
            return alarm.alarm_id
        offset, _, row = alarm.episode.partition(".")
        episode = f"{2 * int(offset)}.{row}"
        return Event(
            type=EventType.ACKED, offset=0, row=0, rule=alarm.rule, subject=alarm.subject,
            side=alarm.side, episode=episode,
        ).alarm_id  # fmt: skip


def _renumbered(event: Event) -> Event:
    """Return an event of a doubled journal as of the plain one; odd offsets stay to be seen."""
    if event.offset % 2:
        return event
    episode = event.episode
    if episode:
        offset, _, row = episode.partition(".")
        episode = f"{int(offset) // 2}.{row}"
    return event._replace(offset=event.offset // 2, episode=episode)
