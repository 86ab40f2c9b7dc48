"""Rows cut into segments by channel: the one path along time that every kernel takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Segments:
    """``order`` lists rows grouped by key, in journal order within a key; s segments, m rows.

    ``single`` says that every segment has one row; then nothing was sorted.
    """

    order: NDArray[np.int64]  # [m] row indices
    start: NDArray[np.int64]  # [s] first place in order
    stop: NDArray[np.int64]  # [s]
    key: NDArray[np.int64]  # [s] the channel (or device, or slot)
    single: bool

    @property
    def at(self) -> slice | NDArray[np.int64]:
        """Return what selects the keys' places in a table: a slice where they follow one another.

        Nearly every read of a whole city names every channel once, in order after sorting; a
        slice is then several times faster than a gather.
        """
        return consecutive(self.key)

    @property
    def length(self) -> NDArray[np.int64]:
        """Return rows per segment, [s]."""
        return self.stop - self.start

    def of_row(self) -> NDArray[np.int64]:
        """Return the segment of each place in order, [m]."""
        if self.single:
            return np.arange(len(self.start))
        return np.repeat(np.arange(len(self.start)), self.length)


def consecutive(places: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return a slice where rising places follow one another, else the places themselves."""
    n = len(places)
    if n and int(places[-1]) - int(places[0]) == n - 1 and (places[1:] > places[:-1]).all():
        return slice(int(places[0]), int(places[0]) + n)
    return places


def segments_of(
    key: NDArray[Any], rows: NDArray[np.int64] | None, scratch: NDArray[np.int64]
) -> Segments:
    """Group rows (all, or the chosen indices, rising) by key ≥ 0; keys < 0 are left out.

    ``scratch`` has a place per possible key and may hold anything. A batch with each key once is
    recognised by writing row numbers into it and reading them back, and is not sorted at all.
    """
    if rows is None:
        rows = np.arange(len(key), dtype=np.int64) if (key >= 0).all() else np.flatnonzero(key >= 0)
    chosen = key if len(rows) == len(key) else key[rows]
    n = len(chosen)
    count = np.arange(n, dtype=np.int64)
    scratch[chosen] = count
    if (scratch[chosen] == count).all():
        return Segments(rows, count, count + 1, chosen.astype(np.int64), True)
    place = _by_key(chosen)
    by_key = chosen[place]
    edge = np.flatnonzero(by_key[1:] != by_key[:-1]) + 1
    start = np.concatenate(([0], edge))
    stop = np.concatenate((edge, [n]))
    return Segments(rows[place], start, stop, by_key[start].astype(np.int64), False)


def _by_key(key: NDArray[Any]) -> NDArray[np.int64]:
    """Return the order that sorts keys from 0 to 2**32 − 1, equal ones as they stand.

    By digits of 16 bits, which numpy sorts by counting: a fifth of what a sort by comparing takes.
    """
    low = (key & 0xFFFF).astype(np.uint16)
    order = low.argsort(kind="stable")
    if int(key.max()) > 0xFFFF:
        order = order[(key >> 16).astype(np.uint16)[order].argsort(kind="stable")]
    return order


def ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return start[0] … start[0]+length[0]−1, start[1] …, all in one array."""
    total = int(length.sum())
    ends = np.cumsum(length)
    places: NDArray[np.int64] = np.arange(total) + np.repeat(start - (ends - length), length)
    return places
