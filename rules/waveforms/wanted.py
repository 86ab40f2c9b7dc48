"""Which buckets are kept of which sources, and which feature channels read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Wanted = tuple[int, dict[str, Any], int]
"""A source, what the registry says is derived from it, and the channel it is derived for."""


@dataclass(frozen=True, slots=True)
class SumTracks:
    """Tracks of plain features: a source and a length of bucket, sorted by both."""

    source: NDArray[np.int64]
    every_ns: NDArray[np.int64]
    fourth: NDArray[np.bool_]  # some channel wants a kurtosis
    crossed: NDArray[np.bool_]  # some channel wants changes of sign
    pointer: NDArray[np.int64]  # [sources + 1] first track of each source
    readers: list[tuple[str, NDArray[np.int64], NDArray[np.int64]]]
    """Feature, [T + 1] first of its channels on each track, those channels."""

    def names(self, sources: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what the tracks are of, by the channels of the sources."""
        named = {"of": sources[self.source], "every_ns": self.every_ns}
        return {**named, "fourth": self.fourth, "crossed": self.crossed}


@dataclass(frozen=True, slots=True)
class SpectrumTracks:
    """Tracks of spectra: a source, a length of segment and one of windows, sorted by all."""

    source: NDArray[np.int64]
    every_ns: NDArray[np.int64]
    window_ns: NDArray[np.int64]
    band: NDArray[np.float64]  # [T, 2] Hz, around all bands
    pointer: NDArray[np.int64]  # [sources + 1] first track of each source
    reader: NDArray[np.int64]  # [T + 1] first of the channels on each track
    channel: NDArray[np.int64]  # [R]
    bands: NDArray[np.float64]  # [R, 2] Hz

    def names(self, sources: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what the tracks are of, by the channels of the sources."""
        return {
            "of": sources[self.source],
            "every_ns": self.every_ns,
            "window_ns": self.window_ns,
            "low_hz": self.band[:, 0],
            "high_hz": self.band[:, 1],
        }


def sum_tracks(wanted: Sequence[Wanted], sources: int) -> SumTracks:
    """Lay the tracks of plain features out."""
    pairs = sorted({(source, int(said["every_ns"])) for source, said, _ in wanted})
    number = {pair: i for i, pair in enumerate(pairs)}
    both = np.array(pairs, np.int64).reshape(-1, 2)
    fourth, crossed = np.zeros(len(pairs), np.bool_), np.zeros(len(pairs), np.bool_)
    by_feature: dict[str, list[tuple[int, int]]] = {}
    for source, said, channel in wanted:
        track = number[source, int(said["every_ns"])]
        fourth[track] |= said["feature"] == "kurtosis"
        crossed[track] |= said["feature"] == "zero_crossings"
        by_feature.setdefault(said["feature"], []).append((track, channel))
    readers = []
    for feature, held in sorted(by_feature.items()):
        table = np.array(sorted(held), np.int64)
        first = np.searchsorted(table[:, 0], np.arange(len(pairs) + 1))
        readers.append((feature, first, table[:, 1]))
    pointer = np.searchsorted(both[:, 0], np.arange(sources + 1))
    return SumTracks(both[:, 0], both[:, 1], fourth, crossed, pointer, readers)


def spectrum_tracks(wanted: Sequence[Wanted], sources: int) -> SpectrumTracks:
    """Lay the tracks of spectra out; channels with the same segments and windows share one."""

    def key(source: int, said: dict[str, Any]) -> tuple[int, int, int]:
        return source, int(said["every_ns"]), int(said["window_ns"])

    keys = sorted({key(source, said) for source, said, _ in wanted})
    number = {each: i for i, each in enumerate(keys)}
    table = np.array(keys, np.int64).reshape(-1, 3)
    readers = sorted((number[key(source, said)], channel) for source, said, channel in wanted)
    band_of = {channel: said["band"] for _, said, channel in wanted}
    track = np.array([t for t, _ in readers], np.int64)
    channel = np.array([c for _, c in readers], np.int64)
    bands = np.array([band_of[c] for _, c in readers], np.float64).reshape(-1, 2)
    first = np.searchsorted(track, np.arange(len(keys) + 1))
    band = np.zeros((len(keys), 2))
    if keys:
        band[:, 0] = np.minimum.reduceat(bands[:, 0], first[:-1])
        band[:, 1] = np.maximum.reduceat(bands[:, 1], first[:-1])
    pointer = np.searchsorted(table[:, 0], np.arange(sources + 1))
    source, every_ns, window_ns = table.T
    return SpectrumTracks(source, every_ns, window_ns, band, pointer, first, channel, bands)
