"""An incident as a CAP 1.2 message: that of its worst alarm, with all places and its stage.

One message a change: its identifier is the incident and the number of the event that made it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.notify.cap import add_area, add_info, add_pair, alert, stamp, written
from rules.incidents.flow import OVER, STEPS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from lifeline.ledger.incidents import Incident, Told
    from lifeline.notify.cap import CapSender
    from lifeline.site import Site
    from rules.alarms import Alarm

TELLING: Final = frozenset({Kind.OPENED, Kind.JOINED, Kind.WORSE, Kind.RETURNED, *STEPS})
"""Events after which another message stands."""


def identifier(incident_id: str, events: Sequence[Told]) -> str:
    """Return the identifier of the message that stands after these events."""
    return f"{incident_id}-i{max(told.seq for told in events if told.kind in TELLING)}"


def incident_xml(
    incident: Incident,
    alarms: Mapping[str, Alarm],
    events: Sequence[Told],
    site: Site | None,
    *,
    zone: str,
    sender: CapSender,
    web: str = "",
) -> bytes:
    """Return the message of an incident as it stands; ``alarms`` are its members' by id."""
    name, held = incident.incident_id, incident.handling
    told = [(f"{name}-i{t.seq}", stamp(t.at_ns, zone)) for t in events if t.kind in TELLING]
    over = held.stage in OVER
    root = alert(told, over=over, simulation=incident.simulation, sender=sender, incident=name)
    members = [m for m in incident.group.members if m.alarm_id in alarms]
    first = incident.group.first_out.alarm_id
    lead = alarms[max(members, key=lambda m: (m.severity, m.alarm_id == first)).alarm_id]
    for language in ("zh", "en"):
        info = add_info(root, lead, site, language, zone=zone, sender=sender, web=web, over=over)
        _parameters(info, incident, first)
        seen = {lead.subject.partition("/")[0]}
        for member in members:
            place = member.place.asset or member.place.subject
            if place not in seen:
                seen.add(place)
                add_area(info, alarms[member.alarm_id], site, language, zone=zone)
    return written(root)


def _parameters(info: Element, incident: Incident, first: str) -> None:
    """Put what the incident adds before the areas, where the schema wants parameters."""
    held = incident.handling
    areas = [child for child in info if child.tag == "area"]
    for child in areas:
        info.remove(child)
    for key, value in (
        ("incident", incident.incident_id),
        ("stage", held.stage.value),
        ("alarms", str(len(incident.group.members))),
        ("first_out", first),
        ("assigned_to", held.assigned_to),
        ("cause", held.cause),
    ):
        add_pair(info, "parameter", key, value)
    info.extend(areas)
