"""Kind ``modal``: the shift of a natural frequency, in percent of what it usually is.

docs/kinds/waveforms.md section 4. The baseline is the median over slots of time, after a straight
line in a companion (Theil 1950 and Sen 1968, as kind trend); the score is the k-th worst of the
last shifts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.asof import fresh_beside
from rules.engine.kinds.line import fitted, middle
from rules.segments import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

SLOTS = 64  # of a baseline
RECENT = 16  # shifts remembered
LONG = 4  # a piece so many times longer than pieces are many is added up on its own


class Modal:
    """Means of the last slots, the open one, the line through them, and the last shifts."""

    kernel: ClassVar[str] = "modal"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ("expected", "slope")

    def __init__(self, tracks: Tracks) -> None:
        whole = ("slot_ns", "least", "companion", "max_age_ns", "k", "of", "direction")
        self.own = {name: tracks.own(name).astype(np.int64) for name in whole}
        self.spread, self.exclude = tracks.own("spread"), tracks.own("exclude")
        self.accept, self.max_gap_ns = tracks.accept, tracks.max_gap_ns
        count = len(tracks)
        self.state: dict[str, NDArray[Any]] = {
            "slot_value": np.zeros((count, SLOTS)),  # means of closed slots
            "slot_beside": np.zeros((count, SLOTS)),
            "closed": np.zeros(count, np.int64),  # slots so far
            "open_slot": np.zeros(count, np.int64),
            "open_rows": np.zeros(count, np.int64),
            "open_value": np.zeros(count),  # sums
            "open_beside": np.zeros(count),
            "level": np.full(count, np.nan),  # of the line at 0 of the companion; NaN = unknown
            "slope": np.zeros(count),
            "usual": np.full(count, np.nan),  # the median as it is, where the companion is silent
            "recent": np.zeros((count, RECENT)),  # newest first
            "recents": np.zeros(count, np.int64),
            "recent_ns": np.zeros(count, np.int64),
        }
        self.aux: NDArray[np.float64] | None = None

    def forget(self, own: NDArray[np.int64]) -> None:
        """Count shifts anew; what is usual stays."""
        self.state["recents"][own] = 0

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.state[name] = column

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return each row's k-th worst of the last shifts; learn what is usual."""
        n = len(runs.t)
        score, self.aux = np.full(n, np.nan), np.full((n, len(self.aux_names)), np.nan)
        beside = self._beside(runs, part)
        at = np.flatnonzero(runs.value > 0)
        if not len(at):
            return score
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shift = self._shifts(runs, at, beside[at])
        known = ~np.isnan(shift)
        at, shift = at[known], shift[known]
        if len(at):
            score[at] = self._worst(runs, at, shift)
        return score

    def _beside(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return what the companion last said before each row: 0 without one, NaN if unknown."""
        companion = self.own["companion"]
        said = fresh_beside(runs, part, companion, self.own["max_age_ns"], self.accept)
        said[(companion[runs.own] < 0)[runs.segment]] = 0.0
        return said

    # ---- what is usual --------------------------------------------------------------------------

    def _shifts(
        self, runs: Runs, at: NDArray[np.int64], beside: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the shift of each row in percent, NaN while nothing is usual; learn slot by slot.

        A piece is what a run has of one slot; the n-th pieces of all runs are taken together.
        """
        run = runs.segment[at]
        own = runs.own[run]
        slot = runs.t[at] // self.own["slot_ns"][own]
        new = np.ones(len(at), np.bool_)
        new[1:] = (run[1:] != run[:-1]) | (slot[1:] != slot[:-1])
        start = np.flatnonzero(new)
        length = np.diff(np.append(start, len(at)))
        head = np.ones(len(start), np.bool_)
        head[1:] = run[start[1:]] != run[start[:-1]]
        count = np.arange(len(start))
        wave = count - np.maximum.accumulate(np.where(head, count, 0))
        value = runs.value[at]
        shift = np.empty(len(at))
        assert self.aux is not None  # noqa: S101 - set by score
        order = np.argsort(wave, kind="stable")
        edges = np.searchsorted(wave[order], np.arange(int(wave.max()) + 2))
        for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            pieces = order[first:stop]
            tracks = own[start[pieces]]
            self._turn(tracks, slot[start[pieces]])
            rows = ranges(start[pieces], length[pieces])
            track = own[rows]
            blind = np.isnan(beside[rows])
            slope = np.where(blind, np.nan, self.state["slope"][track])
            expected = self.state["level"][track] + slope * beside[rows]
            expected[blind] = self.state["usual"][track[blind]]
            expected[~(expected > 0)] = np.nan
            found = (value[rows] - expected) / expected * 100.0
            found[~np.isfinite(found)] = np.nan
            shift[rows] = found
            self.aux[at[rows]] = np.stack([expected, slope], axis=1)
            learned = ~(self.own["direction"][track] * found >= self.exclude[track]) & ~blind
            self._learn(tracks, length[pieces], learned, (value[rows], beside[rows]))
        return shift

    def _turn(self, own: NDArray[np.int64], slot: NDArray[np.int64]) -> None:
        """Close the open slots of tracks that go on in another one."""
        state = self.state
        other = state["open_slot"][own] != slot
        done = own[other & (state["open_rows"][own] > 0)]
        if len(done):
            rows = state["open_rows"][done]
            value, beside = state["open_value"][done] / rows, state["open_beside"][done] / rows
            sound = np.isfinite(value) & np.isfinite(beside)
            place = state["closed"][done[sound]] % SLOTS
            state["slot_value"][done[sound], place] = value[sound]
            state["slot_beside"][done[sound], place] = beside[sound]
            state["closed"][done[sound]] += 1
            self._fit(done[sound])
        moved = own[other]
        state["open_slot"][moved] = slot[other]
        for name in ("open_rows", "open_value", "open_beside"):
            state[name][moved] = 0

    def _learn(
        self,
        own: NDArray[np.int64],
        length: NDArray[np.int64],
        learned: NDArray[np.bool_],
        said: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Add the learned rows of one piece a track to its open slot, one after another."""
        state = self.state
        piece = np.repeat(np.arange(len(own)), length)[learned]
        count = np.bincount(piece, minlength=len(own))
        state["open_rows"][own] += count
        first = np.cumsum(count) - count
        for name, column in zip(("open_value", "open_beside"), said, strict=True):
            terms, sums = column[learned], state[name]
            most = int(count.max())
            if LONG * len(own) < most:
                for i in np.flatnonzero(count).tolist():
                    row = np.append(sums[own[i]], terms[first[i] : first[i] + count[i]])
                    sums[own[i]] = np.add.accumulate(row)[-1]
                continue
            for n in range(most):
                some = count > n
                sums[own[some]] += terms[first[some] + n]

    def _fit(self, own: NDArray[np.int64]) -> None:
        """Draw the lines of tracks anew."""
        state = self.state
        count = np.minimum(state["closed"][own], SLOTS)
        for n in np.unique(count[count >= self.own["least"][own]]).tolist():
            at = own[(count == n) & (n >= self.own["least"][own])]
            value, beside = state["slot_value"][at, :n], state["slot_beside"][at, :n]
            spread = np.where(self.own["companion"][at] >= 0, self.spread[at], np.inf)
            state["level"][at], state["slope"][at] = fitted(value, beside, spread)
            state["usual"][at] = middle(np.sort(value, axis=1), np.full(len(at), n))

    # ---- the last shifts ------------------------------------------------------------------------

    def _worst(
        self, runs: Runs, at: NDArray[np.int64], shift: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the k-th worst of the last shifts at each row; remember the last of each run."""
        state = self.state
        run, t = runs.segment[at], runs.t[at]
        own = runs.own[run]
        head = np.ones(len(at), np.bool_)
        head[1:] = run[1:] != run[:-1]
        start = np.flatnonzero(head)
        before = np.empty(len(at), np.int64)
        before[1:] = t[:-1]
        before[start] = state["recent_ns"][own[start]]
        carried = state["recents"][own]
        apart = t - before > self.max_gap_ns[own]
        count = np.arange(len(at))
        since = count - np.maximum.accumulate(np.where(head, count, 0))  # rows of the run before
        cut = np.maximum.accumulate(np.where(apart | head, count, 0))
        whole = apart[cut]  # a gap within the run, or before it: what is carried counts no more
        held = np.where(whole, count - cut, since + carried) + 1
        wide = np.full((len(at), RECENT), np.inf)
        for j in range(RECENT):
            inside = (since >= j) & (held > j)
            wide[inside, j] = shift[count[inside] - j]
            older = ~inside & (held > j)
            wide[older, j] = state["recent"][own[older], j - since[older] - 1]
        last = np.append(start[1:], len(at)) - 1
        mine = own[last]
        state["recent"][mine] = np.where(np.isinf(wide[last]), 0.0, wide[last])
        state["recents"][mine] = np.minimum(held[last], RECENT)
        state["recent_ns"][mine] = t[last]
        sign = -self.own["direction"][own]
        ranked = np.where(np.isinf(wide), np.inf, wide * sign[:, None])
        ranked[np.arange(RECENT) >= self.own["of"][own][:, None]] = np.inf
        ranked.sort(axis=1)
        score = ranked[count, self.own["k"][own] - 1]
        return np.where(np.isinf(score), np.nan, score * sign) + 0.0
