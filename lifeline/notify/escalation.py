"""Calls people in order until one acknowledges: the chains that rules name.

A chain runs from the moment an alarm calls (raised, worse, confirmed, let go, or an acknowledgement
taken back). Each step is an event of the ledger and, in the same transaction, a message to every
outlet with whom to call; so a restart neither forgets a step nor calls twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rules.alarms import Ack, Condition
from rules.events import EventType

if TYPE_CHECKING:
    from lifeline.ledger import Ledger
    from lifeline.site import SiteKeeper
    from rules.alarms import Alarm
    from rules.plan import CallStep

CALLS: Final = frozenset(
    {
        EventType.RAISED, EventType.ESCALATED, EventType.CONFIRMED, EventType.ACK_REVOKED,
        EventType.UNSUPPRESSED, EventType.IN_SERVICE,
    }
)  # fmt: skip


@dataclass(slots=True)
class _Chain:
    """How far the chain of one alarm is: since when it calls, and which steps are done."""

    seq: int  # of the alarm when this was found
    call_seq: int
    since_ns: int
    done: set[int] = field(default_factory=set)


class Escalator:
    """``call_due`` is called in a loop; it reads each alarm's events only when it changed."""

    def __init__(self, ledger: Ledger, keeper: SiteKeeper) -> None:
        self._ledger, self._keeper = ledger, keeper
        self._chains: dict[str, _Chain] = {}

    def call_due(self) -> int:
        """Take every step that is due; return how many.

        Raises
        ------
        lifeline.ledger.Unavailable
            The ledger does not answer: nothing is lost, the next call takes them.
        """
        site = self._keeper.site
        if site is None or not site.plan.escalations:
            return 0
        taken, standing = 0, set()
        for alarm, simulation in self._ledger.list(limit=5_000):
            steps = site.plan.escalations.get(alarm.rule, ())
            if not steps or alarm.condition is not Condition.ACTIVE or alarm.suppression:
                continue
            standing.add(alarm.alarm_id)
            chain = self._chain(alarm)
            for number, step in enumerate(steps):
                if number not in chain.done and self._is_due(alarm, chain, step):
                    self._ledger.call(
                        alarm.alarm_id, step, number=number, call_seq=chain.call_seq,
                        simulation=simulation,
                    )  # fmt: skip
                    chain.done.add(number)
                    taken += 1
        self._chains = {key: c for key, c in self._chains.items() if key in standing}
        return taken

    def _is_due(self, alarm: Alarm, chain: _Chain, step: CallStep) -> bool:
        waited = self._ledger.now_ns() - chain.since_ns >= step.after_ns
        wanted = alarm.ack is Ack.UNACKED or not step.unless_acked
        return waited and wanted and alarm.shown_severity in step.severities

    def _chain(self, alarm: Alarm) -> _Chain:
        """Return the chain of an alarm, read from its events where it changed."""
        known = self._chains.get(alarm.alarm_id)
        if known is not None and known.seq == alarm.seq:
            return known
        found = _Chain(alarm.seq, 0, alarm.receive_ns)
        for seq, event in self._ledger.events_of(alarm.alarm_id, limit=1_000):
            if event.type in CALLS:
                found.call_seq, found.since_ns, found.done = seq, event.receive_ns, set()
            elif event.type is EventType.CALLED and event.evidence["call_seq"] == found.call_seq:
                found.done.add(int(event.evidence["step"]))
        self._chains[alarm.alarm_id] = found
        return found
