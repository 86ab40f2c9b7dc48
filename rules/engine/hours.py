"""Which parameters hold when: rules whose limits change with the hour or the season.

The wide tables of ``Parameters`` have the slots' own rows first, then one row for each combination
of schedules that moves a slot's levels. A sample is judged by the row that holds at its judged
time; most slots have none, and most sites no schedule at all, which costs one comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.engine.parameters import rule_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.parameters import Parameters
    from rules.plan import ChannelRule, Plan
    from rules.schedule import Schedule

MOVED: Final = ("raise_at", "clear_at", "hold_ns", "hold_samples", "keep_ns")


@dataclass(frozen=True, slots=True)
class Hours:
    """Where each slot's further rows lie."""

    group: NDArray[np.int64]  # [S] index into ``schedules``, −1 = the same at all hours
    first: NDArray[np.int64]  # [S] row under combination 1
    stride: NDArray[np.int64]  # [S] rows from one combination to the next
    schedules: tuple[tuple[Schedule, ...], ...]

    def rows(self, slot: NDArray[np.int64], t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of the wide tables that holds for each (slot, judged time)."""
        if not self.schedules:
            return slot
        group, rows = self.group[slot], slot.copy()
        for number, schedules in enumerate(self.schedules):
            at = np.flatnonzero(group == number)
            if not len(at):
                continue
            held = np.zeros(len(at), np.int64)
            for bit, schedule in enumerate(schedules):
                held |= schedule.active(t_ns[at]).astype(np.int64) << bit
            at, held = at[held > 0], held[held > 0]
            mine = slot[at]
            rows[at] = self.first[mine] + (held - 1) * self.stride[mine]
        return rows


def lay_hours(
    plan: Plan,
    rules: Sequence[ChannelRule],
    parameters: Parameters,
    place: NDArray[np.int64],
    ranges: tuple[NDArray[Any], NDArray[Any]],
) -> tuple[Parameters, Hours]:
    """Return the parameters with the rows of all hours; ``place`` [S] is that in the rule."""
    count = len(parameters.channel)
    group, first = np.full(count, -1), np.zeros(count, np.int64)
    stride = np.zeros(count, np.int64)
    schedules: list[tuple[Schedule, ...]] = []
    more: dict[str, list[NDArray[Any]]] = {name: [getattr(parameters, name)] for name in MOVED}
    lowest, calm = parameters.lowest.copy(), parameters.calm.copy()
    end = count
    for number, rule in enumerate(rules):
        if not rule.by_hours:
            continue
        if rule.schedules not in schedules:
            schedules.append(rule.schedules)
        mine = np.flatnonzero(parameters.rule == number)
        group[mine] = schedules.index(rule.schedules)
        first[mine], stride[mine] = end + place[mine], len(rule.channel)
        for variant in list(rule.at_hours())[1:]:
            part = rule_parameters(plan, number, variant, *ranges, [])
            for name in MOVED:
                more[name].append(part[name])
            lowest[mine] = np.minimum(lowest[mine], part["lowest"][place[mine]])
            calm[mine] = np.minimum(calm[mine], part["calm"][place[mine]])
            end += len(rule.channel)
    if not schedules:
        return parameters, Hours(group, first, stride, ())
    wide = {name: np.concatenate(parts) for name, parts in more.items()}
    whole = replace(parameters, lowest=lowest, calm=calm, **wide)
    return whole, Hours(group, first, stride, tuple(schedules))
