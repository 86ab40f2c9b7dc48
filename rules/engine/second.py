"""The second stage: rules that follow from what the others decided, over the same lifecycle.

Each looks at the level changes of the first stage in journal order, and makes rows of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.engine.kinds.joint import JOINTS
from rules.engine.kinds.vote import Votes
from rules.engine.lifecycle import SlotRows
from rules.engine.outcome import advance, ordered, to_events
from rules.engine.part import joined

if TYPE_CHECKING:
    from rules.engine.lifecycle import Ticks
    from rules.engine.outcome import SlotEvents
    from rules.engine.part import Part
    from rules.engine.slots import Slots
    from rules.events import Event

SECOND: tuple[type[Votes], ...] = (Votes, *JOINTS)


class SecondStage:
    """The kernels of the second stage a plan uses; their slots lie side by side, at the end."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.joins = {join.kernel: join(slots) for join in SECOND if len(slots.tracks[join.kernel])}

    @property
    def span(self) -> slice:
        """Return the slots of the second stage."""
        return slice(self.slots.span(SECOND[0].kernel).start, len(self.slots))

    def decide(self, part: Part, columns: SlotEvents | None, *, overdue: bool) -> list[Event]:
        """Return what follows from the first stage's changes in a part; in log order."""
        found = [rows for join in self.joins.values() if (rows := join.rows(part, columns))]
        if overdue:
            found.append(waiting_rows(self.slots, found, part.ticks, self.span))
        decided = advance(self.slots, joined(found), part.ticks) if found else None
        if decided is None:
            return []
        decided = ordered(self.slots, decided)
        told = to_events(self.slots, decided, {})
        who = np.zeros(len(told)) if decided.aux is None else decided.aux[:, 0]
        at = zip(decided.slot.tolist(), who.tolist(), decided.g.tolist(), strict=True)
        return [
            event._replace(stage=2, evidence=self._named(*place))
            for event, place in zip(told, at, strict=True)
        ]

    def _named(self, slot: int, who: float, g: int) -> dict[str, list[object]]:
        rule = self.slots.rules[int(self.slots.parameters.rule[slot])]
        return self.joins[rule.kernel].named(slot, who, g)


def waiting_rows(slots: Slots, found: list[SlotRows], ticks: Ticks, span: slice) -> SlotRows:
    """Return slots of a span without rows in this part whose timer a tick has reached."""
    due = np.zeros(len(slots), np.bool_)
    due[span] = (slots.state.due_ns[span] <= ticks.tick_ns[-1]).any(axis=1)
    for rows in found:
        due[rows.slot] = False
    slot = np.flatnonzero(due)
    none, empty = np.empty(0), np.empty(0, np.int64)
    return SlotRows(
        slot=slot,
        length=np.zeros(len(slot), np.int64),
        g=empty,
        judged_ns=empty,
        receive_ns=empty,
        value=none,
        score=none,
        over=np.empty(0, np.bool_),
    )
