"""``kind: threshold``: the value against limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rules.language.kinds.kind import Kind, limit_levels
from rules.language.limits import limit_sides, value_converters
from rules.language.models import LevelName, LimitBody
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.kinds.kind import Found, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


class ThresholdRule(LimitBody):
    """The value against limits."""

    kind: Literal["threshold"]
    over_range: LevelName | None = None


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    converters = value_converters(body, quantity)
    return limit_sides(body, levels, converters, QUANTITIES[quantity].unit)


def _check(body: Any, levels: Sequence[Level]) -> Iterable[Found]:
    if body.fail_loud and body.over_range is None:
        said = (
            "fail_loud needs over_range: beyond the sensor's range is the worst case, not bad data"
        )
        yield ("fail_loud",), said
    if body.over_range is None:
        return
    order = [level.name for level in levels]
    for key, held in limit_levels(body).items():
        top = max(held, key=order.index)
        if body.over_range != top:
            said = f"over_range must name the top level of {key}, {top}, not {body.over_range}"
            yield ("over_range",), said


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    low = registry.channels.range_lo[built.channel]
    high = registry.channels.range_hi[built.channel]
    key = "above" if built.side > 0 else "below"
    for i, level in enumerate(levels):
        limit = built.raise_at[:, i]
        beyond = limit > high if built.side > 0 else limit < low
        remedy = "only over_range can raise it" if built.over_range else "it never fires"
        said = f"limit {level.name} is {key} the sensor's range: {remedy}"
        warn.some(beyond, (key, level.name), said, unreachable=not built.over_range)
    if built.over_range:
        unknown = np.isinf(high) if built.side > 0 else np.isinf(low)
        warn.some(unknown, ("over_range",), "over_range has no effect without a registered range")


THRESHOLD = Kind(
    name="threshold",
    model=ThresholdRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }}（限值 {{ limit }}）",
    ),
    levels_of=limit_levels,
    sides_of=_sides,
    check=_check,
    warn=_warn,
)
