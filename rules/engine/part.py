"""A piece of the journal ready for the kernels: judged rows in segments, and the ticks between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.engine.kinds.scorer import gathers, takes_late
from rules.engine.lifecycle import SlotRows
from rules.readings import QC_GOOD
from rules.segments import Segments, consecutive, ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.asof import AsOf
    from rules.engine.kinds.scorer import Scorer
    from rules.engine.lifecycle import Ticks
    from rules.engine.readout import Readout
    from rules.engine.slots import Slots
    from rules.engine.tracks import Tracks
    from rules.readings import Readings


class Part:
    """Judged rows by channel: ``t`` and ``value`` stand in the order of ``segments.order``.

    ``accepted[c]`` says which rows of the journal acceptance class c takes, None = all of them.
    ``wide`` is for scorers that take late rows into a bucket still open; None where there is none.
    ``asof`` is what was last said before the part; None where no kind looks across channels.
    """

    __slots__ = (
        *("accepted", "asof", "g", "judged", "late", "rows", "segments"),
        *("t", "ticks", "value", "wide"),
    )

    def __init__(
        self,
        rows: Readings,
        g: NDArray[np.int64],
        segments: Segments,
        accepted: list[NDArray[np.bool_] | None],
        ticks: Ticks,
        asof: AsOf | None = None,
    ) -> None:
        self.rows, self.g, self.segments = rows, g, segments
        self.accepted, self.ticks, self.asof = accepted, ticks, asof
        self.late: NDArray[np.bool_] | None = None  # of the journal's rows, where segments have any
        self.wide: Part | None = None  # the same with its late rows among the judged ones
        self.judged: Part = self  # the same without late rows
        whole = segments.single and len(segments.order) == len(rows)
        self.t = rows.judged_ns if whole else rows.judged_ns[segments.order]
        self.value = rows.value if whole else rows.value[segments.order]


class Runs:
    """Rows of tracks: run i holds ``length[i]`` rows of track ``own[i]``, one after another.

    ``own`` rises and names each track once; every run has a row; t rises strictly within a run,
    but for late rows, which only scorers that take them are given.
    """

    __slots__ = ("_segment", "at", "length", "own", "start", "t", "value")

    def __init__(
        self,
        own: NDArray[np.int64],
        start: NDArray[np.int64],
        length: NDArray[np.int64],
        rows: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
    ) -> None:
        self.own, self.start, self.length = own, start, length
        self.at, self.t, self.value = rows  # at: row in Part.rows, for g and receive_ns
        self._segment: NDArray[np.int64] | None = None

    @property
    def single(self) -> bool:
        """Tell whether every run has one row."""
        return len(self.own) == len(self.t)

    @property
    def place(self) -> slice | NDArray[np.int64]:
        """Return what selects the tracks in a table: a slice where they follow one another."""
        return consecutive(self.own)

    @property
    def segment(self) -> NDArray[np.int64]:
        """Return the run of each row, [r]."""
        if self._segment is None:
            count = np.arange(len(self.own))
            self._segment = count if self.single else np.repeat(count, self.length)
        return self._segment

    @property
    def last(self) -> NDArray[np.int64]:
        """Return the place of the last row of each run, [s]."""
        return self.start + self.length - 1

    def keep(self, chosen: NDArray[np.bool_]) -> Runs:
        """Return only the chosen rows; runs without any are gone."""
        if chosen.all():
            return self
        length = np.bincount(self.segment[chosen], minlength=len(self.own))
        some = length > 0
        length = length[some]
        rows = (self.at[chosen], self.t[chosen], self.value[chosen])
        return Runs(self.own[some], np.cumsum(length) - length, length, rows)


def with_late(part: Part, segments: Segments, late: NDArray[np.bool_]) -> None:
    """Give ``part`` its late rows: ``segments`` are of judged and late ones, in journal order."""
    part.wide = Part(part.rows, part.g, segments, part.accepted, part.ticks, part.asof)
    part.wide.late = late
    part.wide.judged = part


def acceptance(rows: Readings, slots: Slots) -> list[NDArray[np.bool_] | None]:
    """Return the rows each acceptance class takes: usable ones with an accepted flag."""
    usable = None if rows.usable.all() else rows.usable
    good = bool((rows.qc_flag == QC_GOOD).all())
    taken: list[NDArray[np.bool_] | None] = []
    for flags in slots.accept_flags:
        if not flags or (good and QC_GOOD in flags):
            taken.append(usable)
            continue
        known = np.zeros(256, np.bool_)
        known[list(flags)] = True
        mask = known[rows.qc_flag]
        if usable is not None:
            mask = mask & usable
        taken.append(None if mask.all() else mask)
    return taken


def runs_of(
    part: Part, tracks: Tracks, *, finite: bool, chosen: NDArray[np.int64] | None = None
) -> Runs | None:
    """Lay the rows of the (chosen) segments beside the tracks on their channels.

    Rows a track does not judge are left out: not accepted, NaN, or (``finite``) infinite.
    """
    segments = part.segments
    key, start, length = segments.key, segments.start, segments.length
    if chosen is not None:
        key, start, length = key[chosen], start[chosen], length[chosen]
    first = tracks.pointer[key]
    each = tracks.pointer[key + 1] - first
    if chosen is None and bool((each == 1).all()):
        runs = Runs(first, start, length, (segments.order, part.t, part.value))
    else:
        some = each > 0
        if not some.any():
            return None
        own = ranges(first[some], each[some])
        long = np.repeat(length[some], each[some])
        places = ranges(np.repeat(start[some], each[some]), long)
        rows = (segments.order[places], part.t[places], part.value[places])
        runs = Runs(own, np.cumsum(long) - long, long, rows)
    keep = np.isfinite(runs.value) if finite else runs.value == runs.value
    if any(mask is not None for mask in part.accepted):
        accept = tracks.accept[runs.own][runs.segment]
        for number, mask in enumerate(part.accepted):
            if mask is not None:
                keep &= (accept != number) | mask[runs.at]
    runs = runs.keep(keep)
    return runs if len(runs.own) else None


def scored_rows(
    part: Part, slots: Slots, scorer: Scorer, readout: Readout | None = None
) -> SlotRows | None:
    """Score all rows of a kernel, and return those of slots that have something to do."""
    tracks = slots.tracks[scorer.kernel]
    if part.wide is not None and takes_late(scorer):
        part = part.wide
    if not len(tracks) or not len(part.segments.order):
        return None
    runs = scorer.gather(part) if gathers(scorer) else runs_of(part, tracks, finite=scorer.finite)
    if runs is None:
        return None
    score = scorer.score(runs, part)
    if readout is not None:
        readout.take(scorer.kernel, part, runs, (score, scorer.aux))
    if gathers(scorer):
        runs.value = score
    return moving_rows(part, slots, tracks, runs, score, scorer.aux)


def moving_rows(
    part: Part,
    slots: Slots,
    tracks: Tracks,
    runs: Runs,
    score: NDArray[np.float64],
    aux: NDArray[np.float64] | None = None,
) -> SlotRows | None:
    """Return, slot by slot, the rows of slots in motion or that reached their lowest limit.

    ``score`` has its natural sign. An idle slot begins at its first row that matters.
    """
    place = runs.place
    high, low = tracks.quiet_high[place], tracks.quiet_low[place]
    if runs.single:
        concerned = (score >= high) | (score <= low) | (tracks.busy[place] > 0)
        at = np.flatnonzero(concerned)
        return _single_rows(part, slots, (tracks, runs, at), score, aux) if len(at) else None
    high, low = np.repeat(high, runs.length), np.repeat(low, runs.length)
    hot = np.flatnonzero((score >= high) | (score <= low))
    busy = tracks.busy[place] > 0
    begin = runs.start
    if len(hot):
        of = runs.segment[hot]
        head = np.ones(len(of), np.bool_)
        head[1:] = of[1:] != of[:-1]
        begin = runs.start + runs.length
        begin[of[head]] = hot[head]
        begin[busy] = runs.start[busy]
        chosen = busy.copy()
        chosen[of[head]] = True
    else:
        chosen = busy
    at = np.flatnonzero(chosen)
    if not len(at):
        return None
    begin, stop = begin[at], runs.start[at] + runs.length[at]
    own = runs.own[at]
    each = tracks.slot[own + 1] - tracks.slot[own]
    slot = ranges(tracks.slot[own], each)
    long = np.repeat(stop - begin, each)
    places = ranges(np.repeat(begin, each), long)
    return _slot_rows(part, slots, (slot, long, places), runs, score, aux)


def _single_rows(
    part: Part,
    slots: Slots,
    laid: tuple[Tracks, Runs, NDArray[np.int64]],
    score: NDArray[np.float64],
    aux: NDArray[np.float64] | None,
) -> SlotRows | None:
    """Do the same for tracks with one row each, of which ``laid`` names those concerned."""
    tracks, runs, at = laid
    own = runs.own[at]
    first = tracks.slot[own]
    each = tracks.slot[own + 1] - first
    if (each == 1).all():
        slot, places = first, at
    else:
        slot, places = ranges(first, each), np.repeat(at, each)
    p = slots.parameters
    mirrored = score[places] * p.sign[slot]
    over = mirrored > p.range_at[slot]
    # a NaN score is no row
    moving = (mirrored >= p.lowest[slot]) | over | (slots.state.busy[slot] & ~np.isnan(mirrored))
    if not moving.all():
        slot, places = slot[moving], places[moving]
        mirrored, over = mirrored[moving], over[moving]
    if not len(slot):
        return None
    if over.any():
        mirrored[over] = np.inf
    rows = runs.at[places]
    return SlotRows(
        slot=slot,
        length=np.ones(len(slot), np.int64),
        g=part.g[rows],
        judged_ns=runs.t[places],
        receive_ns=part.rows.receive_ns[rows],
        value=runs.value[places],
        score=mirrored,
        over=over,
        aux=None if aux is None else aux[places],
    )


def _slot_rows(
    part: Part,
    slots: Slots,
    laid: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    runs: Runs,
    score: NDArray[np.float64],
    aux: NDArray[np.float64] | None,
) -> SlotRows | None:
    """Mirror the scores of rows laid out by slot, and leave out slots with nothing to do."""
    slot, length, places = laid
    p = slots.parameters
    owner = np.repeat(np.arange(len(slot)), length)
    of_row = slot[owner]
    mirrored = score[places] * p.sign[of_row]
    over = mirrored > p.range_at[of_row]
    if over.any():
        mirrored[over] = np.inf
    moving = slots.state.busy[slot]
    moving[owner[mirrored >= p.lowest[of_row]]] = True
    moving[owner[over]] = True
    keep = mirrored == mirrored  # noqa: PLR0124 - a NaN score is no row
    keep &= ~_idle(slots, slot, (owner, length), mirrored, over)
    if not moving.all():
        keep &= moving[owner]
    if not keep.all():
        owner, places, mirrored, over = owner[keep], places[keep], mirrored[keep], over[keep]
        number = np.cumsum(moving) - 1
        slot = slot[moving]
        length = np.bincount(number[owner], minlength=len(slot))
    if not len(places):
        return None
    at = runs.at[places]
    return SlotRows(
        slot=slot,
        length=length,
        g=part.g[at],
        judged_ns=runs.t[places],
        receive_ns=part.rows.receive_ns[at],
        value=runs.value[places],
        score=mirrored,
        over=over,
        aux=None if aux is None else aux[places],
    )


def _idle(
    slots: Slots,
    slot: NDArray[np.int64],
    laid: tuple[NDArray[np.int64], NDArray[np.int64]],
    mirrored: NDArray[np.float64],
    over: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell rows that change nothing: calm ones after a calm one, or of a slot not in motion."""
    owner, length = laid
    state = slots.state
    calm = mirrored < slots.parameters.calm[slot][owner]
    idle = calm.copy()
    idle[1:] &= calm[:-1]
    head = np.cumsum(length) - length
    idle[head] = calm[head] & ~state.busy[slot]
    latched = state.closed[slot]
    if over.any():
        latched = latched.copy()
        latched[owner[over]] = True
    if latched.any():  # until a reset every row counts
        idle &= ~latched[owner]
    return idle


def joined(found: list[SlotRows]) -> SlotRows:
    """Return the rows of several kinds as one table."""
    if len(found) == 1:
        return found[0]
    names = [name for name in SlotRows.__slots__ if name != "aux"]
    joined = {n: np.concatenate([getattr(f, n) for f in found]) for n in names}
    return SlotRows(**joined, aux=_joined_aux(found))


def _joined_aux(found: list[SlotRows]) -> NDArray[np.float64] | None:
    """Return what scorers said, side by side with the rows; NaN where one said nothing."""
    width = max((rows.aux.shape[1] for rows in found if rows.aux is not None), default=0)
    if not width:
        return None
    parts = []
    for rows in found:
        wide = np.full((len(rows.g), width), np.nan)
        if rows.aux is not None:
            wide[:, : rows.aux.shape[1]] = rows.aux
        parts.append(wide)
    return np.concatenate(parts)
