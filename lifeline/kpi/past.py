"""The part of the ledger that a span of time needs: whole lives of alarms, up to the span's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from lifeline.ledger.tables import ALARM, EVENT
from rules.alarm_forms import alarm_of
from rules.events import Event, EventType, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from lifeline.ledger import Ledger

FIRST_PARTITION = "0"  # the only one there is, so far
_NEAR = 3  # a flood that begins or ends by the raise may stand between
_CHUNK = 400  # variables of a statement; old builds of SQLite take 999


OF_NO_ALARM: Final = frozenset(
    {
        EventType.FLOOD, EventType.FLOOD_OVER, EventType.CALLED, EventType.HEARTBEAT,
        EventType.BLIND, EventType.CLOCK_EPOCH, EventType.SHIFT_OFFERED, EventType.SHIFT_TAKEN,
        EventType.SHIFT_KEPT, EventType.PROOF_TESTED,
    }
)  # fmt: skip
"""What stands among the events and moves no alarm; of heartbeats there is one each half minute."""
_LIVED: Final = EVENT.c.type.not_in(sorted(kind.value for kind in OF_NO_ALARM))


class Line(NamedTuple):
    """One event as the ledger has it; ``called``: it asked for an operator's eye."""

    seq: int
    event: Event
    called: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when (inclusive) to when (exclusive), Unix ns; and for how many operators at a time.

    Raises
    ------
    ValueError
        It is empty, or nobody sits there.
    """

    from_ns: int
    to_ns: int
    operators: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.from_ns < self.to_ns:
            raise ValueError(f"from {self.from_ns} must lie before to {self.to_ns}")
        if self.operators < 1:
            raise ValueError(f"operators = {self.operators}: at least one sits there")

    def holds(self, event: Event) -> bool:
        """Tell whether an event was received in it."""
        return self.from_ns <= event.receive_ns < self.to_ns


def read_past(
    ledger: Ledger,
    span: Span,
    *,
    simulation: bool,
    seen: Callable[[str], bool] | None = None,
) -> list[Line]:
    """Return, in the ledger's order, every event before the span's end of each alarm in it.

    An alarm is in it that has an event there, or that stands all through it. ``simulation``: also
    what simulated readings gave; ``seen`` tells of a subject whether who asks may see it.

    Raises
    ------
    lifeline.ledger.Unavailable
        The database does not answer.
    """
    rows: dict[int, Any] = {}
    with ledger.read() as connection:
        known, wanted = set[str](), _touched(connection, span)
        while wanted:
            known |= wanted
            fresh = list(_lives(connection, sorted(wanted), span, simulation=simulation))
            rows |= {row.seq: row for row in fresh}
            wanted = {*_forerunners(connection, fresh), *_late_alarms(connection, fresh)} - known
    lines = (
        Line(row.seq, decode(row.body.encode()), bool(row.called))
        for _, row in sorted(rows.items())
    )
    return [line for line in lines if seen is None or seen(line.event.subject)]


def _lives(
    connection: Connection, ids: Sequence[str], span: Span, *, simulation: bool
) -> Iterator[Any]:
    columns = (EVENT.c.seq, EVENT.c.type, EVENT.c.body, EVENT.c.called)
    real = [] if simulation else [EVENT.c.simulation.is_(False)]
    for at in range(0, len(ids), _CHUNK):
        ours = EVENT.c.alarm_id.in_(ids[at : at + _CHUNK])
        yield from connection.execute(
            select(*columns).where(ours, _LIVED, EVENT.c.receive_ns < span.to_ns, *real)
        )


def _forerunners(connection: Connection, rows: Sequence[Any]) -> Iterator[str]:
    """Yield the alarms that ended by going on as one of these: an ENDED follows each such raise."""
    raises = [row.seq for row in rows if row.type == EventType.RAISED.value]
    for at in range(0, len(raises), _CHUNK // _NEAR):
        near = [seq + n for seq in raises[at : at + _CHUNK // _NEAR] for n in range(1, _NEAR + 1)]
        ended = EVENT.c.type == EventType.ENDED.value
        query = select(EVENT.c.alarm_id).where(EVENT.c.seq.in_(near), ended)
        yield from (row[0] for row in connection.execute(query))


def _late_alarms(connection: Connection, rows: Sequence[Any]) -> Iterator[str]:
    """Yield every late alarm of the keys of findings: these join one until it is over."""
    late = EventType.LATE_FINDING.value
    keys = sorted({decode(row.body.encode()).alarm_key for row in rows if row.type == late})
    for at in range(0, len(keys), _CHUNK):
        ours = ALARM.c.alarm_key.in_(keys[at : at + _CHUNK])
        query = select(ALARM.c.alarm_id).where(ours, ALARM.c.late.is_(True))
        yield from (row[0] for row in connection.execute(query))


def _touched(connection: Connection, span: Span) -> set[str]:
    """Return ids of alarms with an event in the span, or whose life reaches across it."""
    received = EVENT.c.receive_ns
    within = select(EVENT.c.alarm_id).where(_LIVED, received >= span.from_ns, received < span.to_ns)
    standing = select(ALARM.c.alarm_id).where(ALARM.c.ended.is_(False))
    later = (
        select(ALARM.c.alarm_id)
        .join(EVENT, EVENT.c.seq == ALARM.c.seq)
        .where(received >= span.to_ns, ALARM.c.onset_ns < span.to_ns)
    )
    found = {row[0] for query in (within, standing, later) for row in connection.execute(query)}
    return found | _findings(connection, found)


def _findings(connection: Connection, ids: set[str]) -> set[str]:
    """Return the ids under which the findings stand that late alarms began with."""
    late = (
        select(ALARM.c.alarm_id, ALARM.c.state)
        .where(ALARM.c.late.is_(True))
        .order_by(ALARM.c.alarm_id)
    )
    found: set[str] = set()
    for row in connection.execute(late):
        if row.alarm_id not in ids:
            continue
        alarm = alarm_of(row.state)
        offset, _, at = alarm.episode.removeprefix("late ").partition(".")
        began = select(EVENT.c.alarm_id).where(
            EVENT.c.partition == FIRST_PARTITION,
            EVENT.c.offset == int(offset),
            EVENT.c.row == int(at),
            EVENT.c.rule == alarm.rule,
            EVENT.c.subject == alarm.subject,
        )
        found |= {held[0] for held in connection.execute(began)}
    return found
