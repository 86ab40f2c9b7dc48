"""Kind ``rate``, method ``least_squares``: the slope of the ordinary least-squares line.

Sums are never subtracted from, so that nothing outside a window can reach into it: rows are
gathered in blocks of 64 by their number; a window that begins in the block before adds that block's
sums from its first row on (a table made when the next block begins) to the running sums of its own
block; both are taken about the own block's first row, which lies in the window. A window within one
block is summed anew, about its first row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.rate import RateDifference
from rules.engine.waves import Waves
from rules.engine.window import ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks
    from rules.engine.window import Seen

BLOCK_BITS = 6
IN_BLOCK = ROWS - 1
SUMS = 4  # of u, x, u², u·x


class RateLeastSquares(RateDifference):
    """Sums over the block that is being filled, and the tails of the block before."""

    kernel: ClassVar[str] = "rate_least_squares"

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(tracks)
        count = len(tracks)
        self.sums: dict[str, NDArray[Any]] = {
            "anchor_ns": np.zeros(count, np.int64),
            "anchor": np.zeros(count),
            "prefix": np.zeros((count, SUMS)),
            "tails": np.zeros((count, ROWS, SUMS)),
        }

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.window.state | self.sums

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        (self.sums if name in self.sums else self.window.state)[name] = column

    def _slopes(
        self, seen: Seen, few: NDArray[np.bool_], per_ns: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        runs, row, state = seen.runs, seen.row, self.sums
        opens = (row & IN_BLOCK) == 0
        head = opens.copy()
        head[runs.start] = True
        start = np.flatnonzero(head)
        piece = np.cumsum(head) - 1
        own = runs.own[runs.segment[start]]
        new = np.flatnonzero(opens[start])
        anchor_ns, anchor = state["anchor_ns"][own], state["anchor"][own]
        carried, tails = state["prefix"][own], state["tails"]
        anchor_ns[new], anchor[new] = runs.t[start[new]], runs.value[start[new]]
        carried[new] = 0.0
        table = self._tails(seen, start[new], anchor_ns[new], anchor[new])
        prefix = _prefix(runs, start, piece, anchor_ns, anchor, carried)
        cross = (seen.first >> BLOCK_BITS) < (row >> BLOCK_BITS)
        sums = prefix.copy()
        of_new = np.full(len(start), -1)
        of_new[new] = np.arange(len(new))
        made = of_new[piece]
        old = np.flatnonzero(cross & (made < 0) & ~few)
        sums[old] += tails[own[piece[old]], seen.first[old] & IN_BLOCK]
        here = np.flatnonzero(cross & (made >= 0) & ~few)
        sums[here] += table[made[here], seen.first[here] & IN_BLOCK]
        within = np.flatnonzero(~cross & ~few)
        if len(within):
            sums[within] = _within(seen, within)
        self._keep(seen, piece, (own, anchor_ns, anchor, prefix), (of_new, table))
        n = (row - seen.first + 1).astype(np.float64)
        u, x, uu, ux = sums.T
        below = n * uu - u * u
        slope = (n * ux - u * x) / below * per_ns
        slope[~(below > 0)] = np.nan
        return slope

    @staticmethod
    def _tails(
        seen: Seen,
        rows: NDArray[np.int64],
        anchor_ns: NDArray[np.int64],
        anchor: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the sums from each row to its block's end, of the blocks before ``rows``."""
        if not len(rows):
            return np.zeros((0, ROWS, SUMS))
        own = seen.row[rows, None]  # the very first block has none before it: any row will do
        number = np.minimum(np.maximum(own - ROWS, 0) + np.arange(ROWS), own)
        u = (seen.times(number, rows) - anchor_ns[:, None]).astype(np.float64)
        x = seen.values(number, rows) - anchor[:, None]
        terms = np.stack([u, x, u * u, u * x], axis=-1)
        summed: NDArray[np.float64] = np.add.accumulate(terms[:, ::-1], axis=1)[:, ::-1]
        return summed

    def _keep(
        self,
        seen: Seen,
        piece: NDArray[np.int64],
        pieces: tuple[NDArray[Any], ...],
        made: tuple[NDArray[np.int64], NDArray[np.float64]],
    ) -> None:
        """Remember the block each run ends in."""
        own, anchor_ns, anchor, prefix = pieces
        of_new, table = made
        last = seen.runs.last
        end = piece[last]
        state, mine = self.sums, own[end]
        state["anchor_ns"][mine], state["anchor"][mine] = anchor_ns[end], anchor[end]
        state["prefix"][mine] = prefix[last]
        fresh = of_new[end] >= 0
        state["tails"][mine[fresh]] = table[of_new[end[fresh]]]


def _prefix(
    runs: Any,
    start: NDArray[np.int64],
    piece: NDArray[np.int64],
    anchor_ns: NDArray[np.int64],
    anchor: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the running sums of each row's block up to it, [r, SUMS]."""
    terms = np.empty((len(runs.t), SUMS))
    u, x = terms[:, 0], terms[:, 1]
    u[:] = runs.t - anchor_ns[piece]
    x[:] = runs.value - anchor[piece]
    terms[:, 2] = u * u
    terms[:, 3] = u * x
    if len(start) == len(terms):
        return carried + terms
    waves = Waves(start, np.diff(np.append(start, len(terms))))
    total = carried[waves.order]
    for active, at in waves.each():
        total[:active] += terms[at]
        terms[at] = total[:active]
    return terms


def _within(seen: Seen, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum windows that lie within one block, row after row from their first."""
    first = seen.first[rows]
    points = seen.row[rows] - first + 1
    order = np.argsort(-points, kind="stable")
    rows, first, points = rows[order], first[order], points[order]
    anchor_ns, anchor = seen.times(first, rows), seen.values(first, rows)
    total = np.zeros((len(rows), SUMS))
    for k in range(1, int(points[0]) if len(points) else 0):
        active = int(np.searchsorted(-points, -k, side="left"))
        number, at = first[:active] + k, rows[:active]
        u = (seen.times(number, at) - anchor_ns[:active]).astype(np.float64)
        x = seen.values(number, at) - anchor[:active]
        total[:active] += np.stack([u, x, u * u, u * x], axis=-1)
    result = np.empty_like(total)
    result[order] = total
    return result
