"""What a change of rules ends, and what changes sides: rules on trial (shadow) and live ones.

A mode is no part of what a rule means: its state goes on. But an alarm that stands changes sides
loudly: it ends as what it was (RULE_CHANGED, with the old mark) and begins as what it is now
(RAISED, a new episode), so that the ledger never keeps one of a rule on trial, nor misses one of
a rule that became live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.parameters import DANGEROUS
from rules.engine.slots import NO_NS
from rules.events import NOTHING, Event, EventType
from rules.readings import offset_of, position, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.fold import Engine
    from rules.plan import Level


def turned(
    engine: Engine,
    state: dict[str, Any],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    same: int,
    offset: int,
) -> list[Event]:
    """Return what is told of latched slots that were kept and changed sides.

    ``places`` are theirs (new, old); the first ``same`` go by the rule's own id, the others come
    from a shadow folder, where the old slot ends or goes on by itself.
    """
    slots, (new_at, old_at) = engine.slots, places
    if not state.get("shadow") and not any(rule.shadow for rule in slots.rules):
        return []
    was = np.isin(np.array(state["rules"], np.str_), state.get("shadow", []))
    now = np.array([rule.shadow for rule in slots.rules], np.bool_)
    number = slots.parameters.rule[new_at]
    moved = was[state["slot_names"]["rule"][old_at]] != now[number]
    moved &= (slots.state.mask[new_at] & ((1 << len(slots.levels)) - 1)) != 0
    moved &= number < slots.inputs_from
    events = []
    for at in np.flatnonzero(moved).tolist():
        if at < same:
            old = int(old_at[at])
            events.append(ended(state, old, slots.levels, offset, engine.plan.content_hash))
        events.append(_begun(engine, int(new_at[at]), offset, last_tick_ns(state)))
    return events


def _begun(engine: Engine, slot: int, offset: int, tick_ns: int) -> Event:
    """Raise a latched slot anew, at the change."""
    slots, rule = engine.slots, engine.slots.rules[int(engine.slots.parameters.rule[slot])]
    state, p, levels = slots.state, slots.parameters, len(slots.levels)
    top = (int(state.mask[slot]) & ((1 << levels) - 1)).bit_length() - 1
    severity, sign = int(slots.severity[top]), float(p.sign[slot])
    onset_ns = int(state.onset_ns[slot, top])
    told = int(slots.hours.rows(np.array([slot]), state.hour[[slot]])[0])
    under = slots.hours.cited(slot, int(state.hour[slot]), int(state.last_ns[slot]))
    sure = bool(state.mask[slot] >> levels & 1) or severity < DANGEROUS
    state.episode[slot], state.max_severity[slot] = position(offset), severity
    return Event(
        type=EventType.RAISED,
        offset=offset,
        row=0,
        rule=rule.rule_id,
        subject=slots.subjects[int(p.channel[slot])],
        side=rule.side,
        ordinal=1,
        severity=severity,
        max_severity=severity,
        klass=rule.klass,
        episode=f"{offset}.0",
        onset_ns=onset_ns if onset_ns != NO_NS else int(state.last_ns[slot]),
        event_ns=int(state.last_ns[slot]),
        receive_ns=tick_ns,
        value=float(state.value[slot]),
        score=float(state.score[slot] * sign),
        limit=float(p.raise_at[told, top] * sign),
        confirmed=not rule.fail_loud or sure,
        announce=not rule.shadow,
        over_range=bool(state.closed[slot]),
        evidence=NOTHING if under is None else {"warning": under.said()},
        shadow=rule.shadow,
    )


def turned_silences(engine: Engine, state: dict[str, Any], offset: int) -> list[Event]:
    """Return the same of silences that stand, after their state was moved."""
    deadman, plan = engine.deadman, engine.plan
    was = set(state.get("shadow", []))
    if not any(rule.shadow != (rule.rule_id in was) for rule in plan.deadman_rules):
        return []
    old = {tuple(key): slot for slot, key in enumerate(state["deadman_keys"])}
    events = []
    for slot, (rule, device, missing) in enumerate(deadman.keys):
        arrays = plan.deadman_rules[int(deadman.rule[slot])]
        before = old.get((rule, device, missing.hex()))
        if before is None or deadman.level[slot] < 0 or arrays.shadow == (rule in was):
            continue
        events.append(ended_silence(state, before, plan.levels, offset, plan.content_hash))
        level, heard_ns = int(deadman.level[slot]), int(deadman.heard_ns[slot])
        silence_s = float(deadman.tick_ns - deadman.blind_ns - deadman.seen_ns[slot]) / 1e9
        severity = plan.levels[level].severity
        deadman.episode[slot], deadman.top[slot] = position(offset), level
        events.append(
            Event(
                type=EventType.RAISED,
                offset=offset,
                row=0,
                rule=rule,
                subject=device,
                ordinal=1,
                severity=severity,
                max_severity=severity,
                klass=arrays.klass,
                episode=f"{offset}.0",
                onset_ns=heard_ns,
                event_ns=heard_ns,
                receive_ns=last_tick_ns(state),
                value=silence_s,
                score=silence_s,
                limit=int(deadman.missing_ns[slot, level]) / 1e9,
                announce=not arrays.shadow,
                shadow=arrays.shadow,
            )
        )
    return events


def ended(
    state: dict[str, Any], slot: int, levels: Sequence[Level], offset: int, plan: str
) -> Event:
    """Say that the alarm of a slot of an older state ends by a change of rules."""
    names, held = state["slot_names"], state["slots"]
    rule, episode = state["rules"][names["rule"][slot]], int(held["episode"][slot])
    top = (int(held["mask"][slot]) & ((1 << len(levels)) - 1)).bit_length() - 1
    meaning = f"{int(names['meaning'][slot]):016x}"
    shadow = rule in state.get("shadow", [])
    return Event(
        type=EventType.RULE_CHANGED,
        offset=offset,
        row=0,
        rule=rule,
        subject=state["subjects"][names["subject"][slot]],
        side=int(names["side"][slot]),
        previous=levels[top].severity,
        event_ns=last_tick_ns(state),
        receive_ns=last_tick_ns(state),
        max_severity=int(held["max_severity"][slot]),
        episode=f"{offset_of(episode)}.{row_of(episode)}",
        announce=not shadow,
        evidence={"old_meaning": meaning, "plan": plan},
        shadow=shadow,
    )


def ended_silence(
    state: dict[str, Any], slot: int, levels: Sequence[Level], offset: int, plan: str
) -> Event:
    """Say the same of a silence."""
    rule, device, _missing = state["deadman_keys"][slot]
    held, episode = state["deadman"], int(state["deadman"]["episode"][slot])
    shadow = rule in state.get("shadow", [])
    return Event(
        type=EventType.RULE_CHANGED,
        offset=offset,
        row=0,
        rule=rule,
        subject=device,
        previous=levels[int(held["level"][slot])].severity,
        event_ns=last_tick_ns(state),
        receive_ns=last_tick_ns(state),
        max_severity=levels[int(held["top"][slot])].severity,
        episode=f"{offset_of(episode)}.{row_of(episode)}",
        announce=not shadow,
        evidence={"plan": plan},
        shadow=shadow,
    )


def last_tick_ns(state: dict[str, Any]) -> int:
    """Return the Clock's last word before a change; 0 before the first tick."""
    return max(int(state["tick_ns"]), 0)
