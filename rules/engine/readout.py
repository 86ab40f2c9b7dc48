"""Scores as a chart wants them: of each track the first row of each minute that has a score.

Which minute a track told last is state like any other, so that any cut of the journal gives the
same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from rules.series import FEATURE, QUALITY, Series, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.kinds.scorer import Scorer
    from rules.engine.part import Part, Runs
    from rules.engine.slots import Slots
    from rules.readings import Readings
    from rules.registry import Channels

EVERY_NS: Final = 60_000_000_000
NO_MINUTE: Final = -(2**63)
_NO_RULE: Final = -1


class _Piece(NamedTuple):
    """Rows told by one kernel in one part; ``rule`` and ``subject`` by number."""

    kernel: str
    rule: NDArray[np.int64]
    subject: NDArray[np.int64]
    g: NDArray[np.int64]
    judged_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    score: NDArray[np.float64]
    extra: NDArray[np.float64]  # [n, k]


class Readout:
    """Gathers what the scorers say, and rows of computed channels, until it is drained."""

    def __init__(self, slots: Slots, scorers: dict[str, Scorer], channels: Channels) -> None:
        self._slots = slots
        self._extra = {name: scorer.aux_names for name, scorer in scorers.items()}
        self.minute = {name: np.full(len(slots.tracks[name]), NO_MINUTE) for name in scorers}
        self._computed = np.array([bool(said) for said in channels.derived], np.bool_)
        self._pieces: list[_Piece] = []
        self.every_ns = EVERY_NS
        """How far apart rows of a track are told; whoever wants every row sets 1. No state."""

    def take(
        self,
        kernel: str,
        part: Part,
        runs: Runs,
        said: tuple[NDArray[np.float64], NDArray[np.float64] | None],
    ) -> None:
        """Keep of rows just scored (score, and what stands beside it) the first of each minute."""
        score, extra = said
        at = self._first(kernel, runs, score)
        tracks = self._slots.tracks[kernel]
        own = runs.own[runs.segment[at]]
        rule = tracks.rule[own]
        told = np.flatnonzero(rule < self._slots.inputs_from)
        if not len(told):
            return
        at = at[told]
        self._pieces.append(
            _Piece(
                kernel=kernel,
                rule=rule[told],
                subject=tracks.channel[own[told]],
                g=part.g[runs.at[at]],
                judged_ns=runs.t[at],
                value=runs.value[at],
                score=score[at],
                extra=np.empty((len(at), 0)) if extra is None else extra[at],
            )
        )

    def _first(self, kernel: str, runs: Runs, score: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the places of rows that begin a minute of their track, and remember them."""
        minutes = self.minute[kernel]
        if runs.single:
            minute = runs.t // self.every_ns
            at = np.flatnonzero((minute != minutes[runs.place]) & ~np.isnan(score))
            minutes[runs.own[at]] = minute[at]
            return at
        scored = np.flatnonzero(~np.isnan(score))
        run, minute = runs.segment[scored], runs.t[scored] // self.every_ns
        head = np.ones(len(scored), np.bool_)
        head[1:] = run[1:] != run[:-1]
        before = np.empty(len(scored), np.int64)
        before[1:] = minute[:-1]
        before[head] = minutes[runs.own[run[head]]]
        last = np.flatnonzero(np.append(head[1:], len(scored) > 0))
        minutes[runs.own[run[last]]] = minute[last]
        first: NDArray[np.int64] = scored[minute != before]
        return first

    def features(self, rows: Readings, g: NDArray[np.int64], judged: NDArray[np.bool_]) -> None:
        """Keep the judged rows of computed channels."""
        known = np.where(rows.channel >= 0, rows.channel, 0)
        at = np.flatnonzero(judged & (rows.channel >= 0) & self._computed[known])
        if not len(at):
            return
        self._pieces.append(
            _Piece(
                kernel=FEATURE,
                rule=np.full(len(at), _NO_RULE),
                subject=rows.channel[at].astype(np.int64),
                g=g[at],
                judged_ns=rows.judged_ns[at],
                value=rows.value[at],
                score=rows.value[at],
                extra=rows.qc_flag[at, None].astype(np.float64),
            )
        )

    def drain(self) -> Series:
        """Return what was kept since the last time, in order of (g, rule, subject)."""
        pieces, self._pieces = self._pieces, []
        if not pieces:
            return Series.empty()
        wide = max(piece.extra.shape[1] for piece in pieces)
        extra = np.full((sum(len(piece.g) for piece in pieces), wide), np.nan)
        sources: list[Source] = []
        source, begin = [], 0
        for piece in pieces:
            extra[begin : begin + len(piece.g), : piece.extra.shape[1]] = piece.extra
            begin += len(piece.g)
            numbers, inverse = np.unique(piece.rule, return_inverse=True)
            source.append(inverse + len(sources))
            sources += [self._source(piece.kernel, number) for number in numbers.tolist()]
        columns = {
            name: np.concatenate([getattr(piece, name) for piece in pieces])
            for name in ("rule", "subject", "g", "judged_ns", "value", "score")
        }
        rank = np.append(self._slots.rule_rank, _NO_RULE)[columns.pop("rule")]
        named, subject = np.unique(columns.pop("subject"), return_inverse=True)
        places = self._slots.subject_rank[named][subject]
        order = np.lexsort((places, rank, columns["g"]))
        return Series(
            sources=tuple(sources),
            subjects=tuple(self._slots.subjects[i] for i in named.tolist()),
            source=np.concatenate(source)[order].astype(np.int32),
            subject=subject[order].astype(np.int32),
            extra=extra[order],
            **{name: column[order] for name, column in columns.items()},
        )

    def _source(self, kernel: str, rule: int) -> Source:
        if rule == _NO_RULE:
            return Source("", FEATURE, (QUALITY,))
        found = self._slots.rules[rule]
        return Source(found.rule_id, found.kind, self._extra[kernel])
