"""Kind ``rate``, method ``least_squares``: the slope of the ordinary least-squares line.

Sums are never subtracted from, so that nothing outside a window can reach into it: rows are
gathered in blocks of 32 by their number; a window that begins before its newest row's block adds
the sums of the rows before the block, from its first row on (a table of *tails*, made when the
block begins), to the running sums of the block; all are taken about the block's first row, which
lies in the window. A window within one block is summed anew, about its first row.
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

BITS = 5
BLOCK = 1 << BITS
FEW = 512  # rows for which all tails are summed side by side
SUMS = 4  # of u, x, u², u·x

Sums = list["NDArray[np.float64]"]


class RateLeastSquares(RateDifference):
    """Sums over the block that is being filled, and the tails of the rows before it."""

    kernel: ClassVar[str] = "rate_least_squares"

    def __init__(self, tracks: Tracks) -> None:
        super().__init__(tracks)
        count = len(tracks)
        self.anchor_ns = np.zeros(count, np.int64)
        self.anchor = np.zeros(count)
        self.prefix = np.zeros((SUMS, count))
        self.tails = np.zeros((SUMS, ROWS, count))  # of row i at place i mod ROWS

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name, tracks first."""
        mine = {"anchor_ns": self.anchor_ns, "anchor": self.anchor}
        sums = {"prefix": self.prefix.T, "tails": self.tails.T}
        return self.window.columns() | mine | sums

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name in ("anchor_ns", "anchor", "prefix", "tails"):
            setattr(self, name, np.ascontiguousarray(column.T))
        else:
            self.window.restore(name, column)

    def of(self, view: View, few: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the slope of each row of a view; its sums are learned."""
        sums = self._one(view) if view.single else self._whole(view)
        within = np.flatnonzero(((view.first ^ view.row) < BLOCK) & ~few)
        if len(within):
            for total, part in zip(sums, _within(view, within), strict=True):
                total[within] = part
        n = (view.row - view.first + 1).astype(np.float64)
        u, x, uu, ux = sums
        below = n * uu - u * u
        slope: NDArray[np.float64] = (n * ux - u * x) / below
        slope *= view.each(self.per_ns)
        flat = ~(below > 0)
        if flat.any():
            slope[flat] = np.nan
        return slope

    def _one(self, view: View) -> Sums:
        """Return the sums of one row a track, where the window begins before the block."""
        own, place = view.own, view.place
        opens = np.flatnonzero((view.row & (BLOCK - 1)) == 0)
        if len(opens):
            mine = own[opens]
            self.anchor_ns[mine], self.anchor[mine] = view.t[opens], view.value[opens]
            self.prefix[:, mine] = 0.0
            if len(opens) == len(own) >= FEW and isinstance(place, slice):
                _tails(view, opens, self.tails[:, :, place])
            else:
                self.tails[:, :, mine] = _tails(view, opens)
        sums = _terms(view.t, view.value, self.anchor_ns[place], self.anchor[place])
        at = (view.first & (ROWS - 1)) * self.tails.shape[2] + own
        for k, total in enumerate(sums):
            np.add(total, self.prefix[k, place], out=total)
            self.prefix[k, place] = total
            np.add(total, self.tails[k].reshape(-1)[at], out=total)
        return sums

    def _whole(self, view: View) -> Sums:
        """Return the same of long runs, piece by piece: a piece is a run's part of one block."""
        length = view.length
        assert length is not None  # noqa: S101 - only of long runs
        opens = (view.row & (BLOCK - 1)) == 0
        head = opens.copy()
        head[np.cumsum(length) - length] = True
        start = np.flatnonzero(head)
        piece = np.cumsum(head) - 1
        own = np.repeat(view.own, length)[start]
        new = np.flatnonzero(opens[start])
        anchor_ns, anchor = self.anchor_ns[own], self.anchor[own]
        prefix, tails = self.prefix[:, own], self.tails[:, :, own]
        anchor_ns[new], anchor[new] = view.t[start[new]], view.value[start[new]]
        prefix[:, new] = 0.0
        tails[:, :, new] = _tails(view, start[new])
        sums = _terms(view.t, view.value, anchor_ns[piece], anchor[piece])
        waves = Waves(start, np.diff(np.append(start, len(piece))))
        for total, carried in zip(sums, prefix, strict=True):
            running = carried[waves.order].copy()
            for active, at in waves.each():
                running[:active] += total[at]
                total[at] = running[:active]
        last = np.cumsum(length) - 1
        end = piece[last]
        mine = view.own
        self.anchor_ns[mine], self.anchor[mine] = anchor_ns[end], anchor[end]
        self.tails[:, :, mine] = tails[:, :, end]
        for k, total in enumerate(sums):
            self.prefix[k, mine] = total[last]
            np.add(total, tails[k, view.first & (ROWS - 1), piece], out=total)
        return sums


def _terms(
    t: NDArray[np.int64],
    value: NDArray[np.float64],
    anchor_ns: NDArray[np.int64],
    anchor: NDArray[np.float64],
) -> Sums:
    """Return u, x, u², u·x of rows about an anchor."""
    u = (t - anchor_ns).astype(np.float64)
    x = value - anchor
    return [u, x, u * u, u * x]


def _tails(
    view: View, rows: NDArray[np.int64], out: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the sums from each of the 63 rows before ``rows`` to the last of them.

    [SUMS, ROWS, n], about ``rows`` themselves; the row of number i at place i mod ROWS. Of rows
    that the ring no longer holds it is rubbish, there and before any window. Written into ``out``.
    """
    row, n = view.row[rows], len(rows)
    if n < FEW:
        return _few_tails(view, rows)
    summed = np.zeros((SUMS, ROWS, n)) if out is None else out
    total = np.zeros((SUMS, n))
    t, value, columns = view.t[rows], view.value[rows], np.arange(n)
    lowest, highest = int(row.min(initial=ROWS)), int(row.max(initial=0))
    in_step = lowest == highest  # then all of them have one place
    for back in range(1, min(ROWS, highest + 1)):
        number = row - back
        if back > lowest:
            some = np.flatnonzero(number >= 0)
            row, number, columns, rows = row[some], number[some], columns[some], rows[some]
            t, value, total = t[some], value[some], total[:, some]
            lowest = int(row.min())
        at = np.maximum(view.find(number, rows), 0)
        terms = _terms(view.times[at], view.values[at], t, value)
        for k, term in enumerate(terms):
            total[k] += term
        if in_step:
            summed[:, (highest - back) & (ROWS - 1)] = total
        else:
            summed[:, number & (ROWS - 1), columns] = total
    return summed


def _few_tails(view: View, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Do the same at once for few rows: all steps side by side, summed along the first axis."""
    row, n = view.row[rows], len(rows)
    number = row - np.arange(1, ROWS)[:, None]
    at = np.maximum(view.find(np.maximum(number, 0).T, rows).T, 0)
    terms = _terms(view.times[at], view.values[at], view.t[rows], view.value[rows])
    summed = np.zeros((SUMS, ROWS, n))
    held = number >= 0
    place = (number & (ROWS - 1))[held]
    columns = np.broadcast_to(np.arange(n), number.shape)[held]
    for k, term in enumerate(terms):
        summed[k, place, columns] = np.add.accumulate(term, axis=0)[held]
    return summed


def _within(view: View, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum windows that lie within one block, row after row from their first."""
    points = view.row[rows] - view.first[rows] + 1
    order = np.argsort(-points, kind="stable")
    rows, points = rows[order], points[order]
    first = view.first[rows]
    at = view.find(first, rows)
    anchor_ns, anchor = view.times[at], view.values[at]
    total = np.zeros((SUMS, len(rows)))
    for k in range(1, int(points[0])):
        active = int(np.searchsorted(-points, -k, side="left"))
        at = view.find(first[:active] + k, rows[:active])
        terms = _terms(view.times[at], view.values[at], anchor_ns[:active], anchor[:active])
        for sums, term in zip(total, terms, strict=True):
            sums[:active] += term
    result = np.empty_like(total)
    result[:, order] = total
    return result
