"""Which ticks of the Clock a case needs: those at which a timer decides, and one around every row.

The Clock ticks every second; of a month those are 2.6 million, and nearly none of them decides. So
the case is first played with few: one just before every arrival, and one at least every
``STEP_TICKS``. A timer that any tick would let fire before the next row still fires, only later.
Wherever a tick decided something, all ticks since the one before it are put in, and the case is
played again, until nothing new decides. Then every decision fell at the first tick that could make
it, so events are those of all ticks, at the same offsets (a test compares the bytes).

Rules across channels keep timers that make no event of their own (a vote that expires): after
every change of what they join, also of conditions that are told to nobody, all ticks are played for
as long as such a timer may run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.durations import format_duration
from rules.engine.kinds import FOLLOWING
from rules.plan import NEVER_NS
from rules.problems import Invalid
from rules.testing.journal import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from rules.events import Event
    from rules.plan import Plan
    from rules.testing.cases import Case
    from rules.testing.journal import Journal

STEP_TICKS: Final = 3600
MAX_TICKS: Final = 3_000_000


def first_ticks(journal: Journal) -> NDArray[np.int64]:
    """Return the numbers of the ticks to begin with, rising."""
    last = journal.last_tick
    before = np.maximum(0, -(-journal.at_ns // SECOND_NS) - 1)
    regular = np.arange(0, last + 1, STEP_TICKS)
    return np.unique(np.concatenate((before, regular, [last])))


def reach_of(plan: Plan) -> int:
    """Return for how many ticks after a change a timer across channels may run, 0 without any."""
    reach_ns = -1
    for rule in plan.slot_rules:
        if rule.kernel in FOLLOWING and len(rule.channel):
            within = int(rule.own["within_ns"].max()) * max(1, len(rule.inputs))
            hold = int(np.where(rule.hold_ns < NEVER_NS, rule.hold_ns, 0).max())
            reach_ns = max(reach_ns, within + hold + int(rule.keep_ns.max()))
    return 0 if reach_ns < 0 else reach_ns // SECOND_NS + 2


def after_changes(
    case: Case, journal: Journal, ticks: NDArray[np.int64], events: Iterable[Event], reach: int
) -> NDArray[np.int64]:
    """Return the ticks with all of those that follow an event within ``reach``.

    Raises
    ------
    Invalid
        They would be too many.
    """
    at_s = np.array([(e.receive_ns - journal.start_ns) // SECOND_NS for e in events], np.int64)
    wanted = np.zeros(journal.last_tick + 2, np.int64)
    np.add.at(wanted, np.clip(at_s, 0, journal.last_tick), 1)
    np.add.at(wanted, np.clip(at_s + reach, 0, journal.last_tick) + 1, -1)
    busy = np.flatnonzero(np.cumsum(wanted)[:-1])
    if len(busy) > MAX_TICKS:
        longest = format_duration(MAX_TICKS * SECOND_NS)
        said = f"vote, all, any or sequence are busy for more than {longest} of it: make it shorter"
        case.test.problem((), said)
        raise Invalid(case.test.document.problems)
    return np.unique(np.concatenate((ticks, busy)))


def more_ticks(
    journal: Journal, ticks: NDArray[np.int64], events: Iterable[Event]
) -> NDArray[np.int64]:
    """Return the ticks with those put in between which something was decided."""
    offset = journal.tick_offset(ticks)
    decided = np.unique(np.array([event.offset for event in events], np.int64))
    place = np.searchsorted(offset, decided)
    known = place < len(offset)
    place = place[known][offset[place[known]] == decided[known]]
    place = place[place > 0]
    wide = place[ticks[place] - ticks[place - 1] > 1]
    if not len(wide):
        return ticks
    between = [np.arange(ticks[i - 1] + 1, ticks[i]) for i in wide.tolist()]
    return np.unique(np.concatenate((ticks, *between)))
