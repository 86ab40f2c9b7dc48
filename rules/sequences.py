"""Which messages a channel's device was heard with, by sequence: told apart far behind the newest.

A broker may have hundreds of messages in flight to us, and sends all of them again when we were
killed before our acknowledgements. So what was heard is kept for the block of 64 sequences that
holds the highest one and for the seven blocks before it: at least 449 behind the highest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.segments import consecutive

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK: Final = 64
BLOCKS: Final = 8
_SHIFT: Final = 6
_OLDER: Final = BLOCKS - 1  # also the mask of a block's place
_ONE: Final = np.uint64(1)
_BIT: Final = _ONE << np.arange(BLOCK, dtype=np.uint64)


def is_within(top: int, sequence: int) -> bool:
    """Tell whether it would be known of ``sequence`` that it was heard, under the highest."""
    return (top >> _SHIFT) - (sequence >> _SHIFT) < BLOCKS


class Sequences:
    """The highest sequence of each channel (−1: none) and which were heard below it.

    ``newest`` holds a bit a sequence of the highest one's block, so that a message that follows
    the one before sets one bit in one word. ``older`` holds the seven blocks before, each at its
    number modulo 8; the place of the highest one's own block means nothing there.
    """

    def __init__(self, channels: int) -> None:
        self.top: NDArray[np.int64] = np.full(channels, -1, np.int64)
        self._newest: NDArray[np.uint64] = np.zeros(channels, np.uint64)
        self._older: NDArray[np.uint64] = np.zeros((channels, BLOCKS), np.uint64)

    def grow(self, more: int) -> None:
        """Make room for so many more channels."""
        fresh = Sequences(more)
        self.top = np.concatenate([self.top, fresh.top])
        self._newest = np.concatenate([self._newest, fresh._newest])
        self._older = np.concatenate([self._older, fresh._older])

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays, by name."""
        return {
            "top": self.top.copy(),
            "heard": self._newest.copy(),
            "heard_before": self._older.copy(),
        }

    @classmethod
    def restored(cls, state: dict[str, NDArray[Any]], channels: int) -> Sequences:
        """Return what state() gave, also that of a program that knew 64 behind the highest."""
        result = cls(channels)
        result.top[:] = state["top"]
        if "heard" in state:
            result._newest[:] = state["heard"]
            result._older[:] = state["heard_before"]
            return result
        behind = np.arange(BLOCK)
        for channel in np.flatnonzero(state["seen"]).tolist():
            top = int(result.top[channel])
            bits = (state["seen"][channel] >> behind.astype(np.uint64)) & _ONE
            for sequence in (top - behind[bits == _ONE]).tolist():
                if sequence >= 0:
                    result._set(channel, top, sequence)
        return result

    # ---- whole columns ------------------------------------------------------------------------

    def rise(self, channel: NDArray[np.int64], top: NDArray[np.int64]) -> None:
        """Take up new highest sequences of channels that differ; int64[n] each."""
        at = consecutive(channel)
        block, before = top >> _SHIFT, self.top[at] >> _SHIFT
        moved = np.flatnonzero(block != before)
        if len(moved):
            self._move(channel[moved], before[moved], block[moved])
        self._newest[at] |= _BIT[top & (BLOCK - 1)]
        self.top[at] = top

    def _move(
        self, channel: NDArray[np.int64], before: NDArray[np.int64], block: NDArray[np.int64]
    ) -> None:
        """Begin new blocks: the last one joins the older, those in between heard nothing."""
        self._older[channel, before & _OLDER] = self._newest[channel]
        self._newest[channel] = 0
        between = np.minimum(block - before, BLOCKS)
        for step in range(1, int(between.max())):
            rows = between > step
            self._older[channel[rows], (before[rows] + step) & _OLDER] = 0
        far = block - before >= BLOCKS
        if far.any():
            self._older[channel[far]] = 0

    def fill(
        self, channel: NDArray[np.int64], length: NDArray[np.int64], sequence: NDArray[np.int64]
    ) -> None:
        """Take up what came before the highest, which rise() has been told.

        ``length`` int64[n] is how many of ``sequence`` belong to each channel, rising among them.
        """
        of = np.repeat(channel, length)
        block = sequence >> _SHIFT
        behind = np.repeat(self.top[channel] >> _SHIFT, length) - block
        edge = np.flatnonzero((block[1:] != block[:-1]) | (of[1:] != of[:-1])) + 1
        first = np.concatenate((np.zeros(1, np.int64), edge))
        bits = np.bitwise_or.reduceat(_BIT[sequence & (BLOCK - 1)], first)
        of, block, behind = of[first], block[first], behind[first]
        newest = behind == 0
        self._newest[of[newest]] |= bits[newest]
        older = (behind > 0) & (behind < BLOCKS)
        self._older[of[older], block[older] & _OLDER] |= bits[older]

    # ---- one by one ---------------------------------------------------------------------------

    def forget(self, channel: int) -> None:
        """Begin anew: another boot, or another device."""
        self.top[channel] = -1
        self._newest[channel] = 0
        self._older[channel] = 0

    def hear(self, channel: int, sequence: int) -> bool | None:
        """Take one up; return whether it is new, None beyond what is known."""
        top = int(self.top[channel])
        if sequence > top:
            self.rise(np.array([channel]), np.array([sequence]))
            return True
        if not is_within(top, sequence):
            return None
        return self._set(channel, top, sequence)

    def _set(self, channel: int, top: int, sequence: int) -> bool:
        """Set a sequence's bit; return whether it was not set before."""
        block = sequence >> _SHIFT
        bit = _BIT[sequence & (BLOCK - 1)]
        if block == top >> _SHIFT:
            known = self._newest[channel] & bit
            self._newest[channel] |= bit
        else:
            known = self._older[channel, block & _OLDER] & bit
            self._older[channel, block & _OLDER] |= bit
        return not known
