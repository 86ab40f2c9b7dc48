"""Randomness as a pure function of (key, time): no state, any order of asking, any subset.

A counter-based generator (splitmix64's finaliser over key and counter) gives the same number for
the same place and instant however the simulation is cut, so a fleet of devices asking one by one
and a recording asking by the million see the same city.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def key_of(seed: int, *names: str) -> int:
    """Return a 63-bit key for a named stream of one seed."""
    low = crc32("|".join(names).encode())
    high = crc32(low.to_bytes(4, "little"), seed & 0xFFFFFFFF)
    return ((high << 32) | low) & 0x7FFFFFFFFFFFFFFF


def uniform(key: NDArray[np.int64] | int, counter: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Return numbers in (0, 1) for the pairs (key, counter); shapes broadcast."""
    with np.errstate(over="ignore"):
        z = np.asarray(key, np.int64).astype(np.uint64) * _MIX_2
        z = z + np.asarray(counter, np.int64).astype(np.uint64) * _GOLDEN + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) * _TO_UNIT


def normal(key: NDArray[np.int64] | int, counter: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Return standard normal numbers cut at ±4, so that noise alone never makes an alarm."""
    drawn: NDArray[np.float64] = ndtri(uniform(key, counter))
    return np.clip(drawn, -4.0, 4.0)


def wander(
    key: NDArray[np.int64] | int, t_s: NDArray[np.float64], tau_s: float
) -> NDArray[np.float64]:
    """Return unit-variance noise of correlation time ``tau_s``, like an Ornstein-Uhlenbeck path.

    Normal numbers stand at knots ``tau_s`` apart and are joined by cosine and sine weights, which
    keeps the variance at one everywhere and forgets the past after two knots. Unlike the recursive
    form it can be asked at any instant.
    """
    place = t_s / tau_s
    knot = np.floor(place)
    turn = (place - knot) * (np.pi / 2)
    at = knot.astype(np.int64)
    path: NDArray[np.float64] = normal(key, at) * np.cos(turn) + normal(key, at + 1) * np.sin(turn)
    return path
