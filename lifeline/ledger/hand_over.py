"""Shift hand-over: who hands over to whom, with a note, and the taker who confirms.

Events of the ledger; how hand-overs stand is a fold of them. Commands are idempotent by their id
and mirrored into the journal as Control records ``operate``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from lifeline.ledger.book import next_seq, note
from lifeline.ledger.commands import Order, is_repeated, refuse, take
from lifeline.ledger.errors import Refused, Unknown
from lifeline.ledger.partition import LEDGER_PARTITION
from rules.events import Event, EventType, alarm_id, alarm_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from lifeline.ledger.ledger import Ledger

RULE: Final = "shift"
STREAM: Final = alarm_id(alarm_key(RULE, 1, ""), "")
"""Under which all events of hand-overs stand, found by the index of alarms."""
MOST: Final = 500
MOST_NOTE: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """One hand-over; times are the Clock's, Unix ns. ``open``: what its giver left open."""

    id: str
    by: str
    to: str
    note: str
    shift: str  # that ends, by its name
    offered_ns: int
    open: Mapping[str, Any]
    taken_ns: int = 0
    kept_ns: int = 0
    remark: str = ""  # the taker's

    @property
    def state(self) -> str:
        """Return offered, taken or kept."""
        return "taken" if self.taken_ns else "kept" if self.kept_ns else "offered"

    def told(self) -> dict[str, Any]:
        """Return plain values; times in Unix ms."""
        return {
            "id": self.id,
            "by": self.by,
            "to": self.to,
            "note": self.note,
            "shift": self.shift,
            "state": self.state,
            "offered_ms": self.offered_ns // 10**6,
            "taken_ms": self.taken_ns // 10**6 or None,
            "kept_ms": self.kept_ns // 10**6 or None,
            "remark": self.remark,
            "open": dict(self.open),
        }


def folded(events: Iterable[Event]) -> dict[str, HandOver]:
    """Return hand-overs by id, oldest first, as the events leave them."""
    held: dict[str, HandOver] = {}
    for event in events:
        said = event.evidence
        name = str(said.get("id", ""))
        if event.type is EventType.SHIFT_OFFERED:
            held[name] = HandOver(
                id=name,
                by=str(said["by"]),
                to=str(said["to"]),
                note=str(said["note"]),
                shift=str(said["shift"]),
                offered_ns=event.receive_ns,
                open=dict(said["open"]),
            )
        elif name in held and event.type is EventType.SHIFT_TAKEN:
            taken = {"taken_ns": event.receive_ns, "remark": str(said["remark"])}
            held[name] = replace(held[name], **taken)  # type: ignore[arg-type]
        elif name in held and event.type is EventType.SHIFT_KEPT:
            held[name] = replace(held[name], kept_ns=event.receive_ns)
    return held


class HandOvers:
    """The hand-overs of a ledger. Raises everywhere: Unknown, Conflict, Refused, Unavailable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def all(self) -> list[HandOver]:
        """Return the newest, newest first."""
        events = self._ledger.events_of(STREAM, limit=MOST)
        return list(folded(event for _, event in events).values())[::-1]

    def offer(
        self,
        *,
        by: str,
        to: str,
        text: str,
        shift: str,
        open_now: Mapping[str, Any],
        command: str,
        simulation: bool,
    ) -> HandOver:
        """Hand over to ``to``, who has to confirm; whatever ``by`` offered before is taken back."""
        name = blake2b(command.encode(), digest_size=6).hexdigest()
        order = self._order(name, by, command)
        with self._ledger.write() as connection:
            if is_repeated(connection, order, "offer"):
                return self._known(name)
            _fit(by, to, text)
            for each in self.all():
                if each.by == by and each.state == "offered":
                    self._write(connection, EventType.SHIFT_KEPT, order, simulation, id=each.id)
            said = {"to": to, "note": text, "shift": shift, "open": dict(open_now)}
            seq = self._write(
                connection, EventType.SHIFT_OFFERED, order, simulation, id=name, **said
            )
            _note_command(connection, order, "offer", EventType.SHIFT_OFFERED, seq, said)
        return self._known(name)

    def take(self, name: str, *, by: str, remark: str, command: str, simulation: bool) -> HandOver:
        """Confirm: what was open is now the taker's."""
        order = self._order(name, by, command)
        with self._ledger.write() as connection:
            held = self._known(name)
            if is_repeated(connection, order, "take"):
                return held
            if held.to != by:
                raise refuse(
                    "take",
                    f"it is handed over to {held.to} 交接对象为 {held.to}",
                    remedy=f"{held.to} confirms it, or {held.by} hands over anew",
                    by=held.to,
                )
            self._still_offered(held, "take")
            seq = self._write(
                connection, EventType.SHIFT_TAKEN, order, simulation, id=name, remark=remark
            )
            _note_command(connection, order, "take", EventType.SHIFT_TAKEN, seq, {"remark": remark})
        return self._known(name)

    def keep(self, name: str, *, by: str, command: str, simulation: bool) -> HandOver:
        """Take an offer back, by who made it."""
        order = self._order(name, by, command)
        with self._ledger.write() as connection:
            held = self._known(name)
            if is_repeated(connection, order, "keep"):
                return held
            if held.by != by:
                said = f"it is {held.by}'s to take back"
                raise refuse("keep", said, remedy=f"ask {held.by}", by=held.by)
            self._still_offered(held, "keep")
            seq = self._write(connection, EventType.SHIFT_KEPT, order, simulation, id=name)
            _note_command(connection, order, "keep", EventType.SHIFT_KEPT, seq, {})
        return self._known(name)

    @staticmethod
    def _still_offered(held: HandOver, verb: str) -> None:
        if held.state != "offered":
            who = held.to if held.state == "taken" else held.by
            raise refuse(
                verb, f"it is {held.state} already, by {who}", remedy="reload the list", by=who
            )

    def _known(self, name: str) -> HandOver:
        found = next((each for each in self.all() if each.id == name), None)
        if found is None:
            raise Unknown(f"there is no hand-over {name!r}", remedy="reload the list")
        return found

    def _order(self, name: str, by: str, command: str) -> Order:
        now_ns, wall_ns = self._ledger.now_ns(), self._ledger.wall_ns()
        return Order(alarm_id=name, by=by, command=command, now_ns=now_ns, wall_ns=wall_ns)

    @staticmethod
    def _write(
        connection: Connection,
        kind: EventType,
        order: Order,
        simulation: bool,  # noqa: FBT001 - of the ledger, not of the order
        **said: Any,
    ) -> int:
        seq = next_seq(connection)
        event = Event(
            type=kind,
            partition=LEDGER_PARTITION,
            offset=seq,
            row=0,
            rule=RULE,
            klass="info",
            event_ns=order.now_ns,
            receive_ns=order.now_ns,
            announce=False,
            evidence={"by": order.by, "command": order.command} | said,
        )
        note(connection, event, simulation=simulation)
        return seq


def _fit(by: str, to: str, text: str) -> None:
    """Refuse a hand-over to nobody, to oneself, or without a word."""
    if not to.strip():
        raise Refused("handed over to nobody", remedy="say who takes over 请填写接班人")
    if to == by:
        raise Refused("handed over to oneself", remedy="another person takes over 须由他人接班")
    if not text.strip():
        remedy = "say what the next shift has to know, if only that all is quiet 请填写交接说明"
        raise Refused("a hand-over has a note", remedy=remedy)
    if len(text) > MOST_NOTE:
        raise Refused(f"the note has {len(text)} characters", remedy=f"at most {MOST_NOTE}")


def _note_command(
    connection: Connection, order: Order, verb: str, kind: EventType, seq: int, said: Any
) -> None:
    data = {"alarm": order.alarm_id, "event": kind.value, "by": order.by, "said": said}
    control = {"type": "operate", "data": data | {"command": order.command}}
    take(connection, order, verb, seq, control)
