"""Our own JSON, many messages at once: whole columns of numbers out of text, no object a reading.

Reads what ``json_mapping.encode`` writes, byte for byte in that spelling (members in this order,
no blanks, times of 13 digits)::

    {"device":"…","boot":1,"seq":7,"readings":[{"key":"ch4","t":1790000000000,"v":0.4},…]}

Everything else, what is wrong included, is left to ``json_mapping``, which says what is wrong with
it: what is read here gives the same rows there. Text is viewed as the 64-bit number that begins at
each byte, so that eight characters are compared, cut or made a number by a few operations on
columns (Lemire, "Quickly parsing eight digits", 2022). A decimal of 15 digits and fewer is an
integer over a power of ten, both exact in float64: the quotient is rounded once, as it must be
(Clinger 1990).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from ingest.frame import ms_to_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

U64 = NDArray[np.uint64]

KEY_BYTES: Final = 16
"""Longer keys are left to json_mapping."""

ROW_BEGIN: Final = b'{"key":"'
_BEGIN: Final = b',"readings":[' + ROW_BEGIN
_PAD: Final = b"\0" * 32
_QUOTES: Final = 8  # of a row
_T_DIGITS: Final = 13
_SPLIT: Final = np.uint64(100_000)
_POWERS: Final = np.append(10.0 ** np.arange(7, -1, -1), 1.0)  # by the place of the dot
_CHUNK_BYTES: Final = 256 << 10
"""Text read at once: columns of more would leave the cache."""


def word(text: bytes) -> np.uint64:
    """Return up to eight bytes as a word, the first lowest."""
    return np.uint64(int.from_bytes(text, "little"))


def _bytes(each: int) -> np.uint64:
    return np.uint64(each * 0x0101010101010101)


_ONE, _EIGHT = np.uint64(1), np.uint64(8)
_KEY, _T, _V = word(ROW_BEGIN), word(b'","t":'), word(b',"v":')
_JOINT = word(b'},{"')
_SIX, _FIVE, _FOUR = (np.uint64((1 << 8 * n) - 1) for n in (6, 5, 4))
_LOWEST: Final[U64] = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
"""Masks of the n lowest bytes of a word."""
_HIGHEST: Final[U64] = ~_LOWEST[::-1].copy()
_BELOW_AND_DOT: Final[U64] = np.append(_LOWEST[1:], ~np.uint64(0))
_ZERO: Final = np.uint64(0x30)
_ZEROS, _HIGH, _DOTS, _BLANKS = _bytes(0x30), _bytes(0x80), _bytes(0x2E), _bytes(0x20)


class Head(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What stands before the rows."""

    device: str = ""
    boot: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = -1
    simulation: bool = False


_HEAD: Final = msgspec.json.Decoder(Head)


@dataclass(frozen=True, slots=True)
class Bulk:
    """The messages that were read, in order, and their rows as columns of length n.

    ``number[m]`` says which of the payloads each is. ``message[n]`` counts 0, 1, … through them.
    ``key[n, 2]`` is a row's key as two 64-bit words, its first character lowest, zeros behind.
    """

    number: NDArray[np.int64]
    heads: list[Head]
    message: NDArray[np.int64]
    key: U64
    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]

    def only(self, good: NDArray[np.bool_], number: NDArray[np.int64]) -> Bulk:
        """Return the messages that are ``good``, by other numbers."""
        if good.all():
            return replace(self, number=number)
        rows = good[self.message]
        return Bulk(
            number[good],
            [head for head, fine in zip(self.heads, good.tolist(), strict=True) if fine],
            (np.cumsum(good) - 1)[self.message[rows]],
            self.key[rows],
            self.event_ns[rows],
            self.value[rows],
        )


def key_words(keys: Sequence[bytes]) -> U64:
    """Return keys of at most KEY_BYTES as the words of ``Bulk.key``."""
    words: U64 = np.array(keys, f"S{KEY_BYTES}").view("<u8").reshape(-1, 2).astype(np.uint64)
    return words


def read(payloads: Sequence[bytes]) -> Bulk:
    """Return what can be read of these payloads; never raises, whatever the bytes."""
    numbers: list[int] = []
    heads: list[Head] = []
    bodies: list[bytes] = []
    for number, payload in enumerate(payloads):
        at = payload.find(_BEGIN)
        # nothing but a member before the comma that _BEGIN begins with
        if at < 1 or payload[at - 1] in b"{ \t\r\n" or not payload.endswith(b"}]}"):
            continue
        if not payload.isascii() or b"\\" in payload:
            continue
        try:
            head = _HEAD.decode(payload[:at] + b"}")
        except msgspec.MsgspecError:
            continue
        numbers.append(number)
        heads.append(head)
        bodies.append(payload[at + len(_BEGIN) - len(ROW_BEGIN) : -2])
    parts = [_read(np.arange(begin, end), bodies) for begin, end in pairwise(chunks(bodies))]
    kept = np.concatenate([part.of for part in parts]).astype(np.int64)
    counts = np.concatenate([part.counts for part in parts]).astype(np.int64)
    return Bulk(
        np.array(numbers, np.int64)[kept],
        [heads[i] for i in kept.tolist()],
        np.repeat(np.arange(len(kept)), counts),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.event_ns for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def chunks(bodies: Sequence[bytes]) -> list[int]:
    """Return where runs of about _CHUNK_BYTES begin, and the end of the last."""
    ends = np.cumsum([len(body) for body in bodies])
    total = int(ends[-1]) if bodies else 0
    cuts = np.searchsorted(ends, np.arange(_CHUNK_BYTES, total, _CHUNK_BYTES))
    return [*dict.fromkeys((0, *cuts.tolist())), len(bodies)]


class _Part(NamedTuple):
    """Columns of the bodies ``of``, which have ``counts`` rows each."""

    of: NDArray[np.int64]
    counts: NDArray[np.int64]
    key: U64
    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]


_NOTHING: Final = _Part(
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty((0, 2), np.uint64),
    np.empty(0, np.int64),
    np.empty(0),
)


def _read(of: NDArray[np.int64], bodies: list[bytes]) -> _Part:
    """Read these bodies, leaving out those that are not spelled as they must be."""
    while len(of):
        rows = _Rows([bodies[i] for i in of.tolist()])
        aligned = rows.aligned()
        if not aligned.all():
            of = of[aligned]
            continue
        good = rows.parse()
        if good.all():
            return _Part(of, rows.counts, rows.key, rows.event_ns, rows.value)
        spoilt = np.zeros(len(of), np.bool_)
        spoilt[np.repeat(np.arange(len(of)), rows.counts)[~good]] = True
        of = of[~spoilt]
    return _NOTHING


class _Rows:
    """The rows of all bodies as one text; columns are made step by step."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.text = b",".join(bodies)
        padded = self.text + _PAD
        self.size = len(self.text)
        octets = np.frombuffer(padded, np.uint8)
        self.octets = octets[: self.size]
        self.words: U64 = np.ndarray((self.size + 24,), "<u8", padded, strides=(1,))
        self.quotes = np.flatnonzero(self.octets == ord('"'))
        ends = np.cumsum([len(body) + 1 for body in bodies]) - 1
        self._quotes_of = np.diff(np.searchsorted(self.quotes, ends), prepend=0)
        self.counts = self._quotes_of // _QUOTES

    def aligned(self) -> NDArray[np.bool_]:
        """Say of each body whether its quotes are those of whole rows.

        Where all are, row i has ``quotes[8 i]`` to its eighth, and ends where the next begins.
        """
        whole: NDArray[np.bool_] = self._quotes_of == self.counts * _QUOTES
        return whole & (self.counts > 0)

    def parse(self) -> NDArray[np.bool_]:
        """Make the columns; return of each row whether it is spelled as it must be.

        Where one is not, the columns are of no use.
        """
        words = self.words
        opens = self.quotes[::_QUOTES] - 1
        closes = np.append(opens[1:] - 2, self.size - 1)
        good: NDArray[np.bool_] = words[opens] == _KEY
        joint = (words[closes[:-1]] & _FOUR) == _JOINT
        good[1:] &= joint
        good[:-1] &= joint
        good[0] &= opens[0] == 0
        good[-1] &= self.octets[-1] == ord("}")
        key_at, key_end = opens + len(ROW_BEGIN), self.quotes[3::_QUOTES]
        good &= (key_end > key_at) & (key_end - key_at <= KEY_BYTES)
        good &= (words[key_end] & _SIX) == _T
        t_at = key_end + len(b'","t":')
        v_at = t_at + _T_DIGITS + len(b',"v":')
        good &= v_at < closes
        good &= (words[np.minimum(t_at + _T_DIGITS, self.size)] & _FIVE) == _V
        if good.all():  # what follows looks at places that only a good row has
            good &= self._keys(key_at, key_end - key_at)
            good &= self._times(t_at)
            good &= self._values(v_at, closes)
        return good

    def _keys(self, at: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Take the keys as words; control characters are none of JSON's."""
        self.key = np.zeros((len(at), 2), np.uint64)
        good = np.ones(len(at), np.bool_)
        for part in range(1 + int(size.max() > 8)):
            within = lowest_bytes(size - 8 * part)
            self.key[:, part] = words = self.words[at + 8 * part] & within
            words = words | (_BLANKS & ~within)
            good &= ((words - _BLANKS) & ~words & _HIGH) == 0
        return good

    def _times(self, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Read 13 digits as two runs of eight that overlap; once for rows of one time together."""
        upper, lower = self.words[at], self.words[at + _T_DIGITS - 8]
        begins = np.ones(len(at), np.bool_)
        begins[1:] = (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])
        first = np.flatnonzero(begins)
        upper, lower = upper[first], lower[first]
        milliseconds = _number(upper) * _SPLIT + _number(lower) % _SPLIT
        good: NDArray[np.bool_] = _digits(upper) & _digits(lower)
        good &= self.octets[at[first]] != ord("0")
        length = np.diff(first, append=len(at))
        self.event_ns = np.repeat(ms_to_ns(milliseconds.astype(np.int64)), length)
        return np.repeat(good, length)

    def _values(self, at: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Read decimals of up to eight characters by columns, longer ones and null as JSON."""
        negative = self.octets[at] == ord("-")
        size = end - at - negative
        within = _HIGHEST.take(size, mode="clip")
        text = (self.words[end - 8] & within) | (_ZEROS & ~within)
        differs = text ^ _DOTS
        dots = (differs - _bytes(1)) & ~differs & _HIGH
        lowest = dots & (~dots + _ONE)
        place = np.bitwise_count(lowest - _ONE) >> 3  # of the dot, 0 to 7; 8 where there is none
        below = _LOWEST[place]
        # the digits before the dot go up by one, over it; where there is none all stay
        closed = (text & ~_BELOW_AND_DOT[place]) | ((text & below) << _EIGHT) | _ZERO
        whole = place == 8
        if whole.any():
            closed = np.where(whole, text, closed)
        digits = _number(closed)
        value = digits.astype(np.float64) / _POWERS[place]
        if negative.any():
            value = np.where(negative & ~(whole & (digits == 0)), -value, value)
        self.value = value
        first = 8 - size  # where the text begins in its word
        spelled: NDArray[np.bool_] = _digits(closed) & (size >= 1) & (size <= 8)
        spelled &= whole | ((place > first) & (place < 7))
        leading = self.octets[at + negative] == ord("0")
        if leading.any():
            spelled &= ~leading | (size == 1) | (place == first + 1)
        other = np.flatnonzero(~spelled)
        if len(other):
            spelled[other] = self._others(other, at[other].tolist(), end[other].tolist())
        return spelled

    def _others(self, rows: NDArray[np.int64], at: list[int], end: list[int]) -> NDArray[np.bool_]:
        """Read values as JSON: numbers, null (missing), true and false (1 and 0)."""
        texts = [self.text[a:e] for a, e in zip(at, end, strict=True)]
        found = _scalars(texts)
        if found is None:  # one of them is nothing of that: which?
            each = [_scalars([text]) for text in texts]
            self.value[rows] = [one[0] if one else np.nan for one in each]
            return np.array([one is not None for one in each], np.bool_)
        self.value[rows] = found
        return np.ones(len(rows), np.bool_)


def _scalars(texts: list[bytes]) -> list[float] | None:
    """Return numbers written as JSON, null as NaN; None where one of them is none."""
    joined = b",".join(texts)
    if joined.count(b",") >= len(texts) or not all(texts) or b"[" in joined or b"{" in joined:
        return None
    try:
        found = orjson.loads(b"[" + joined + b"]")
    except orjson.JSONDecodeError:
        return None
    return [np.nan if raw is None else float(raw) for raw in found]


def lowest_bytes(count: NDArray[np.int64]) -> U64:
    """Return a mask of each word's ``count`` lowest bytes; none below 0, all from 8 on."""
    return _LOWEST.take(count, mode="clip")


def _digits(words: U64) -> NDArray[np.bool_]:
    """Say whether all eight characters are digits."""
    upper = np.uint64(0xF0F0F0F0F0F0F0F0)
    carried = ((words + _bytes(0x06)) & upper) >> np.uint64(4)
    result: NDArray[np.bool_] = ((words & upper) | carried) == _bytes(0x33)
    return result


def _number(words: U64) -> U64:
    """Return the number that eight digits write, the first in the lowest byte."""
    pairs = ((words & _bytes(0x0F)) * np.uint64(2561)) >> np.uint64(8)
    fours = ((pairs & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return ((fours & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
