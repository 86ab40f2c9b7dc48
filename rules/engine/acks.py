"""What a person's command does to the engine: an acknowledgement lets some statistics begin anew.

An alarm's own state of acknowledgement is kept elsewhere, in the ledger.
A reset opens a range latch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from rules.engine.slots import NO_NS
from rules.events import Event, EventType, alarm_id, alarm_key
from rules.readings import offset_of, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rules.engine.kinds.scorer import Scorer
    from rules.engine.slots import Slots


@runtime_checkable
class Acknowledged(Protocol):
    """A scorer whose tracks begin anew, or not, when an alarm of theirs is acknowledged."""

    def acknowledge(self, own: NDArray[np.int64]) -> None:
        """Take note for the given tracks."""
        ...


def acknowledge(slots: Slots, scorers: Mapping[str, Scorer], data: Mapping[str, Any]) -> None:
    """Tell the tracks of an alarm's rule and channel, both sides; of an active alarm only.

    An acknowledgement taken back changes nothing: what began anew has begun.
    """
    if data.get("revoke"):
        return
    visible = (1 << len(slots.levels)) - 1
    for kernel, scorer in scorers.items():
        if not isinstance(scorer, Acknowledged):
            continue
        span = slots.span(kernel)
        active = span.start + np.flatnonzero(slots.state.mask[span] & visible)
        for slot in active.tolist():
            if _alarm_of(slots, slot) == data.get("alarm"):
                scorer.acknowledge(_tracks_of(slots, kernel, slot))


def _alarm_of(slots: Slots, slot: int) -> str:
    """Return the public id of the alarm a latched slot stands for."""
    rule = slots.rules[int(slots.parameters.rule[slot])]
    subject = slots.subjects[int(slots.parameters.channel[slot])]
    episode = int(slots.state.episode[slot])
    key = alarm_key(rule.rule_id, rule.side, subject)
    return alarm_id(key, f"{offset_of(episode)}.{row_of(episode)}")


def _tracks_of(slots: Slots, kernel: str, slot: int) -> NDArray[np.int64]:
    """Return the tracks of the slot's rule, by its name, on the slot's channel."""
    tracks = slots.tracks[kernel]
    channel = int(slots.parameters.channel[slot])
    name = slots.rules[int(slots.parameters.rule[slot])].rule_id
    own = range(int(tracks.pointer[channel]), int(tracks.pointer[channel + 1]))
    same = [track for track in own if slots.rules[int(tracks.rule[track])].rule_id == name]
    return np.array(same, np.int64)


def reset(slots: Slots, offset: int, data: Mapping[str, Any]) -> list[Event]:
    """Open the range latch of the slots of one rule and channel; an event for each that was."""
    state, events = slots.state, []
    for slot in slots.named(str(data.get("rule")), str(data.get("channel"))):
        if not state.closed[slot]:
            continue
        state.closed[slot] = False
        state.clear_ns[slot] = NO_NS
        running = (state.onset_ns[slot] != NO_NS).any()
        moving = np.array([running or state.mask[slot] != 0])
        slots.note_busy(np.array([slot]), moving)
        events.append(_reset_event(slots, offset, slot))
    return events


def _reset_event(slots: Slots, offset: int, slot: int) -> Event:
    """Say that a person reset a range latch after a re-test."""
    state = slots.state
    levels = len(slots.levels)
    latched = [c for c in range(levels) if state.mask[slot] >> c & 1]
    severity = int(slots.severity[latched[-1]]) if latched else 0
    rule = slots.rules[int(slots.parameters.rule[slot])]
    episode = int(state.episode[slot])
    sure = not rule.fail_loud or bool(state.mask[slot] >> levels & 1) or severity < 3
    sign = float(slots.parameters.sign[slot])
    return Event(
        type=EventType.RESET,
        offset=offset,
        row=0,
        stage=1,
        rule=rule.rule_id,
        subject=slots.subjects[int(slots.parameters.channel[slot])],
        side=rule.side,
        severity=severity,
        previous=severity,
        max_severity=int(state.max_severity[slot]) if severity else 0,
        klass=rule.klass,
        episode=f"{offset_of(episode)}.{row_of(episode)}" if severity else "",
        event_ns=int(state.last_ns[slot]),
        receive_ns=int(state.receive_ns[slot]),
        value=float(state.value[slot]),
        score=float(state.score[slot] * sign),
        confirmed=sure,
        announce=not rule.shadow,
        shadow=rule.shadow,
    )
