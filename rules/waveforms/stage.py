"""The stage before the judge: blocks in, rows of feature channels and scores of block rules out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.readings import QC_GOOD, QC_MISSING, QC_SUSPECT, Readings
from rules.segments import ranges
from rules.waveforms.clock import BlockClock, pieces_of
from rules.waveforms.features import FEATURES, BucketSums
from rules.waveforms.samples import cells_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rules.readings import Record
    from rules.registry import Channels
    from rules.waveforms.features import Buckets
    from rules.waveforms.samples import Samples

COVERED: Final = 0.5  # a bucket with samples for less of its time is suspect


@dataclass(frozen=True, slots=True)
class _Tracks:
    """Feature tracks: a source and a length of bucket, T of them sorted by source and length."""

    source: NDArray[np.int64]
    every_ns: NDArray[np.int64]
    fourth: NDArray[np.bool_]  # some channel wants a kurtosis
    pointer: NDArray[np.int64]  # [sources + 1] first track of each source
    readers: list[tuple[str, NDArray[np.int64], NDArray[np.int64]]]
    """Feature, [T + 1] first of its channels on each track, those channels."""


class Waveforms:
    """All that listens to blocks; ``ruled`` [channels] tells channels that block rules judge."""

    def __init__(self, channels: Channels, ruled: NDArray[np.bool_]) -> None:
        row = {name: i for i, name in enumerate(channels.id)}
        wanted = [
            (row[d["from"]], int(d["every_ns"]), d["feature"], i)
            for i, d in enumerate(channels.derived)
            if d and channels.alive[i] and d["from"] in row
        ]
        heard = ruled.copy()
        heard[[w[0] for w in wanted]] = True
        self.sources = np.flatnonzero(heard)
        self._source_of = np.full(len(channels.id), -1)
        self._source_of[self.sources] = np.arange(len(self.sources))
        self._device = np.asarray(channels.device, np.int32)
        self._names = channels.id
        self._tracks = self._lay_out(wanted)
        self.clock = BlockClock(len(self.sources))
        self.sums = BucketSums(self._tracks.fourth)

    def _lay_out(self, wanted: list[tuple[int, int, str, int]]) -> _Tracks:
        """Lay the tracks of wanted features (source channel, every, feature, channel) out."""
        pairs = sorted({(int(self._source_of[c]), every) for c, every, _, _ in wanted})
        number = {pair: i for i, pair in enumerate(pairs)}
        both = np.array(pairs, np.int64).reshape(-1, 2)
        fourth = np.zeros(len(pairs), np.bool_)
        by_feature: dict[str, list[tuple[int, int]]] = {}
        for source, every, feature, channel in wanted:
            track = number[int(self._source_of[source]), every]
            fourth[track] |= feature == "kurtosis"
            by_feature.setdefault(feature, []).append((track, channel))
        readers = []
        for feature, held in sorted(by_feature.items()):
            table = np.array(sorted(held), np.int64)
            pointer = np.searchsorted(table[:, 0], np.arange(len(pairs) + 1))
            readers.append((feature, pointer, table[:, 1]))
        pointer = np.searchsorted(both[:, 0], np.arange(len(self.sources) + 1))
        return _Tracks(both[:, 0], both[:, 1], fourth, pointer, readers)

    # ---- a batch --------------------------------------------------------------------------------

    def mark(self, records: Sequence[Record]) -> tuple[Samples | None, list[tuple[int, int]]]:
        """Return the new samples of records, and (record, channel) where new epochs open."""
        if not len(self.sources):
            return None, []
        pieces = pieces_of(records, self._source_of)
        if pieces is None:
            return None, []
        marked = self.clock.mark(pieces)
        epochs = [(record, int(self.sources[source])) for record, source in marked.epochs]
        return samples_of(records, marked, self.clock.state["broken"]), epochs

    def forget(self, channel: int) -> None:
        """Drop what must not go on across a new clock epoch of a channel's blocks."""
        source = int(self._source_of[channel])
        pointer = self._tracks.pointer
        self.sums.forget(np.arange(pointer[source], pointer[source + 1]))

    def features(self, samples: Samples) -> tuple[Readings, NDArray[np.int64]] | None:
        """Add samples to their buckets; return rows of the buckets that closed, and their g."""
        cells = cells_of(samples, self._tracks.pointer, self._tracks.every_ns)
        closed = None if cells is None else self.sums.take(samples.x, cells)
        return None if closed is None else self._rows(closed)

    def _rows(self, closed: Buckets) -> tuple[Readings, NDArray[np.int64]]:
        """Return closed buckets as rows of the channels that want them."""
        parts = [self._read(closed, *reader) for reader in self._tracks.readers]
        channel = np.concatenate([p[0] for p in parts])
        bucket = np.concatenate([p[1] for p in parts])
        value = np.concatenate([p[2] for p in parts])
        track, held = closed.track, closed.held
        t = held["bucket_ns"] + self._tracks.every_ns[track]
        sparse = held["covered_ns"] < COVERED * self._tracks.every_ns[track]
        order = np.lexsort((channel, t[bucket], closed.g[bucket]))
        channel, bucket, value = channel[order], bucket[order], value[order]
        g = closed.g[bucket]
        row = np.arange(len(g)) - np.searchsorted(g, g, side="left")
        flag = np.where(sparse[bucket], QC_SUSPECT, QC_GOOD)
        flag[np.isnan(value)] = QC_MISSING
        rows = Readings.of(
            {
                "channel": channel,
                "device": self._device[channel],
                "event_ns": t[bucket],
                "judged_ns": t[bucket],
                "receive_ns": closed.receive_ns[bucket],
                "value": value,
                "qc_flag": flag,
                "index": row,
            }
        )
        return rows, g + row

    @staticmethod
    def _read(
        closed: Buckets, feature: str, pointer: NDArray[np.int64], channels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return (channel, bucket, value) of one feature."""
        first = pointer[closed.track]
        each = pointer[closed.track + 1] - first
        some = np.flatnonzero(each)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            value = FEATURES[feature]({n: c[some] for n, c in closed.held.items()}) + 0.0
        each = each[some]
        bucket = np.repeat(some, each)
        return channels[ranges(first[some], each)], bucket, np.repeat(value, each)

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return copies of the arrays, with the channels they are of."""
        tracks = self._tracks
        clock = {name: column.copy() for name, column in self.clock.state.items()}
        sums = {name: column.copy() for name, column in self.sums.state.items()}
        names = {
            "of": self.sources[tracks.source],
            "every_ns": tracks.every_ns,
            "fourth": tracks.fourth,
        }
        return {"blocks": clock | {"of": self.sources}, "buckets": sums | names}

    def restore(self, state: dict[str, Any], subjects: Sequence[str]) -> None:
        """Take up what state() gave; ``subjects`` are the channels' names of that time."""
        if "blocks" not in state:
            return
        place = {name: i for i, name in enumerate(self._names)}
        held = state["blocks"]
        sources = [int(self._source_of[place[subjects[c]]]) if subjects[c] in place else -1
                   for c in held["of"].tolist()]  # fmt: skip
        _move(self.clock.state, held, _pairs(sources, range(len(self.sources))))
        held = state["buckets"]
        theirs = [
            (place.get(subjects[c], -1), every, fourth)
            for c, every, fourth in zip(
                held["of"].tolist(), held["every_ns"].tolist(), held["fourth"].tolist(), strict=True
            )
        ]
        tracks = self._tracks
        mine = zip(
            self.sources[tracks.source].tolist(),
            tracks.every_ns.tolist(),
            tracks.fourth.tolist(),
            strict=True,
        )
        _move(self.sums.state, held, _pairs(theirs, mine))


def _pairs(theirs: Iterable[Any], mine: Iterable[Any]) -> list[tuple[int, int]]:
    """Return (mine, theirs) places of what is the same."""
    number = {key: i for i, key in enumerate(theirs)}
    return [(i, number[key]) for i, key in enumerate(mine) if key in number]


def _move(
    columns: dict[str, NDArray[Any]], held: dict[str, Any], pairs: list[tuple[int, int]]
) -> None:
    """Copy rows of the held columns to their places."""
    at = np.array(pairs, np.int64).reshape(-1, 2)
    for name, column in columns.items():
        column[at[:, 0]] = held[name][at[:, 1]]
