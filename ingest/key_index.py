"""Channel rows by device and key, looked up for whole columns: a hash table of arrays.

Open addressing with linear probing, at most a quarter full; a bisection over a million keys costs
ten times as much, since each of its steps waits for memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.codecs.json_bulk import KEY_BYTES, key_words
from rules.readings import HEARD_ONLY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth): spreads what is alike
_AT_ONCE = 1 << 14  # rows: columns of more would leave the cache
_MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)


class KeyIndex:
    """Finds rows by (device row, key); keys longer than KEY_BYTES, or not ASCII, are not in it."""

    def __init__(self, rows: Mapping[tuple[int, str], int]) -> None:
        held = [
            (device, key.encode(), row)
            for (device, key), row in rows.items()
            if key.isascii() and "\0" not in key and len(key) <= KEY_BYTES
        ]
        words = key_words([key for _, key, _ in held])
        self._words = words[:, 0].copy(), words[:, 1].copy()
        self._device = np.array([device for device, _, _ in held], np.int32)
        self._row = np.array([row for _, _, row in held], np.int32)
        bits = max(4, (4 * len(held)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._last = (1 << bits) - 1
        self._table = np.full(1 << bits, -1, np.int32)
        self._fill(self._place(self._device, words))

    def _fill(self, place: NDArray[np.int64]) -> None:
        """Put each entry into its place or the next free one."""
        left = np.arange(len(self._row))
        while len(left):
            at = place[left]
            free = self._table[at] < 0
            self._table[at[free]] = left[free]  # of several at one place the last one has it
            left = left[self._table[at] != left]
            place[left] = (place[left] + 1) & self._last

    def find(self, device: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return int32[n] rows of ``device[n]`` and ``words[n, 2]``, HEARD_ONLY where none is."""
        found = np.full(len(device), HEARD_ONLY, np.int32)
        if len(self._row):
            for begin in range(0, len(device), _AT_ONCE):
                some = slice(begin, begin + _AT_ONCE)
                self._find(device[some], words[some], found[some])
        return found

    def _find(
        self, device: NDArray[np.int32], words: NDArray[np.uint64], found: NDArray[np.int32]
    ) -> None:
        """Write the rows into ``found``."""
        place = self._place(device, words)
        asked: NDArray[np.int64] | None = None  # all of them
        while True:
            entry = self._table[place]
            there = entry >= 0
            same = there & (self._device[entry] == device)
            same &= self._words[0][entry] == words[:, 0]
            same &= self._words[1][entry] == words[:, 1]
            rows = np.where(same, self._row[entry], HEARD_ONLY)
            if asked is None:
                found[:] = rows
            else:
                found[asked] = rows
            more = np.flatnonzero(there & ~same)
            if not len(more):
                return
            asked = more if asked is None else asked[more]
            place, device, words = (place[more] + 1) & self._last, device[more], words[more]

    def _place(self, device: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int64]:
        mixed = words[:, 0] ^ (words[:, 1] * _MIX_2) ^ (device.astype(np.uint64) * _MIX)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX_2
        place: NDArray[np.int64] = ((mixed * _MIX) >> self._shift).astype(np.int64)
        return place
