"""Which parameters hold when: limits that change with the hour, the season, official warnings.

The wide tables of ``Parameters`` have the slots' own rows first, then one row for each combination
of schedules that moves a slot's levels. A sample is judged by the combination that holds at its
judged time, as far as warnings are known at its place of the journal; a slot remembers that of its
last row, for ticks to judge by. Most slots have none, and most sites no schedule at all, which
costs one comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.engine.parameters import rule_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.bulletins import Cited
    from rules.engine.parameters import Parameters
    from rules.plan import ChannelRule, Plan
    from rules.registry import Registry
    from rules.schedule import Schedule
    from rules.standing import StandingWarnings

MOVED: Final = ("raise_at", "clear_at", "hold_ns", "hold_samples", "keep_ns")


@dataclass(frozen=True, slots=True)
class Hours:
    """Where each slot's further rows lie."""

    group: NDArray[np.int64]  # [S] index into ``schedules``, −1 = the same at all hours
    first: NDArray[np.int64]  # [S] row under combination 1
    stride: NDArray[np.int64]  # [S] rows from one combination to the next
    schedules: tuple[tuple[Schedule, ...], ...]
    standing: StandingWarnings | None = None
    asset: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """[S] row of the asset a slot's channel is on, −1 = none; only where warnings count."""
    warned: bool = False  # some schedule asks for warnings

    def under(
        self, standing: StandingWarnings, registry: Registry, channel: NDArray[np.int32]
    ) -> Hours:
        """Return the same with the official warnings that some schedules ask for."""
        if not self.warned:
            return self
        assets = np.append(registry.channels.asset.astype(np.int64), -1)
        asset = assets[np.minimum(channel, len(assets) - 1)]
        return replace(self, standing=standing, asset=asset)

    def at(self, slot: NDArray[np.int64], t_ns: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return which combination of its schedules holds for each (slot, judged time); 0 = none.

        Bit i stands for the slot's schedule i.
        """
        found = np.zeros(len(slot), np.int8)
        if not self.schedules:
            return found
        group = self.group[slot]
        for number, schedules in enumerate(self.schedules):
            at = np.flatnonzero(group == number)
            if not len(at):
                continue
            asset = self.asset[slot[at]] if self.standing is not None else None
            for bit, schedule in enumerate(schedules):
                held = schedule.active(t_ns[at], self.standing, asset)
                found[at] |= held.astype(np.int8) << bit
        return found

    def rows(self, slot: NDArray[np.int64], hour: NDArray[np.int8]) -> NDArray[np.int64]:
        """Return the row of the wide tables of each (slot, combination)."""
        rows, at = slot.copy(), np.flatnonzero(hour)
        mine = slot[at]
        rows[at] = self.first[mine] + (hour[at].astype(np.int64) - 1) * self.stride[mine]
        return rows

    def cited(self, slot: int, hour: int, t_ns: int) -> Cited | None:
        """Return the warning that a combination holds for, as known now; None = for none."""
        if self.standing is None or not hour:
            return None
        own = self.schedules[int(self.group[slot])]
        asked = [s.warned for bit, s in enumerate(own) if hour >> bit & 1 and s.warned is not None]
        return self.standing.cited(asked, int(self.asset[slot]), t_ns) if asked else None


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
    warned = any(each.warned is not None for several in schedules for each in several)
    return whole, Hours(group, first, stride, tuple(schedules), warned=warned)
