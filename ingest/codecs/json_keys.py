"""The keys in messages of our own JSON, for what is to be counted and not kept.

Three times as fast as reading the messages (json_bulk): values, times and what stands before the
rows are not looked at. Only the braces are searched for; each but a message's first must begin a
row as ``json_mapping.encode`` spells it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.codecs.json_bulk import ROW_BEGIN, U64, chunks, lowest_bytes, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PAD: Final = b"\0" * 40
_KEY: Final = word(ROW_BEGIN)
_ONE: Final = np.uint64(1)
_EACH: Final = np.uint64(0x0101010101010101)
_QUOTES: Final = _EACH * np.uint64(ord('"'))
_HIGH: Final = _EACH * np.uint64(0x80)


class Keys(NamedTuple):
    """Which ``payloads`` have rows, ``counts`` of each, and the rows' ``key[n, 2]`` as words."""

    payloads: NDArray[np.int64]
    counts: NDArray[np.int64]
    key: U64


def read_keys(payloads: Sequence[bytes]) -> Keys:
    """Return the keys of all payloads in which they can be found; the others are left out.

    A key of more than 16 characters comes out as no key at all: two words of ones.
    """
    parts = [_read(payloads[begin:end], begin) for begin, end in pairwise(chunks(payloads))]
    return Keys(
        np.concatenate([part.payloads for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.key for part in parts]),
    )


def _read(payloads: Sequence[bytes], first: int) -> Keys:
    text = b"".join(payloads) + _PAD
    octets = np.frombuffer(text, np.uint8)
    words: U64 = np.ndarray((len(text) - 7,), "<u8", text, strides=(1,))
    ends = np.cumsum([len(payload) for payload in payloads])
    braces = np.flatnonzero(octets == ord("{"))
    rows = braces[words[braces] == _KEY]
    counts = np.diff(np.searchsorted(rows, ends), prepend=0)
    good = np.diff(np.searchsorted(braces, ends), prepend=0) == counts + 1
    good &= counts > 0
    rows = rows[np.repeat(good, counts)]
    at = rows + len(ROW_BEGIN)
    size = _until_quote(words[at])
    long = np.flatnonzero(size == 8)
    if len(long):
        size[long] += _until_quote(words[at[long] + 8])
    key = np.zeros((len(rows), 2), np.uint64)
    key[:, 0] = words[at] & lowest_bytes(np.minimum(size, 8))
    if len(long):
        key[long, 1] = words[at[long] + 8] & lowest_bytes(size[long] - 8)
    key[octets[at + size] != ord('"')] = ~np.uint64(0)
    return Keys(first + np.flatnonzero(good), counts[good], key)


def _until_quote(words: U64) -> NDArray[np.int64]:
    """Return how many bytes of each word come before its first quotation mark, 8 if none."""
    differs = words ^ _QUOTES
    found = (differs - _EACH) & ~differs & _HIGH
    below = (found & (~found + _ONE)) - _ONE
    return (np.bitwise_count(below) >> 3).astype(np.int64)
