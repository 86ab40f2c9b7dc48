"""Incidents as people see and handle them: read, and moved along their flow.

Commands are idempotent by the caller's id, refused to who has not seen what made the incident worse
(``expected_seq``), written as events, and mirrored into the journal as Control records
``incident``. An incident is not closed while an alarm of it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from lifeline.ledger.commands import Order, acknowledge, is_repeated, known, refuse, take
from lifeline.ledger.errors import Refused, Unknown, Unseen
from lifeline.ledger.incident_book import groups_of, next_number, project, stamp, write_event
from lifeline.ledger.tables import ALARM, INCIDENT, INCIDENT_EVENT, INCIDENT_MEMBER
from rules.alarm_forms import alarm_of
from rules.alarms import Ack, Condition
from rules.events import alarm_id as short_hash
from rules.incidents.flow import (
    INCIDENT_CAUSES,
    NEEDS_CAUSE,
    NEEDS_REASON,
    ORDER_NAMES,
    OVER,
    STEPS,
    Handling,
    Kind,
    Stage,
    applied,
    lands,
)
from rules.incidents.forms import handling_of
from rules.incidents.grouping import LULL_NS, Group

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from lifeline.ledger.ledger import Ledger
    from rules.alarms import Alarm

BLUE: Final = 1
ORDERS: Final = tuple(ORDER_NAMES)
"""What people order."""
LISTED: Final = 500
CHUNK: Final = 400  # variables of a statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident: how its handling stands, and its alarms."""

    incident_id: str
    handling: Handling
    group: Group
    simulation: bool

    @property
    def severity(self) -> int:
        """Return the worst level any of its alarms reached."""
        return self.group.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of an incident. ``at_ns`` is the site's Clock; ``by`` "" = it followed."""

    seq: int
    kind: Kind
    at_ns: int
    by: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person orders of an incident.

    ``expected_seq``: the newest event they have seen; needed by steps, not by notes.
    """

    incident_id: str
    kind: Kind
    by: str
    command: str
    expected_seq: int | None = None
    reason: str = ""
    cause: str = ""
    to: str = ""


class Incidents:
    """The incidents of a ledger.

    Raises everywhere: Unknown (no such incident), Conflict (it does not stand so), Refused (not in
    this form), Unavailable.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def list(self, *, over: bool | None = False, limit: int | None = LISTED) -> list[Incident]:
        """Return incidents, worst and newest first; ``limit`` None = all."""
        query = select(INCIDENT)
        if over is not None:
            query = query.where(INCIDENT.c.over.is_(over))
        query = query.order_by(INCIDENT.c.severity.desc(), INCIDENT.c.seq.desc()).limit(limit)
        with self._ledger.read() as connection:
            return incidents_in(connection, query)

    def one(self, incident_id: str) -> Incident:
        """Return an incident."""
        with self._ledger.read() as connection:
            return _known(connection, incident_id)

    def events(self, incident_id: str, *, limit: int = 500) -> tuple[Told, ...]:
        """Return what happened to an incident, oldest first."""
        query = (
            select(INCIDENT_EVENT)
            .where(INCIDENT_EVENT.c.incident_id == incident_id)
            .order_by(INCIDENT_EVENT.c.seq.desc())
            .limit(limit)
        )
        with self._ledger.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Told(seq=r.seq, kind=Kind(r.type), at_ns=r.at_ns, by=r.by, said=json.loads(r.body))
            for r in reversed(rows)
        )

    def alarms(self, ids: Sequence[str]) -> dict[str, Alarm]:
        """Return alarms by id."""
        found: dict[str, Alarm] = {}
        with self._ledger.read() as connection:
            for at in range(0, len(ids), CHUNK):
                mine = ALARM.c.alarm_id.in_(ids[at : at + CHUNK])
                query = select(ALARM.c.alarm_id, ALARM.c.state).where(mine)
                found |= {r.alarm_id: alarm_of(r.state) for r in connection.execute(query)}
        return found

    def of_alarm(self, alarm_id: str) -> str:
        """Return the id of an alarm's incident, "" where it has none."""
        query = select(INCIDENT_MEMBER.c.incident_id).where(INCIDENT_MEMBER.c.alarm_id == alarm_id)
        with self._ledger.read() as connection:
            row = connection.execute(query).first()
        return "" if row is None else str(row.incident_id)

    # ── moving ───────────────────────────────────────────────────────────────────────────────

    def order(self, asked: Asked, *, sees: Callable[[str], bool] | None = None) -> Incident:
        """Do what a person orders; the same ``command`` again gives the same answer.

        ``sees`` tells what subjects the person sees, None all. Who does not see every alarm of it
        may comment and no more: a step acknowledges, or ends, the others' alarms with theirs.
        """
        with self._ledger.write() as connection:
            return self.order_in(connection, asked, sees=sees)

    def order_in(
        self, connection: Connection, asked: Asked, *, sees: Callable[[str], bool] | None = None
    ) -> Incident:
        """Do what `order` does within a transaction that writes more than it."""
        order = Order(
            alarm_id=asked.incident_id, by=asked.by, command=asked.command, comment=asked.reason,
            now_ns=self._ledger.now_ns(), wall_ns=self._ledger.wall_ns(),
            expected_seq=asked.expected_seq,
        )  # fmt: skip
        verb = f"inc-{asked.kind.value.lower()}"
        found = _known(connection, asked.incident_id)
        if sees is not None and asked.kind is not Kind.COMMENT:
            _sees_all(found, sees)
        if is_repeated(connection, order, verb):
            return found
        _check(connection, found, asked, verb)
        if asked.kind is Kind.ACKNOWLEDGE:
            self._see_alarms(connection, found, order)
        said = _said(found, asked)
        seq = self._write(connection, found, asked.kind, said, by=asked.by)
        data = {
            "incident": found.incident_id, "event": asked.kind.value, "by": asked.by,
            "said": said, "command": asked.command,
        }  # fmt: skip
        take(connection, order, verb, seq, {"type": "incident", "data": data})
        return _known(connection, asked.incident_id)

    def _write(
        self, connection: Connection, on: Incident, kind: Kind, said: dict[str, Any], *, by: str
    ) -> int:
        seq, at_ns = next_number(connection), self._ledger.now_ns()
        write_event(connection, on.incident_id, kind, said, seq=seq, at_ns=at_ns, by=by)
        moved = applied(on.handling, kind, at_ns=at_ns, seq=seq, by=by, said=said)
        project(connection, on.incident_id, moved, severity=on.severity, simulation=on.simulation)
        stamp(connection)
        return seq

    def _see_alarms(self, connection: Connection, on: Incident, order: Order) -> None:
        """Acknowledge the alarms of an incident with it; not those that want a comment unsaid."""
        for member in on.group.members:
            alarm, _ = known(connection, member.alarm_id)
            wants = alarm.life.ack == "comment" and not order.comment.strip()
            if alarm.ack is Ack.ACKED or alarm.ended or wants:
                continue
            mine = Order(
                alarm_id=alarm.alarm_id, by=order.by, comment=order.comment,
                command=f"inc-{short_hash(order.command, alarm.alarm_id)}",
                now_ns=order.now_ns, wall_ns=order.wall_ns,
            )  # fmt: skip
            acknowledge(connection, self._ledger.writing, mine)

    def turn(self) -> int:
        """Close by themselves those that time lets go: only blue, never looked at, long over.

        Call it in a loop; return how many it closed.
        """
        now_ns, closed = self._ledger.now_ns(), 0
        query = select(INCIDENT.c.incident_id).where(
            INCIDENT.c.stage == Stage.RAISED.value, INCIDENT.c.severity <= BLUE
        )
        with self._ledger.read() as connection:
            waiting = [row.incident_id for row in connection.execute(query)]
            groups = groups_of(connection, waiting)
        for name in waiting:
            if not _long_over(groups[name], now_ns):
                continue
            with self._ledger.write() as connection:
                found = _known(connection, name)
                waits = found.handling.stage is Stage.RAISED and found.severity <= BLUE
                if waits and _long_over(found.group, now_ns):
                    self._write(connection, found, Kind.RETURNED, {}, by="")
                    closed += 1
        return closed


def _long_over(group: Group, now_ns: int) -> bool:
    return not group.active and now_ns - max(m.seen_ns for m in group.members) > LULL_NS


def incidents_in(connection: Connection, query: Any) -> list[Incident]:
    """Return the incidents of a query of INCIDENT, in its order."""
    rows = connection.execute(query).all()
    ids = [row.incident_id for row in rows]
    groups: dict[str, Group] = {}
    for at in range(0, len(ids), CHUNK):
        groups |= groups_of(connection, ids[at : at + CHUNK])
    return [_incident(row, groups[row.incident_id]) for row in rows]


def _incident(row: Any, group: Group) -> Incident:
    return Incident(
        incident_id=row.incident_id,
        handling=handling_of(row.state),
        group=group,
        simulation=bool(row.simulation),
    )


def _known(connection: Connection, incident_id: str) -> Incident:
    query = select(INCIDENT).where(INCIDENT.c.incident_id == incident_id)
    row = connection.execute(query).first()
    if row is None:
        raise Unknown(
            f"there is no incident {incident_id!r}",
            remedy="reload the list; ids have 12 hex digits",
        )
    return _incident(row, groups_of(connection, [incident_id])[incident_id])


def _sees_all(on: Incident, sees: Callable[[str], bool]) -> None:
    if not all(sees(member.place.subject) for member in on.group.members):
        raise Unseen(
            "alarms of others belong to this incident too 该事件还涉及其他单位的报警",
            remedy="comment, and handle your own alarms; the city's desk takes the steps "
            "可备注并处置本单位报警，步骤由城市平台推进",
        )


def _said(on: Incident, asked: Asked) -> dict[str, Any]:
    """Return what an event says; the severity decides what red may do, so it is part of it."""
    said: dict[str, Any] = {"severity": on.severity}
    said |= {"reason": asked.reason} if asked.reason else {}
    said |= {"cause": asked.cause} if asked.kind in NEEDS_CAUSE else {}
    return said | ({"to": asked.to} if asked.kind is Kind.ASSIGN else {})


def _check(connection: Connection, on: Incident, asked: Asked, verb: str) -> None:
    """Refuse what does not fit how the incident stands, or is not said in full."""
    held, kind = on.handling, asked.kind
    if kind not in ORDERS:
        raise Refused(
            f"order {kind.value}", remedy=f"say one of {', '.join(k.value for k in ORDERS)}"
        )
    if kind in NEEDS_REASON and not asked.reason.strip():
        raise Refused(f"{kind.value} without a text", remedy="say why, or what there is to know")
    if kind in NEEDS_CAUSE and asked.cause not in INCIDENT_CAUSES:
        raise Refused(f"cause {asked.cause!r}", remedy=f"say one of {', '.join(INCIDENT_CAUSES)}")
    if kind not in STEPS:
        if kind in (Kind.ASSIGN, Kind.HANDOVER) and held.stage in OVER:
            raise refuse(verb, "the incident is over", remedy="reopen it first", seq=held.seq)
        return
    if lands(held.stage, kind, severity=on.severity, news=held.news) is None:
        who = held.by.get(held.stage.value, "")
        raise refuse(
            verb,
            f"the incident is {held.stage.value}{f', by {who}' if who else ''}",
            remedy=_next(on),
            by=who,
            seq=held.seq,
        )
    if asked.expected_seq is None:
        raise Refused(
            f"{kind.value} without expected_seq", remedy="say the seq of the incident as seen"
        )
    if asked.expected_seq < held.moved_seq:
        raise refuse(
            verb,
            f"the incident has changed since you saw it: now {held.stage.value}, "
            f"severity {on.severity}, {len(on.group.members)} alarms",
            remedy=f"look at it again, then order it with expected_seq {held.seq}",
            seq=held.seq,
        )
    if kind is Kind.CLOSE:
        _all_returned(connection, on, verb)


def _next(on: Incident) -> str:
    """Return what can be ordered from here."""
    held = on.handling
    ways = [
        kind.value
        for kind in STEPS
        if lands(held.stage, kind, severity=on.severity, news=held.news) is not None
    ]
    return f"from {held.stage.value} there is {', '.join(ways)}"


def _all_returned(connection: Connection, on: Incident, verb: str) -> None:
    alarms = [known(connection, member.alarm_id)[0] for member in on.group.members]
    standing = [a.alarm_id for a in alarms if a.condition is Condition.ACTIVE]
    if standing:
        raise refuse(
            verb,
            f"{len(standing)} of its alarms still stand: {', '.join(standing[:3])}",
            remedy="wait until the values have returned; a sensor that lies is FALSE_ALARM",
            seq=on.handling.seq,
        )
