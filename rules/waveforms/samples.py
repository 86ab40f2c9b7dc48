"""The new samples of a batch, source by source in order of time, and how buckets cut them.

All samples stand in one array; a piece is a run of them at one rate out of one block. A sample that
is not finite is no sample: it cuts its piece in two, like a gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.readings import Block
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rules.readings import Record
    from rules.waveforms.clock import Marked, Pieces


@dataclass(frozen=True, slots=True)
class Samples:
    """``x`` float32[N]; the P pieces lie in it one after another, sorted by source and time."""

    x: NDArray[np.float32]
    pieces: Pieces
    joined: NDArray[np.bool_]  # [P] no gap before the piece

    def between(self, first: int, stop: int) -> Samples | None:
        """Return the pieces of the records ``first`` … ``stop − 1`` of the batch."""
        record = self.pieces.record
        chosen = (record >= first) & (record < stop)
        if not chosen.any():
            return None
        if chosen.all():
            return self
        return Samples(self.x, self.pieces.take(chosen), self.joined[chosen])


def samples_of(
    records: Sequence[Record], marked: Marked, broken: NDArray[np.bool_]
) -> Samples | None:
    """Gather the samples of marked pieces; ``broken`` [sources] is read and brought up to date."""
    pieces, joined = marked.pieces, marked.joined
    if not len(pieces):
        return None
    held = [r.body.samples.ravel() for r in records if isinstance(r.body, Block)]
    flat = held[0] if len(held) == 1 else np.concatenate(held)
    length = pieces.length
    stop = pieces.begin + length
    if not (
        pieces.begin[0] == 0 and stop[-1] == len(flat) and (stop[:-1] == pieces.begin[1:]).all()
    ):
        flat = _gathered(flat, pieces.begin, length)
    x = np.ascontiguousarray(flat, np.float32)
    pieces = replace(pieces, begin=np.cumsum(length) - length)
    head = pieces.head
    joined = joined & ~(head & broken[pieces.source])
    finite = np.isfinite(x)
    if finite.all():
        broken[pieces.source[head]] = False
        return Samples(x, pieces, joined)
    return _without_bad(Samples(x, pieces, joined), finite, broken)


def _gathered(
    flat: NDArray[np.float32], begin: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the samples of pieces one after another."""
    n = int(length[0])
    if (length == n).all() and len(flat) % n == 0 and (begin % n == 0).all():
        taken: NDArray[np.float32] = flat.reshape(-1, n)[begin // n].ravel()
        return taken
    picked: NDArray[np.float32] = flat[ranges(begin, length)]
    return picked


def _without_bad(
    samples: Samples, finite: NDArray[np.bool_], broken: NDArray[np.bool_]
) -> Samples | None:
    """Leave out samples that are not finite, and cut their pieces there."""
    pieces = samples.pieces
    last = pieces.begin + pieces.length - 1
    of = np.repeat(np.arange(len(pieces)), pieces.length)
    before = np.ones(len(finite), np.bool_)
    before[1:] = finite[:-1]
    # a piece goes on from the piece before only if that one's last sample was good
    joined = samples.joined & (before[pieces.begin] | pieces.head)
    tail = np.append(pieces.head[1:], True)
    broken[pieces.source[tail]] = ~finite[last[tail]]
    starts = finite & ~before
    starts[pieces.begin] = finite[pieces.begin]
    begin = np.flatnonzero(starts)
    if not len(begin):
        return None
    stops = np.zeros(len(finite), np.bool_)
    stops[:-1] = ~finite[1:]
    stops[last] = True
    stop = np.flatnonzero(stops & finite) + 1
    owner = of[begin]
    into = begin - pieces.begin[owner]
    length = stop - begin
    left = pieces.take(owner)
    left = replace(
        left,
        start_ns=left.start_ns + into * left.period_ns,
        length=length,
        begin=np.cumsum(length) - length,
    )
    return Samples(samples.x[finite], left, joined[owner] & (into == 0))


@dataclass(frozen=True, slots=True)
class Spans:
    """Joined samples of one bucket of tracks, one a track; s spans."""

    head: NDArray[np.int64]  # [s] first cell
    length: NDArray[np.int64]  # [s] samples
    last_ns: NDArray[np.int64]  # [s] time of the last sample


@dataclass(frozen=True, slots=True)
class Cells:
    """What buckets of absolute time cut the pieces into, track by track in order of time.

    A track is a source with a length of buckets. The cells of a track lie in ``x`` one after
    another.
    """

    track: NDArray[np.int64]  # [c]
    bucket_ns: NDArray[np.int64]  # [c] where the bucket begins
    begin: NDArray[np.int64]  # [c] place of the first sample in x
    length: NDArray[np.int64]
    start_ns: NDArray[np.int64]  # [c] time of the first sample
    period_ns: NDArray[np.int64]
    joined: NDArray[np.bool_]  # [c] no gap before the first sample
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]

    def heads(self, *, gaps: bool) -> NDArray[np.int64]:
        """Return the first cell of each span: a track's bucket, cut also at ``gaps`` if asked."""
        head = np.ones(len(self.track), np.bool_)
        head[1:] = self.track[1:] != self.track[:-1]
        head[1:] |= self.bucket_ns[1:] != self.bucket_ns[:-1]
        if gaps:
            head |= ~self.joined
        return np.flatnonzero(head)

    def spans(self) -> Iterator[Spans]:
        """Yield spans of joined samples of one bucket, at most one a track at a time."""
        heads = self.heads(gaps=True)
        track, length = self.track[heads], np.add.reduceat(self.length, heads)
        tail = np.append(heads[1:], len(self.track)) - 1
        last_ns = self.start_ns[tail] + (self.length[tail] - 1) * self.period_ns[tail]
        first = np.ones(len(heads), np.bool_)
        first[1:] = track[1:] != track[:-1]
        number = np.arange(len(heads))
        wave = number - np.maximum.accumulate(np.where(first, number, 0))
        for w in range(int(wave.max()) + 1):
            at = np.flatnonzero(wave == w)
            yield Spans(heads[at], length[at], last_ns[at])


def cells_of(
    samples: Samples, pointer: NDArray[np.int64], every_ns: NDArray[np.int64]
) -> Cells | None:
    """Cut the pieces by the buckets of every track.

    ``pointer`` [sources + 1] names the first track of each source, ``every_ns`` [tracks] the
    length of its buckets, which are counted from 1970.
    """
    pieces = samples.pieces
    at, track = _by_track(pieces.source, pointer)
    if not len(at):
        return None
    every = every_ns[track]
    start, period, length = pieces.start_ns[at], pieces.period_ns[at], pieces.length[at]
    first = start // every
    count = (start + (length - 1) * period) // every - first + 1
    if (count == 1).all():
        return Cells(
            track, first * every, pieces.begin[at], length, start, period,
            samples.joined[at], pieces.g[at], pieces.receive_ns[at],
        )  # fmt: skip
    which = np.repeat(np.arange(len(at)), count)
    into = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    bucket = (first[which] + into) * every[which]
    start, period = start[which], period[which]
    low = np.maximum(-((start - bucket) // period), 0)
    high = np.minimum(-((start - bucket - every[which]) // period), length[which])
    some = high > low
    which, into, low, high = which[some], into[some], low[some], high[some]
    bucket, start, period = bucket[some], start[some], period[some]
    row: NDArray[Any] = at[which]
    return Cells(
        track[which], bucket, pieces.begin[row] + low, high - low, start + low * period, period,
        samples.joined[row] | (low > 0), pieces.g[row], pieces.receive_ns[row],
    )  # fmt: skip


def _by_track(
    source: NDArray[np.int64], pointer: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (piece, track) pairs, track by track and within one in the order of the pieces."""
    each = pointer[source + 1] - pointer[source]
    if (each == 1).all():
        return np.arange(len(source)), pointer[source]
    edge = np.flatnonzero(source[1:] != source[:-1]) + 1
    begin = np.concatenate(([0], edge))
    length = np.append(edge, len(source)) - begin
    tracks = each[begin]
    some = tracks > 0
    begin, length, tracks = begin[some], length[some], tracks[some]
    track = ranges(pointer[source[begin]], tracks)
    long = np.repeat(length, tracks)
    return ranges(np.repeat(begin, tracks), long), np.repeat(track, long)


def rows_of(x: NDArray[np.float32], begin: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """Return stretches of equal length as rows; not copied where they follow one another."""
    if (begin[1:] - begin[:-1] == length).all():
        return x[begin[0] : begin[-1] + length].reshape(len(begin), length)
    picked: NDArray[np.float32] = x[begin[:, None] + np.arange(length)]
    return picked


def put_behind(
    ring: NDArray[np.float32],
    own: NDArray[np.int64],
    held: NDArray[np.int64],
    x: NDArray[np.float32],
    laid: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Write stretches of x, (begin, length), behind the first ``held`` samples of rings."""
    begin, length = laid
    n, at = int(length[0]), int(held[0])
    if (length == n).all() and (held == at).all():
        ring[own, at : at + n] = rows_of(x, begin, n)
    else:
        place = ranges(own * ring.shape[1] + held, length)
        ring.reshape(-1)[place] = x[ranges(begin, length)]
