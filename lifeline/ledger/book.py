"""Writing events into the ledger inside one transaction: number, fold, project, outbox."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, func, insert, or_, select

from lifeline.ledger.floods import USUAL_FLOOD, Watch, asks_for_an_eye, flood_body, of_flood
from lifeline.ledger.incident_book import IncidentBook, Shelf
from lifeline.ledger.partition import LEDGER_PARTITION
from lifeline.ledger.tables import ALARM, EVENT, OUTBOX
from rules.alarm_fold import AlarmFold
from rules.alarm_forms import alarm_of, event_about, state_of
from rules.alarms import Hold
from rules.events import Event, EventType, encode
from rules.incidents.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from rules.alarms import Alarm
    from rules.flood import FloodLimits

_CHUNK = 400  # SQLite takes 32 766 variables a statement; old builds 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """One outside channel: which severities it is told about, and of what else."""

    name: str
    min_severity: int = 1
    calls: bool = True  # steps of escalations that name somebody else: it knows the ways
    floods: bool = True  # that announcements are folded, and that it is over


class Compose(Protocol):
    """Turns an event and the alarm it made into the message an outlet carries."""

    def __call__(self, event: Event, alarm: Alarm, *, seq: int) -> dict[str, Any]:
        """Return a JSON object."""


class Choose(Protocol):
    """Says which outlets are told of an alarm."""

    def __call__(
        self, outlets: tuple[Outlet, ...], alarm: Alarm, worst: int, *, to: Sequence[str] = ()
    ) -> tuple[Outlet, ...]:
        """Return them; ``to`` = whom a step of an escalation calls, () = no step of one."""


def everyone(
    outlets: tuple[Outlet, ...],
    alarm: Alarm,  # noqa: ARG001 - where nothing is routed, all alarms go the same ways
    worst: int,
    *,
    to: Sequence[str] = (),
) -> tuple[Outlet, ...]:
    """Choose by severity alone; a step of an escalation goes to whom it names, and who knows."""
    named = [o for o in outlets if o.name in to]
    heard = [o for o in outlets if worst >= o.min_severity and (o.calls or not to)]
    return tuple(dict.fromkeys([*named, *heard]))


def facts(event: Event, alarm: Alarm, *, seq: int) -> dict[str, Any]:
    """Compose a message of bare facts (used where no registry gives words to them)."""
    return {
        "id": seq,
        "type": event.type.value,
        "alarm": alarm.alarm_id,
        "rule": alarm.rule,
        "subject": alarm.subject,
        "severity": alarm.shown_severity,
        "confirmed": alarm.confirmed,
        "word": alarm.word.value,
        "measured_ns": event.event_ns,
        "received_ns": event.receive_ns,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How events are written: outlets, and who words the messages."""

    outlets: tuple[Outlet, ...] = ()
    compose: Compose = facts
    choose: Choose = everyone
    outbox_limit: int = 100_000
    flood: FloodLimits = USUAL_FLOOD
    places: Callable[[], Places] = Places  # of the registry in force; by ids where none is known
    shelf: Shelf = field(default_factory=Shelf)  # one ledger's own


@dataclass(frozen=True, slots=True)
class Written:
    """What one append did."""

    alarms: tuple[Alarm, ...]
    last_seq: int
    outbox: dict[str, int]  # rows by status


def next_seq(connection: Connection) -> int:
    """Return the number the next event gets. The caller holds the write lock."""
    return int(connection.execute(select(func.coalesce(func.max(EVENT.c.seq), 0))).scalar_one()) + 1


def load_fold(connection: Connection, events: Sequence[Event]) -> AlarmFold:
    """Return a fold holding every alarm these events can touch, and the last of each key."""
    fold = AlarmFold()
    keys = sorted({e.alarm_key for e in events})
    ids = sorted({e.alarm_id for e in events})
    rows: dict[str, str] = {}
    for at in range(0, len(keys), _CHUNK):
        ours = ALARM.c.alarm_key.in_(keys[at : at + _CHUNK])
        newest = select(func.max(ALARM.c.seq)).where(ours).group_by(ALARM.c.alarm_key, ALARM.c.late)
        query = select(ALARM.c.alarm_id, ALARM.c.state).where(
            ours, or_(ALARM.c.ended.is_(False), ALARM.c.seq.in_(newest))
        )
        rows |= {r.alarm_id: r.state for r in connection.execute(query)}
    for at in range(0, len(ids), _CHUNK):
        query = select(ALARM.c.alarm_id, ALARM.c.state).where(
            ALARM.c.alarm_id.in_(ids[at : at + _CHUNK])
        )
        rows |= {r.alarm_id: r.state for r in connection.execute(query)}
    for state in rows.values():
        fold.put(alarm_of(state))
    return fold


def append(
    connection: Connection, events: Sequence[Event], *, simulation: bool, writing: Writing
) -> Written:
    """Write ``events`` in their order, with what follows from them, and return what changed.

    Events that end an alarm are followed by an ENDED of our own. Simulated data gets its outbox
    rows too, marked withheld: one sees what would have been sent, and nothing leaves the house.
    """
    if not events:
        return Written((), next_seq(connection) - 1, {})
    fold = load_fold(connection, events)
    seq = next_seq(connection) - 1
    rows: list[dict[str, Any]] = []
    outbox: list[dict[str, Any]] = []
    touched: dict[str, Alarm] = {}
    watch = Watch(connection, writing.flood)
    book = IncidentBook(connection, writing.places, simulation=simulation, shelf=writing.shelf)
    for event in events:
        seq += 1
        cause = seq
        rows.append(_row(event, seq, simulation=simulation))
        step = fold.apply(event, seq)
        rows[-1]["called"] = asks_for_an_eye(event, step)
        touched |= {a.alarm_id: a for a in step.changed}
        book.take(event, step.changed)
        if step.announce and event.announce:
            alarm = step.changed[-1]
            turned = watch.announce(event)
            folded = watch.flood.folds(max(alarm.shown_severity, alarm.max_severity))
            kept = _kept_back(alarm, simulation=simulation) or ("flood" if folded else "")
            sent = _outbox_rows(event, alarm, seq, writing, simulation=simulation, kept=kept)
            outbox += book.named_in(sent, alarm.alarm_id)
            for what in turned:
                seq += 1
                flood = of_flood(*what, seq)
                rows.append(_row(flood, seq, simulation=simulation))
                body = flood_body(flood, seq) | {"simulation": simulation}
                why = "simulation" if simulation else ""
                outbox += [
                    _outbox_row(seq, outlet, why, body)
                    for outlet in writing.outlets
                    if outlet.floods
                ]
        for alarm_id in step.ended:
            seq += 1
            ended = _ended(fold.alarms[alarm_id], event, seq, cause)
            rows.append(_row(ended, seq, simulation=simulation))
    watch.keep()
    book.keep()
    connection.execute(insert(EVENT), rows)
    _project(connection, touched.values(), simulation=simulation)
    return Written(tuple(touched.values()), seq, _send(connection, outbox, writing))


def note(connection: Connection, event: Event, *, simulation: bool) -> None:
    """Write an event that is about no alarm: nothing is folded and nobody told."""
    connection.execute(insert(EVENT), [_row(event, event.offset, simulation=simulation)])


def called(
    connection: Connection,
    alarm: Alarm,
    said: dict[str, Any],
    *,
    now_ns: int,
    simulation: bool,
    writing: Writing,
) -> None:
    """Write a step of an escalation and its messages; the alarm itself stays as it is."""
    seq = next_seq(connection)
    event = own_event(
        EventType.CALLED, alarm, seq=seq, event_ns=now_ns, receive_ns=now_ns, evidence=said
    )
    connection.execute(insert(EVENT), [_row(event, seq, simulation=simulation)])
    kept = _kept_back(alarm, simulation=simulation)
    rows = _outbox_rows(event, alarm, seq, writing, simulation=simulation, kept=kept, to=said["to"])
    for row in rows:
        row["body"] = _with(row["body"], {"escalation": {"step": said["step"], "to": said["to"]}})
    _send(connection, rows, writing)


def _with(body: str, more: dict[str, Any]) -> str:
    return json.dumps(json.loads(body) | more, ensure_ascii=False, separators=(",", ":"))


def _row(event: Event, seq: int, *, simulation: bool) -> dict[str, Any]:
    return {
        "seq": seq,
        "partition": event.partition,
        "offset": event.offset,
        "row": event.row,
        "rule": event.rule,
        "subject": event.subject,
        "side": event.side,
        "ordinal": event.ordinal,
        "type": event.type.value,
        "alarm_id": event.alarm_id,
        "severity": event.severity,
        "event_ns": event.event_ns,
        "simulation": simulation,
        "body": encode(event).decode(),
        "receive_ns": event.receive_ns,
        "called": False,
    }


def own_event(kind: EventType, alarm: Alarm, *, seq: int, **more: Any) -> Event:
    """Return an event of the ledger's own about ``alarm``."""
    return event_about(kind, alarm, offset=seq, partition=LEDGER_PARTITION, **more)


def _ended(alarm: Alarm, cause: Event, seq: int, cause_seq: int) -> Event:
    return own_event(
        EventType.ENDED,
        alarm,
        seq=seq,
        event_ns=cause.event_ns,
        receive_ns=cause.receive_ns,
        announce=False,
        evidence={"cause": cause_seq},
    )


def _project(connection: Connection, alarms: Iterable[Alarm], *, simulation: bool) -> None:
    held = list(alarms)
    if not held:
        return
    for at in range(0, len(held), _CHUNK):
        ids = [a.alarm_id for a in held[at : at + _CHUNK]]
        connection.execute(delete(ALARM).where(ALARM.c.alarm_id.in_(ids)))
    connection.execute(
        insert(ALARM),
        [
            {
                "alarm_id": a.alarm_id,
                "alarm_key": a.alarm_key,
                "late": a.late,
                "rule": a.rule,
                "subject": a.subject,
                "word": a.word.value,
                "ended": a.ended,
                "severity": a.severity,
                "max_severity": a.max_severity,
                "onset_ns": a.onset_ns,
                "seq": a.seq,
                "simulation": simulation,
                "state": state_of(a),
            }
            for a in held
        ],
    )


def _outbox_rows(
    event: Event,
    alarm: Alarm,
    seq: int,
    writing: Writing,
    *,
    simulation: bool,
    kept: str,
    to: Sequence[str] = (),
) -> list[dict[str, Any]]:
    worst = max(event.severity, event.previous, alarm.shown_severity)
    told = writing.choose(writing.outlets, alarm, worst, to=to)
    if not told:
        return []
    body = writing.compose(event, alarm, seq=seq) | {"simulation": simulation}
    body |= _audience(event, alarm)
    return [_outbox_row(seq, outlet, kept, body) for outlet in told]


def _outbox_row(seq: int, outlet: Outlet, kept: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "seq": seq,
        "channel": outlet.name,
        "status": "withheld" if kept else "pending",
        "reason": kept,
        "attempts": 0,
        "next_wall_ns": 0,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def _kept_back(alarm: Alarm, *, simulation: bool) -> str:
    """Return why nothing leaves the house, "" where it does."""
    if simulation:
        return "simulation"
    quiet = [s.cause for s in alarm.suppression if s.hold is not Hold.OUT_OF_SERVICE]
    return f"suppressed: {', '.join(quiet)}" if quiet else ""


def _audience(event: Event, alarm: Alarm) -> dict[str, Any]:
    """Say to whom an alarm is told while its asset is worked on: to those who work there."""
    windows = [s for s in alarm.suppression if s.hold is Hold.OUT_OF_SERVICE]
    if not windows:
        return {}
    said = [event.evidence, *event.evidence.get("held", ())]
    crew = sorted({name for each in said for name in each.get("crew", ())})
    causes = [s.cause for s in windows]
    return {"audience": "crew", "crew": crew, "maintenance": causes, "by": windows[0].by}


def _send(connection: Connection, rows: list[dict[str, Any]], writing: Writing) -> dict[str, int]:
    if not rows:
        return {}
    waiting = connection.execute(
        select(func.count()).where(OUTBOX.c.status == "pending")
    ).scalar_one()
    room = max(0, writing.outbox_limit - waiting)
    counts: dict[str, int] = {}
    fit = []
    for row in rows:
        if row["status"] == "pending":
            if room <= 0:
                row = row | {  # noqa: PLW2901 - the same row, with its fate
                    "status": "given_up",
                    "reason": f"outbox full ({writing.outbox_limit} rows wait)",
                }
            room -= 1
        fit.append(row)
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    connection.execute(insert(OUTBOX), fit)
    return counts
