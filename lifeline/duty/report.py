"""A shift in facts: what came, what was done and by whom, what is left, and how it went.

Made of the ledger alone. How alarms stood when the shift ended is a fold of their own events; of a
shift that still runs, it is how they stand now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from lifeline.ledger import HandOvers
from lifeline.ledger.tables import EVENT
from rules.alarm_fold import AlarmFold
from rules.alarms import Ack, Alarm
from rules.events import Event, EventType, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.duty.shifts import Shift
    from lifeline.kpi.figures import Kpis
    from lifeline.kpi.gather import City
    from lifeline.kpi.past import Line
    from lifeline.ledger import HandOver

CAME: Final = frozenset(
    {EventType.RAISED, EventType.ESCALATED, EventType.LATE_FINDING, EventType.RERUN_DIFFERS}
)
DONE: Final = frozenset(
    {
        EventType.ACKED, EventType.ACK_REVOKED, EventType.SHELVE_ASKED, EventType.SHELVED,
        EventType.UNSHELVED, EventType.COMMENTED, EventType.ASSIGNED, EventType.CLASSIFIED,
    }
)  # fmt: skip
OF_SHIFT: Final = (EventType.BLIND, EventType.PROOF_TESTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftReport:
    """The facts of one shift; events in the order of the ledger."""

    shift: Shift
    running: bool  # it had not ended when this was made
    made_ns: int
    came: tuple[Event, ...]
    done: tuple[Event, ...]  # by people; what time did has no name
    alarms: dict[str, Alarm]  # those of the events, and all that were left, as it ended
    open: tuple[Alarm, ...]  # worst first
    hand_overs: tuple[HandOver, ...]
    blinds: tuple[tuple[int, int], ...]  # (from, to), Unix ns
    tests: tuple[Event, ...]  # PROOF_TESTED
    kpis: Kpis

    @property
    def unacknowledged(self) -> tuple[Alarm, ...]:
        """Return the open ones that nobody has seen."""
        return tuple(alarm for alarm in self.open if alarm.ack is Ack.UNACKED)

    @property
    def shelved(self) -> tuple[Alarm, ...]:
        """Return the open ones on a shelf."""
        return tuple(alarm for alarm in self.open if alarm.shelf is not None)


def shift_report(city: City, shift: Shift, *, now_ns: int) -> ShiftReport:
    """Return the facts of a shift that has begun.

    Raises
    ------
    ValueError
        It lies in the future.
    lifeline.ledger.Unavailable
    """
    if shift.from_ns >= now_ns:
        raise ValueError(f"shift {shift.name} has not begun")
    running = now_ns < shift.to_ns
    span = city.span(shift.from_ns, min(shift.to_ns, now_ns))
    lines = city.lines(span)
    inside = [line.event for line in lines if span.holds(line.event)]
    alarms = _folded(lines)
    of_shift = _of_shift(city, span.from_ns, span.to_ns)
    whole = city.sight is None or city.sight.whole
    left = [alarm for alarm in alarms.values() if not alarm.ended]
    return ShiftReport(
        shift=shift,
        running=running,
        made_ns=now_ns,
        came=tuple(e for e in inside if e.type in CAME and e.announce),
        done=tuple(e for e in inside if e.type in DONE and e.evidence.get("by")),
        alarms=alarms,
        open=tuple(sorted(left, key=lambda a: (-a.shown_severity, -a.max_severity, -a.seq))),
        hand_overs=tuple(
            each
            for each in HandOvers(city.ledger).all()[::-1]
            if whole and _touches(each, span.from_ns, span.to_ns)
        ),
        blinds=tuple((e.onset_ns, e.event_ns) for e in of_shift if e.type is EventType.BLIND),
        tests=tuple(
            e for e in of_shift if e.type is EventType.PROOF_TESTED and city.sees(e.subject)
        ),
        kpis=city.figures(span, lines),
    )


def _touches(each: HandOver, from_ns: int, to_ns: int) -> bool:
    times = (each.offered_ns, each.taken_ns, each.kept_ns)
    return any(from_ns <= at < to_ns for at in times)


def _folded(lines: Sequence[Line]) -> dict[str, Alarm]:
    fold = AlarmFold()
    for line in lines:
        fold.apply(line.event, line.seq)
    return fold.alarms


def _of_shift(city: City, from_ns: int, to_ns: int) -> list[Event]:
    """Return the events of a shift that are about no alarm."""
    query = (
        select(EVENT.c.body)
        .where(
            EVENT.c.receive_ns >= from_ns,
            EVENT.c.receive_ns < to_ns,
            EVENT.c.type.in_([kind.value for kind in OF_SHIFT]),
        )
        .order_by(EVENT.c.seq)
    )
    with city.ledger.read() as connection:
        return [decode(row.body.encode()) for row in connection.execute(query)]
