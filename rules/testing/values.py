"""Samples as promtool writes them: ``5x3 22+0.5x10 _x2 stale``.

``a`` is one sample; ``axn`` is a and n more of it; ``a+bxn`` and ``a-bxn`` are a and n more, each b
further; ``_`` and ``_xn`` are one and n samples that never come; ``stale`` is a sample that comes
without a value. A text is measured before it is unfolded: ``0x1000000000`` costs nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - pydantic looks it up

MAX_SAMPLES: Final = 500_000  # of one series
MAX_TEXT: Final = 4_000_000

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?[Ii]nf|[Nn]a[Nn]"
_RUN: Final = re.compile(
    rf"(?P<first>{_NUMBER})(?:(?P<step>[-+](?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)?x(?P<more>\d+))?"
)
_GAP: Final = re.compile(r"_(?:x(?P<count>\d+))?")


class Samples(NamedTuple):
    """One sample an interval: its value (NaN of stale ones), and whether it was sent at all."""

    value: NDArray[np.float64]
    sent: NDArray[np.bool_]


class _Piece(NamedTuple):
    length: int
    first: float
    step: float
    sent: bool


def read_values(text: str) -> Samples:
    """Return the samples of a text in promtool's notation.

    Raises
    ------
    ValueError
        It is none, or unfolds to more than MAX_SAMPLES; the message says what to write.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text is longer than {MAX_TEXT} characters: write runs, such as 5x30")
    pieces, total = [], 0
    for word in text.split():
        piece = _piece(word)
        total += piece.length
        if total > MAX_SAMPLES:
            raise ValueError(
                f"{word[:40]!r} makes it more than {MAX_SAMPLES} samples: take a longer interval"
            )
        pieces.append(piece)
    if not total:
        raise ValueError("holds no sample: write values such as 5x3 22x5")
    value, sent = np.empty(total), np.empty(total, np.bool_)
    begin = 0
    for length, first, step, came in pieces:
        # as promtool adds them up: each a step further than the one before
        run = np.full(length, step)
        run[:1] = first
        value[begin : begin + length] = np.add.accumulate(run) if step else first
        sent[begin : begin + length] = came
        begin += length
    return Samples(value, sent)


def _piece(word: str) -> _Piece:
    if word == "stale":
        return _Piece(1, float("nan"), 0.0, sent=True)
    gap = _GAP.fullmatch(word)
    if gap is not None:
        return _Piece(_count(gap["count"] or "1", word), float("nan"), 0.0, sent=False)
    run = _RUN.fullmatch(word)
    if run is None:
        raise ValueError(
            f"{word[:40]!r} is no sample: write 5, 5x3, 5+0.5x10, 5-0.5x10, _x2, stale"
        )
    more = _count(run["more"], word) if run["more"] else 0
    return _Piece(more + 1, float(run["first"]), float(run["step"] or 0.0), sent=True)


def _count(digits: str, word: str) -> int:
    if len(digits) > 12:
        raise ValueError(f"{word[:40]!r} makes it more than {MAX_SAMPLES} samples")
    return int(digits)
