"""Long histories made from a short one: blocks of it, joined where they fit.

A block is so long that what its end remembers of its begin is little; the next one is, of some
drawn at random, the one whose sample before it is nearest to the last sample so far, so that a join
is no jump (matched-block bootstrap: Carlstein, Do, Hall, Hesterberg and Künsch, Bernoulli 4, 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from lifeline.backtest.tails import memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lifeline.backtest.tails import Track

BLOCK: Final = 10  # times the memory of the series
LEAST_BLOCK: Final = 50
LEAST_STARTS: Final = 20  # places a block may begin at: fewer are the same history over and over
DRAWN: Final = 32  # candidates for the next block


def block_length(track: Track) -> int:
    """Return how many samples a block has, by the autocorrelation."""
    return max(BLOCK * memory(track), LEAST_BLOCK)


def starts_of(track: Track, length: int) -> NDArray[np.int64]:
    """Return where blocks may begin: with a neighbour before them, and unbroken for ``length``."""
    n = len(track.x)
    if n <= length:
        return np.zeros(0, np.int64)
    breaks = np.concatenate(([0], np.cumsum(~track.joined)))  # [n] breaks up to each sample
    at = np.arange(1, n - length + 1)
    unbroken: NDArray[np.int64] = at[breaks[at + length - 1] == breaks[at - 1]]
    return unbroken


def resampled(
    track: Track, samples: int, random: np.random.Generator, *, length: int, period_ns: int = 0
) -> NDArray[np.float64]:
    """Return a made history of ``samples`` values; ``starts_of`` must have found places enough.

    With a period, blocks are whole periods of it, each beginning at the same phase as the first.
    """
    starts = starts_of(track, length)
    if period_ns:
        # the phase most of the possible blocks have
        phase = track.t_ns[starts] // track.interval_ns % (period_ns // track.interval_ns)
        starts = starts[phase == np.bincount(phase).argmax()]
    made = np.empty(samples)
    at = int(random.choice(starts))
    done = 0
    while done < samples:
        some = min(length, samples - done)
        made[done : done + some] = track.x[at : at + some]
        done += some
        drawn = random.choice(starts, DRAWN)
        at = int(drawn[np.argmin(np.abs(track.x[drawn - 1] - made[done - 1]))])
    return made
