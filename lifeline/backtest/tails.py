"""How high good data go: a limit that is passed so many times a year, noise, and runs above it.

Peaks over a threshold: what lies above a high quantile, one peak a cluster, follows a generalised
Pareto distribution, and the limit is its return level (Coles, An Introduction to Statistical
Modeling of Extreme Values, 2001, sections 4.3 and 5.3.2; Davison and Smith, Models for Exceedances
over High Thresholds, J. R. Stat. Soc. B 52, 1990). Where the history is long enough to count, peaks
are counted instead.

Everything here looks upward; whoever asks about low values turns the sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.stats import genpareto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

YEAR_NS: Final = 365.25 * 86_400e9
COUNTED: Final = 10  # peaks expected beyond the limit in the history: enough to count them
LEAST_PEAKS: Final = 50  # fewer give no shape of a tail
MOST_PEAKS: Final = 200  # a higher threshold is nearer to the limit of the theory
BULK: Final = 0.95  # the tail begins above this quantile at the lowest
MAD_SIGMA: Final = 1.4826  # times the median absolute deviation is sigma of normal data
MOST_LAG: Final = 2_000
SMALL: Final = 0.1  # correlation
BROKEN: Final = 1.5  # intervals between two samples from which on they are not neighbours


@dataclass(frozen=True, slots=True)
class Track:
    """Good samples of one channel in order of time; higher is nearer to danger."""

    t_ns: NDArray[np.int64]
    x: NDArray[np.float64]
    interval_ns: int

    @property
    def years(self) -> float:
        """Return how long good data were seen: samples times their interval."""
        return len(self.x) * self.interval_ns / YEAR_NS

    @property
    def joined(self) -> NDArray[np.bool_]:
        """Return for each sample but the first whether the one before is its neighbour, [n - 1]."""
        return np.diff(self.t_ns) <= BROKEN * self.interval_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The upper tail of like channels, a peak a cluster."""

    years: float  # of all channels together
    threshold: float  # where it begins
    peaks: NDArray[np.float64]  # rising
    shape: float = 0.0  # of the generalised Pareto distribution of what is above the threshold
    scale: float = 0.0

    @property
    def enough(self) -> bool:
        """Tell whether there are peaks enough to say something of rarer ones."""
        return len(self.peaks) >= LEAST_PEAKS

    def counts(self, per_year: float) -> bool:
        """Tell whether the history is long enough to count so rare peaks."""
        expected = per_year * self.years
        return COUNTED <= expected < len(self.peaks)

    def limit(self, per_year: float) -> float:
        """Return what one channel passes so many times a year; ``enough`` must hold.

        Where more is asked than there are peaks it is the threshold itself.
        """
        expected = per_year * self.years
        if self.counts(per_year):
            return float(self.peaks[len(self.peaks) - int(expected)])
        if expected >= len(self.peaks):
            return self.threshold
        rarer = expected / len(self.peaks)
        return self.threshold + float(genpareto.isf(rarer, self.shape, 0.0, self.scale))

    def passed(self, limit: float) -> int:
        """Return how many peaks of the history reach a limit above the threshold."""
        return len(self.peaks) - int(np.searchsorted(self.peaks, limit))


def tail_of(tracks: Sequence[Track]) -> Tail:
    """Return the tail of like channels together; each is cut into clusters by itself."""
    years = sum(track.years for track in tracks)
    values = np.concatenate([track.x for track in tracks] or [np.zeros(0)])
    if not len(values):
        return Tail(years=0.0, threshold=float("nan"), peaks=np.zeros(0))
    lags = [memory(track) for track in tracks]
    share = BULK
    while True:
        threshold = float(np.quantile(values, share))
        peaks = np.sort(
            np.concatenate(
                [cluster_peaks(t, threshold, lag) for t, lag in zip(tracks, lags, strict=True)]
            )
        )
        if len(peaks) <= MOST_PEAKS or (1 - share) * len(values) <= 2 * LEAST_PEAKS:
            break
        share = 1 - max(0.7 * (1 - share), LEAST_PEAKS / len(values))
    if len(peaks) < LEAST_PEAKS or peaks[-1] == threshold:
        return Tail(years=years, threshold=threshold, peaks=peaks)
    shape, _, scale = genpareto.fit(peaks - threshold, floc=0.0)
    return Tail(
        years=years, threshold=threshold, peaks=peaks, shape=float(shape), scale=float(scale)
    )


def cluster_peaks(track: Track, threshold: float, lag: int) -> NDArray[np.float64]:
    """Return the highest value of each cluster above a threshold.

    A cluster ends where ``lag`` samples' time passes without one above (runs declustering).
    """
    above = np.flatnonzero(track.x > threshold)
    if not len(above):
        return np.zeros(0)
    apart = np.diff(track.t_ns[above]) > lag * track.interval_ns
    heads = np.concatenate(([0], np.flatnonzero(apart) + 1))
    peaks: NDArray[np.float64] = np.maximum.reduceat(track.x[above], heads)
    return peaks


def memory(track: Track) -> int:
    """Return the lag, in samples, from which on the autocorrelation is small or mere noise."""
    n = len(track.x)
    if n < 8 or not np.ptp(track.x):
        return 1
    longest = min(MOST_LAG, n // 4)
    centred = track.x - track.x.mean()
    size = 1 << int(2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    told = np.fft.irfft(spectrum * spectrum.conj(), size)[: longest + 1]
    within = np.flatnonzero(np.abs(told / told[0]) < max(SMALL, 2 / np.sqrt(n)))
    return int(within[0]) if len(within) else longest


def noise_of(tracks: Sequence[Track]) -> float:
    """Return the robust standard deviation of the step from one sample to the next.

    The greatest of the channels: a band that suits the noisiest suits all.
    """
    found = [0.0]
    for track in tracks:
        steps = np.diff(track.x)[track.joined]
        if len(steps):
            found.append(MAD_SIGMA * float(np.median(np.abs(steps - np.median(steps)))))
    return max(found)


def held(track: Track, intervals: int) -> Track:
    """Return the lowest of each sample and those up to so many intervals before it.

    It reaches a limit where all of them do: where an alarm with such a ``for`` is raised. Samples
    with fewer neighbours before them are left out.
    """
    if intervals <= 0 or not len(track.x):
        return track
    broken = np.flatnonzero(~track.joined) + 1
    first = np.zeros(len(track.x), np.int64)  # where each sample's unbroken run began
    first[broken] = broken
    first = np.maximum.accumulate(first)
    whole = np.arange(len(track.x)) - first >= intervals
    size = intervals + 1
    lowest = minimum_filter1d(track.x, size, origin=(size - 1) // 2)
    return Track(track.t_ns[whole], lowest[whole], track.interval_ns)


def runs_above(tracks: Sequence[Track], threshold: float) -> NDArray[np.int64]:
    """Return how many samples on end each run above a threshold has; a gap ends a run."""
    lengths = [np.zeros(0, np.int64)]
    for track in tracks:
        above = track.x > threshold
        if not above.any():
            continue
        goes_on = np.concatenate(([False], above[1:] & above[:-1] & track.joined))
        heads = np.flatnonzero(above & ~goes_on)
        lengths.append(np.diff(np.append(np.cumsum(above)[heads] - 1, above.sum())))
    return np.concatenate(lengths)
