"""Past alarms like one that stands: how they went and what was done, for whoever judges it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from lifeline.ledger.incidents import Incidents
from lifeline.ledger.tables import ALARM
from rules.alarm_forms import alarm_of
from rules.events import EventType
from rules.incidents.flow import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lifeline.ledger.ledger import Ledger
    from rules.alarms import Alarm

LISTED: Final = 6
LOOKED_AT: Final = 400  # newest rows of a rule: what is older has little to say
_SAID: Final = (
    EventType.ACKED, EventType.COMMENTED, EventType.CLASSIFIED, EventType.RESET, EventType.SHELVED,
)  # fmt: skip
_DONE: Final = (
    Kind.VERIFY, Kind.DISPATCH, Kind.ARRIVE, Kind.MITIGATE, Kind.COMMENT, Kind.CLOSE,
    Kind.FALSE_ALARM,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody did about an alarm, or about its incident. ``at_ns`` is the site's Clock."""

    what: str  # an EventType's or a Kind's value
    of_incident: bool
    at_ns: int
    by: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """One past alarm. ``same``: the very source; else its rule on another asset of the kind."""

    alarm: Alarm
    same: bool
    incident_id: str  # "" = of none
    cause: str  # its verdict's, else the incident's; "" = nobody said
    deeds: tuple[Deed, ...]


def alike(
    ledger: Ledger,
    alarm: Alarm,
    *,
    fits: Callable[[str], bool],
    simulation: bool,
    limit: int = LISTED,
) -> list[Alike]:
    """Return past alarms of the same rule: of the same subject first, newest first in each.

    ``fits`` tells whether another subject is of the same kind, and seen. Of each of these at most
    one is told, so that one restless sensor does not fill the list. What is simulated is like
    what is simulated only.

    Raises
    ------
    Unavailable
    """
    past = (ALARM.c.alarm_id != alarm.alarm_id) & ALARM.c.simulation.is_(simulation)
    query = select(ALARM.c.state).where(past).order_by(ALARM.c.seq.desc())
    own = query.where(ALARM.c.alarm_key == alarm.alarm_key).limit(limit)
    others = query.where(
        ALARM.c.rule == alarm.rule, ALARM.c.subject != alarm.subject, ALARM.c.ended.is_(True)
    )
    with ledger.read() as connection:
        same = [alarm_of(state) for (state,) in connection.execute(own)]
        rows = connection.execute(others.limit(LOOKED_AT)).all()
    held: dict[str, Alarm] = {}
    for (state,) in rows:
        each = alarm_of(state)
        if each.side == alarm.side and each.subject not in held and fits(each.subject):
            held[each.subject] = each
    chosen = [*same, *held.values()][:limit]
    return [_told(ledger, each, same=each.subject == alarm.subject) for each in chosen]


def _told(ledger: Ledger, alarm: Alarm, *, same: bool) -> Alike:
    incidents = Incidents(ledger)
    incident_id = incidents.of_alarm(alarm.alarm_id)
    deeds = [
        _deed(event.type.value, event.receive_ns, event.evidence, of_incident=False)
        for _, event in ledger.events_of(alarm.alarm_id)
        if event.type in _SAID
    ]
    cause = alarm.cause
    if incident_id:
        deeds += [
            _deed(told.kind.value, told.at_ns, dict(told.said) | {"by": told.by}, of_incident=True)
            for told in incidents.events(incident_id)
            if told.kind in _DONE and told.by
        ]
        cause = cause or incidents.one(incident_id).handling.cause
    deeds = [deed for deed in deeds if deed.said or deed.what != EventType.ACKED.value]
    deeds.sort(key=lambda deed: deed.at_ns)
    return Alike(alarm=alarm, same=same, incident_id=incident_id, cause=cause, deeds=tuple(deeds))


def _deed(what: str, at_ns: int, said: Mapping[str, Any], *, of_incident: bool) -> Deed:
    words = str(said.get("comment") or said.get("reason") or "")
    by = str(said.get("by", ""))
    return Deed(what=what, of_incident=of_incident, at_ns=at_ns, by=by, said=words)
