"""Kind ``expr``: a postfix program over the last values of several channels of one asset.

docs/kinds/composites.md. Unknown is NaN, truth 1, falsehood 0; logic after Kleene 1952.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.part import Runs
from rules.engine.slots import NO_NS
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.engine.asof import View
    from rules.engine.part import Part
    from rules.engine.tracks import Tracks

    Column = NDArray[np.float64]

ROW_BITS = 32  # of a key: track, then row within the part
MAX_INPUTS = 8
CHUNK = 1 << 18  # values of inputs held at once: bounds memory


def _known(a: Column, b: Column, truth: NDArray[np.bool_]) -> Column:
    """Return truths as numbers, NaN where either side is unknown."""
    out: Column = np.where(np.isnan(a) | np.isnan(b), np.nan, truth)
    return out


def _and(a: Column, b: Column) -> Column:
    out: Column = np.where((a == 0) | (b == 0), 0.0, a * b)
    return out


def _or(a: Column, b: Column) -> Column:
    out: Column = np.where((a == 1) | (b == 1), 1.0, a + b)
    return out


BINARY: dict[str, Callable[[Column, Column], Column]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    # which zero minimum and maximum give is the processor's choice, and something may divide by it
    "min": lambda a, b: np.minimum(a, b) + 0.0,
    "max": lambda a, b: np.maximum(a, b) + 0.0,
    "<": lambda a, b: _known(a, b, a < b),
    "<=": lambda a, b: _known(a, b, a <= b),
    ">": lambda a, b: _known(a, b, a > b),
    ">=": lambda a, b: _known(a, b, a >= b),
    "==": lambda a, b: _known(a, b, a == b),
    "!=": lambda a, b: _known(a, b, a != b),
    "and": _and,
    "or": _or,
}
UNARY: dict[str, Callable[[Column], Column]] = {
    "neg": np.negative,
    "abs": np.abs,
    "not": lambda a: 1.0 - a,
}


def run_program(program: str, inputs: Column, constants: Column) -> Column:
    """Return the result of each row: ``inputs`` [n, j] and ``constants`` [n, m]."""
    stack: list[Column] = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for word in program.split():
            if word in BINARY:
                right, left = stack.pop(), stack.pop()
                stack.append(BINARY[word](left, right))
            elif word in UNARY:
                stack.append(UNARY[word](stack.pop()))
            else:
                held = inputs if word[0] == "i" else constants
                stack.append(held[:, int(word[1:])])
        result: Column = stack.pop() + 0.0  # a zero is never -0.0
    return result


class Expression:
    """Which tracks each channel feeds, and the newest time each track has seen."""

    kernel: ClassVar[str] = "expr"
    finite: ClassVar[bool] = False
    aux_names: ClassVar[tuple[str, ...]] = tuple(f"input{i}" for i in range(MAX_INPUTS))

    def __init__(self, tracks: Tracks) -> None:
        self.inputs = tracks.own("inputs", fill=-1).astype(np.int64)  # [T, j] channels
        self.constants = tracks.own("constants", fill=np.nan)  # [T, m]
        self.max_age_ns = tracks.own("max_age_ns").astype(np.int64)
        self.accept = tracks.accept
        texts = tracks.option("program")
        self.programs = sorted(set(texts))
        self.program = np.array([self.programs.index(text) for text in texts], np.int64)
        self.newest_ns = np.full(len(tracks), NO_NS)
        self.aux: NDArray[np.float64] | None = None
        track, place = np.nonzero(self.inputs >= 0)
        fed = np.unique(np.stack([self.inputs[track, place], track], axis=1), axis=0)
        most = int(fed[:, 0].max()) + 1 if len(fed) else 0
        self.fed = fed[:, 1]  # tracks, by the channel that feeds them
        self.pointer = np.searchsorted(fed[:, 0], np.arange(most + 1))

    def tracks_of(self, channel: int) -> NDArray[np.int64]:
        """Return the tracks a channel feeds."""
        if channel + 1 >= len(self.pointer):
            return self.fed[:0]
        found: NDArray[np.int64] = self.fed[self.pointer[channel] : self.pointer[channel + 1]]
        return found

    def gather(self, part: Part) -> Runs | None:
        """Lay the rows that evaluate a track beside it, and take up their times."""
        segments = part.segments
        some = np.flatnonzero(segments.key < len(self.pointer) - 1)
        key = segments.key[some]
        first = self.pointer[key]
        each = self.pointer[key + 1] - first
        track = self.fed[ranges(first, each)]
        if not len(track):
            return None
        long = np.repeat(segments.length[some], each)
        places = ranges(np.repeat(segments.start[some], each), long)
        track = np.repeat(track, long)
        keep = ~np.isnan(part.value[places])
        for number, mask in enumerate(part.accepted):
            if mask is not None:
                keep &= (self.accept[track] != number) | mask[segments.order[places]]
        keep &= part.t[places] >= self.newest_ns[track]
        packed = (track[keep] << ROW_BITS) | segments.order[places[keep]]
        order = np.argsort(packed)
        places, track = places[keep][order], track[keep][order]
        forward = _never_back(track, part.t[places])
        places, track = places[forward], track[forward]
        if not len(track):
            return None
        start = np.flatnonzero(np.append(True, track[1:] != track[:-1]))
        length = np.diff(np.append(start, len(track)))
        t = part.t[places]
        self.newest_ns[track[start]] = t[start + length - 1]
        return Runs(track[start], start, length, (segments.order[places], t, part.value[places]))

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the result at each row; ``aux`` holds the inputs it was made of."""
        if part.asof is None:
            raise ValueError("a part for expressions needs the last values of channels")
        n, width = len(runs.t), self.inputs.shape[1]
        score = np.full(n, np.nan)
        self.aux = np.full((n, MAX_INPUTS), np.nan)
        group = (self.program << 8 | self.accept)[runs.own][runs.segment]
        wide = CHUNK // width
        for both in np.unique(group).tolist():
            program, view = self.programs[both >> 8], part.asof.view(part, both & 0xFF)
            rows = np.flatnonzero(group == both)
            for begin in range(0, len(rows), wide):
                chosen = rows[begin : begin + wide]
                inputs = self._inputs(runs, view, chosen)
                constants = self.constants[runs.own[runs.segment[chosen]]]
                score[chosen] = run_program(program, inputs, constants)
                self.aux[chosen, :width] = inputs + 0.0
        return score

    def _inputs(self, runs: Runs, view: View, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the inputs at some rows, [n, j]; NaN where unknown or too far away in time."""
        track = runs.own[runs.segment[rows]]
        value, t_ns = view.last(self.inputs[track], runs.at[rows][:, None], inclusive=True)
        t, max_age_ns = runs.t[rows][:, None], self.max_age_ns[track][:, None]
        value[(t_ns < t - max_age_ns) | (t_ns > t + max_age_ns)] = np.nan
        return value

    def forget(self, own: NDArray[np.int64]) -> None:
        """Let time begin anew: an input's clock began a new epoch."""
        self.newest_ns[own] = NO_NS

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"newest_ns": self.newest_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        setattr(self, name, column)


def _never_back(track: NDArray[np.int64], t: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell the rows that are not older than an earlier one of their track (rising, in runs)."""
    same = track[1:] == track[:-1]
    if bool((t[1:] >= t[:-1])[same].all()):
        return np.ones(len(t), np.bool_)
    rank = np.unique(t, return_inverse=True)[1]
    packed = (track << ROW_BITS) | rank  # a track's keys are all above those of the one before
    forward: NDArray[np.bool_] = packed == np.maximum.accumulate(packed)
    return forward
