"""From latch changes to events: columns first, Event objects only where something happened."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.lifecycle import Transitions, extend, run_levels
from rules.engine.one_row import advance_one
from rules.engine.parameters import DANGEROUS
from rules.engine.slots import INF_NS, NO_NS
from rules.events import NOTHING, Event, EventType
from rules.readings import MAX_ROWS, ROW_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from rules.engine.lifecycle import Extended, SlotRows, Ticks
    from rules.engine.slots import Slots
    from rules.plan import ChannelRule, Plan


@dataclass(frozen=True, slots=True)
class Groups:
    """Latch changes gathered by (segment, position): one possible level event each."""

    segment: NDArray[np.int64]
    g: NDArray[np.int64]
    row: NDArray[np.int64]
    tick_ns: NDArray[np.int64]
    before: NDArray[np.int64]  # latch masks
    after: NDArray[np.int64]
    of: NDArray[np.int64]  # group of each transition
    transitions: Transitions


@dataclass(frozen=True, slots=True)
class SlotEvents:
    """Level events as columns, in no particular order; e events."""

    kind: list[EventType]
    slot: NDArray[np.int64]
    g: NDArray[np.int64]
    ordinal: NDArray[np.int64]
    severity: NDArray[np.int64]
    previous: NDArray[np.int64]
    max_severity: NDArray[np.int64]
    episode: NDArray[np.int64]
    onset_ns: NDArray[np.int64]
    event_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    score: NDArray[np.float64]
    limit: NDArray[np.float64]
    confirmed: NDArray[np.bool_]
    over_range: NDArray[np.bool_]
    hour: NDArray[np.int8]  # combination of schedules it was decided under
    aux: NDArray[np.float64] | None


def advance(slots: Slots, rows: SlotRows, ticks: Ticks) -> SlotEvents | None:
    """Run all levels of the given slots, write their state back, and return what changed."""
    state, slot = slots.state, rows.slot
    if not len(slot):
        return None
    before = state.mask[slot]
    one = len(rows.g) == len(slot) and bool((rows.length == 1).all())
    done = advance_one(slots, rows, ticks) if one else None
    if done is not None:
        extended, found = done
    else:
        extended = extend(slots, rows)
        found = run_levels(slots, slot, extended, ticks)
    events = _events(slots, slot, extended, before, found) if found is not None else None
    _write_back(slots, slot, extended)
    return events


def _write_back(slots: Slots, slot: NDArray[np.int64], rows: Extended) -> None:
    """Remember the last row of each slot, and when the next timer is due."""
    state, last = slots.state, rows.last
    state.closed[slot] = rows.closed[last]
    state.last_ns[slot] = rows.judged_ns[last]
    state.receive_ns[slot] = rows.receive_ns[last]
    state.value[slot] = rows.value[last]
    state.score[slot] = rows.score[last]
    if rows.hour is not None:
        state.hour[slot] = rows.hour[last]
    if rows.aux is not None:
        state.aux[slot] = rows.aux[last]
    state.gap[slot] &= last == rows.first
    running = (state.onset_ns[slot] != NO_NS).any(axis=1)
    slots.note_busy(slot, running | (state.mask[slot] != 0) | state.closed[slot])
    due = state.due_ns[slot].min(initial=INF_NS)
    slots.next_due_ns = min(slots.next_due_ns, due)


def _group(before: NDArray[np.int64], found: Transitions) -> Groups:
    """Bring the changes in order of (segment, position, column), and gather them."""
    order = np.lexsort((found.column, found.g, found.segment))
    t = Transitions(*(getattr(found, name)[order] for name in Transitions.__slots__))
    new = np.ones(len(order), np.bool_)
    new[1:] = (t.segment[1:] != t.segment[:-1]) | (t.g[1:] != t.g[:-1])
    head = np.flatnonzero(new)
    of = np.cumsum(new) - 1
    delta = np.where(t.on, 1, -1) << t.column
    total = np.cumsum(delta)
    segment = t.segment[head]
    first_of_segment = np.searchsorted(t.segment, segment)
    base = np.where(first_of_segment > 0, total[first_of_segment - 1], 0)
    tail = np.append(head[1:], len(order)) - 1
    after = before[segment] + total[tail] - base
    earlier = before[segment] + np.where(head > 0, total[head - 1], 0) - base
    return Groups(segment, t.g[head], t.row[head], t.tick_ns[head], earlier, after, of, t)


def _events(
    slots: Slots,
    slot: NDArray[np.int64],
    rows: Extended,
    before: NDArray[np.int64],
    found: Transitions,
) -> SlotEvents:
    """Turn groups into RAISED, ESCALATED, LOWERED, CLEARED and CONFIRMED; keep the episodes."""
    groups = _group(before, found)
    levels = len(slots.levels)
    hidden = np.int64(1) << levels
    was, now = _top(groups.before, levels), _top(groups.after, levels)
    severity, previous = slots.severity[now], slots.severity[was]
    owner = slot[groups.segment]
    moved = now != was
    raised = moved & (was < 0)
    episode, highest = _episodes(slots, groups, owner, raised, severity)
    decided = _deciding(groups, was, now, levels)
    onset = groups.transitions.onset_ns[decided]
    column = groups.transitions.column[decided]
    up = now > was
    p, (hour, told) = slots.parameters, _told(slots, owner, rows, groups.row)
    limit = np.where(up, p.raise_at[told, column], p.clear_at[told, column])
    confirms = (groups.after & hidden != 0) & (groups.before & hidden == 0)
    loud = slots.parameters.fail_loud[owner]
    sure = ~loud | (groups.after & hidden != 0) | (severity < DANGEROUS)
    level_events = np.flatnonzero(moved)
    confirm_events = np.flatnonzero(confirms)
    at = np.concatenate([level_events, confirm_events])
    confirm_onset = np.zeros(len(groups.g), np.int64)
    of_hidden = groups.transitions.column == levels
    confirm_onset[groups.of[of_hidden]] = groups.transitions.onset_ns[of_hidden]
    is_level = np.arange(len(at)) < len(level_events)
    by_tick = groups.tick_ns[at] != NO_NS
    row, sign = groups.row[at], p.sign[owner[at]]
    raw_limit = np.where(is_level, limit[at], p.raise_at[told[at], levels])
    named = is_level | (severity[at] > 0)  # a hidden level may be set with no level to confirm
    kind = _kinds(was[level_events], now[level_events])
    return SlotEvents(
        kind=kind + [EventType.CONFIRMED] * len(confirm_events),
        slot=owner[at],
        g=groups.g[at],
        ordinal=np.where(is_level, 0, 1),
        severity=severity[at],
        previous=previous[at],
        max_severity=np.where(named, highest[at], 0),
        episode=np.where(named, episode[at], -1),
        onset_ns=np.where(is_level, onset[at], confirm_onset[at]),
        event_ns=rows.judged_ns[row],
        receive_ns=np.where(by_tick, groups.tick_ns[at], rows.receive_ns[row]),
        value=rows.value[row],
        score=rows.score[row] * sign,
        limit=raw_limit * sign,
        confirmed=sure[at] | (~is_level),
        over_range=rows.closed[row],
        hour=hour[at],
        aux=None if rows.aux is None else rows.aux[row],
    )


def _told(
    slots: Slots, owner: NDArray[np.int64], rows: Extended, row: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return the combination of schedules each row was judged under, and its row of parameters."""
    if rows.hour is None:
        return np.zeros(len(owner), np.int8), owner
    hour = rows.hour[row]
    return hour, slots.hours.rows(owner, hour)


def _top(mask: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """Return the highest latched level of each mask, −1 for none (the hidden bit left out)."""
    table = np.full(1 << levels, -1, np.int64)
    for level in range(levels):
        table[1 << level : 2 << level] = level
    top: NDArray[np.int64] = table[mask & ((1 << levels) - 1)]
    return top


_MOVES = (EventType.RAISED, EventType.CLEARED, EventType.ESCALATED, EventType.LOWERED)


def _kinds(was: NDArray[np.int64], now: NDArray[np.int64]) -> list[EventType]:
    """Name changes of level."""
    move = np.select([was < 0, now < 0, now > was], [0, 1, 2], 3)
    return [_MOVES[each] for each in move.tolist()]


def _deciding(
    groups: Groups, was: NDArray[np.int64], now: NDArray[np.int64], levels: int
) -> NDArray[np.int64]:
    """Return, per group, the transition that decides: the level reached, or the highest reset."""
    t = groups.transitions
    decided = np.zeros(len(groups.g), np.int64)
    index = np.arange(len(t.g))
    # written in order of column, so the highest reset level stays; on the way up the level
    # reached wins, on the way down it may have been set by the same row and must not
    reset = ~t.on & (t.column < levels)
    decided[groups.of[reset]] = index[reset]
    reached = t.on & (t.column == np.where(now > was, now, -1)[groups.of])
    decided[groups.of[reached]] = index[reached]
    return decided


def _episodes(
    slots: Slots,
    groups: Groups,
    owner: NDArray[np.int64],
    raised: NDArray[np.bool_],
    severity: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each group's episode and the highest severity it had so far; write both back."""
    state, n = slots.state, len(groups.g)
    head = np.ones(n, np.bool_)
    head[1:] = groups.segment[1:] != groups.segment[:-1]
    begin = raised | head
    since = np.maximum.accumulate(np.where(begin, np.arange(n), 0))
    named = np.where(raised, groups.g, state.episode[owner])
    episode = named[since]
    carried = np.where(head & ~raised, state.max_severity[owner], 0)
    number = np.cumsum(begin) << 8
    highest = np.maximum.accumulate(number | np.maximum(severity, carried)) & 0xFF
    tail = np.append(head[1:], True)
    state.episode[owner[tail]] = episode[tail]
    state.max_severity[owner[tail]] = highest[tail]
    return episode, highest


def to_events(
    slots: Slots, columns: SlotEvents, aux_names: Mapping[str, Sequence[str]]
) -> list[Event]:
    """Return Event objects of slot events, in log order; ``aux_names`` by kernel."""
    columns = ordered(slots, columns)
    count = len(columns.kind)
    rules = [slots.rules[r] for r in slots.parameters.rule[columns.slot].tolist()]
    subjects = slots.subjects
    channel = slots.parameters.channel[columns.slot].tolist()
    episode = columns.episode
    named = [
        f"{offset}.{row}" if offset >= 0 else ""
        for offset, row in zip(
            (episode >> ROW_BITS).tolist(), (episode & (MAX_ROWS - 1)).tolist(), strict=True
        )
    ]
    return list(
        map(
            Event._make,
            zip(
                columns.kind,
                (columns.g >> ROW_BITS).tolist(),
                (columns.g & (MAX_ROWS - 1)).tolist(),
                repeat(1, count),  # stage
                [rule.rule_id for rule in rules],
                [subjects[c] for c in channel],
                [rule.side for rule in rules],
                columns.ordinal.tolist(),
                repeat("0", count),  # partition
                columns.severity.tolist(),
                columns.previous.tolist(),
                columns.max_severity.tolist(),
                [rule.klass for rule in rules],
                named,
                columns.onset_ns.tolist(),
                columns.event_ns.tolist(),
                columns.receive_ns.tolist(),
                columns.value.tolist(),
                columns.score.tolist(),
                columns.limit.tolist(),
                columns.confirmed.tolist(),
                [not rule.shadow for rule in rules],  # announce
                columns.over_range.tolist(),
                _under_warnings(slots, columns, _evidence(rules, columns.aux, aux_names)),
                [rule.shadow for rule in rules],
                strict=True,
            ),
        )
    )


def ordered(slots: Slots, columns: SlotEvents) -> SlotEvents:
    """Bring slot events in log order: position, rule, subject, side, ordinal."""
    p, slot = slots.parameters, columns.slot
    rule, subject = slots.rule_rank[p.rule[slot]], slots.subject_rank[p.channel[slot]]
    return _taken(columns, np.lexsort((columns.ordinal, p.sign[slot], subject, rule, columns.g)))


def announced(slots: Slots, columns: SlotEvents) -> SlotEvents:
    """Leave out what happened to mere inputs of other rules."""
    shown = slots.parameters.rule[columns.slot] < slots.inputs_from
    return columns if shown.all() else _taken(columns, np.flatnonzero(shown))


def with_lives(events: list[Event], plan: Plan) -> list[Event]:
    """Return events of which those that raise say how their alarm lives, where its rule does."""
    lives = plan.lives
    if not lives:
        return events
    return [
        e._replace(evidence={**e.evidence, "life": lives[e.rule].said()})
        if e.type is EventType.RAISED and e.rule in lives
        else e
        for e in events
    ]


def _taken(columns: SlotEvents, at: NDArray[np.int64]) -> SlotEvents:
    """Return the chosen events, in that order."""
    names = [name for name in SlotEvents.__slots__ if name not in ("kind", "aux")]
    kind = columns.kind
    return SlotEvents(
        kind=[kind[i] for i in at.tolist()],
        **{name: getattr(columns, name)[at] for name in names},
        aux=None if columns.aux is None else columns.aux[at],
    )


def _under_warnings(
    slots: Slots, columns: SlotEvents, evidence: Iterable[Mapping[str, Any]]
) -> Iterable[Mapping[str, Any]]:
    """Add to what is said of each event the official warning its limits held for."""
    if not slots.hours.warned or not columns.hour.any():
        return evidence
    each = zip(columns.slot.tolist(), columns.hour.tolist(), columns.event_ns.tolist(), strict=True)
    cited = [slots.hours.cited(*place) for place in each]
    return [
        said if by is None else {**said, "warning": by.said()}
        for said, by in zip(evidence, cited, strict=False)
    ]


def _evidence(
    rules: Sequence[ChannelRule],
    aux: NDArray[np.float64] | None,
    names: Mapping[str, Sequence[str]],
) -> Iterable[Mapping[str, float]]:
    """Return what the scorers said of the deciding rows, by name; NaN is left out."""
    if aux is None:
        return repeat(NOTHING, len(rules))
    each = {id(rule): rule for rule in rules}
    called = {key: rule.inputs or names.get(rule.kernel, ()) for key, rule in each.items()}
    return [
        {
            name: value
            for name, value in zip(called[id(rule)], said, strict=False)
            if value == value  # noqa: PLR0124 - NaN
        }
        or NOTHING
        for rule, said in zip(rules, aux.tolist(), strict=True)
    ]
