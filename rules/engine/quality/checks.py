"""What every check is to the stage: tracks (rule × channel), rows laid beside them, and words.

A check says a flag of some rows; it never makes flags better and knows nothing of other checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from rules.engine.part import Runs
from rules.engine.slots import NO_NS
from rules.engine.tracks import mix, mix_text
from rules.plan import NEVER_NS
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.plan import QualityRule
    from rules.segments import Segments


@dataclass(slots=True)
class Tracks:
    """T checks of one kind over C channels, sorted by channel."""

    kernel: str  # names them in a snapshot
    channel: NDArray[np.int64]  # [T] rising
    rule: NDArray[np.int64]  # [T] index into Plan.quality_rules
    meaning: NDArray[np.uint64]  # [T] hash of what shapes the flags
    pointer: NDArray[np.int64]  # [C + 1] first track of each channel
    max_gap_ns: NDArray[np.int64]  # [T]
    parameters: dict[str, NDArray[Any]]  # [T] or [T, k]

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.channel)


def tracks_of(kind: str, rules: Sequence[QualityRule], channels: int) -> Tracks | None:
    """Lay the rules of a kind side by side; None where there are none."""
    mine = [(number, rule) for number, rule in enumerate(rules) if rule.kind == kind]
    if not mine:
        return None
    channel = np.concatenate([rule.channel.astype(np.int64) for _, rule in mine])
    rule = np.concatenate([np.full(len(r.channel), number) for number, r in mine])
    order = np.lexsort((rule, channel))
    names = mine[0][1].own
    held = {name: _stacked([np.asarray(r.own[name]) for _, r in mine])[order] for name in names}
    gap = np.concatenate([r.max_gap_ns.astype(np.int64) for _, r in mine])[order]
    digest = mix_text(np.full(len(order), 14695981039346656037, np.uint64), kind)
    digest = mix(digest, gap)
    for name in sorted(held):
        digest = mix(mix_text(digest, name), held[name])
    channel = channel[order]
    return Tracks(
        kernel=f"quality_{kind}",
        channel=channel,
        rule=rule[order],
        meaning=digest,
        pointer=np.searchsorted(channel, np.arange(channels + 1)),
        max_gap_ns=gap,
        parameters=held,
    )


def _stacked(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """Return columns one after another; lists of different width are filled up with NaN."""
    if columns[0].ndim == 1:
        return np.concatenate(columns)
    width = max(column.shape[1] for column in columns)
    wide = [np.pad(c, ((0, 0), (0, width - c.shape[1])), constant_values=np.nan) for c in columns]
    return np.concatenate(wide)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch as the checks see them; n rows, m of them judged."""

    g: NDArray[np.int64]  # [n]
    channel: NDArray[np.int32]  # [n]
    value: NDArray[np.float64]  # [n]
    judged_ns: NDArray[np.int64]  # [n]
    event_ns: NDArray[np.int64]  # [n]
    receive_ns: NDArray[np.int64]  # [n]
    usable: NDArray[np.bool_]  # [n] after corrupt values
    looked_at: NDArray[np.int64] | None  # [k] judged and late rows; None = all
    segments: Segments  # of the judged rows
    epochs: NDArray[np.int64]  # rows at which a clock epoch of their channel opens


@dataclass(frozen=True, slots=True)
class Marks:
    """What one check says of some rows; ``at`` is the position of the row that decided."""

    at: NDArray[np.int64]  # [k]
    g: NDArray[np.int64]  # [k]
    channel: NDArray[np.int64]  # [k]
    rule: NDArray[np.int64]  # [k] index into Plan.quality_rules
    flag: NDArray[np.uint8]  # [k]


@dataclass(frozen=True, slots=True)
class Words:
    """What a check says of a batch: of rows themselves, and later of rows before."""

    row: NDArray[np.int64]  # [k] rows of the batch, each track rising
    track: NDArray[np.int64]  # [k]
    flag: NDArray[np.uint8]  # [k] never good
    later: Marks | None = None
    unusable: NDArray[np.int64] | None = None  # rows


class Check(Protocol):
    """One kind of check on all its tracks; state arrays have the tracks as first axis."""

    kind: ClassVar[str]
    tracks: Tracks

    def __init__(self, tracks: Tracks) -> None: ...

    def look(self, rows: Rows) -> Words | None:
        """Say what is to be said of the rows, and remember them; None = nothing."""
        ...

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name, not copied."""
        ...

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array of ``columns`` in place of the present one."""
        ...


def beside(tracks: Tracks, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, track) of all rows looked at, for checks without state."""
    at = rows.looked_at
    channel = rows.channel if at is None else rows.channel[at]
    first = tracks.pointer[channel]
    each = tracks.pointer[channel + 1] - first
    row = np.arange(len(rows.g)) if at is None else at
    if (each == 1).all():
        return row, first
    return np.repeat(row, each), ranges(first, each)


def runs_beside(tracks: Tracks, rows: Rows, keep: NDArray[np.bool_] | None) -> Runs | None:
    """Lay the judged rows beside the tracks on their channels; only rows to ``keep`` [n]."""
    segments = rows.segments
    if not len(segments.order):
        return None
    first = tracks.pointer[segments.key]
    each = tracks.pointer[segments.key + 1] - first
    some = each > 0
    if not some.any():
        return None
    if (each == 1).all():
        own, length, at = first, segments.length, segments.order
    else:
        own = ranges(first[some], each[some])
        length = np.repeat(segments.length[some], each[some])
        at = segments.order[ranges(np.repeat(segments.start[some], each[some]), length)]
    start = np.cumsum(length) - length
    runs = Runs(own, start, length, (at, rows.judged_ns[at], rows.value[at]))
    if keep is not None:
        runs = runs.keep(keep[at])
    return runs if len(runs.own) else None


def elapsed(later: NDArray[np.int64], earlier: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return later − earlier, exact over all of int64 where later is not before earlier."""
    return later.view(np.uint64) - earlier.view(np.uint64)


def spans(ns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return spans to compare with ``elapsed``; NEVER_NS and above is longer than all of time."""
    held = ns.astype(np.int64)
    return np.where(held >= NEVER_NS, np.uint64(2**64 - 1), held.view(np.uint64))


class Breaks:
    """Where a track's rows cannot go on from those before: last judged time, 8 bytes a track."""

    def __init__(self, tracks: Tracks) -> None:
        self.last_ns = np.full(len(tracks), NO_NS)
        self._tracks = tracks
        self._gap = tracks.max_gap_ns.view(np.uint64)

    def of(self, runs: Runs, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows are a break, [r], and remember the last time of each run."""
        place = runs.place
        before = self.last_ns[place]
        first = (before == NO_NS) | (elapsed(runs.t[runs.start], before) > self._gap[place])
        if runs.single:
            found: NDArray[np.bool_] = first
        else:
            found = np.zeros(len(runs.t), np.bool_)
            gap = np.repeat(self._gap[place], runs.length)
            found[1:] = elapsed(runs.t[1:], runs.t[:-1]) > gap[1:]
            found[runs.start] = first
        for epoch, own in self._epochs(rows):
            after = self._first_at_or_after(runs, own, epoch)
            if after is not None:
                found[after] = True
        self.last_ns[place] = runs.t[runs.last]
        self.forget(runs, rows)
        return found

    def silences(self, runs: Runs, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows come after a gap between two known rows, [r]; then as ``of``."""
        unknown = runs.start[self.last_ns[runs.place] == NO_NS]
        found = self.of(runs, rows)
        found[unknown] = False
        for epoch, own in self._epochs(rows):
            after = self._first_at_or_after(runs, own, epoch)
            if after is not None:
                found[after] = False
        return found

    def forget(self, runs: Runs | None, rows: Rows) -> None:
        """Let tracks begin anew whose channel opened an epoch after the last row they took."""
        for epoch, own in self._epochs(rows):
            if runs is None or self._first_at_or_after(runs, own, epoch) is None:
                self.last_ns[own] = NO_NS

    def _epochs(self, rows: Rows) -> list[tuple[int, int]]:
        """Return (row, track) of every epoch; there hardly ever is one."""
        pointer = self._tracks.pointer
        return [
            (epoch, own)
            for epoch in rows.epochs.tolist()
            for own in range(*pointer[rows.channel[epoch] : rows.channel[epoch] + 2].tolist())
        ]

    @staticmethod
    def _first_at_or_after(runs: Runs, own: int, row: int) -> int | None:
        """Return the place of a track's first row not before ``row``."""
        found = np.flatnonzero(runs.own == own)
        if not len(found):
            return None
        start = int(runs.start[found[0]])
        rows = runs.at[start : start + int(runs.length[found[0]])]
        place = int(np.searchsorted(rows, row))
        return start + place if place < len(rows) else None


def aligned(column: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Return a restored column as wide as ``like``; the newest entries stand last."""
    if column.shape == like.shape:
        return column
    wide = np.zeros_like(like)
    width = min(column.shape[1], like.shape[1])
    wide[:, like.shape[1] - width :] = column[:, column.shape[1] - width :]
    return wide
