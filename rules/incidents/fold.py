"""From events of alarms to incidents: what the ledger, the measurement and the tests fold with.

Told after the alarm fold has taken an event, with the alarms it changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.alarms import Condition
from rules.events import EventType
from rules.incidents.grouping import Group, Grouping, Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.alarms import Alarm
    from rules.events import Event

OPENING: Final = frozenset(
    {EventType.RAISED, EventType.ESCALATED, EventType.LATE_FINDING, EventType.RERUN_DIFFERS}
)
"""Events after which an alarm that has no incident gets one."""
FOLLOWED: Final = OPENING | {
    EventType.CONFIRMED, EventType.LOWERED, EventType.CLEARED, EventType.RULE_CHANGED,
}  # fmt: skip
WORSE: Final = frozenset({EventType.ESCALATED, EventType.CONFIRMED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one event did to an incident."""

    group: Group
    alarm_id: str
    joined: bool = False  # a new member, of an incident that was there
    opened: bool = False
    worse: bool = False  # a member became worse, or sure


def changes(grouping: Grouping, event: Event, changed: Sequence[Alarm]) -> list[Change]:
    """Fold one event into the incidents; ``changed`` are the alarms it changed, newest last."""
    if event.type not in FOLLOWED:
        return []
    found = []
    for alarm in changed:
        known = grouping.of(alarm.alarm_id)
        if known is None and (event.type not in OPENING or alarm.ended):
            continue  # over, or of an incident that people have closed
        before = {m.alarm_id for m in known.members} if known is not None else set()
        group, joined = grouping.take(member_of(grouping, alarm))
        if known is not None and group == known:
            continue
        found.append(
            Change(
                group=group,
                alarm_id=alarm.alarm_id,
                joined=joined,
                opened=not joined and not before,
                worse=event.type in WORSE and bool(before),
            )
        )
    return found


def member_of(grouping: Grouping, alarm: Alarm) -> Member:
    """Return an alarm as grouping needs it."""
    return Member(
        alarm_id=alarm.alarm_id,
        place=grouping.places.place(alarm.rule, alarm.side, alarm.subject),
        rule=alarm.rule,
        onset_ns=alarm.onset_ns or alarm.raised_ns,
        raised_ns=alarm.receive_ns,  # an alarm that is a member keeps when it joined
        seen_ns=alarm.receive_ns,
        severity=max(alarm.severity, alarm.max_severity),
        active=alarm.condition is Condition.ACTIVE,
    )
