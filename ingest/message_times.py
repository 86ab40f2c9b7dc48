"""When a message was measured: the whole message is shifted, never row by row.

Clamping row by row was tried: a clock an hour ahead folded many dangerous samples onto one
instant, all but one of them then conflicts, and no alarm came.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_NS = 946_684_800_000_000_000
"""2000-01-01: a message wholly before it comes from a clock that was never set."""
FAR_NS = 1 << 62  # 2116; further would let differences of times overflow
LOWEST_NS = -(1 << 61)
NO_BLOCK_NS = -(2**63)
"""``block_end_ns`` of a message without waveforms."""


def held(time_ns: int) -> int:
    """Return one time kept within what differences of times can carry."""
    return max(LOWEST_NS, min(FAR_NS, time_ns))


@dataclass(frozen=True, slots=True)
class MessageTimes:
    """Per message: by how much its times are moved, and whether its stamps mean nothing."""

    shift_ns: NDArray[np.int64]
    restamped: NDArray[np.bool_]  # event times become the shifted ones too
    counters: Counter[str] = field(default_factory=Counter)

    @classmethod
    def empty(cls) -> MessageTimes:
        """Return times of no messages."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.bool_))

    @classmethod
    def of(
        cls,
        message: NDArray[np.int64],
        event_ns: NDArray[np.int64],
        *,
        receive_ns: NDArray[np.int64],
        unset: NDArray[np.bool_],
        block_end_ns: NDArray[np.int64],
    ) -> MessageTimes:
        """Decide from rows (``message``, ``event_ns``) and the per-message columns.

        A message ahead of its receipt goes back by the difference. One whose device says that its
        clock is not set, or that lies wholly before 2000, moves so that its newest sample is at
        the receipt: the spacing of its samples is still true.
        """
        newest = np.clip(block_end_ns, LOWEST_NS, FAR_NS)
        stamped = np.clip(event_ns, LOWEST_NS, FAR_NS)
        if len(message) and (message[1:] >= message[:-1]).all():
            starts = np.flatnonzero(np.diff(message, prepend=-1))
            of = message[starts]
            newest[of] = np.maximum(newest[of], np.maximum.reduceat(stamped, starts))
        else:
            np.maximum.at(newest, message, stamped)
        silent = np.ones(len(newest), np.bool_)
        silent[message] = False
        silent &= block_end_ns == NO_BLOCK_NS
        absurd = ~unset & ~silent & (newest < FIRST_NS)
        restamped = (unset | absurd) & ~silent
        ahead = ~restamped & (newest > receive_ns)
        shift = np.where(restamped | ahead, receive_ns - newest, 0)
        counters = Counter(
            clock_unset=int(np.count_nonzero(unset)),
            time_absurd=int(np.count_nonzero(absurd)),
            shifted=int(np.count_nonzero(ahead)),
        )
        return cls(shift, restamped, counters)

    def of_rows(
        self, message: NDArray[np.int64], event_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (event_ns, judged_ns) of the rows."""
        stamped = np.clip(event_ns, LOWEST_NS, FAR_NS)
        judged = np.maximum(stamped + self.shift_ns[message], LOWEST_NS)
        return np.where(self.restamped[message], judged, stamped), judged
