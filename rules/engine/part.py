"""A piece of the journal ready for the kernels: judged rows in segments, and the ticks between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rules.engine.lifecycle import SlotRows
from rules.readings import QC_GOOD
from rules.segments import Segments, ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.engine.lifecycle import Ticks
    from rules.engine.slots import Slots
    from rules.plan import Plan
    from rules.readings import Readings


@dataclass(frozen=True, slots=True)
class Part:
    """Judged rows by channel; ``accepted[c]`` says which rows acceptance class c takes."""

    rows: Readings
    g: NDArray[np.int64]
    segments: Segments
    accepted: list[NDArray[np.bool_] | None]  # None = all rows
    ticks: Ticks


@dataclass(frozen=True, slots=True)
class Spread:
    """Rows × slots of one kind: slot segments, and for every row its index in the part."""

    slot: NDArray[np.int64]  # [s]
    length: NDArray[np.int64]  # [s]
    at: NDArray[np.int64]  # [r] row of Part.rows
    owner: NDArray[np.int64]  # [r] slot segment

    def keep(self, chosen: NDArray[np.bool_]) -> Spread:
        """Return only the chosen rows; slot segments may become empty."""
        if chosen.all():
            return self
        owner = self.owner[chosen]
        length = np.bincount(owner, minlength=len(self.slot))
        return Spread(self.slot, length, self.at[chosen], owner)

    def of_slots(self, chosen: NDArray[np.bool_]) -> tuple[Spread, NDArray[np.bool_]]:
        """Return only the chosen slot segments, and the mask of the rows kept."""
        rows = chosen[self.owner]
        number = np.cumsum(chosen) - 1
        spread = Spread(
            self.slot[chosen], self.length[chosen], self.at[rows], number[self.owner[rows]]
        )
        return spread, rows


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


def spread(
    part: Part, slots: Slots, kind: str, chosen: NDArray[np.int64] | None = None
) -> Spread | None:
    """Lay the rows of the (chosen) segments beside every slot of ``kind`` on their channels."""
    pointer, segments = slots.pointer[kind], part.segments
    key = segments.key if chosen is None else segments.key[chosen]
    first = pointer[key]
    each = pointer[key + 1] - first
    if not each.any():
        return None
    start = segments.start if chosen is None else segments.start[chosen]
    length = segments.length if chosen is None else segments.length[chosen]
    if (each == 1).all() and chosen is None:
        return Spread(first, length, segments.order, segments.of_row())
    slot = ranges(first, each)
    slot_length = np.repeat(length, each)
    places = ranges(np.repeat(start, each), slot_length)
    owner = np.repeat(np.arange(len(slot)), slot_length)
    return Spread(slot, slot_length, segments.order[places], owner)


def take_accepted(part: Part, slots: Slots, laid: Spread, *, finite: bool) -> Spread:
    """Drop rows a slot does not judge: not accepted, NaN (or not finite)."""
    value = part.rows.value[laid.at]
    keep = np.isfinite(value) if finite else ~np.isnan(value)
    if any(mask is not None for mask in part.accepted):
        accept = slots.parameters.accept[laid.slot][laid.owner]
        for number, mask in enumerate(part.accepted):
            if mask is not None:
                keep &= (accept != number) | mask[laid.at]
    return laid.keep(keep)


def slot_rows(
    part: Part, laid: Spread, score: NDArray[np.float64], over: NDArray[np.bool_]
) -> SlotRows:
    """Return what the lifecycle needs of laid-out rows."""
    at = laid.at
    return SlotRows(
        slot=laid.slot,
        length=laid.length,
        g=part.g[at],
        judged_ns=part.rows.judged_ns[at],
        receive_ns=part.rows.receive_ns[at],
        value=part.rows.value[at],
        score=score,
        over=over,
    )


def scored_rows(
    part: Part,
    slots: Slots,
    kind: str,
    score: Callable[[Part, Spread], NDArray[np.float64]],
) -> SlotRows | None:
    """Score all finite rows of a kind, and return those of slots that have something to do."""
    laid = spread(part, slots, kind)
    if laid is None:
        return None
    laid = take_accepted(part, slots, laid, finite=True)
    if not len(laid.at):
        return None
    mirrored = score(part, laid) * slots.parameters.sign[laid.slot][laid.owner]
    return _moving(part, slots, laid, mirrored)


def _moving(part: Part, slots: Slots, laid: Spread, score: NDArray[np.float64]) -> SlotRows | None:
    """Return the rows of slots in motion or with a score at or beyond their lowest limit."""
    hot_row = score >= slots.parameters.lowest[laid.slot][laid.owner]
    hot = slots.state.busy[laid.slot].copy()
    hot[laid.owner[hot_row]] = True
    if not hot.any():
        return None
    chosen, kept = laid.of_slots(hot)
    score = score[kept]
    scored = ~np.isnan(score)
    chosen = chosen.keep(scored)
    score = score[scored]
    return slot_rows(part, chosen, score, np.zeros(len(score), np.bool_))


def places_in_rules(slots: Slots, plan: Plan, mine: slice) -> list[tuple[int, int]]:
    """Return (rule, place in the rule's columns) of each slot of the kind."""
    of_rule = [
        {int(channel): i for i, channel in enumerate(rule.channel)} for rule in plan.channel_rules
    ]
    p = slots.parameters
    return [
        (int(r), of_rule[r][int(c)]) for r, c in zip(p.rule[mine], p.channel[mine], strict=True)
    ]
