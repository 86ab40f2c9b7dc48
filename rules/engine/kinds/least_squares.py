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
    from rules.engine.window import View

BITS = 6
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

    def _slopes(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:
        sums = self._one(view) if view.single else self._whole(view)
        within = np.flatnonzero(((view.first >> BITS) == (view.row >> BITS)) & ~few)
        if len(within):
            sums[within] = _within(view, within)
        n = (view.row - view.first + 1).astype(np.float64)
        u, x, uu, ux = sums.T
        below = n * uu - u * u
        slope: NDArray[np.float64] = (n * ux - u * x) / below * view.each(self.per_ns)
        flat = ~(below > 0)
        if flat.any():
            slope[flat] = np.nan
        return slope

    def _one(self, view: View) -> NDArray[np.float64]:
        """Return the sums of one row a track, where the window begins in the block before."""
        state, own, place = self.sums, view.own, view.place
        opens = np.flatnonzero((view.row & IN_BLOCK) == 0)
        prefix = state["prefix"][place]
        if len(opens):
            mine = own[opens]
            state["anchor_ns"][mine], state["anchor"][mine] = view.t[opens], view.value[opens]
            state["tails"][mine] = _tails(view, opens)
            prefix = prefix.copy()
            prefix[opens] = 0.0
        terms = _terms(view.t, view.value, state["anchor_ns"][place], state["anchor"][place])
        terms += prefix
        state["prefix"][place] = terms
        tails = state["tails"].reshape(-1, SUMS)
        return terms + tails.take((own << BITS) + (view.first & IN_BLOCK), axis=0)

    def _whole(self, view: View) -> NDArray[np.float64]:
        """Return the same of long runs, piece by piece: a piece is a run's part of one block."""
        state, length = self.sums, view.length
        assert length is not None  # noqa: S101 - only of long runs
        opens = (view.row & IN_BLOCK) == 0
        head = opens.copy()
        head[np.cumsum(length) - length] = True
        start = np.flatnonzero(head)
        piece = np.cumsum(head) - 1
        own = np.repeat(view.own, length)[start]
        new = np.flatnonzero(opens[start])
        anchor_ns, anchor = state["anchor_ns"][own], state["anchor"][own]
        prefix, tails = state["prefix"][own], state["tails"][own]
        anchor_ns[new], anchor[new] = view.t[start[new]], view.value[start[new]]
        prefix[new] = 0.0
        tails[new] = _tails(view, start[new])
        terms = _terms(view.t, view.value, anchor_ns[piece], anchor[piece])
        waves = Waves(start, np.diff(np.append(start, len(terms))))
        total = prefix[waves.order]
        for active, at in waves.each():
            total[:active] += terms[at]
            terms[at] = total[:active]
        last = np.cumsum(length) - 1
        end = piece[last]
        state["anchor_ns"][view.own], state["anchor"][view.own] = anchor_ns[end], anchor[end]
        state["prefix"][view.own], state["tails"][view.own] = terms[last], tails[end]
        return terms + tails.reshape(-1, SUMS)[(piece << BITS) + (view.first & IN_BLOCK)]


def _terms(
    t: NDArray[np.int64],
    value: NDArray[np.float64],
    anchor_ns: NDArray[np.int64],
    anchor: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return u, x, u², u·x of rows about an anchor, [r, SUMS]."""
    terms = np.empty((len(t), SUMS))
    u = (t - anchor_ns).astype(np.float64)
    x = value - anchor
    terms[:, 0], terms[:, 1] = u, x
    np.multiply(u, u, out=terms[:, 2])
    np.multiply(u, x, out=terms[:, 3])
    return terms


def _tails(view: View, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sums from each row of the block before ``rows`` to its end, about each of them.

    What the ring no longer holds is rubbish there, and before any window.
    """
    number = np.maximum(view.row[rows, None] - ROWS, 0) + np.arange(ROWS)
    at = view.find(np.minimum(number, view.row[rows, None]), rows)
    np.maximum(at, 0, out=at)
    u = (view.times[at] - view.t[rows, None]).astype(np.float64)
    x = view.values[at] - view.value[rows, None]
    terms = np.stack([u, x, u * u, u * x], axis=-1)
    summed: NDArray[np.float64] = np.add.accumulate(terms[:, ::-1], axis=1)[:, ::-1]
    return summed


def _within(view: View, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum windows that lie within one block, row after row from their first."""
    points = view.row[rows] - view.first[rows] + 1
    order = np.argsort(-points, kind="stable")
    rows, points = rows[order], points[order]
    first = view.first[rows]
    at = view.find(first, rows)
    anchor_ns, anchor = view.times[at], view.values[at]
    total = np.zeros((len(rows), SUMS))
    for k in range(1, int(points[0])):
        active = int(np.searchsorted(-points, -k, side="left"))
        at = view.find(first[:active] + k, rows[:active])
        total[:active] += _terms(
            view.times[at], view.values[at], anchor_ns[:active], anchor[:active]
        )
    result = np.empty_like(total)
    result[order] = total
    return result
