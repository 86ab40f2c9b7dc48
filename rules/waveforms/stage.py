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
from rules.waveforms.spectra import PEAK_FREQUENCY, Spectra
from rules.waveforms.wanted import SpectrumTracks, SumTracks, spectrum_tracks, sum_tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rules.readings import Record
    from rules.registry import Channels
    from rules.waveforms.features import Buckets
    from rules.waveforms.samples import Samples
    from rules.waveforms.spectra import Segments

COVERED: Final = 0.5  # a bucket with samples for less of its time is suspect


@dataclass(frozen=True, slots=True)
class _Said:
    """Rows to be of feature channels: which, of which closed bucket, and what it says."""

    channel: NDArray[np.int64]
    t: NDArray[np.int64]
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    sparse: NDArray[np.bool_]


class Waveforms:
    """All that listens to blocks; ``ruled`` [channels] tells channels that block rules judge."""

    def __init__(self, channels: Channels, ruled: NDArray[np.bool_]) -> None:
        derived = [(i, said) for i, said in enumerate(channels.derived) if said]
        sources = {said["from"] for _, said in derived}
        row = {name: i for i, name in enumerate(channels.id) if name in sources} if sources else {}
        wanted = [
            (row[said["from"]], said, i)
            for i, said in derived
            if channels.alive[i] and said["from"] in row
        ]
        heard = ruled.copy()
        heard[[source for source, _, _ in wanted]] = True
        self.sources = np.flatnonzero(heard)
        self._source_of = np.full(len(channels.id), -1)
        self._source_of[self.sources] = np.arange(len(self.sources))
        self._device = np.asarray(channels.device, np.int32)
        self._names = channels.id
        held = [(int(self._source_of[source]), said, i) for source, said, i in wanted]
        peaks = [each for each in held if each[1]["feature"] == PEAK_FREQUENCY]
        plain = [each for each in held if each[1]["feature"] != PEAK_FREQUENCY]
        self._tracks: SumTracks = sum_tracks(plain, len(self.sources))
        self._peaks: SpectrumTracks = spectrum_tracks(peaks, len(self.sources))
        self.clock = BlockClock(len(self.sources))
        self.sums = BucketSums(self._tracks.fourth, crossed=bool(self._tracks.crossed.any()))
        self.spectra = Spectra(self._peaks.window_ns, self._peaks.band)

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
        for tracks, kept in ((self._tracks, self.sums), (self._peaks, self.spectra)):
            kept.forget(np.arange(tracks.pointer[source], tracks.pointer[source + 1]))

    def features(self, samples: Samples) -> tuple[Readings, NDArray[np.int64]] | None:
        """Add samples to their buckets; return rows of the buckets that closed, and their g."""
        said: list[_Said] = []
        cells = cells_of(samples, self._tracks.pointer, self._tracks.every_ns)
        closed = None if cells is None else self.sums.take(samples.x, cells)
        if closed is not None:
            said += [self._read(closed, *reader) for reader in self._tracks.readers]
        cells = cells_of(samples, self._peaks.pointer, self._peaks.every_ns)
        segments = None if cells is None else self.spectra.take(samples.x, cells)
        if segments is not None:
            said.append(self._peaks_of(segments))
        return self._rows(said) if said else None

    def _rows(self, said: list[_Said]) -> tuple[Readings, NDArray[np.int64]]:
        """Return what was said as rows: 0, 1, … of a record in order of time, then of channels."""
        names = _Said.__slots__
        whole = _Said(**{n: np.concatenate([getattr(s, n) for s in said]) for n in names})
        order = np.lexsort((whole.channel, whole.t, whole.g))
        channel, value, g = whole.channel[order], whole.value[order], whole.g[order]
        row = np.arange(len(g)) - np.searchsorted(g, g, side="left")
        flag = np.where(whole.sparse[order], QC_SUSPECT, QC_GOOD)
        flag[np.isnan(value)] = QC_MISSING
        rows = Readings.of(
            {
                "channel": channel,
                "device": self._device[channel],
                "judged_ns": whole.t[order],
                "receive_ns": whole.receive_ns[order],
                "value": value,
                "qc_flag": flag,
                "index": row,
            }
        )
        return rows, g + row

    def _read(
        self,
        closed: Buckets,
        feature: str,
        pointer: NDArray[np.int64],
        channels: NDArray[np.int64],
    ) -> _Said:
        """Return what one feature's channels say of closed buckets."""
        first = pointer[closed.track]
        each = pointer[closed.track + 1] - first
        some = np.flatnonzero(each)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            value = FEATURES[feature]({n: c[some] for n, c in closed.held.items()}) + 0.0
        each = each[some]
        bucket = np.repeat(some, each)
        every = self._tracks.every_ns
        channel = channels[ranges(first[some], each)]
        return _said(closed, bucket, every, channel, np.repeat(value, each))

    def _peaks_of(self, segments: Segments) -> _Said:
        """Return what channels of peak frequencies say of closed segments."""
        tracks = self._peaks
        first = tracks.reader[segments.track]
        each = tracks.reader[segments.track + 1] - first
        reader = ranges(first, each)
        chosen = np.repeat(np.arange(len(segments.track)), each)
        value = self.spectra.peaks(segments, chosen, tracks.bands[reader])
        return _said(segments, chosen, tracks.every_ns, tracks.channel[reader], value)

    # ---- snapshots ------------------------------------------------------------------------------

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return copies of the arrays, with the channels they are of."""
        tracks, peaks = self._tracks, self._peaks
        parts: dict[str, tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]] = {
            "blocks": (self.clock.state, {"of": self.sources}),
            "buckets": (self.sums.state, tracks.names(self.sources)),
            "spectra": (self.spectra.state, peaks.names(self.sources)),
        }
        return {
            part: {name: column.copy() for name, column in state.items()} | names
            for part, (state, names) in parts.items()
        }

    def restore(self, state: dict[str, Any], subjects: Sequence[str]) -> None:
        """Take up what state() gave; ``subjects`` are the channels' names of that time."""
        place = {name: i for i, name in enumerate(self._names)}
        mine: dict[str, tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]] = {
            "blocks": (self.clock.state, {"of": self.sources}),
            "buckets": (self.sums.state, self._tracks.names(self.sources)),
            "spectra": (self.spectra.state, self._peaks.names(self.sources)),
        }
        for part, (_, names) in mine.items():
            if part not in state:
                continue
            held = state[part]
            theirs = {name: held[name] for name in names}
            theirs["of"] = np.array([place.get(subjects[c], -1) for c in held["of"].tolist()])
            if part == "spectra":
                self.spectra.fit(held)
            _move(mine[part][0], held, _pairs(_keys(theirs), _keys(names)))


def _said(
    closed: Buckets | Segments,
    bucket: NDArray[np.int64],
    every_ns: NDArray[np.int64],
    channel: NDArray[np.int64],
    value: NDArray[np.float64],
) -> _Said:
    """Return rows of closed buckets, which end when the next one begins."""
    every = every_ns[closed.track[bucket]]
    return _Said(
        channel=channel,
        t=closed.held["bucket_ns"][bucket] + every,
        g=closed.g[bucket],
        receive_ns=closed.receive_ns[bucket],
        value=value,
        sparse=closed.held["covered_ns"][bucket] < COVERED * every,
    )


def _keys(names: dict[str, NDArray[Any]]) -> list[tuple[Any, ...]]:
    """Return what each track is of."""
    return list(zip(*(column.tolist() for column in names.values()), strict=True))


def _pairs(theirs: Iterable[Any], mine: Iterable[Any]) -> list[tuple[int, int]]:
    """Return (mine, theirs) places of what is the same."""
    number = {key: i for i, key in enumerate(theirs)}
    return [(i, number[key]) for i, key in enumerate(mine) if key in number]


def _move(
    columns: dict[str, NDArray[Any]], held: dict[str, Any], pairs: list[tuple[int, int]]
) -> None:
    """Copy rows of the held columns to their places; of wider ones the front."""
    at = np.array(pairs, np.int64).reshape(-1, 2)
    for name, column in columns.items():
        theirs = held[name]
        if column.ndim > 1:
            column[at[:, 0], : theirs.shape[1]] = theirs[at[:, 1]]
        else:
            column[at[:, 0]] = theirs[at[:, 1]]
