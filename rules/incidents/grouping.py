"""Which incident an alarm joins: a pure fold of alarms, in the order of their raises.

An alarm joins the open incident it shares a cause with: one of a member's nature, within reach of
it by place and time (rules/incidents/natures.py). Of several the nearest takes it, then the one
whose newest onset is closest, then the older; incidents are never merged afterwards, so an id that
was told stays what it was. Ids follow from the alarm that opened the incident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from rules.incidents.natures import (
    ANY,
    AT_ONCE_NS,
    MINUTE_NS,
    STORM_METRES,
    STORM_NS,
    SYSTEM,
    reach_of,
)
from rules.incidents.places import Places, metres_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.incidents.places import Place

LULL_NS: Final = 30 * MINUTE_NS
"""How long after the last alarm of an incident returned a new one at the same place still joins."""
FAR: Final = 1e9
STORMY: Final = frozenset({"rain", "water"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An alarm of an incident, as grouping needs it. Times are Unix ns."""

    alarm_id: str
    place: Place
    rule: str
    onset_ns: int
    raised_ns: int  # received at
    seen_ns: int  # of its newest event, received at
    severity: int  # the highest it reached
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The alarms of one cause, in the order they joined."""

    incident_id: str
    members: tuple[Member, ...]

    @property
    def first_out(self) -> Member:
        """Return the alarm whose breach began first: the likeliest place of the cause."""
        return min(self.members, key=lambda m: (m.onset_ns, m.raised_ns, m.alarm_id))

    @property
    def active(self) -> bool:
        """Tell whether an alarm of it stands."""
        return any(member.active for member in self.members)

    @property
    def severity(self) -> int:
        """Return the worst level any of its alarms reached."""
        return max(member.severity for member in self.members)


def incident_id(alarm_id: str) -> str:
    """Return the 12-hex-digit id of the incident that an alarm opens."""
    return blake2b(f"incident#{alarm_id}".encode(), digest_size=6).hexdigest()


@dataclass(slots=True)
class Grouping:
    """The incidents that may still grow, by id."""

    places: Places
    groups: dict[str, Group] = field(default_factory=dict)
    _of: dict[str, str] = field(default_factory=dict, repr=False)  # alarm → incident
    _at: dict[str, set[str]] = field(default_factory=dict, repr=False)  # where → incidents

    def put(self, group: Group) -> None:
        """Take an incident as it stands (read back from a ledger, or just changed)."""
        self.groups[group.incident_id] = group
        for member in group.members:
            self._index(group.incident_id, member)

    def _index(self, incident_id: str, member: Member) -> None:
        self._of[member.alarm_id] = incident_id
        for where in _keys(member.place):
            self._at.setdefault(where, set()).add(incident_id)

    def remove(self, incident_id: str) -> None:
        """Let nothing join an incident any more: people have closed it."""
        group = self.groups.pop(incident_id, None)
        for member in group.members if group is not None else ():
            for where in _keys(member.place):
                self._at.get(where, set()).discard(incident_id)

    def of(self, alarm_id: str) -> Group | None:
        """Return the open incident of an alarm, None where it has none."""
        return self.groups.get(self._of.get(alarm_id, ""))

    def take(self, member: Member) -> tuple[Group, bool]:
        """Take an alarm that was raised, or has changed; return its incident, and if it joined."""
        held = self.of(member.alarm_id)
        if held is not None:
            others = tuple(
                replace(
                    m,
                    severity=max(m.severity, member.severity),
                    active=member.active,
                    seen_ns=max(m.seen_ns, member.seen_ns),
                )
                if m.alarm_id == member.alarm_id
                else m
                for m in held.members
            )
            group = replace(held, members=others)
            self.groups[group.incident_id] = group
            return group, False
        found = self._nearest(member)
        if found is None:
            group = Group(incident_id=incident_id(member.alarm_id), members=(member,))
        else:
            group = replace(found, members=(*found.members, member))
        self.groups[group.incident_id] = group
        self._index(group.incident_id, member)
        return group, found is not None

    def _nearest(self, member: Member) -> Group | None:
        ranked = [
            (*near, group.incident_id)
            for group in self._candidates(member)
            if (near := self.nearness(group, member)) is not None
        ]
        return self.groups[min(ranked)[-1]] if ranked else None

    def _candidates(self, member: Member) -> Iterable[Group]:
        """Return the incidents that could be near: by what they share, or all of a far nature."""
        place = member.place
        wanted = set(_keys(place)) - {_nature(place.domain, place.nature)}
        reach = reach_of(place.domain, place.nature)
        if reach.hops:
            wanted |= {f"asset {name}" for name in self.places.within(place.asset, reach.hops)}
        if reach.metres or place.nature in STORMY:
            wanted.add(_nature(place.domain, place.nature))
            if place.nature in STORMY:
                wanted |= {_nature(place.domain, nature) for nature in STORMY}
        ids = {each for where in wanted for each in self._at.get(where, ())}
        return [self.groups[each] for each in sorted(ids)]

    def nearness(self, group: Group, member: Member) -> tuple[float, int, int] | None:
        """Return (metres or steps, time apart, age) to the nearest member; None out of reach."""
        hops = self.places.within(
            member.place.asset, reach_of(member.place.domain, member.place.nature).hops
        )
        away = min((_away(member, other, hops) for other in group.members), default=math.inf)
        if away >= FAR:
            return None
        newest = max(other.onset_ns for other in group.members)
        return away, abs(member.onset_ns - newest), group.members[0].raised_ns


def _keys(place: Place) -> list[str]:
    keys = [f"asset {place.asset}"] if place.asset else []
    keys += [f"zone {place.zone}"] if place.zone else []
    keys += [f"device {place.device}"] if place.device else []
    return [*keys, _nature(place.domain, place.nature), f"subject {place.subject}"]


def _nature(domain: str, nature: str) -> str:
    return f"nature {domain} {nature}"


def _away(new: Member, old: Member, hops: dict[str, int]) -> float:
    """Return how far a member is, in metres or what stands for them; FAR out of reach.

    0 the same asset, device or subject; 1 … along the network; beyond, by place.
    """
    a, b = new.place, old.place
    apart_ns = abs(new.onset_ns - old.onset_ns)
    quiet_ns = 0 if old.active else new.onset_ns - old.seen_ns
    if a.subject == b.subject and a.nature == b.nature:
        return 0.0 if quiet_ns <= LULL_NS else FAR
    if SYSTEM in (a.nature, b.nature):
        return FAR
    if a.domain != b.domain:
        return FAR
    reach = reach_of(a.domain, a.nature)
    here = bool(a.asset) and a.asset == b.asset
    if apart_ns <= AT_ONCE_NS and (struck := _struck(a, b)) is not None:
        return struck
    if not _kindred(a, b):
        return FAR
    if here and quiet_ns <= LULL_NS and (old.active or apart_ns <= reach.within_ns):
        return 0.0
    if {a.nature, b.nature} == STORMY:
        metres = metres_between(a.at, b.at)
        return metres if metres <= STORM_METRES and apart_ns <= STORM_NS else FAR
    if quiet_ns > LULL_NS or apart_ns > reach.within_ns:
        return FAR
    return float(hops[b.asset]) if b.asset in hops else _by_place(a, b)


def _struck(a: Place, b: Place) -> float | None:
    """Return how far apart two are that began at once where such things strike, else None."""
    if not (reach_of(a.domain, a.nature).strikes or reach_of(b.domain, b.nature).strikes):
        return None
    if a.asset and a.asset == b.asset:
        return 0.0
    if not (a.zone and a.zone == b.zone and _kindred(a, b)):
        return None
    return metres_between(a.at, b.at) if a.at and b.at else 1.0


def _kindred(a: Place, b: Place) -> bool:
    """Tell whether one cause can show in both natures."""
    if a.nature == b.nature or {a.nature, b.nature} == STORMY:
        return True
    return ANY in (a.nature, b.nature) and bool(a.zone) and a.zone == b.zone


def _by_place(a: Place, b: Place) -> float:
    reach = reach_of(a.domain, a.nature if a.nature != ANY else b.nature)
    same_zone = bool(a.zone) and a.zone == b.zone
    metres = metres_between(a.at, b.at)
    zonal = reach.zone or ANY in (a.nature, b.nature)
    if same_zone and (zonal or metres <= reach.zone_metres):
        return min(metres, FAR / 2)
    return metres if reach.metres and metres <= reach.metres else FAR
