"""Incidents, written in the transaction of the alarms that make them.

Loaded when the first event touches them: the open ones with their members. What one append leaves
is kept for the next, as long as nobody else wrote incidents meanwhile: of 3 000 open ones reading
them again costs a tenth of a second each time. What is folded here is the same as anywhere
(rules/incidents/), so a copy that stands in for the ledger gives the same.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select, update

from lifeline.ledger.cursors import cursor_of, move
from lifeline.ledger.tables import ALARM, INCIDENT, INCIDENT_EVENT, INCIDENT_MEMBER
from rules.alarm_forms import alarm_of
from rules.incidents.flow import Handling, Kind, applied, opened
from rules.incidents.fold import FOLLOWED, WORSE, Change, changes, member_of
from rules.incidents.forms import body_of, handling_of, member_from, state_of
from rules.incidents.grouping import Group, Grouping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from rules.alarms import Alarm
    from rules.events import Event
    from rules.incidents.places import Places

READER: Final = "incidents"
STAMP: Final = "stamp"
USES: Final = 2_000  # appends, after which the open incidents are read anew
_CHUNK: Final = 400  # variables of a statement


def stamp(connection: Connection) -> str:
    """Mark that incidents were written; return the mark, which no other writing has."""
    mark = uuid.uuid4().hex
    held = cursor_of(connection, READER)
    move(connection, READER, held.through, held.position, {**held.extra, STAMP: mark})
    return mark


def next_number(connection: Connection) -> int:
    """Return the number the next event of an incident gets. The caller holds the write lock."""
    query = select(func.coalesce(func.max(INCIDENT_EVENT.c.seq), 0))
    return int(connection.execute(query).scalar_one()) + 1


def groups_of(connection: Connection, incidents: Any) -> dict[str, Group]:
    """Return the incidents of a query of their ids, with their members."""
    query = (
        select(INCIDENT_MEMBER.c.incident_id, INCIDENT_MEMBER.c.body)
        .where(INCIDENT_MEMBER.c.incident_id.in_(incidents))
        .order_by(INCIDENT_MEMBER.c.incident_id, INCIDENT_MEMBER.c.number)
    )
    held: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        held.setdefault(row.incident_id, []).append(member_from(row.body))
    return {each: Group(incident_id=each, members=tuple(m)) for each, m in held.items()}


def write_event(
    connection: Connection, incident_id: str, kind: Kind, said: dict[str, Any], *,
    seq: int, at_ns: int, by: str = "",
) -> None:  # fmt: skip
    """Append one event of an incident."""
    connection.execute(
        insert(INCIDENT_EVENT).values(
            seq=seq, incident_id=incident_id, type=kind.value, at_ns=at_ns, by=by,
            body=json.dumps(said, ensure_ascii=False, separators=(",", ":")),
        )
    )  # fmt: skip


def project(
    connection: Connection, incident_id: str, handling: Handling, *, severity: int, simulation: bool
) -> None:
    """Write how an incident stands."""
    values = {
        "stage": handling.stage.value,
        "over": handling.over,
        "severity": severity,
        "seq": handling.seq,
        "simulation": simulation,
        "state": state_of(handling),
    }
    mine = INCIDENT.c.incident_id == incident_id
    if not connection.execute(update(INCIDENT).where(mine).values(**values)).rowcount:
        connection.execute(insert(INCIDENT).values(incident_id=incident_id, **values))


@dataclass(slots=True)
class Open:
    """The open incidents as they are while one append goes on."""

    grouping: Grouping
    handling: dict[str, Handling]
    seq: int
    touched: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)  # alarms whose row is to be written


@dataclass(slots=True)
class Shelf:
    """The open incidents as the last append of a ledger left them, under the mark it wrote."""

    mark: str = ""
    held: Open | None = None
    uses: int = 0

    def take(self, mark: str, places: Places) -> Open | None:
        """Return them where they are still so, and leave nothing: who fails gives nothing back."""
        held, self.held = self.held, None
        self.uses += 1
        if self.uses >= USES:  # what is over leaves traces in memory
            self.uses, held = 0, None
        same = held is not None and bool(mark) and mark == self.mark
        return held if held is not None and same and held.grouping.places is places else None

    def put(self, mark: str, held: Open) -> None:
        """Keep them, but for those that are over: nothing joins these any more."""
        for name in [name for name, each in held.handling.items() if each.over]:
            held.grouping.remove(name)
            del held.handling[name]
        self.mark, self.held = mark, held


class IncidentBook:
    """Takes the events of one append; `keep` writes what they changed."""

    def __init__(
        self,
        connection: Connection,
        places: Callable[[], Places],
        *,
        simulation: bool,
        shelf: Shelf | None = None,
    ) -> None:
        self._connection, self._places, self._simulation = connection, places, simulation
        self._shelf = shelf if shelf is not None else Shelf()
        self._held: Open | None = None
        self._joined: set[str] = set()  # alarms that joined one that was there, by this event

    def take(self, event: Event, changed: Sequence[Alarm]) -> None:
        """Fold one event in, with the alarms that it changed."""
        self._joined.clear()
        if event.type not in FOLLOWED or not changed:
            return
        if self._held is None:
            self._held = self._load()
        if event.type in WORSE:
            self._reopen(changed, event)
        for change in changes(self._held.grouping, event, changed):
            self._note(change, event.receive_ns)

    def named_in(self, rows: list[dict[str, Any]], alarm_id: str) -> list[dict[str, Any]]:
        """Return messages of the event just taken with the incident of its alarm named in them.

        They are the same however events are gathered into appends.
        """
        group = self._open.grouping.of(alarm_id) if rows else None
        if group is None:
            return rows
        said = {
            "id": group.incident_id,
            "members": len(group.members),
            "first_out": group.first_out.alarm_id,
            "joined": alarm_id in self._joined,
        }
        return [
            row | {"body": json.dumps(json.loads(row["body"]) | {"incident": said},
                                      ensure_ascii=False, separators=(",", ":"))}
            for row in rows
        ]  # fmt: skip

    def _note(self, change: Change, at_ns: int) -> None:
        held, group = self._open, change.group
        name = group.incident_id
        held.touched.add(name)
        held.members.add(change.alarm_id)
        said: dict[str, Any] = {"alarm": change.alarm_id, "severity": group.severity}
        if change.opened:
            self._write(name, Kind.OPENED, said, at_ns)
        elif change.joined:
            self._joined.add(change.alarm_id)
            self._write(name, Kind.JOINED, said, at_ns)
        elif change.worse:
            self._write(name, Kind.WORSE, said, at_ns)

    def _write(self, name: str, kind: Kind, said: dict[str, Any], at_ns: int) -> None:
        held = self._open
        held.seq += 1
        write_event(self._connection, name, kind, said, seq=held.seq, at_ns=at_ns)
        held.handling[name] = (
            opened(at_ns, held.seq)
            if kind is Kind.OPENED
            else applied(held.handling[name], kind, at_ns=at_ns, seq=held.seq, said=said)
        )

    @property
    def _open(self) -> Open:
        if self._held is None:
            self._held = self._load()
        return self._held

    def _load(self) -> Open:
        places, known = self._places(), cursor_of(self._connection, READER).extra
        kept = self._shelf.take(str(known.get(STAMP, "")), places)
        if kept is not None:
            kept.seq = next_number(self._connection) - 1
            return kept
        open_ones = INCIDENT.c.over.is_(False)
        query = select(INCIDENT.c.incident_id, INCIDENT.c.state).where(open_ones)
        states = {r.incident_id: handling_of(r.state) for r in self._connection.execute(query)}
        grouping = Grouping(places)
        ids = select(INCIDENT.c.incident_id).where(open_ones)
        groups = groups_of(self._connection, ids)
        for name in sorted(groups, key=lambda n: (groups[n].members[0].raised_ns, n)):
            grouping.put(groups[name])
        held = Open(grouping, states, next_number(self._connection) - 1)
        if not known:
            self._held = held
            self._begin()
        return held

    def _begin(self) -> None:
        """Give the alarms that were open before there were incidents theirs."""
        query = select(ALARM.c.state).where(ALARM.c.ended.is_(False))
        waiting = [alarm_of(state) for (state,) in self._connection.execute(query)]
        for alarm in sorted(waiting, key=lambda a: (a.raised_ns, a.seq, a.alarm_id)):
            held = self._open
            group, joined = held.grouping.take(member_of(held.grouping, alarm))
            change = Change(group=group, alarm_id=alarm.alarm_id, joined=joined, opened=not joined)
            self._note(change, alarm.receive_ns)
        move(self._connection, READER, 0, 0, {"begun": True})

    def _reopen(self, changed: Iterable[Alarm], event: Event) -> None:
        """Take up again an incident that was closed while an alarm of it gets worse."""
        for alarm in changed:
            held = self._open
            if held.grouping.of(alarm.alarm_id) is not None:
                continue
            query = (
                select(INCIDENT.c.incident_id, INCIDENT.c.state)
                .join(INCIDENT_MEMBER, INCIDENT_MEMBER.c.incident_id == INCIDENT.c.incident_id)
                .where(INCIDENT_MEMBER.c.alarm_id == alarm.alarm_id)
            )
            row = self._connection.execute(query).first()
            if row is None:
                continue
            name = row.incident_id
            held.handling[name] = handling_of(row.state)
            held.grouping.put(groups_of(self._connection, [name])[name])
            held.touched.add(name)
            said = {"alarm": alarm.alarm_id, "reason": f"{event.type.value} after its end"}
            self._write(name, Kind.REOPEN, said, event.receive_ns)

    def keep(self) -> None:
        """Write what has changed."""
        held = self._held
        if held is None:
            return
        wrote = bool(held.touched)
        for name in sorted(held.touched):
            group = held.grouping.groups[name]
            project(
                self._connection, name, held.handling[name],
                severity=group.severity, simulation=self._simulation,
            )  # fmt: skip
            rows = [
                {"alarm_id": m.alarm_id, "incident_id": name, "number": n, "body": body_of(m)}
                for n, m in enumerate(group.members)
                if m.alarm_id in held.members
            ]
            if rows:
                gone = [row["alarm_id"] for row in rows]
                for at in range(0, len(gone), _CHUNK):
                    mine = INCIDENT_MEMBER.c.alarm_id.in_(gone[at : at + _CHUNK])
                    self._connection.execute(delete(INCIDENT_MEMBER).where(mine))
                self._connection.execute(insert(INCIDENT_MEMBER), rows)
        held.touched.clear()
        held.members.clear()
        if wrote:
            self._shelf.put(stamp(self._connection), held)
        else:
            mark = str(cursor_of(self._connection, READER).extra.get(STAMP, ""))
            self._shelf.put(mark, held)
