"""What a segment of samples says of its frequencies: averaged periodograms, and the peak of a band.

Welch 1967, IEEE Trans. Audio Electroacoust. 15:70, windows by Hann, half of each overlapping. A
window is transformed on its own as soon as it is whole, and windows are added in order of time, so
that no byte depends on how the journal was cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.waveforms.samples import put_behind, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rules.waveforms.samples import Cells

PEAK_FREQUENCY: Final = "peak_frequency"
WINDOWS: Final = 20  # windows have this part of a segment's length where nobody says another
LEAST: Final = 16  # samples of a window
MOST: Final = 1 << 14
BINS: Final = 5  # of a band, at least
PEAK_TO_FLOOR: Final = 3.0  # a peak stands out of the median of its band so many times, or is none
CHUNK: Final = 1 << 16  # samples transformed at once: they stay in the cache

_STATE: Final[dict[str, tuple[Any, Any]]] = {
    "bucket_ns": (np.int64, 0),
    "count": (np.int64, 0),  # samples; 0 = no open segment
    "covered_ns": (np.int64, 0),  # time that samples stand for
    "period_ns": (np.int64, 0),
    "held": (np.int64, 0),  # samples held for the next window
    "windows": (np.int64, 0),  # added up
}


@dataclass(frozen=True, slots=True)
class Segments:
    """Closed segments, and at which position they closed; ``held`` has the state's names."""

    track: NDArray[np.int64]
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    held: dict[str, NDArray[Any]]  # with power [segments, bins]


class Spectra:
    """One open segment a track: 48 bytes, 4 a sample of a window, 8 a bin of its bands.

    ``window_ns`` [tracks] is the length of windows, ``band`` [tracks, 2] the lowest and highest
    frequency in Hz that anybody asks for.
    """

    def __init__(self, window_ns: NDArray[np.int64], band: NDArray[np.float64]) -> None:
        self.window_ns, self.band = window_ns, band
        tracks = len(window_ns)
        self.state: dict[str, NDArray[Any]] = {
            name: np.full(tracks, fill, dtype) for name, (dtype, fill) in _STATE.items()
        }
        self.state["ring"] = np.zeros((tracks, 0), np.float32)
        self.state["power"] = np.zeros((tracks, 0))

    def forget(self, tracks: NDArray[np.int64]) -> None:
        """Drop open segments: a new epoch."""
        for name, (_, fill) in _STATE.items():
            self.state[name][tracks] = fill
        self.state["power"][tracks] = 0.0

    def take(self, x: NDArray[np.float32], cells: Cells) -> Segments | None:
        """Add the samples of a batch; return the segments that a later sample closed."""
        spans = [self._span(x, cells, span.head, span.length) for span in cells.spans()]
        closed = [done for done in spans if done is not None]
        if len(closed) < 2:
            return closed[0] if closed else None
        return _joined(closed)

    def _span(
        self,
        x: NDArray[np.float32],
        cells: Cells,
        head: NDArray[np.int64],
        length: NDArray[np.int64],
    ) -> Segments | None:
        """Take one span (first cell, samples) of one segment without a gap, a track."""
        state, own = self.state, cells.track[head]
        bucket, period = cells.bucket_ns[head], cells.period_ns[head]
        later = (state["count"][own] > 0) & (state["bucket_ns"][own] != bucket)
        done = None
        if later.any():
            track = own[later]
            done = Segments(
                track=track,
                g=cells.g[head[later]],
                receive_ns=cells.receive_ns[head[later]],
                held={name: column[track] for name, column in state.items() if name != "ring"},
            )
            self.forget(track)
        fresh = ~cells.joined[head]
        state["held"][own[fresh]] = 0
        other = state["period_ns"][own] != period
        state["windows"][own[other]] = 0
        state["power"][own[other]] = 0.0
        state["bucket_ns"][own], state["period_ns"][own] = bucket, period
        state["count"][own] += length
        state["covered_ns"][own] += length * period
        self._append(x, own, cells.begin[head], length)
        return done

    def _append(
        self,
        x: NDArray[np.float32],
        own: NDArray[np.int64],
        begin: NDArray[np.int64],
        length: NDArray[np.int64],
    ) -> None:
        """Put samples behind those held; add up the windows that are whole."""
        size = samples_of_window(self.window_ns[own], self.state["period_ns"][own])
        if not size.all():
            use = size > 0
            own, begin, length, size = own[use], begin[use], length[use], size[use]
        if not len(own):
            return
        held = self.state["held"][own]
        full = held + length >= size
        if full.any():
            self._complete(x, own[full], begin[full], (length[full], size[full]))
            some = ~full
            own, begin, length, held = own[some], begin[some], length[some], held[some]
        if not len(own):
            return
        self._widen("ring", int((held + length).max()))
        put_behind(self.state["ring"], own, held, x, (begin, length))
        self.state["held"][own] = held + length

    def _complete(
        self,
        x: NDArray[np.float32],
        own: NDArray[np.int64],
        begin: NDArray[np.int64],
        laid: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        """Add up the windows of tracks that have at least one; hold the samples after them."""
        length, size = laid
        low, bins = bins_of(self.band[own], size, self.state["period_ns"][own])
        self._widen("power", int(bins.max()))
        shape = np.stack([self.state["held"][own], length, size, low, bins], axis=1)
        for each in np.unique(shape, axis=0).tolist():
            alike = np.flatnonzero((shape == each).all(axis=1))
            step = max(1, CHUNK // (each[0] + each[1]))
            for chunk in range(0, len(alike), step):
                at = alike[chunk : chunk + step]
                self._complete_alike(x, own[at], begin[at], each)

    def _complete_alike(
        self, x: NDArray[np.float32], own: NDArray[np.int64], begin: NDArray[np.int64],
        shape: list[int],
    ) -> None:  # fmt: skip
        """Do so for tracks that hold and get equally many samples."""
        held, length, size, low, bins = shape
        total, hop = held + length, size >> 1
        whole = (total - size) // hop + 1
        rest = total - whole * hop
        self._widen("ring", rest)
        ring = self.state["ring"]
        flat = np.empty((len(own), total), np.float32)
        flat[:, :held] = ring[own, :held]
        flat[:, held:] = rows_of(x, begin, length)
        for n in range(whole):
            window = flat[:, n * hop : n * hop + size]
            self.state["power"][own, :bins] += periodograms(window, slice(low, low + bins))
        self.state["windows"][own] += whole
        ring[own, :rest] = flat[:, whole * hop :]
        self.state["held"][own] = rest

    def _widen(self, name: str, width: int) -> None:
        column = self.state[name]
        if width > column.shape[1]:
            wide = np.zeros((len(column), width), column.dtype)
            wide[:, : column.shape[1]] = column
            self.state[name] = wide

    def peaks(
        self, segments: Segments, chosen: NDArray[np.int64], band: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the peak frequency in Hz of chosen segments, each in a band [c, 2]; NaN: none."""
        held, track = segments.held, segments.track[chosen]
        period = held["period_ns"][chosen]
        size = samples_of_window(self.window_ns[track], period)
        low, _ = bins_of(self.band[track], size, period)
        begin, count = bins_of(band, size, period)
        shape = np.stack([begin - low, count, begin + 1, size, period], axis=1)
        value = np.full(len(chosen), np.nan)
        usable = (size > 0) & (held["windows"][chosen] > 0) & (count >= BINS + 2)
        for row in np.unique(shape[usable], axis=0).tolist():
            alike = np.flatnonzero(usable & (shape == row).all(axis=1))
            skip, wide, first, n, each = row
            power = held["power"][chosen[alike], skip : skip + wide]
            value[alike] = (peak_of(power) + first) / (n * each / 1e9)
        return value

    def fit(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Make room for the columns of a snapshot."""
        for name in ("ring", "power"):
            self._widen(name, columns[name].shape[1])


def samples_of_window(
    window_ns: NDArray[np.int64], period_ns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the even number of samples of a window; 0 where they are too few for one."""
    count = np.minimum(window_ns // np.maximum(period_ns, 1) // 2 * 2, MOST)
    return np.where(count >= LEAST, count, 0)


def bins_of(
    band: NDArray[np.float64], size: NDArray[np.int64], period_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and count of the bins inside bands, and one more on each side; 0 if none."""
    per_hz = size * period_ns / 1e9  # bins
    first = np.maximum(np.ceil(band[:, 0] * per_hz), 1.0).astype(np.int64)
    last = np.minimum(np.floor(band[:, 1] * per_hz), size // 2 - 1.0).astype(np.int64)
    return first - 1, np.where(last >= first, last - first + 3, 0)


@lru_cache(maxsize=64)
def hann(n: int) -> NDArray[np.float64]:
    """Return Hann's window of n samples, as for a period of n."""
    table = np.array([0.5 - 0.5 * math.cos(2.0 * math.pi * i / n) for i in range(n)])
    table.flags.writeable = False
    return table


def periodograms(samples: NDArray[np.float32], bins: slice = slice(None)) -> NDArray[np.float64]:
    """Return the squared spectrum of each row less its mean, under Hann's window, [k, n // 2 + 1].

    Of a row only the ``bins`` asked for. numpy transforms row by row, so that a row's bytes do not
    depend on its company.
    """
    x = samples.astype(np.float64)
    n = x.shape[1]
    x -= (_halved(x) / n)[:, None]
    x *= hann(n)
    spectrum = np.fft.rfft(x, axis=1)[:, bins]
    power: NDArray[np.float64] = spectrum.real * spectrum.real
    power += spectrum.imag * spectrum.imag
    return power


def _halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each row: the second half is added to the first, until one is left.

    An odd one out waits for the next turn. The order depends on nothing but the length.
    """
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        halves = x[:, :half] + x[:, half : 2 * half]
        x = np.concatenate((halves, x[:, 2 * half :]), axis=1) if x.shape[1] % 2 else halves
    return x[:, 0]


def peak_of(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the peak of each row as a place counted from its second bin; NaN where there is none.

    The first and last bins only help: the peak lies between them, and a parabola goes through the
    fourth roots of it and its neighbours (nearly the logarithms, of which the tops of a window's
    and a resonance's peaks are parabolas; Gasior & Gonzalez 2004, AIP Conf. Proc. 732:276).
    """
    inside = power[:, 1:-1]
    at = inside.argmax(axis=1)
    row = np.arange(len(power))
    three = np.stack([power[row, at + i] for i in range(3)])
    whole = inside.shape[1]
    part = np.partition(inside, (whole // 2 - 1, whole // 2), axis=1)
    floor = part[:, whole // 2]
    if whole % 2 == 0:
        floor = (part[:, whole // 2 - 1] + floor) * 0.5
    stands = (three[1] >= three[0]) & (three[1] >= three[2]) & (three[1] > 0)
    stands &= three[1] >= PEAK_TO_FLOOR * floor
    low, top, high = np.sqrt(np.sqrt(three))
    bend = low - 2.0 * top + high
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(bend < 0, 0.5 * (low - high) / bend, 0.0)
    return np.where(stands, at + shift, np.nan)


def _joined(closed: list[Segments]) -> Segments:
    """Return segments of several waves as one table, by track, then in order of time."""
    width = max(each.held["power"].shape[1] for each in closed)
    for each in closed:
        power = each.held["power"]
        each.held["power"] = np.pad(power, ((0, 0), (0, width - power.shape[1])))
    names = closed[0].held
    return Segments(
        track=np.concatenate([each.track for each in closed]),
        g=np.concatenate([each.g for each in closed]),
        receive_ns=np.concatenate([each.receive_ns for each in closed]),
        held={name: np.concatenate([each.held[name] for each in closed]) for name in names},
    )
