"""Rows become points: the median of each bucket of a grid of absolute time; docs/kinds/trends.md.

A bucket is closed by the first judged row at or after its end. Late rows join the bucket that is
still open. Points go through a window of their own, so that rules may look at weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.part import Part, Runs
from rules.engine.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks
    from rules.engine.window import View

HELD_BITS = 6
HELD = 1 << HELD_BITS  # rows of a bucket that its median is taken of, evenly spread over it
POINTS = 128  # the newest points a window holds
NO_BUCKET = np.int64(-(2**63))


@dataclass(frozen=True, slots=True)
class Closed:
    """Points that came with this part, c of them, by track."""

    points: Runs  # t is the middle of the times of their bucket's rows
    row: NDArray[np.int64]  # [c] place in the runs of rows of the row that closed it
    window: Window

    def views(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], View]]:
        """Yield the points with their windows, their tracks, and the rows that closed them."""
        for view in self.window.views(self.points):
            own = view.own if view.length is None else np.repeat(view.own, view.length)
            yield self.row[view.at], own, view


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows of one track and bucket, next to each other; G groups."""

    own: NDArray[np.int64]  # [G] rising, several of a track
    bucket: NDArray[np.int64]  # [G]
    start: NDArray[np.int64]  # [G] first place among ``value``
    rows: NDArray[np.int64]  # [G] new ones
    before: NDArray[np.int64]  # [G] rows the bucket had already
    span: NDArray[np.int64]  # [G, 2] judged times of its oldest and its newest row
    value: NDArray[np.float64]


class Resampler:
    """The open bucket of T tracks, and their points.

    Of a bucket of n rows, numbered from 0 as they came, those are held whose number is a multiple
    of the smallest power of two that leaves at most HELD.
    """

    def __init__(self, tracks: Tracks, window_ns: NDArray[np.int64]) -> None:
        count = len(tracks)
        self.resample_ns = tracks.own("resample_ns").astype(np.int64)
        self.window = Window(tracks, window_ns=window_ns, gaps=False, rows=POINTS)
        self.state: dict[str, NDArray[Any]] = {
            "open_bucket": np.full(count, NO_BUCKET),
            "open_rows": np.zeros(count, np.int64),
            "open_span": np.zeros((count, 2), np.int64),  # of its oldest and newest row
            "held": np.zeros((count, HELD)),
        }

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.window.columns() | self.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        if name in self.state:
            self.state[name] = column
        else:
            self.window.restore(name, column)

    def take(self, runs: Runs, part: Part) -> Closed | None:
        """Take rows up; return the points they closed. Their ``views`` must be gone through."""
        row = np.arange(len(runs.t))
        bucket = runs.t // self.resample_ns[runs.own][runs.segment]
        if part.late is not None and (late := part.late[runs.at]).any():
            kept = self._in_time(runs, bucket, late)
            if not kept.any():
                return None
            runs, row, bucket = runs.keep(kept), row[kept], bucket[kept]
        held = self.state["open_bucket"][runs.own]
        begins = bucket[runs.start]
        back = np.flatnonzero(begins < held)
        if len(back):
            own = runs.own[back]
            self.window.forget_from(own, begins[back] * self.resample_ns[own])
        if runs.single:
            return self._one(runs, bucket, held, row)
        return self._many(runs, bucket, held, row)

    def _in_time(
        self, runs: Runs, bucket: NDArray[np.int64], late: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell the rows that are taken: judged ones, and late ones of the open bucket."""
        place = np.arange(len(bucket))
        judged = np.maximum.accumulate(np.where(late, -1, place))
        inside = judged >= runs.start[runs.segment]
        carried = self.state["open_bucket"][runs.own][runs.segment]
        current = np.where(inside, bucket[np.maximum(judged, 0)], carried)
        kept: NDArray[np.bool_] = ~late | (bucket == current)
        return kept

    def _one(
        self,
        runs: Runs,
        bucket: NDArray[np.int64],
        held: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> Closed | None:
        """Take one row a track."""
        state, own, place = self.state, runs.own, runs.place
        value = runs.value + 0.0  # -0.0 and 0.0 are one value: a median must not tell them apart
        same = bucket == held
        closing = np.flatnonzero((bucket > held) & (held != NO_BUCKET))
        closed = None
        if len(closing):
            points = self._carried(own[closing])
            closed = self._points(points, row[closing], np.ones(len(closing), np.bool_))
        rows = np.where(same, state["open_rows"][place], 0)
        state["open_bucket"][place] = bucket
        stride = strides(rows + 1)
        grown = np.flatnonzero(stride != strides(rows))
        if len(grown):  # every second row held is left out from now on
            groups = self._carried(own[grown])
            wide, _ = self._gather(groups, strides(rows[grown] + 1))
            state["held"][own[grown]] = wide
        written = np.flatnonzero(rows & (stride - 1) == 0)
        state["held"][own[written], rows[written] // stride[written]] = value[written]
        state["open_rows"][place] = rows + 1
        span = state["open_span"][place]
        oldest, newest = np.minimum(span[:, 0], runs.t), np.maximum(span[:, 1], runs.t)
        span[:, 0], span[:, 1] = np.where(same, oldest, runs.t), np.where(same, newest, runs.t)
        state["open_span"][place] = span
        return closed

    def _many(
        self,
        runs: Runs,
        bucket: NDArray[np.int64],
        held: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> Closed | None:
        """Take runs of any length: bucket by bucket within each."""
        head = np.ones(len(bucket), np.bool_)
        head[1:] = bucket[1:] != bucket[:-1]
        head[runs.start] = True
        start = np.flatnonzero(head)
        run = runs.segment[start]
        first = np.ones(len(start), np.bool_)
        first[1:] = run[1:] != run[:-1]
        own = runs.own[run]
        joined = first & (bucket[start] == held[run])
        groups = _Groups(
            own=own,
            bucket=bucket[start],
            start=start,
            rows=np.diff(np.append(start, len(bucket))),
            before=np.where(joined, self.state["open_rows"][own], 0),
            span=self._spans(runs, own, start, joined),
            value=runs.value + 0.0,
        )
        left = np.flatnonzero(first & ~joined & (held[run] != NO_BUCKET))
        left = left[groups.bucket[left] > held[run[left]]]
        done = np.flatnonzero(~np.append(first[1:], True))
        closed = self._close(groups, left, done, row)
        last = np.flatnonzero(np.append(first[1:], True))
        self._keep(_chosen(groups, last))
        return closed

    def _spans(
        self,
        runs: Runs,
        own: NDArray[np.int64],
        start: NDArray[np.int64],
        joined: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """Return the oldest and newest time of groups, with what their bucket had already."""
        carried = self.state["open_span"][own]
        span = np.empty((len(start), 2), np.int64)
        for side, least in enumerate((np.minimum, np.maximum)):
            found = least.reduceat(runs.t, start)
            span[:, side] = np.where(joined, least(found, carried[:, side]), found)
        return span

    def _close(
        self,
        groups: _Groups,
        left: NDArray[np.int64],
        done: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> Closed | None:
        """Make points of carried buckets left at group ``left``, and of groups ``done``."""
        if not len(left) and not len(done):
            return None
        carried, new = self._carried(groups.own[left]), _chosen(groups, done)
        both = _Groups(
            own=np.concatenate([carried.own, new.own]),
            bucket=np.concatenate([carried.bucket, new.bucket]),
            start=np.concatenate([carried.start, new.start]),
            rows=np.concatenate([carried.rows, new.rows]),
            before=np.concatenate([carried.before, new.before]),
            span=np.concatenate([carried.span, new.span]),
            value=groups.value,
        )
        closer = np.concatenate([groups.start[left], groups.start[done + 1]])
        order = np.argsort(closer, kind="stable")
        both, closer = _chosen(both, order), closer[order]
        head = np.ones(len(order), np.bool_)
        head[1:] = both.own[1:] != both.own[:-1]
        return self._points(both, row[closer], head)

    def _carried(self, own: NDArray[np.int64]) -> _Groups:
        """Return the open buckets of some tracks, without any new row."""
        none = np.zeros(len(own), np.int64)
        state = self.state
        before = state["open_rows"][own]
        span = state["open_span"][own]
        return _Groups(own, state["open_bucket"][own], none, none, before, span, np.zeros(1))

    def _points(self, groups: _Groups, row: NDArray[np.int64], head: NDArray[np.bool_]) -> Closed:
        """Take the medians of closed buckets as points; ``head`` begins each track's."""
        wide, count = self._gather(groups, strides(groups.before + groups.rows))
        value = medians(wide, count)
        start = np.flatnonzero(head)
        length = np.diff(np.append(start, len(row)))
        t = groups.span[:, 0] + (groups.span[:, 1] - groups.span[:, 0]) // 2
        points = Runs(groups.own[start], start, length, (row, t, value))
        return Closed(points, row, self.window)

    def _keep(self, groups: _Groups) -> None:
        """Remember open buckets, one a track."""
        rows = groups.before + groups.rows
        wide, _ = self._gather(groups, strides(rows))
        self.state["held"][groups.own] = wide
        self.state["open_bucket"][groups.own] = groups.bucket
        self.state["open_rows"][groups.own] = rows
        self.state["open_span"][groups.own] = groups.span

    def _gather(
        self, groups: _Groups, stride: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the rows held of each bucket, [G, HELD], the rest 0.0; and how many they are."""
        total = groups.before + groups.rows
        number = stride[:, None] * np.arange(HELD)
        own = groups.own[:, None]
        old = number < groups.before[:, None]
        shift = (groups.start - groups.before)[:, None]
        valid = number < total[:, None]
        place = number // strides(groups.before)[:, None]
        wide = self.state["held"][own, np.where(old, place, 0)]
        if groups.rows.any():
            new = groups.value[np.where(valid & ~old, number + shift, 0)]
            wide = np.where(old, wide, new)
        wide[~valid] = 0.0
        return wide, -(-total // stride)


def _chosen(groups: _Groups, at: NDArray[np.int64]) -> _Groups:
    """Return some of the groups."""
    return _Groups(
        groups.own[at],
        groups.bucket[at],
        groups.start[at],
        groups.rows[at],
        groups.before[at],
        groups.span[at],
        groups.value,
    )


def strides(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest power of two of which at most HELD multiples are below ``rows``."""
    if not len(rows) or int(rows.max()) <= HELD:
        return np.ones(len(rows), np.int64)
    _, bits = np.frexp((np.maximum(rows - 1, 0) >> HELD_BITS).astype(np.float64))
    stride: NDArray[np.int64] = np.int64(1) << bits.astype(np.int64)
    return stride


def medians(wide: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the first ``count`` ≥ 1 of each row, [n] of [n, k]; all finite.

    Two in the middle are halved before they are added: their sum might overflow.
    """
    at = np.arange(len(wide))
    width = int(count.max(initial=1))
    laid = wide[:, :width].copy()
    if len(count) and int(count.min()) < width:
        laid[np.arange(width) >= count[:, None]] = np.inf
    laid.sort(axis=1)
    low, high = laid[at, (count - 1) >> 1], laid[at, count >> 1]
    middle: NDArray[np.float64] = np.where(count & 1, high, low * 0.5 + high * 0.5)
    return middle
