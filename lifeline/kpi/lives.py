"""How long alarms waited to be seen and to be over, what stands for long, and what they were."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifeline.kpi.calls import shown_severity
from rules.alarm_life import Life
from rules.events import EventType, alarm_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifeline.kpi.past import Line, Span
    from rules.events import Event

STALE_NS: Final = 24 * 3600 * 10**9
_STANDS: Final = frozenset(
    {EventType.RAISED, EventType.RERUN_DIFFERS, EventType.ESCALATED, EventType.LOWERED}
)
_BEGINS: Final = _STANDS | {EventType.LATE_FINDING}
_LEVELS: Final = _STANDS | {EventType.CONFIRMED, EventType.LATE_FINDING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Times of one level in seconds: half, nine tenths, 99 of a hundred took no longer."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What people found the alarms of a rule to be; ``causes`` of the false ones."""

    true: int
    false: int
    none: int
    causes: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """What became of the alarms of a span."""

    raised: int  # alarms that began in it
    ended: int
    acknowledged: dict[int, Times]  # by the level it had
    closed: dict[int, Times]  # from the first raise until it was over, by its worst level
    unseen: dict[int, int]  # over in the span and acknowledged by nobody
    waiting: tuple[str, ...]  # unacknowledged at its end
    standing: tuple[str, ...]  # active at its end
    stale: tuple[str, ...]  # of these, for more than a day
    became_stale: int
    rules: dict[str, Verdicts]


@dataclass(slots=True)
class _Row:
    first_ns: int
    rule: str
    life: Life
    worst: int = 0
    since_ns: int = 0  # active since; 0 = it is not
    pending: list[tuple[int, int]] = field(default_factory=list)  # (level, when) of its calls
    before_ack: list[tuple[int, int]] = field(default_factory=list)
    acked_at: int = 0  # seq of the acknowledgement that can be taken back
    verdict: tuple[str, str] = ("", "")
    over: bool = False
    joined: bool = False  # went on as another alarm of its key


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Return the nearest rank: the least value that ``share`` of them do not exceed."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def lives_of(lines: Sequence[Line], span: Span) -> Lives:
    """Walk through the lives of alarms up to a span's end."""
    walk = _Walk(span)
    for line in lines:
        walk.take(line)
    return walk.told()


class _Walk:
    def __init__(self, span: Span) -> None:
        self._span = span
        self._lives: dict[str, _Row] = {}
        self._raised_by: dict[int, str] = {}  # seq of a raise: its alarm
        self._acks: dict[int, tuple[int, float]] = {}  # seq of the ACKED: (level, s)
        self._closes: dict[str, tuple[int, float]] = {}  # alarm: (level, s)
        self._unseen: dict[str, int] = {}
        self._late: dict[str, str] = {}  # alarm key: the open alarm of its late findings
        self._became_stale = 0

    def _alarm_of(self, event: Event) -> str:
        """Return the alarm an event is about: late findings of one key join one that is open."""
        if event.type is not EventType.LATE_FINDING:
            return event.alarm_id
        held = self._late.get(event.alarm_key, "")
        if not held or self._lives[held].over:
            held = alarm_id(event.alarm_key, f"late {event.offset}.{event.row}")
            self._late[event.alarm_key] = held
        return held

    def take(self, line: Line) -> None:
        event = line.event
        if event.type is EventType.LATE_FINDING and not event.announce:
            return  # contradicted by what was judged before: no alarm
        name = self._alarm_of(event)
        row = self._lives.get(name)
        if row is None:
            if event.type not in _BEGINS:
                return  # of no alarm, or of one that began before there was a ledger
            how = Life.of(event.evidence.get("life", {}))
            row = self._lives[name] = _Row(event.receive_ns, event.rule, how)
        if event.type in _STANDS:
            self._raised_by[line.seq] = event.alarm_id
            row.since_ns = row.since_ns or event.receive_ns
        if event.type in _LEVELS:
            row.worst = max(row.worst, event.severity, event.max_severity)
        if line.called and row.life.ack != "none":
            row.pending.append((max(shown_severity(event), 1), event.receive_ns))
        move = _MOVES.get(event.type)
        if move is not None:
            move(self, row, line)

    def _classified(self, row: _Row, line: Line) -> None:
        said = line.event.evidence
        row.verdict = (str(said.get("verdict", "")), str(said.get("cause", "")))

    def _returned(self, row: _Row, line: Line) -> None:
        if row.since_ns:
            self._stale_crossed(row.since_ns, line.event.receive_ns)
        row.since_ns = 0

    def _stale_crossed(self, since_ns: int, until_ns: int) -> None:
        crossed_ns = since_ns + STALE_NS
        within = self._span.from_ns <= crossed_ns < self._span.to_ns
        self._became_stale += within and crossed_ns < until_ns

    def _acked(self, row: _Row, line: Line) -> None:
        if row.pending and self._span.holds(line.event):
            level = max(severity for severity, _ in row.pending)
            since_ns = min(at for severity, at in row.pending if severity == level)
            self._acks[line.seq] = (level, (line.event.receive_ns - since_ns) / 1e9)
        row.before_ack, row.pending, row.acked_at = row.pending, [], line.seq

    def _revoked(self, row: _Row, line: Line) -> None:
        """Forget the acknowledgement: the alarm waits since it first called."""
        alarm_id = line.event.alarm_id
        self._acks.pop(row.acked_at, None)
        row.pending = [*row.before_ack, *row.pending]
        if row.over and row.life.latches(row.worst):  # back in the list
            self._closes.pop(alarm_id, None)
            row.over = False

    def _ended(self, row: _Row, line: Line) -> None:
        event = line.event
        cause = int(event.evidence.get("cause", 0))
        heir = self._raised_by.get(cause)
        if heir is not None and heir != event.alarm_id:
            self._inherit(row, self._lives[heir])
            return
        row.over = True
        if self._span.holds(event):
            took_s = (event.receive_ns - row.first_ns) / 1e9
            self._closes[event.alarm_id] = (row.worst, took_s)
            if row.pending:
                self._unseen[event.alarm_id] = row.worst
        row.pending = []

    @staticmethod
    def _inherit(old: _Row, new: _Row) -> None:
        """Go on as the new alarm: it is the same row to who looks at the list."""
        new.first_ns, new.worst = old.first_ns, max(old.worst, new.worst)
        new.pending = [*old.pending, *new.pending]
        old.pending, old.over, old.joined = [], True, True

    def told(self) -> Lives:
        span, lives = self._span, self._lives
        standing = [i for i, row in lives.items() if row.since_ns and not row.over]
        for i in standing:
            self._stale_crossed(lives[i].since_ns, span.to_ns)
        stale = [i for i in standing if span.to_ns - lives[i].since_ns > STALE_NS]
        born = [
            row
            for row in lives.values()
            if not row.joined and span.from_ns <= row.first_ns < span.to_ns
        ]
        return Lives(
            raised=len(born),
            ended=len(self._closes),
            acknowledged=_times(list(self._acks.values())),
            closed=_times(list(self._closes.values())),
            unseen=dict(sorted(Counter(self._unseen.values()).items())),
            waiting=tuple(i for i, row in lives.items() if row.pending and not row.over),
            standing=tuple(standing),
            stale=tuple(stale),
            became_stale=self._became_stale,
            rules=_verdicts(born),
        )


_MOVES: Final[Mapping[EventType, Callable[[_Walk, _Row, Line], None]]] = {
    EventType.CLEARED: _Walk._returned,  # noqa: SLF001 - the walk's own moves
    EventType.RULE_CHANGED: _Walk._returned,  # noqa: SLF001
    EventType.ACKED: _Walk._acked,  # noqa: SLF001
    EventType.ACK_REVOKED: _Walk._revoked,  # noqa: SLF001
    EventType.ENDED: _Walk._ended,  # noqa: SLF001
    EventType.CLASSIFIED: _Walk._classified,  # noqa: SLF001
}


def _times(found: Sequence[tuple[int, float]]) -> dict[int, Times]:
    held: dict[int, list[float]] = {}
    for level, took_s in found:
        held.setdefault(level, []).append(took_s)
    told = {}
    for level in sorted(held):
        values = sorted(held[level])
        told[level] = Times(
            count=len(values),
            p50_s=percentile(values, 0.5),
            p90_s=percentile(values, 0.9),
            p99_s=percentile(values, 0.99),
        )
    return told


def _verdicts(born: Sequence[_Row]) -> dict[str, Verdicts]:
    told = {}
    for rule in sorted({life.rule for life in born}):
        mine = [life.verdict for life in born if life.rule == rule]
        causes = Counter(cause for verdict, cause in mine if verdict == "false")
        told[rule] = Verdicts(
            true=sum(verdict == "true" for verdict, _ in mine),
            false=sum(verdict == "false" for verdict, _ in mine),
            none=sum(not verdict for verdict, _ in mine),
            causes=dict(sorted(causes.items(), key=lambda item: (-item[1], item[0]))),
        )
    return told
