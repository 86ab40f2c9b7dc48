"""The lifecycle of slots with one new row each and no timer due: what a quiet minute is made of.

The same meaning as ``lifecycle.run_levels`` without virtual rows: the carried state is compared
with the row directly. Which of the two runs makes no difference to any event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.engine.lifecycle import Extended, Transitions, declared_columns
from rules.engine.slots import INF_NS, NO_NS, timed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.lifecycle import SlotRows, Ticks
    from rules.engine.slots import Slots


def advance_one(
    slots: Slots, rows: SlotRows, ticks: Ticks
) -> tuple[Extended, Transitions | None] | None:
    """Run all levels of slots with one row each; write the state of the levels back.

    Returns None, with nothing written, where a tick of this part may set a level: then the general
    way must be taken. The rows are given back as segments of one row.
    """
    p, state, slot = slots.parameters, slots.state, rows.slot
    columns = declared_columns(slots, slot)
    width = p.raise_at.shape[1]
    at = slot * width + columns[:, None]
    told, hour = at, None
    if slots.hours.schedules:
        hour = slots.hours.at(slot, rows.judged_ns)
        told = slots.hours.rows(slot, hour) * width + columns[:, None]
    last_tick = int(ticks.tick_ns[-1]) if len(ticks.g) else int(NO_NS)
    due_ns = state.due_ns.reshape(-1)
    if len(ticks.g) and (due_ns[at] <= last_tick).any():
        return None
    t, score = rows.judged_ns, rows.score
    last_ns, max_gap_ns = state.last_ns[slot], p.max_gap_ns[slot]
    broken = (t > last_ns + max_gap_ns) | state.gap[slot]
    closed = state.closed[slot] | rows.over
    bits = np.int64(1) << columns
    mask = state.mask[slot]
    was = (mask & bits[:, None]) != 0

    onset, clear_onset = state.onset_ns.reshape(-1)[at], state.clear_ns.reshape(-1)[at]
    breach = score >= p.raise_at.reshape(-1)[told]
    clear = (score < p.clear_at.reshape(-1)[told]) & ~breach
    goes_on = (onset != NO_NS) & ~broken
    onset = np.where(goes_on, onset, t)
    count = np.where(goes_on, state.count.reshape(-1)[at], 0) + 1
    held = t - onset
    hold, samples = p.hold_ns.reshape(-1)[told], p.hold_samples.reshape(-1)[told]
    sets = breach & ((held >= hold) | ((samples > 0) & (count >= samples)))
    clear_onset = np.where((clear_onset != NO_NS) & ~broken, clear_onset, t)
    resets = clear & (t - clear_onset >= p.keep_ns.reshape(-1)[told]) & ~closed
    on = (was | sets) & ~resets
    need = hold - held
    waits = breach & ~on & timed(hold) & (need <= max_gap_ns)
    due = np.where(waits, rows.receive_ns + np.where(waits, need, 0), INF_NS)
    if len(ticks.g) and (due <= last_tick).any():
        return None

    state.onset_ns.reshape(-1)[at] = np.where(breach, onset, NO_NS)
    state.count.reshape(-1)[at] = np.where(breach, count, 0)
    state.clear_ns.reshape(-1)[at] = np.where(clear, clear_onset, NO_NS)
    due_ns[at] = due
    state.mask[slot] = (mask & ~bits.sum()) | (on * bits[:, None]).sum(axis=0)
    extended = _extended(slots, rows, broken, closed, hour)
    return extended, _changes(extended, columns, (was, on), (onset, clear_onset))


def _extended(
    slots: Slots,
    rows: SlotRows,
    broken: NDArray[np.bool_],
    closed: NDArray[np.bool_],
    hour: NDArray[np.int8] | None,
) -> Extended:
    """Return the rows as segments of one row."""
    place = np.arange(len(rows.slot))
    return Extended(
        segment=place,
        first=place - 1,  # nothing stands before the row
        last=place,
        g=rows.g,
        next_g=rows.g,
        judged_ns=rows.judged_ns,
        receive_ns=rows.receive_ns,
        value=rows.value,
        score=rows.score,
        aux=_aux(slots, rows),
        breaks=broken,
        closed=closed,
        virtual=np.zeros(len(rows.slot), np.bool_),
        hour=hour,
    )


def _aux(slots: Slots, rows: SlotRows) -> NDArray[np.float64] | None:
    """Return what the scorers said, as wide as the state keeps it."""
    width = slots.state.aux.shape[1]
    if not width:
        return None
    out = np.full((len(rows.slot), width), np.nan)
    if rows.aux is not None:
        out[:, : rows.aux.shape[1]] = rows.aux
    return out


def _changes(
    rows: Extended,
    columns: NDArray[np.int64],
    latch: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    onsets: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Transitions | None:
    """Return the latches that changed."""
    was, on = latch
    column, row = np.nonzero(was != on)
    if not len(row):
        return None
    set_on = on[column, row]
    onset, clear_onset = onsets
    return Transitions(
        segment=row,
        column=columns[column],
        on=set_on,
        g=rows.g[row],
        row=row,
        tick_ns=np.full(len(row), NO_NS),
        onset_ns=np.where(set_on, onset[column, row], clear_onset[column, row]),
    )
