"""One lifecycle for every kind: scores in, level changes out. docs/semantics.md sections 4 and 5.

No recursion is needed: setting a level needs only a breach run and resetting it only a clear run,
and each is ended by the other, so both codes are found for all rows at once and the latch is the
last code before a row. Every segment starts with a *virtual row* that holds the carried state, so
the first real row is like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.slots import INF_NS, NO_NS, timed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.slots import Slots

END_G = np.int64(2**63 - 1)


@dataclass(frozen=True, slots=True)
class SlotRows:
    """Rows of slots, grouped by slot (rising), each group in journal order; only judged rows."""

    slot: NDArray[np.int64]  # [s]
    length: NDArray[np.int64]  # [s] may be 0: only timers
    g: NDArray[np.int64]  # [r]
    judged_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    score: NDArray[np.float64]  # mirrored; over-range already +inf
    over: NDArray[np.bool_]  # closes the range latch
    aux: NDArray[np.float64] | None = None  # [r, a] what else the scorer says of a row


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ticks of a batch, both columns rising."""

    tick_ns: NDArray[np.int64]
    g: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Transitions:
    """Latch changes, one a row: of which segment, level column, position; and of which row."""

    segment: NDArray[np.int64]
    column: NDArray[np.int64]
    on: NDArray[np.bool_]
    g: NDArray[np.int64]
    row: NDArray[np.int64]  # place among rows with virtual rows
    tick_ns: NDArray[np.int64]  # the tick that set it, or NO_NS
    onset_ns: NDArray[np.int64]  # of the run that decided


@dataclass(frozen=True, slots=True)
class Extended:
    """SlotRows with a virtual row at the head of every segment."""

    segment: NDArray[np.int64]  # [n] of each row
    first: NDArray[np.int64]  # [s] places of the virtual rows
    last: NDArray[np.int64]  # [s] last row of each segment (the virtual one if alone)
    g: NDArray[np.int64]
    next_g: NDArray[np.int64]  # of the next row of the segment, END_G at its end
    judged_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    score: NDArray[np.float64]
    aux: NDArray[np.float64] | None
    breaks: NDArray[np.bool_]  # no run goes on into this row: after a gap, or virtual
    closed: NDArray[np.bool_]  # range latch after the row
    virtual: NDArray[np.bool_]
    hour: NDArray[np.int8] | None = None  # [n] combination of schedules; None = nobody has any


def extend(slots: Slots, rows: SlotRows) -> Extended:
    """Put a virtual row with the carried state before each segment."""
    state = slots.state
    slot, segments = rows.slot, len(rows.slot)
    length = rows.length + 1
    n = int(length.sum())
    first = np.cumsum(length) - length
    virtual = np.zeros(n, np.bool_)
    virtual[first] = True
    real = np.flatnonzero(~virtual)
    segment = np.repeat(np.arange(segments), length)

    def woven(carry: NDArray[Any], column: NDArray[Any]) -> NDArray[Any]:
        out = np.empty(n, column.dtype)
        out[first], out[real] = carry, column
        return out

    g = woven(np.full(segments, -1), rows.g)
    judged_ns = woven(state.last_ns[slot], rows.judged_ns)
    # compared so that a carried NO_NS cannot overflow
    limit = slots.parameters.max_gap_ns[slot][segment]
    breaks = virtual.copy()
    breaks[1:] |= judged_ns[1:] > judged_ns[:-1] + limit[1:]
    if state.gap[slot].any():
        carried = first[state.gap[slot]] + 1
        breaks[carried[carried < n]] = True
    over = woven(state.closed[slot], rows.over)
    if over.any():
        closed = np.maximum.accumulate(np.where(over, np.arange(n), -1)) >= first[segment]
    else:
        closed = over
    hour = None
    if slots.hours.schedules:
        hour = woven(state.hour[slot], slots.hours.at(slot[segment[real]], rows.judged_ns))
    next_g = np.full(n, END_G)
    next_g[:-1] = np.where(virtual[1:], END_G, g[1:])
    return Extended(
        segment=segment,
        first=first,
        last=first + length - 1,
        g=g,
        next_g=next_g,
        judged_ns=judged_ns,
        receive_ns=woven(state.receive_ns[slot], rows.receive_ns),
        value=woven(state.value[slot], rows.value),
        score=woven(state.score[slot], rows.score),
        aux=_woven_aux(state.aux[slot], rows.aux, first, real) if state.aux.shape[1] else None,
        breaks=breaks,
        closed=closed,
        virtual=virtual,
        hour=hour,
    )


def _woven_aux(
    carry: NDArray[np.float64],
    rows: NDArray[np.float64] | None,
    first: NDArray[np.int64],
    real: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Lay what scorers said beside the rows, NaN where they said nothing."""
    out = np.full((len(first) + len(real), carry.shape[1]), np.nan)
    out[first] = carry
    if rows is not None:
        out[real, : rows.shape[1]] = rows
    return out


def run_levels(
    slots: Slots, slot: NDArray[np.int64], rows: Extended, ticks: Ticks
) -> Transitions | None:
    """Run all levels of every segment at once: write the state back, return the latch changes.

    Arrays are [C levels that any of the slots declares, n rows]: each level lies in one piece.
    """
    parameters, state = slots.parameters, slots.state
    columns = declared_columns(slots, slot)
    if not len(columns):
        return None
    pick = slot * parameters.raise_at.shape[1] + columns[:, None]
    length = rows.last - rows.first + 1
    bits = np.int64(1) << columns
    segment, first, last = rows.segment, rows.first, rows.last
    score, t = rows.score, rows.judged_ns
    told = _Told(slots, slot, rows, columns, pick)
    onset_ns, clear_ns = state.onset_ns.reshape(-1)[pick], state.clear_ns.reshape(-1)[pick]
    breach = score >= told(parameters.raise_at)
    clear = (score < told(parameters.clear_at)) & ~breach
    breach[:, first] = onset_ns != NO_NS
    clear[:, first] = clear_ns != NO_NS

    run, onset = _runs(breach, rows, onset_ns)
    count = np.arange(1, len(segment) + 1) - run
    count += np.where(rows.virtual[run], _spread(state.count, pick, length) - 1, 0)
    held = t - onset
    hold, samples = told(parameters.hold_ns), told(parameters.hold_samples)
    sets = breach & ((held >= hold) | ((samples > 0) & (count >= samples)))

    _, clear_onset = _runs(clear, rows, clear_ns)
    keep = told(parameters.keep_ns)
    resets = clear & (t - clear_onset >= keep) & ~rows.closed

    carried_on = (state.mask[slot] & bits[:, None]) != 0
    code = sets.astype(np.int8) - resets
    code[:, first] = np.where(carried_on, 1, -1)

    need = hold - held
    waits = breach & ~sets & timed(hold)
    waits &= need <= parameters.max_gap_ns[slot][segment]
    waits[:, first] &= ~carried_on
    fired = _timers(waits, rows, need, ticks)
    found, on_last = _changes(code, rows, fired, ticks, columns, (onset, clear_onset))

    inside, outside = breach[:, last], clear[:, last]
    state.onset_ns.reshape(-1)[pick] = np.where(inside, onset[:, last], NO_NS)
    state.count.reshape(-1)[pick] = np.where(inside, count[:, last], 0)
    state.clear_ns.reshape(-1)[pick] = np.where(outside, clear_onset[:, last], NO_NS)
    waiting = waits[:, last] & ~on_last
    due = rows.receive_ns[last] + np.where(waiting, need[:, last], 0)
    state.due_ns.reshape(-1)[pick] = np.where(waiting, due, INF_NS)
    state.mask[slot] = (state.mask[slot] & ~bits.sum()) | (on_last * bits[:, None]).sum(axis=0)
    return found


def declared_columns(slots: Slots, slot: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the levels (the hidden one too) that any of the slots declares."""
    undeclared = np.isnan(slots.parameters.raise_at[slot])
    return np.flatnonzero(~np.logical_and.reduce(undeclared, axis=0))


class _Told:
    """What each row of each level is judged by, [C, n]: by the hour where the slot has hours."""

    def __init__(
        self,
        slots: Slots,
        slot: NDArray[np.int64],
        rows: Extended,
        columns: NDArray[np.int64],
        pick: NDArray[np.int64],
    ) -> None:
        self._pick, self._length = pick, rows.last - rows.first + 1
        self._at: NDArray[np.int64] | None = None
        if rows.hour is not None and rows.hour.any():
            place = slots.hours.rows(slot[rows.segment], rows.hour)
            self._at = place * slots.parameters.raise_at.shape[1] + columns[:, None]

    def __call__(self, table: NDArray[Any]) -> NDArray[Any]:
        """Take [C, n] from a wide table of parameters."""
        if self._at is None:
            return _spread(table, self._pick, self._length)
        held: NDArray[Any] = table.reshape(-1)[self._at]
        return held


def _spread(
    table: NDArray[Any], pick: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[Any]:
    """Take [C, s] from a table of slots × levels, and repeat it for every row of a segment."""
    held: NDArray[Any] = table.reshape(-1)[pick]
    return np.repeat(held, length, axis=1)


def _runs(
    inside: NDArray[np.bool_], rows: Extended, carried_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each place inside a run, the row it started at and its onset; else rubbish."""
    starts = inside.copy()
    starts[:, 1:] &= ~inside[:, :-1] | rows.breaks[1:]
    starts[:, rows.first] = True
    run = np.maximum.accumulate(np.where(starts, np.arange(inside.shape[1]), 0), axis=1)
    onset = np.where(rows.virtual[run], carried_ns[:, rows.segment], rows.judged_ns[run])
    return run, onset


@dataclass(frozen=True, slots=True)
class Fired:
    """Levels set by a tick: after which row, in which column, by which tick."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    tick: NDArray[np.int64]


def _timers(
    waits: NDArray[np.bool_], rows: Extended, need: NDArray[np.int64], ticks: Ticks
) -> Fired | None:
    """Find the rows after which a tick sets a level."""
    if not len(ticks.g) or not waits.any():
        return None
    column, row = np.nonzero(waits)
    due = rows.receive_ns[row] + need[column, row]
    tick = np.searchsorted(ticks.tick_ns, due)
    tick = np.maximum(tick, np.searchsorted(ticks.g, rows.g[row]))
    inside = tick < len(ticks.g)
    inside[inside] = ticks.g[tick[inside]] < rows.next_g[row[inside]]
    if not inside.any():
        return None
    return Fired(row[inside], column[inside], tick[inside])


def _changes(
    code: NDArray[np.int8],
    rows: Extended,
    fired: Fired | None,
    ticks: Ticks,
    columns: NDArray[np.int64],
    onsets: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[Transitions | None, NDArray[np.bool_]]:
    """Find where latches change; with ticks, rows stand at even places and what follows at odd."""
    step = 1 if fired is None else 2
    if fired is not None:
        wide = np.zeros((len(code), 2 * code.shape[1]), np.int8)
        wide[:, 0::2] = code
        wide[fired.column, 2 * fired.row + 1] = 1
        code = wide
    place = np.where(code != 0, np.arange(code.shape[1]), 0)
    np.maximum.accumulate(place, axis=1, out=place)
    on = np.take_along_axis(code, place, axis=1) > 0
    changed = on[:, 1:] != on[:, :-1]
    changed[:, step * rows.first[1:] - 1] = False
    on_last = on[:, step * rows.last + step - 1]
    column, at = np.nonzero(changed)
    if not len(at):
        return None, on_last
    at += 1
    row = at // step
    g, tick_ns = rows.g[row], np.full(len(at), NO_NS)
    if fired is not None:
        by_tick = (at & 1).astype(np.bool_)
        tick = np.zeros((len(code), code.shape[1] // 2), np.int64)
        tick[fired.column, fired.row] = fired.tick
        decided = tick[column[by_tick], row[by_tick]]
        g[by_tick], tick_ns[by_tick] = ticks.g[decided], ticks.tick_ns[decided]
    set_on = on[column, at]
    onset, clear_onset = onsets
    found = Transitions(
        segment=rows.segment[row],
        column=columns[column],
        on=set_on,
        g=g,
        row=row,
        tick_ns=tick_ns,
        onset_ns=np.where(set_on, onset[column, row], clear_onset[column, row]),
    )
    return found, on_last
