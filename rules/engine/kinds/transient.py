"""Kind ``transient``: fast pressure waves in blocks, apart from what a pump does in seconds.

The step of a median-filtered pressure over a front's time, less what it usually is, in kPa, if it
stands out of the noise: docs/kinds/waveforms.md section 3. Every hop of time is computed from its
own samples in one piece, so that no sum goes from batch to batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.kinds.sampler import Scored
from rules.waveforms.samples import cells_of, put_behind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks
    from rules.waveforms.samples import Cells, Samples, Spans

REACH = 4  # samples the median filter looks back on
HOPS = 60  # the most hops of a baseline
SIGMA = 1.4826  # standard deviations of Gaussian noise in a median absolute deviation


@dataclass(frozen=True, slots=True)
class _Hops:
    """Closed hops: H rows of one track each."""

    own: NDArray[np.int64]
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]


class Transient:
    """The samples of the open hop and those before it, and what past hops were like."""

    kernel: ClassVar[str] = "transient"
    aux_names: ClassVar[tuple[str, ...]] = ("noise", "front_before_s")

    def __init__(self, tracks: Tracks, pointer: NDArray[np.int64]) -> None:
        self._pointer = pointer
        self.front_ns = tracks.own("front_ns").astype(np.int64)
        self.hop_ns = tracks.own("hop_ns").astype(np.int64)
        self.hops = tracks.own("hops").astype(np.int64)
        self.gate = tracks.own("gate").astype(np.float64)
        self.hold_off_ns = tracks.own("hold_off_ns").astype(np.int64)
        count = len(tracks)
        self.state: dict[str, NDArray[Any]] = {
            "hop_at_ns": np.zeros(count, np.int64),  # where the open hop begins
            "period_ns": np.zeros(count, np.int64),
            "tail": np.zeros(count, np.int64),  # samples held from before the open hop
            "held": np.zeros(count, np.int64),  # samples held, those included; 0 = none
            "last_ns": np.zeros(count, np.int64),  # time of the last sample
            "ring": np.full((count, 8), np.nan, np.float32),
            "learned": np.zeros(count, np.int64),  # hops
            "middle": np.zeros((count, HOPS)),  # median step of past hops
            "spread": np.zeros((count, HOPS)),  # median absolute deviation of it
            "kept": np.zeros(count),  # the score of the transient on hold
            "kept_until_ns": np.full(count, np.iinfo(np.int64).min),
            "kept_noise": np.zeros(count),
            "kept_front_ns": np.zeros(count, np.int64),
        }

    def forget(self, own: NDArray[np.int64]) -> None:
        """Drop samples and what is on hold: another clock."""
        self.state["held"][own] = 0
        self.state["kept_until_ns"][own] = np.iinfo(np.int64).min

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return self.state

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        self.state[name] = column

    def take(self, samples: Samples) -> Scored | None:
        """Score the hops that samples close."""
        cells = cells_of(samples, self._pointer, self.hop_ns)
        if cells is None:
            return None
        found = []
        for spans in cells.spans():
            found += self._span(samples.x, cells, spans)
        if not found:
            return None
        whole = {name: np.concatenate([getattr(f, name) for f in found]) for name in _COLUMNS}
        order = np.argsort(whole["own"], kind="stable")
        return Scored(**{name: column[order] for name, column in whole.items()})

    def _span(self, x: NDArray[np.float32], cells: Cells, spans: Spans) -> list[Scored]:
        """Take one span of one hop without a gap, a track."""
        head, length = spans.head, spans.length
        state, own = self.state, cells.track[head]
        bucket, period = cells.bucket_ns[head], cells.period_ns[head]
        filled = state["held"][own] > state["tail"][own]
        closes = filled & ((state["hop_at_ns"][own] != bucket) | ~cells.joined[head])
        scored = []
        if closes.any():
            hops = _Hops(own[closes], cells.g[head[closes]], cells.receive_ns[head[closes]])
            scored = self._close(hops)
        fresh = ~cells.joined[head] | (state["held"][own] == 0)
        state["held"][own[fresh]] = state["tail"][own[fresh]] = 0
        state["hop_at_ns"][own], state["period_ns"][own] = bucket, period
        at = state["held"][own]
        self._widen(int((at + length).max()))
        put_behind(state["ring"], own, at, x, (cells.begin[head], length))
        state["held"][own] = at + length
        state["last_ns"][own] = spans.last_ns
        return scored

    def _widen(self, samples: int) -> None:
        ring = self.state["ring"]
        if samples > ring.shape[1]:
            wide = np.full((len(ring), 1 << (samples - 1).bit_length()), np.nan, np.float32)
            wide[:, : ring.shape[1]] = ring
            self.state["ring"] = wide

    # ---- a hop ----------------------------------------------------------------------------------

    def _close(self, hops: _Hops) -> list[Scored]:
        """Score closed hops, those of equal shape together, and keep what the next one needs."""
        state, own = self.state, hops.own
        lag = np.maximum(self.front_ns[own] // state["period_ns"][own], 1)
        shape = np.stack([state["held"][own], state["tail"][own], lag], axis=1)
        found = []
        for held, tail, step in np.unique(shape, axis=0).tolist():
            at = np.flatnonzero((shape == (held, tail, step)).all(axis=1))
            chosen = _Hops(own[at], hops.g[at], hops.receive_ns[at])
            scored = self._score(chosen, held, tail, step)
            if scored is not None:
                found.append(scored)
            kept = min(held, step + REACH)
            ring = state["ring"]
            ring[own[at], :kept] = ring[own[at], held - kept : held]
            state["held"][own[at]] = state["tail"][own[at]] = kept
        return found

    def _score(self, hops: _Hops, held: int, tail: int, step: int) -> Scored | None:
        """Score hops of one shape: ``held`` samples, the first ``tail`` of them before the hop."""
        own, state = hops.own, self.state
        first = max(tail, step + REACH)  # the first sample with a step
        if held <= first:
            return None
        x = state["ring"][own, first - step - REACH : held].astype(np.float64)
        y = median_of_5(x)
        d = y[:, step:] - y[:, :-step]
        d += 0.0
        middle = _median(d)
        spread = _median(np.abs(d - middle[:, None]))
        usual, noise, known = self._baseline(own)
        e = d - usual[:, None]
        at = np.abs(e).argmax(axis=1)
        row = np.arange(len(e))
        amplitude = e[row, at] + 0.0
        moves = np.abs(y[:, 1:] - y[:, :-1])
        window = moves[row[:, None], at[:, None] + np.arange(step)]
        steepest = at + window.argmax(axis=1) + 1  # place in y
        # y[j] stands at the middle of its five samples
        place = first - step - REACH + steepest + REACH // 2
        end = state["last_ns"][own].copy()
        front = end - (held - 1 - place) * state["period_ns"][own]
        fires = known & (np.abs(amplitude) >= self.gate[own] * noise) & (amplitude != 0)
        score, noise, front = self._hold(own, end, fires, (amplitude, noise, front))
        self._learn(own, middle, spread)
        aux = np.stack([noise, (end - front) / 1e9], axis=1)
        aux[score == 0] = np.nan
        score[~known] = np.nan
        return Scored(own, hops.g, end, hops.receive_ns, y[:, -1] + 0.0, score, aux)

    def _hold(
        self,
        own: NDArray[np.int64],
        end: NDArray[np.int64],
        fires: NDArray[np.bool_],
        said: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return the score, its noise and its front: the largest of what is on hold."""
        state = self.state
        amplitude, noise, front = said
        holds = end < state["kept_until_ns"][own]
        larger = fires & (~holds | (np.abs(amplitude) > np.abs(state["kept"][own])))
        begins = larger & ~holds
        new = own[larger]
        state["kept"][new], state["kept_noise"][new] = amplitude[larger], noise[larger]
        state["kept_front_ns"][new] = front[larger]
        state["kept_until_ns"][own[begins]] = end[begins] + self.hold_off_ns[own[begins]]
        on = holds | fires
        score = np.where(on, state["kept"][own], 0.0)
        return score, state["kept_noise"][own], state["kept_front_ns"][own]

    def _baseline(
        self, own: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the usual step, the noise of steps and whether they are known, a row a track."""
        state = self.state
        count = np.minimum(state["learned"][own], self.hops[own])
        usual, noise = np.zeros(len(own)), np.zeros(len(own))
        for n in np.unique(count).tolist():
            if n:
                at = np.flatnonzero(count == n)
                usual[at] = _median(state["middle"][own[at], :n])
                noise[at] = SIGMA * _median(state["spread"][own[at], :n])
        return usual, noise, count == self.hops[own]

    def _learn(
        self, own: NDArray[np.int64], middle: NDArray[np.float64], spread: NDArray[np.float64]
    ) -> None:
        state = self.state
        at = state["learned"][own] % self.hops[own]
        state["middle"][own, at], state["spread"][own, at] = middle, spread
        state["learned"][own] += 1


_COLUMNS = ("own", "g", "judged_ns", "receive_ns", "value", "score", "aux")


def median_of_5(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of every five samples in a row, [m, n] → [m, n − 4]."""
    a, b, c, d, e = (x[:, i : x.shape[1] - REACH + i] for i in range(REACH + 1))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    # the median of the fifth and the middle two of the other four
    middle: NDArray[np.float64] = np.maximum(
        np.minimum(low, high), np.minimum(np.maximum(low, high), e)
    )
    return middle + 0.0


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row; of an even number the mean of the two in the middle."""
    n = values.shape[1]
    half = n // 2
    if n % 2:
        odd: NDArray[np.float64] = np.partition(values, half, axis=1)[:, half]
        return odd
    parted = np.partition(values, (half - 1, half), axis=1)
    even: NDArray[np.float64] = (parted[:, half - 1] + parted[:, half]) * 0.5
    return even
