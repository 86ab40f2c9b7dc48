"""What holds at an hour, one moment at a time, by Python's own calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rules.civil_time import zone_of

if TYPE_CHECKING:
    from rules.plan import ByHours, ChannelRule
    from rules.schedule import Schedule
    from tests.oracle_warnings import NaiveWarnings


def holds(schedule: Schedule, t_ns: int) -> bool:
    local_s = int(zone_of(schedule.zone).local(np.array([t_ns]))[0]) // 1_000_000_000
    clock = datetime(1970, 1, 1) + timedelta(seconds=local_s)  # noqa: DTZ001 - a wall clock
    minute = clock.weekday() * 1440 + clock.hour * 60 + clock.minute
    spans = list(zip(schedule.edges[::2], schedule.edges[1::2], strict=True))
    if not any(begin <= minute < end for begin, end in spans):
        return False
    if not schedule.seasons:
        return True
    day = (clock.month, clock.day)
    for first, last in schedule.seasons:
        begin, end = divmod(first, 100), divmod(last, 100)
        if begin <= day <= end or (begin > end and not end < day < begin):
            return True
    return False


def held_at(
    rule: ChannelRule, t_ns: int, warnings: NaiveWarnings | None, channel: int
) -> list[Schedule]:
    """The schedules of a rule that hold on a channel at that moment, as warnings are known now."""
    held = [schedule for schedule in rule.schedules if holds(schedule, t_ns)]
    return [
        schedule
        for schedule in held
        if schedule.warned is None
        or (warnings is not None and warnings.holding(schedule.warned, channel, t_ns))
    ]


def levels_of(rule: ChannelRule, held: list[Schedule]) -> ChannelRule | ByHours:
    """The rule itself, or what holds while these of its schedules do."""
    number = sum(1 << i for i, schedule in enumerate(rule.schedules) if schedule in held)
    return rule.by_hours[number - 1] if number else rule
