"""Proof tests (bump tests): a safety device is tried out, by whom, and whether it answered.

Each is an event of the ledger; ``proof_test`` has the newest of each channel. One that failed
raises an alarm about the channel, and the next one that passes clears it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Table, Text, delete, insert, select

from lifeline.ledger.book import append, next_seq, note, own_event
from lifeline.ledger.commands import Order, is_repeated, take
from lifeline.ledger.errors import Refused
from lifeline.ledger.partition import LEDGER_PARTITION
from lifeline.ledger.tables import ALARM, METADATA
from rules.alarm_forms import alarm_of
from rules.alarms import Condition
from rules.events import Event, EventType

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifeline.ledger.ledger import Ledger

RULE: Final = "proof-test"
FAILED_RULE: Final = "proof-test-failed"
SEVERITY: Final = 3
AHEAD_NS: Final = 60 * 10**9  # a phone's clock may run before ours
MOST_NOTE: Final = 1_000

PROOF_TEST = Table(
    "proof_test",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofTested:
    """The newest proof test of a channel."""

    channel: str
    at_ns: int
    passed: bool
    by: str
    note: str


class ProofTests:
    """The proof tests of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def newest(self) -> dict[str, ProofTested]:
        """Return the newest test of each channel that ever had one."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(PROOF_TEST)).all()
        return {row.channel: _tested(row) for row in rows}

    def history(self, channel: str, *, limit: int = 50) -> list[ProofTested]:
        """Return the tests of a channel, oldest first."""
        events = self._ledger.events_of(_event(channel, 0, 0, {}).alarm_id, limit=limit)
        return [
            ProofTested(
                channel=channel,
                at_ns=event.event_ns,
                passed=bool(event.evidence["passed"]),
                by=str(event.evidence["by"]),
                note=str(event.evidence["note"]),
            )
            for _, event in events
        ]

    def record(
        self,
        channel: str,
        *,
        by: str,
        passed: bool,
        text: str,
        command: str,
        simulation: bool,
        at_ns: int = 0,
    ) -> ProofTested:
        """Note a test of a channel at ``at_ns`` (0 = now); the same command again does nothing.

        Raises
        ------
        Refused
            It lies in the future, failed without a word, or the command was another one's.
        Unavailable
        """
        tested = ProofTested(channel=channel, at_ns=at_ns, passed=passed, by=by, note=text)
        with self._ledger.write() as connection:
            return self.record_in(connection, tested, command=command, simulation=simulation)

    def record_in(
        self, connection: Connection, tested: ProofTested, *, command: str, simulation: bool
    ) -> ProofTested:
        """Do what `record` does within a transaction that writes more than it."""
        ledger, channel, text = self._ledger, tested.channel, tested.note
        now_ns = ledger.now_ns()
        at_ns = tested.at_ns or now_ns
        order = Order(
            alarm_id=blake2b(channel.encode(), digest_size=6).hexdigest(),
            by=tested.by,
            command=command,
            now_ns=now_ns,
            wall_ns=ledger.wall_ns(),
        )
        if is_repeated(connection, order, RULE):
            return _of(connection, channel)
        _fit(at_ns, now_ns, text, passed=tested.passed)
        said = {"by": tested.by, "passed": tested.passed, "note": text, "command": command}
        seq = next_seq(connection)
        event = _event(channel, seq, at_ns, said)._replace(receive_ns=now_ns)
        note(connection, event, simulation=simulation)
        self._project(connection, event)
        data: dict[str, Any] = {"alarm": order.alarm_id, "event": event.type.value}
        data |= {"channel": channel, "said": said, "command": command, "at_ns": at_ns}
        take(connection, order, RULE, seq, {"type": "operate", "data": data})
        self._tell(connection, event, simulation=simulation)
        return _of(connection, channel)

    @staticmethod
    def _project(connection: Connection, event: Event) -> None:
        """Put it in the table, unless a test made later was told before."""
        channel = event.subject
        held = select(PROOF_TEST.c.at_ns).where(PROOF_TEST.c.channel == channel)
        before = connection.execute(held).scalar()
        if before is not None and before > event.event_ns:
            return
        connection.execute(delete(PROOF_TEST).where(PROOF_TEST.c.channel == channel))
        said = event.evidence
        connection.execute(
            insert(PROOF_TEST).values(
                channel=channel,
                seq=event.offset,
                at_ns=event.event_ns,
                passed=said["passed"],
                by=said["by"],
                note=said["note"],
            )
        )

    def _tell(self, connection: Connection, event: Event, *, simulation: bool) -> None:
        """Raise the alarm of a device that failed, or clear it, by the newest test."""
        channel, writing = event.subject, self._ledger.writing
        newest = _of(connection, channel)
        query = select(ALARM.c.state).where(
            ALARM.c.rule == FAILED_RULE, ALARM.c.subject == channel, ALARM.c.ended.is_(False)
        )
        active = [
            alarm
            for (state,) in connection.execute(query)
            if (alarm := alarm_of(state)).condition is Condition.ACTIVE
        ]
        seq, now_ns = next_seq(connection), event.receive_ns
        told: Event | None = None
        if not newest.passed and not active:
            told = Event(
                type=EventType.RAISED,
                partition=LEDGER_PARTITION,
                offset=seq,
                row=0,
                rule=FAILED_RULE,
                subject=channel,
                severity=SEVERITY,
                max_severity=SEVERITY,
                klass="maintenance",
                episode=f"{LEDGER_PARTITION} {seq}",
                onset_ns=newest.at_ns,
                event_ns=newest.at_ns,
                receive_ns=now_ns,
                evidence={"by": newest.by, "note": newest.note},
            )
        elif newest.passed and active:
            times = {"event_ns": newest.at_ns, "receive_ns": now_ns}
            told = own_event(EventType.CLEARED, active[0], seq=seq, **times)._replace(severity=0)
        if told is not None:
            append(connection, [told], simulation=simulation, writing=writing)


def _fit(at_ns: int, now_ns: int, text: str, *, passed: bool) -> None:
    if at_ns > now_ns + AHEAD_NS:
        raise Refused("the test lies in the future", remedy="leave the time out, or correct it")
    if len(text) > MOST_NOTE:
        raise Refused(f"the note has {len(text)} characters", remedy=f"at most {MOST_NOTE}")
    if not passed and not text.strip():
        raise Refused("a test that failed has a note", remedy="say what was seen 请说明情况")


def _event(channel: str, seq: int, at_ns: int, said: dict[str, Any]) -> Event:
    return Event(
        type=EventType.PROOF_TESTED,
        partition=LEDGER_PARTITION,
        offset=seq,
        row=0,
        rule=RULE,
        subject=channel,
        klass="maintenance",
        event_ns=at_ns,
        receive_ns=at_ns,
        announce=False,
        evidence=said,
    )


def _of(connection: Connection, channel: str) -> ProofTested:
    query = select(PROOF_TEST).where(PROOF_TEST.c.channel == channel)
    return _tested(connection.execute(query).one())


def _tested(row: Any) -> ProofTested:
    return ProofTested(
        channel=row.channel, at_ns=row.at_ns, passed=row.passed, by=row.by, note=row.note
    )
