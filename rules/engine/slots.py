"""All slots of all per-channel rules side by side: parameters and lifecycle state, as arrays.

A slot is rule × side × channel. Low limits are mirrored (scores and limits negated, which is
exact), so that the lifecycle only knows "above". Levels are bits of one mask: bit l for level l,
and bit L, one past the last, for the hidden level that confirms a first dangerous sample
(docs/semantics.md section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.hours import Hours, lay_hours
from rules.engine.parameters import (
    Parameters,
    none_of,
    rule_parameters,
    score_meaning,
    slot_meaning,
)
from rules.engine.tracks import Tracks
from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.plan import ChannelRule, Level, Plan

INF_NS = np.int64(2**63 - 1)  # no timer
NO_NS = np.int64(-(2**63))  # no run, never


@dataclass(slots=True)
class State:
    """What the slots remember of the rows they judged."""

    onset_ns: NDArray[np.int64]  # [S, K] start of the breach run, NO_NS = none
    count: NDArray[np.int32]  # [S, K] rows of it
    clear_ns: NDArray[np.int64]  # [S, K] start of the clear run, NO_NS = none
    due_ns: NDArray[np.int64]  # [S, K] tick time that will set the level, INF_NS = none
    mask: NDArray[np.int64]  # [S] latched levels
    closed: NDArray[np.bool_]  # [S] range latch
    busy: NDArray[np.bool_]  # [S] any run, latch or range latch
    gap: NDArray[np.bool_]  # [S] the next row comes after a clock epoch
    last_ns: NDArray[np.int64]  # [S] judged time of the last row while busy
    receive_ns: NDArray[np.int64]  # [S]
    value: NDArray[np.float64]  # [S]
    score: NDArray[np.float64]  # [S] mirrored
    episode: NDArray[np.int64]  # [S] g of the RAISED
    max_severity: NDArray[np.int64]  # [S]
    hour: NDArray[np.int8]  # [S] combination of schedules the last row was judged under
    aux: NDArray[np.float64]  # [S, A] what else the scorer said of the last row

    @classmethod
    def fresh(cls, slots: int, columns: int, aux: int) -> State:
        """Return the state of slots that judged nothing yet."""
        wide = (slots, columns)
        return cls(
            onset_ns=np.full(wide, NO_NS),
            count=np.zeros(wide, np.int32),
            clear_ns=np.full(wide, NO_NS),
            due_ns=np.full(wide, INF_NS),
            mask=np.zeros(slots, np.int64),
            closed=np.zeros(slots, np.bool_),
            busy=np.zeros(slots, np.bool_),
            gap=np.zeros(slots, np.bool_),
            last_ns=np.full(slots, NO_NS),
            receive_ns=np.full(slots, NO_NS),
            value=np.full(slots, np.nan),
            score=np.full(slots, np.nan),
            episode=np.zeros(slots, np.int64),
            max_severity=np.zeros(slots, np.int64),
            hour=np.zeros(slots, np.int8),
            aux=np.full((slots, aux), np.nan),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, not copied."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass
class Slots:
    """The table: slots sorted by (kernel, channel, rule, side), and the tracks they belong to."""

    parameters: Parameters
    hours: Hours
    state: State
    levels: tuple[Level, ...]
    severity: NDArray[np.int64]  # [K] severity of each column, the hidden one 0
    subjects: Sequence[str]  # channel ids, and whatever else alarms are about
    rules: Sequence[ChannelRule]  # those of channels, the composite ones, then mere inputs
    inputs_from: int  # the first rule that is a mere input: its changes are told to nobody
    meaning: NDArray[np.uint64]  # [S] hash of everything that shapes what the slot means
    tracks: dict[str, Tracks]  # by kernel
    track: NDArray[np.int64]  # [S] place of the slot's track among its kernel's
    spans: NDArray[np.int64]  # [kernels + 1] first slot of each kernel, in the order of ``tracks``
    pointer: dict[str, NDArray[np.int64]]  # kernel -> [channels + 1] first slot of each channel
    accept_flags: list[tuple[int, ...]]  # acceptance classes; () = all flags
    busy_channels: NDArray[np.int32]  # [channels] threshold slots in motion
    next_due_ns: np.int64 = field(default=INF_NS)

    @cached_property
    def rule_rank(self) -> NDArray[np.int64]:
        """Return the place of each rule among all rule ids as text; sides share it."""
        return ranks([rule.rule_id for rule in self.rules])

    @cached_property
    def subject_rank(self) -> NDArray[np.int64]:
        """Return the place of each subject among all as text; found at the first event."""
        return ranks(self.subjects)

    def span(self, kernel: str) -> slice:
        """Return the slots of a kernel."""
        return slice(int(self.pointer[kernel][0]), int(self.pointer[kernel][-1]))

    def note_busy(self, slot: NDArray[np.int64], busy: NDArray[np.bool_]) -> None:
        """Write whether slots are in motion, and count them by track and channel."""
        was = self.state.busy[slot]
        changed = np.flatnonzero(was != busy)
        if not len(changed):
            return
        slot, busy = slot[changed], busy[changed]
        self.state.busy[slot] = busy
        step = np.where(busy, np.int32(1), np.int32(-1))
        order = np.argsort(slot)  # a kernel's slots lie side by side
        slot, step = slot[order], step[order]
        cuts = np.searchsorted(slot, self.spans).tolist()
        for (kernel, tracks), a, b in zip(self.tracks.items(), cuts[:-1], cuts[1:], strict=True):
            if a == b:
                continue
            np.add.at(tracks.busy, self.track[slot[a:b]], step[a:b])
            if kernel == "threshold":
                np.add.at(self.busy_channels, self.parameters.channel[slot[a:b]], step[a:b])

    def recount(self) -> None:
        """Count the slots in motion anew: their state was put back from elsewhere."""
        for kernel, tracks in self.tracks.items():
            span = self.span(kernel)
            moving = self.state.busy[span]
            count = np.bincount(self.track[span][moving], minlength=len(tracks))
            tracks.busy[:] = count
        span = self.span("threshold")
        channel = self.parameters.channel[span][self.state.busy[span]]
        self.busy_channels[:] = np.bincount(channel, minlength=len(self.busy_channels))

    def __len__(self) -> int:
        """Return the number of slots."""
        return len(self.parameters.channel)

    def named(self, rule_id: str, subject: str) -> list[int]:
        """Return the slots of a rule and subject, both sides."""
        if subject not in self.subjects:
            return []
        numbers = [i for i, rule in enumerate(self.rules) if rule.rule_id == rule_id]
        of_rule = np.isin(self.parameters.rule, numbers)
        of_rule &= self.parameters.channel == self.subjects.index(subject)
        found: list[int] = np.flatnonzero(of_rule).tolist()
        return found


def build_slots(
    plan: Plan,
    channel_ids: Sequence[str],
    range_lo: NDArray[Any],
    range_hi: NDArray[Any],
    kernels: Sequence[str],
    aux: int = 0,
) -> Slots:
    """Lay out the slots of a plan, kernel by kernel; all state fresh."""
    levels = plan.levels
    columns = len(levels) + 1
    classes: list[tuple[int, ...]] = [(1, 2, 3)]
    parts, scores, meanings = [], [], []
    rules = plan.slot_rules
    for number, rule in enumerate(rules):
        part = rule_parameters(plan, number, rule, range_lo, range_hi, classes)
        score = score_meaning(rule, part)
        parts.append(part)
        scores.append(score)
        meanings.append(slot_meaning(plan, rule, part, score))
    whole = {
        f.name: np.concatenate([p[f.name] for p in parts]) if parts else none_of(f.name, columns)
        for f in fields(Parameters)
    }
    none = np.zeros(0, np.uint64)
    score, meaning = np.concatenate([none, *scores]), np.concatenate([none, *meanings])
    place = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(s)) for s in scores)])
    of_rule = np.array([kernels.index(r.kernel) for r in rules], np.int64)
    names = {name: i for i, name in enumerate(sorted({r.rule_id for r in rules}))}
    name = np.array([names[r.rule_id] for r in rules], np.int64)[whole["rule"]]
    kernel = of_rule[whole["rule"]]
    order = np.lexsort((whole["sign"], whole["rule"], score, name, whole["channel"], kernel))
    parameters = Parameters(**{name: column[order] for name, column in whole.items()})
    ranges = (range_lo, range_hi)
    parameters, hours = lay_hours(plan, rules, parameters, place[order], ranges)
    slots = Slots(
        parameters=parameters,
        hours=hours,
        state=State.fresh(len(order), columns, aux),
        levels=levels,
        severity=np.array([level.severity for level in levels] + [0], np.int64),
        subjects=(*channel_ids, *plan.subjects),
        rules=rules,
        inputs_from=len(rules) - len(plan.input_rules),
        meaning=meaning[order],
        tracks={},
        track=np.zeros(len(order), np.int64),
        spans=np.searchsorted(kernel[order], np.arange(len(kernels) + 1)),
        pointer={},
        accept_flags=classes,
        busy_channels=np.zeros(len(channel_ids), np.int32),
    )
    for kernel_name, a, b in zip(kernels, slots.spans[:-1], slots.spans[1:], strict=True):
        own = (name[order[a:b]], score[order[a:b]], place[order[a:b]])
        most = int(slots.parameters.channel[a:b].max(initial=-1)) + 1
        count = max(len(channel_ids), most)
        _lay_tracks(slots, kernel_name, slice(int(a), int(b)), own, count)
    return slots


def _lay_tracks(
    slots: Slots,
    kernel: str,
    span: slice,
    own: tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]],
    channels: int,
) -> None:
    """Gather slots of one rule, channel and meaning of the score into tracks."""
    p = slots.parameters
    name, score, place = own
    channel, rule = p.channel[span].astype(np.int64), p.rule[span].astype(np.int64)
    new = np.ones(len(channel), np.bool_)
    new[1:] = (channel[1:] != channel[:-1]) | (name[1:] != name[:-1]) | (score[1:] != score[:-1])
    first = np.flatnonzero(new)
    slots.track[span] = np.cumsum(new) - 1
    edge = np.minimum(p.lowest[span], np.nextafter(p.range_at[span], np.inf))
    high = np.where(p.sign[span] > 0, edge, np.inf)
    low = np.where(p.sign[span] < 0, -edge, -np.inf)
    slots.pointer[kernel] = _pointer(channel, channels, span.start)
    slots.tracks[kernel] = Tracks(
        kernel=kernel,
        channel=channel[first],
        rule=rule[first],
        accept=p.accept[span][first],
        max_gap_ns=p.max_gap_ns[span][first],
        meaning=score[first],
        pointer=_pointer(channel[first], channels, 0),
        slot=np.append(span.start + first, span.stop),
        quiet_high=np.minimum.reduceat(high, first) if len(first) else high,
        quiet_low=np.maximum.reduceat(low, first) if len(first) else low,
        busy=np.zeros(len(first), np.int32),
        rules=slots.rules,
        _place=place[first],
    )


def _pointer(channel: NDArray[np.int64], channels: int, start: int) -> NDArray[np.int64]:
    """Return where each channel's rows begin among rows sorted by channel, and their end."""
    if not len(channel):  # most kernels of a site: no memory for a million times the same
        return np.broadcast_to(np.int64(start), channels + 1)
    pointer = np.full(channels + 1, start)
    pointer[1:] += np.cumsum(np.bincount(channel, minlength=channels))
    return pointer


def timed(hold_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell holds that time alone can fulfil."""
    return hold_ns < NEVER_NS


def ranks(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each name among them in the order of text; equal names share it."""
    place = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([place[name] for name in names], np.int64)
