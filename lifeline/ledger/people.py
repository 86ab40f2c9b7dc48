"""What people do with alarms beside acknowledging: shelve, comment, assign, classify.

Each is validated against the alarm as it stands, idempotent by the caller's command id, written as
an event of the ledger, and mirrored into the journal as a Control record ``operate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifeline.ledger.book import append, next_seq, own_event
from lifeline.ledger.commands import Order, is_repeated, known, must_have_seen, refuse, take
from lifeline.ledger.errors import Refused
from rules.alarms import CAUSES, VERDICTS, Word
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from lifeline.ledger.book import Writing
    from lifeline.ledger.ledger import Ledger
    from rules.alarms import Alarm

RED: Final = 4
_TIMED: Final = (Word.SHLVD, Word.DSUPR, Word.OOSRV, Word.ACKED)
"""The words of alarms that time may change: those that wait unseen wait for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One command on one alarm, inside the transaction."""

    connection: Connection
    writing: Writing
    verb: str
    order: Order
    alarm: Alarm
    simulation: bool

    def write(self, kind: EventType, **said: Any) -> Alarm:
        """Append an event, note the command, and return the alarm as it stands then."""
        return _write(
            self.connection,
            self.writing,
            self.order,
            (self.verb, kind),
            self.alarm,
            simulation=self.simulation,
            said={"by": self.order.by, "command": self.order.command} | said,
        )


def _write(
    connection: Connection,
    writing: Writing,
    order: Order,
    what: tuple[str, EventType],
    alarm: Alarm,
    *,
    simulation: bool,
    said: dict[str, Any],
) -> Alarm:
    verb, kind = what
    seq = next_seq(connection)
    event = own_event(
        kind, alarm, seq=seq, event_ns=order.now_ns, receive_ns=order.now_ns, evidence=said
    )
    written = append(connection, [event], simulation=simulation, writing=writing)
    data = {"alarm": alarm.alarm_id, "event": kind.value, "said": said, "command": order.command}
    take(connection, order, verb, seq, {"type": "operate", "data": data})
    return written.alarms[-1]


class People:
    """What people order of a ledger; every method returns the alarm as it stands afterwards.

    Raises everywhere: Unknown (no such alarm), Conflict (it does not stand so), Refused (not in
    this form), Unavailable.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def _do(self, verb: str, work: Callable[[_Work], Alarm], **said: Any) -> Alarm:
        ledger = self._ledger
        order = Order(now_ns=ledger.now_ns(), wall_ns=ledger.wall_ns(), **said)
        with ledger.write() as connection:
            alarm, simulation = known(connection, order.alarm_id)
            if is_repeated(connection, order, verb):
                return alarm
            return work(
                _Work(
                    connection=connection,
                    writing=ledger.writing,
                    verb=verb,
                    order=order,
                    alarm=alarm,
                    simulation=simulation,
                )
            )

    def shelve(
        self, alarm_id: str, *, by: str, reason: str, for_ns: int, expected_seq: int, command: str
    ) -> Alarm:
        """Keep an alarm from announcing for ``for_ns``, with a reason, as long as its rule allows.

        Of a red alarm the first person only asks; a second one who orders the same shelves it.
        """

        def work(on: _Work) -> Alarm:
            alarm, order = on.alarm, on.order
            _shelvable(alarm, reason, for_ns)
            must_have_seen(alarm, order, "shelve")
            asked = alarm.shelve_asked_by
            if max(alarm.severity, alarm.shown_severity) >= RED and asked in ("", by):
                if asked == by:
                    raise refuse(
                        "shelve",
                        f"red is shelved by two persons, and {by} has asked already",
                        remedy="a second person orders it",
                        by=by,
                    )
                return on.write(EventType.SHELVE_ASKED, reason=reason, for_ns=for_ns)
            until_ns = order.now_ns + for_ns
            with_ = {"with": asked} if asked else {}
            return on.write(EventType.SHELVED, reason=reason, until_ns=until_ns, **with_)

        return self._do(
            "shelve",
            work,
            alarm_id=alarm_id,
            by=by,
            comment=reason,
            expected_seq=expected_seq,
            command=command,
        )

    def unshelve(self, alarm_id: str, *, by: str, command: str) -> Alarm:
        """Take an alarm from its shelf before its time."""

        def work(on: _Work) -> Alarm:
            if on.alarm.shelf is None:
                raise refuse("unshelve", "the alarm is not shelved", remedy="nothing to do")
            return on.write(EventType.UNSHELVED)

        return self._do("unshelve", work, alarm_id=alarm_id, by=by, command=command)

    def comment(self, alarm_id: str, *, by: str, text: str, command: str) -> Alarm:
        """Write a note about an alarm, also one that is over."""

        def work(on: _Work) -> Alarm:
            if not text.strip():
                raise Refused("the comment is empty", remedy="say something")
            return on.write(EventType.COMMENTED, comment=text)

        return self._do("comment", work, alarm_id=alarm_id, by=by, command=command)

    def assign(self, alarm_id: str, *, by: str, to: str, command: str) -> Alarm:
        """Say who looks after an alarm; "" takes it from whoever did."""

        def work(on: _Work) -> Alarm:
            if on.alarm.ended:
                raise refuse("assign", "the alarm is over", remedy="reload the list")
            return on.write(EventType.ASSIGNED, to=to)

        return self._do("assign", work, alarm_id=alarm_id, by=by, command=command)

    def classify(
        self, alarm_id: str, *, by: str, verdict: str, cause: str, comment: str, command: str
    ) -> Alarm:
        """Say whether an alarm was true, and what caused it; the last word counts."""

        def work(on: _Work) -> Alarm:
            if verdict not in VERDICTS:
                raise Refused(f"verdict {verdict!r}", remedy=f"say one of {', '.join(VERDICTS)}")
            if cause not in CAUSES:
                raise Refused(f"cause {cause!r}", remedy=f"say one of {', '.join(CAUSES)}")
            return on.write(EventType.CLASSIFIED, verdict=verdict, cause=cause, comment=comment)

        return self._do("classify", work, alarm_id=alarm_id, by=by, command=command)

    # ── by the clock ─────────────────────────────────────────────────────────────────────────

    def turn(self) -> int:
        """Do what time asks for: end shelves, call again about what was seen long ago.

        Call it in a loop; return how many alarms it changed.
        """
        now_ns, changed = self._ledger.now_ns(), 0
        waiting = [row for word in _TIMED for row in self._ledger.list(word=word, limit=5_000)]
        for alarm, simulation in waiting:
            due = _due(alarm, now_ns)
            if due is None:
                continue
            verb, _ = due
            order = Order(
                alarm_id=alarm.alarm_id,
                by="",
                command=f"{verb}-{alarm.alarm_id}-{alarm.seq}",
                now_ns=now_ns,
                wall_ns=self._ledger.wall_ns(),
            )
            with self._ledger.write() as connection:
                found, _ = known(connection, alarm.alarm_id)
                if found.seq != alarm.seq or is_repeated(connection, order, verb):
                    continue  # somebody was here in between: the next turn sees it as it is
                said = {"by": "", "reason": "time is up"}
                _write(
                    connection,
                    self._ledger.writing,
                    order,
                    due,
                    found,
                    simulation=simulation,
                    said=said,
                )
            changed += 1
        return changed


def _shelvable(alarm: Alarm, reason: str, for_ns: int) -> None:
    if alarm.ended:
        raise refuse("shelve", "the alarm is over", remedy="reload the list", seq=alarm.seq)
    if alarm.shelf is not None:
        raise refuse(
            "shelve",
            f"already shelved by {alarm.shelf.by}",
            remedy="unshelve it first",
            by=alarm.shelf.by,
            seq=alarm.seq,
        )
    if not reason.strip():
        raise Refused("an alarm is shelved for a reason", remedy="say why it need not call")
    most = alarm.life.shelve_max_ns
    if not 0 < for_ns <= most:
        raise Refused(
            f"shelved for {for_ns / 60e9:g} min",
            remedy=f"its rule allows more than 0 and at most {most / 60e9:g} min",
        )


def _due(alarm: Alarm, now_ns: int) -> tuple[str, EventType] | None:
    """Return what time asks for of an alarm: the command's name, and the event."""
    shelf = alarm.shelf
    if shelf is not None and 0 < shelf.until_ns <= now_ns:
        return "unshelve", EventType.UNSHELVED
    after_ns = alarm.life.realarms_after(alarm.shown_severity, alarm.klass)
    if (
        after_ns
        and alarm.acked_ns
        and not alarm.suppression
        and alarm.condition.value == "active"
        and now_ns - alarm.acked_ns >= after_ns
    ):
        return "realarm", EventType.REALARMED
    return None
