"""What a bucket of samples says: sums carried from block to block, in order of time.

Sums are of deviations from the bucket's first sample, so that a large mean costs no precision. All
are sequential: their bytes do not depend on how the journal was cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from rules.waveforms.samples import Cells

WIDE: Final = 96  # spans side by side from which adding sample by sample beats an accumulate
_SUMS: Final = ("s1", "s2", "s3", "s4")

_STATE: Final[dict[str, tuple[Any, Any]]] = {
    "bucket_ns": (np.int64, 0),
    "count": (np.int64, 0),  # samples; 0 = no open bucket
    "level": (np.float64, 0.0),  # the first sample
    "s1": (np.float64, 0.0),  # sums of powers of the deviation from it
    "s2": (np.float64, 0.0),
    "s3": (np.float64, 0.0),
    "s4": (np.float64, 0.0),
    "low": (np.float64, np.inf),
    "high": (np.float64, -np.inf),
    "crossings": (np.int64, 0),  # changes of sign
    "covered_ns": (np.int64, 0),  # time that samples stand for
    "sign": (np.int8, 0),  # of the last sample: 1 (also of zero), -1, or 0 = there was none
}


@dataclass(frozen=True, slots=True)
class Buckets:
    """Closed buckets, and at which position they closed; ``held`` has the state's names."""

    track: NDArray[np.int64]
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    held: dict[str, NDArray[Any]]


class BucketSums:
    """One open bucket a track: 89 bytes.

    ``fourth`` [tracks]: sums of third and fourth powers; ``crossed``: changes of sign are counted.
    """

    def __init__(self, fourth: NDArray[np.bool_], *, crossed: bool) -> None:
        self.fourth, self.crossed = fourth, crossed
        tracks = len(fourth)
        self.state: dict[str, NDArray[Any]] = {
            name: np.full(tracks, fill, dtype) for name, (dtype, fill) in _STATE.items()
        }

    def forget(self, tracks: NDArray[np.int64]) -> None:
        """Drop open buckets: a new epoch."""
        for name, (_, fill) in _STATE.items():
            self.state[name][tracks] = fill

    def take(self, x: NDArray[np.float32], cells: Cells) -> Buckets | None:
        """Add the samples of a batch; return the buckets that a later sample closed."""
        head = cells.heads(gaps=False)
        track, bucket = cells.track[head], cells.bucket_ns[head]
        stop = np.append(head[1:], len(cells.track))
        spans = self._started(x, cells, head)
        first = np.ones(len(head), np.bool_)
        first[1:] = track[1:] != track[:-1]
        length = np.add.reduceat(cells.length, head)
        begin = cells.begin[head]
        if self.crossed:
            crossings = _crossings(x, cells, self.state["sign"])
            total = np.concatenate(([0], np.cumsum(crossings)))
            spans["crossings"] += total[begin + length] - total[begin]
        spans["covered_ns"] += np.add.reduceat(cells.length * cells.period_ns, head)
        spans["count"] += length
        spans["sign"] = np.where(x[begin + length - 1] >= 0, 1, -1).astype(np.int8)
        fourth = self.fourth[track]
        for powers, at in ((2, np.flatnonzero(~fourth)), (4, np.flatnonzero(fourth))):
            if len(at):
                _add_up(x, (begin, length), spans, at, _SUMS[:powers])
        done = self.state["count"][track] > 0
        done &= first & (self.state["bucket_ns"][track] != bucket)
        early = {name: column[track[done]] for name, column in self.state.items()}
        last = np.append(first[1:], True)
        for name, column in self.state.items():
            column[track[last]] = spans[name][last]
        over = np.flatnonzero(~last)
        if not len(over) and not done.any():
            return None
        closer = np.concatenate((head[done], stop[over]))  # the cell whose sample closed it
        return Buckets(
            track=np.concatenate((track[done], track[over])),
            g=cells.g[closer],
            receive_ns=cells.receive_ns[closer],
            held={n: np.concatenate((early[n], spans[n][over])) for n in _STATE},
        )

    def _started(
        self, x: NDArray[np.float32], cells: Cells, head: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Return what each span begins with: the open bucket it goes on with, or nothing."""
        track, bucket = cells.track[head], cells.bucket_ns[head]
        spans = {name: self.state[name][track] for name in _STATE}
        fresh = (spans["count"] == 0) | (spans["bucket_ns"] != bucket)
        fresh[1:] |= track[1:] == track[:-1]
        for name, (_, fill) in _STATE.items():
            spans[name][fresh] = fill
        spans["bucket_ns"] = bucket
        spans["level"][fresh] = x[cells.begin[head[fresh]]]
        return spans


def _crossings(x: NDArray[np.float32], cells: Cells, carried: NDArray[np.int8]) -> NDArray[np.int8]:
    """Tell samples whose sign differs from that of the sample before, without a gap between.

    A source with several tracks has several cells on the same samples, which agree.
    """
    positive = x >= 0
    crosses = np.zeros(len(x), np.int8)
    crosses[1:] = positive[1:] != positive[:-1]
    begin = cells.begin
    fresh = ~cells.joined
    crosses[begin[fresh]] = 0
    first = np.ones(len(begin), np.bool_)
    first[1:] = cells.track[1:] != cells.track[:-1]
    first &= cells.joined
    sign = np.where(positive[begin[first]], 1, -1)
    crosses[begin[first]] = sign * carried[cells.track[first]] < 0
    return crosses


def matrices(
    x: NDArray[np.float32], begin: NDArray[np.int64], length: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield spans of equal length as (their numbers, samples [spans, length])."""
    for n in np.unique(length).tolist():
        at = np.flatnonzero(length == n)
        where = begin[at]
        if (where[1:] - where[:-1] == n).all():
            yield at, x[where[0] : where[-1] + n].reshape(len(at), n)
        else:
            yield at, x[where[:, None] + np.arange(n)]


def _add_up(
    x: NDArray[np.float32],
    laid: tuple[NDArray[np.int64], NDArray[np.int64]],
    spans: dict[str, NDArray[Any]],
    chosen: NDArray[np.int64],
    sums: tuple[str, ...],
) -> None:
    """Add the samples of the chosen spans, which begin at laid[0] and are laid[1] long."""
    begin, length = laid
    for number, samples in matrices(x, begin[chosen], length[chosen]):
        at = chosen[number]
        wide = len(at) >= WIDE
        turned = np.array(samples.T, np.float64, order="C") if wide else samples
        low = turned.min(axis=0 if wide else 1)
        high = turned.max(axis=0 if wide else 1)
        spans["low"][at] = np.minimum(spans["low"][at], low) + 0.0
        spans["high"][at] = np.maximum(spans["high"][at], high) + 0.0
        level = spans["level"][at]
        deviation = turned - level if wide else turned - level[:, None]
        power = deviation
        for name in sums:
            if name != "s1":
                power = power * deviation
            spans[name][at] = _added(spans[name][at], power, wide=wide)


def _added(
    carried: NDArray[np.float64], terms: NDArray[np.float64], *, wide: bool
) -> NDArray[np.float64]:
    """Return carried + terms one after another: ``terms`` [n, spans] if wide, else [spans, n]."""
    if wide:
        total = carried.copy()
        for row in terms:
            total += row
        return total
    terms = np.concatenate((carried[:, None], terms), axis=1)
    sums: NDArray[np.float64] = np.add.accumulate(terms, axis=1)[:, -1]
    return sums


# ---- what is read out of a closed bucket ---------------------------------------------------------

Column = dict[str, "NDArray[Any]"]


def _mean(b: Column) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = b["level"] + b["s1"] / b["count"]
    return mean


def _variance(b: Column) -> NDArray[np.float64]:
    shift = b["s1"] / b["count"]
    variance: NDArray[np.float64] = np.maximum(b["s2"] / b["count"] - shift * shift, 0.0)
    return variance


def _rms(b: Column) -> NDArray[np.float64]:
    mean = _mean(b)
    rms: NDArray[np.float64] = np.sqrt(mean * mean + _variance(b))
    return rms


def _crest(b: Column) -> NDArray[np.float64]:
    mean, sigma = _mean(b), np.sqrt(_variance(b))
    crest: NDArray[np.float64] = np.maximum(b["high"] - mean, mean - b["low"]) / sigma
    return np.where(sigma > 0, crest, np.nan)


def _kurtosis(b: Column) -> NDArray[np.float64]:
    n, shift, variance = b["count"], b["s1"] / b["count"], _variance(b)
    square = shift * shift
    fourth = b["s4"] / n - 4.0 * shift * (b["s3"] / n) + 6.0 * square * (b["s2"] / n)
    fourth = fourth - 3.0 * square * square
    return np.where(variance > 0, fourth / (variance * variance), np.nan)


FEATURES: Final[dict[str, Callable[[Column], NDArray[np.float64]]]] = {
    "mean": _mean,
    "rms": _rms,
    "min": lambda b: b["low"],
    "max": lambda b: b["high"],
    "peak": lambda b: np.maximum(np.abs(b["low"]), np.abs(b["high"])),
    "peak_to_peak": lambda b: b["high"] - b["low"],
    "std": lambda b: np.sqrt(_variance(b)),
    "crest": _crest,
    "kurtosis": _kurtosis,
    "zero_crossings": lambda b: b["crossings"] / (b["covered_ns"] / 1e9),
}
"""What a derived channel may be, by name."""

FEATURE_QUANTITIES: Final = {
    "crest": "shape",
    "kurtosis": "shape",
    "zero_crossings": "frequency",
    "peak_frequency": "frequency",
}
"""Quantities of features that are not of their source's quantity."""
