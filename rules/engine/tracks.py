"""Tracks: what a scorer keeps its statistics for. A track is rule × channel; its slots are sides.

Both sides of a rule look at one score, so it is computed once. Tracks of one kernel lie side by
side, sorted by channel; a track knows the zone of scores that none of its slots cares about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.plan import ChannelRule


@dataclass(slots=True)
class Tracks:
    """T tracks of one kernel over C channels."""

    kernel: str
    channel: NDArray[np.int64]  # [T] rising
    rule: NDArray[np.int64]  # [T] index into Slots.rules (of the first side)
    accept: NDArray[np.int64]  # [T] acceptance class
    max_gap_ns: NDArray[np.int64]  # [T]
    meaning: NDArray[np.uint64]  # [T] hash of what shapes the score
    pointer: NDArray[np.int64]  # [C + 1] first track of each channel
    slot: NDArray[np.int64]  # [T + 1] first slot of each track, and the end of the last
    quiet_high: NDArray[np.float64]  # [T] a score at or above it concerns a slot
    quiet_low: NDArray[np.float64]  # [T] a score at or below it concerns a slot
    busy: NDArray[np.int32]  # [T] slots in motion
    rules: Sequence[ChannelRule]
    _place: NDArray[np.int64]  # [T] row of the rule's own columns

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.channel)

    def own(self, name: str, *, fill: float = 0) -> NDArray[Any]:
        """Return a kind-specific parameter of the rules, [T] or [T, k].

        Where rules have it of different width, the narrower are filled up.
        """
        if not len(self.channel):
            return np.zeros(0)
        numbers, inverse = np.unique(self.rule, return_inverse=True)
        held = [np.asarray(self.rules[n].own[name]) for n in numbers.tolist()]
        widest = max(column.shape[-1] if column.ndim > 1 else 0 for column in held)
        if widest:
            held = [_widened(column, widest, fill) for column in held]
        first = np.cumsum([0, *(len(column) for column in held)])[:-1]
        whole: NDArray[Any] = np.concatenate(held)[first[inverse] + self._place]
        return whole

    def option(self, name: str) -> list[Any]:
        """Return a choice of each track's rule, [T]."""
        return [self.rules[n].options[name] for n in self.rule.tolist()]


def _widened(column: NDArray[Any], width: int, fill: float) -> NDArray[Any]:
    """Return a column of ``width`` places a row."""
    missing = width - column.shape[1]
    return np.pad(column, ((0, 0), (0, missing)), constant_values=fill) if missing else column


def mix(digest: NDArray[np.uint64], column: NDArray[Any]) -> NDArray[np.uint64]:
    """Take a column of numbers (or several side by side) into a hash a row, in the manner of FNV.

    Only for telling meanings apart; collisions in 64 bits are not a concern of a city's rules.
    """
    if not len(digest):
        return digest
    wide = np.ascontiguousarray(column)
    if wide.dtype == np.bool_ or wide.dtype.itemsize < 8:
        wide = wide.astype(np.float64 if wide.dtype.kind == "f" else np.int64)
    for part in wide.reshape(len(digest), -1).view(np.uint64).T:
        digest = (digest ^ part) * np.uint64(0x9E3779B97F4A7C15)
        digest ^= digest >> np.uint64(29)
    return digest


def mix_text(digest: NDArray[np.uint64], text: str) -> NDArray[np.uint64]:
    """Take a text into a hash a row."""
    padded = text.encode() + b"\0" * (-len(text.encode()) % 8)
    for word in np.frombuffer(padded, np.uint64):
        digest = (digest ^ word) * np.uint64(0x9E3779B97F4A7C15)
        digest ^= digest >> np.uint64(29)
    return digest
