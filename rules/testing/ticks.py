"""Which ticks of the Clock a case needs: those at which a timer decides, and one around every row.

The Clock ticks every second; of a month those are 2.6 million, and nearly none of them decides. So
the case is first played with few: one just before every arrival, and one at least every
``STEP_TICKS``. A timer that any tick would let fire before the next row still fires, only later.
Wherever a tick decided something, all ticks since the one before it are put in, and the case is
played again, until nothing new decides. Then every decision fell at the first tick that could make
it, so events are those of all ticks, at the same offsets (a test compares the bytes).

Rules across channels keep timers that make no event of their own: with them all ticks are played.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.durations import format_duration
from rules.engine.kinds import FOLLOWING
from rules.problems import Invalid
from rules.testing.journal import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from rules.events import Event
    from rules.testing.cases import Case
    from rules.testing.journal import Journal

STEP_TICKS: Final = 3600
MAX_TICKS: Final = 3_000_000  # all of them: 34 days


def first_ticks(case: Case, journal: Journal) -> NDArray[np.int64]:
    """Return the numbers of the ticks to begin with, rising.

    Raises
    ------
    Invalid
        All ticks are needed, and they are too many.
    """
    last = journal.last_tick
    if any(rule.kernel in FOLLOWING for rule in case.plan.slot_rules):
        if last > MAX_TICKS:
            longest = format_duration(MAX_TICKS * SECOND_NS)
            said = f"a test of rules with vote, all, any or sequence lasts at most {longest}"
            case.test.problem((), f"{said}, not {format_duration(journal.end_ns)}")
            raise Invalid(case.test.document.problems)
        return np.arange(last + 1)
    before = np.maximum(0, -(-journal.at_ns // SECOND_NS) - 1)
    regular = np.arange(0, last + 1, STEP_TICKS)
    return np.unique(np.concatenate((before, regular, [last])))


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
