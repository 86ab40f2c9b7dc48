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
    gap: NDArray[np.bool_]
    closed: NDArray[np.bool_]  # range latch after the row
    virtual: NDArray[np.bool_]


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
    gap = np.zeros(n, np.bool_)
    # compared so that a carried NO_NS cannot overflow
    limit = slots.parameters.max_gap_ns[slot][segment]
    gap[1:] = judged_ns[1:] > judged_ns[:-1] + limit[1:]
    carried = first[state.gap[slot]] + 1
    gap[carried[carried < n]] = True
    gap[first] = False
    over = woven(state.closed[slot], rows.over)
    if over.any():
        closed = np.maximum.accumulate(np.where(over, np.arange(n), -1)) >= first[segment]
    else:
        closed = over
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
        gap=gap,
        closed=closed,
        virtual=virtual,
    )


def run_level(
    slots: Slots, slot: NDArray[np.int64], rows: Extended, ticks: Ticks, column: int
) -> Transitions | None:
    """Run one level of every segment: write its state back, return its latch changes."""
    parameters, state = slots.parameters, slots.state
    raise_at = parameters.raise_at[slot, column]
    if np.isnan(raise_at).all():
        return None
    carried_on = (state.mask[slot] >> column & 1).astype(np.bool_)
    segment, first, last, t = rows.segment, rows.first, rows.last, rows.judged_ns
    breach = rows.score >= raise_at[segment]
    clear = (rows.score < parameters.clear_at[slot, column][segment]) & ~breach
    breach[first] = state.onset_ns[slot, column] != NO_NS
    clear[first] = state.clear_ns[slot, column] != NO_NS

    run, onset = _runs(breach, rows, state.onset_ns[slot, column])
    count = np.arange(len(t)) - run + 1
    carried_run = rows.virtual[run]
    count += np.where(carried_run, state.count[slot, column][segment] - 1, 0)
    held = t - onset
    hold = parameters.hold_ns[slot, column][segment]
    samples = parameters.hold_samples[slot, column][segment]
    sets = breach & ((held >= hold) | ((samples > 0) & (count >= samples)))

    _, clear_onset = _runs(clear, rows, state.clear_ns[slot, column])
    keep = parameters.keep_ns[slot, column][segment]
    resets = clear & (t - clear_onset >= keep) & ~rows.closed

    code = np.zeros(len(t), np.int8)
    code[resets], code[sets] = -1, 1
    code[first] = np.where(carried_on, 1, -1)

    need = hold - held
    waits = breach & ~sets & timed(hold) & (need <= parameters.max_gap_ns[slot][segment])
    waits[first] &= ~carried_on
    fired, fired_tick = _timers(waits, rows, need, ticks)
    transitions, on_last = _changes(
        code, rows, fired, fired_tick, ticks, column, onset, clear_onset
    )

    state.onset_ns[slot, column] = np.where(breach[last], onset[last], NO_NS)
    state.count[slot, column] = np.where(breach[last], count[last], 0)
    state.clear_ns[slot, column] = np.where(clear[last], clear_onset[last], NO_NS)
    waiting = waits[last] & ~on_last
    due = np.where(waiting, rows.receive_ns[last] + np.where(waiting, need[last], 0), INF_NS)
    state.due_ns[slot, column] = due
    bit = np.int64(1 << column)
    state.mask[slot] = np.where(on_last, state.mask[slot] | bit, state.mask[slot] & ~bit)
    return transitions


def _runs(
    inside: NDArray[np.bool_], rows: Extended, carried_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each row inside a run, the row it started at and its onset; else rubbish."""
    n = len(inside)
    starts = inside.copy()
    starts[1:] &= ~inside[:-1] | rows.gap[1:] | rows.virtual[1:]
    starts[rows.first] = True
    run = np.maximum.accumulate(np.where(starts, np.arange(n), 0))
    onset_at = rows.judged_ns.copy()
    onset_at[rows.first] = carried_ns
    return run, onset_at[run]


def _timers(
    waits: NDArray[np.bool_], rows: Extended, need: NDArray[np.int64], ticks: Ticks
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows after which a tick sets the level, and which tick."""
    none = np.empty(0, np.int64)
    if not len(ticks.g) or not waits.any():
        return none, none
    at = np.flatnonzero(waits)
    due = rows.receive_ns[at] + need[at]
    tick = np.searchsorted(ticks.tick_ns, due)
    tick = np.maximum(tick, np.searchsorted(ticks.g, rows.g[at]))
    inside = tick < len(ticks.g)
    inside[inside] = ticks.g[tick[inside]] < rows.next_g[at[inside]]
    return at[inside], tick[inside]


def _changes(
    code: NDArray[np.int8],
    rows: Extended,
    fired: NDArray[np.int64],
    fired_tick: NDArray[np.int64],
    ticks: Ticks,
    column: int,
    onset: NDArray[np.int64],
    clear_onset: NDArray[np.int64],
) -> tuple[Transitions, NDArray[np.bool_]]:
    """Find where the latch changes: rows at even places, the ticks after them at odd ones."""
    n = len(code)
    wide = np.zeros(2 * n, np.int8)
    wide[0::2] = code
    wide[2 * fired + 1] = 1
    place = np.maximum.accumulate(np.where(wide != 0, np.arange(2 * n), 0))
    on = wide[place] > 0
    changed = np.zeros(2 * n, np.bool_)
    changed[1:] = on[1:] != on[:-1]
    changed[2 * rows.first] = False
    at = np.flatnonzero(changed)
    row = at >> 1
    by_tick = (at & 1).astype(np.bool_)
    tick = np.zeros(n, np.int64)
    tick[fired] = fired_tick
    g, tick_ns = rows.g[row], np.full(len(at), NO_NS)
    if by_tick.any():
        g[by_tick] = ticks.g[tick[row[by_tick]]]
        tick_ns[by_tick] = ticks.tick_ns[tick[row[by_tick]]]
    found = Transitions(
        segment=rows.segment[row],
        column=np.full(len(at), column),
        on=on[at],
        g=g,
        row=row,
        tick_ns=tick_ns,
        onset_ns=np.where(on[at], onset[row], clear_onset[row]),
    )
    return found, on[2 * rows.last + 1]
