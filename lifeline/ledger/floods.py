"""The flood of a ledger: kept beside the cursors, moved with what is announced.

By the time at which announcements were received, not by the Clock: so the same events give the
same ledger. That a flood is over is written with the next announcement; a page is told at once.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from lifeline.ledger.cursors import cursor_of, move
from lifeline.ledger.partition import LEDGER_PARTITION
from rules.events import Event, EventType
from rules.flood import Flood, FloodLimits

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rules.alarms import Step

READER: Final = "flood"
CALLS: Final = frozenset(
    {
        EventType.RAISED, EventType.ESCALATED, EventType.CONFIRMED, EventType.LATE_FINDING,
        EventType.REALARMED, EventType.UNSHELVED, EventType.UNSUPPRESSED, EventType.IN_SERVICE,
        EventType.RERUN_DIFFERS,
    }
)  # fmt: skip
"""Announcements that want somebody's eye; that an alarm returned or was seen does not."""


USUAL_FLOOD: Final = FloodLimits()


def asks_for_an_eye(event: Event, step: Step) -> bool:
    """Tell whether an event called an operator: announced, and nothing held the alarm back.

    A flood folds what goes out of the house, never what the page shows: it calls all the same.
    """
    if not (step.announce and event.announce and event.type in CALLS):
        return False
    return not step.changed[-1].suppression


def of_flood(kind: EventType, said: dict[str, Any], now_ns: int, seq: int) -> Event:
    """Return the event of a flood that begins or is over."""
    return Event(
        type=kind,
        partition=LEDGER_PARTITION,
        offset=seq,
        row=0,
        rule="flood",
        klass="maintenance",
        event_ns=now_ns,
        receive_ns=now_ns,
        evidence=said,
    )


def flood_body(event: Event, seq: int) -> dict[str, Any]:
    """Return the message that goes out in place of what is folded."""
    number = event.evidence["announced"]
    said = {
        EventType.FLOOD: (
            f"Alarm flood: {number} alarms in ten minutes; only red is announced one by one",
            f"报警泛滥：十分钟内 {number} 条报警；仅红色逐条通知",
        ),
        EventType.FLOOD_OVER: (
            f"The alarm flood is over; {number} alarms came in it: look at the list",
            f"报警泛滥已结束，期间共 {number} 条报警，请查看列表",
        ),
    }
    en, zh = said[event.type]
    return {
        "id": seq,
        "type": event.type.value,
        "since_ns": event.evidence["since_ns"],
        "announced": number,
        "received_ns": event.receive_ns,
        "sentence": {"en": en, "zh": zh},
    }


def load(connection: Connection) -> Flood:
    """Return the flood as the ledger has it."""
    held = dict(cursor_of(connection, READER).extra)
    if not held:
        return Flood()
    return Flood(**held | {"times_ns": tuple(held["times_ns"])})


class Watch:
    """Follows the announcements of one append, and says what begins and ends."""

    def __init__(self, connection: Connection, limits: FloodLimits) -> None:
        self._connection, self._limits = connection, limits
        self.flood = self._before = load(connection)

    def announce(self, event: Event) -> list[tuple[EventType, dict[str, Any], int]]:
        """Count an announcement; return what began or ended by it: (type, what to say, when)."""
        if event.type not in CALLS:
            return []
        before, now_ns = self.flood, event.receive_ns
        self.flood = after = before.announce(now_ns, self._limits)
        if after.since_ns == before.since_ns:
            return []
        turned = []
        if before.is_open:
            said = {"since_ns": before.since_ns, "announced": before.announced}
            turned.append((EventType.FLOOD_OVER, said, now_ns))
        if after.is_open:
            said = {"since_ns": after.since_ns, "announced": len(after.times_ns)}
            turned.append((EventType.FLOOD, said, now_ns))
        return turned

    def keep(self) -> None:
        """Write it where it has changed."""
        if self.flood != self._before:
            held = asdict(self.flood) | {"times_ns": list(self.flood.times_ns)}
            move(self._connection, READER, 0, 0, held)
