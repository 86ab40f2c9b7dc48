"""``kind: stuck``: the value has not moved for so long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from rules.language.amounts import AmountValue, Spans
from rules.language.kinds.kind import Kind, no_hysteresis
from rules.language.limits import difference_of, second_sides
from rules.language.models import ChannelBody, RuleClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.kinds.kind import Columns, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


class StuckRule(ChannelBody):
    """The value has stayed within a tolerance for so long."""

    kind: Literal["stuck"]
    klass: RuleClass = Field("maintenance", alias="class")
    above: Spans  # for how long, by level
    tolerance: AmountValue | None = None  # greatest less least value; none: exactly the same


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    sides = second_sides({"above": (1, body.above)}, levels)
    tolerance = 0.0 if body.tolerance is None else difference_of(body.tolerance, "", quantity)
    for side in sides:
        side.own["tolerance"] = tolerance
        if tolerance < 0:
            side.problems.append((("tolerance",), "tolerance must not be below 0", "error"))
    return sides


def _own(_body: Any, side: Side, matched: Matched) -> Columns:
    return {"tolerance": matched.each(side.own["tolerance"])}


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    interval = registry.channels.interval_ns[built.channel]
    for i, level in enumerate(levels):
        said = f"above: {level.name} is within one interval: two equal samples are enough"
        warn.some(built.raise_at[:, i] * 1e9 <= interval, ("above", level.name), said)
    said = "max_gap is shorter than the sampling interval: every sample begins anew"
    warn.some(built.max_gap_ns < interval, ("max_gap",), said)


STUCK = Kind(
    name="stuck",
    model=StuckRule,
    message=(
        "{{ asset.name }}: {{ quantity }} stuck at {{ value }} for {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}停在 {{ value }} 已 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"above": dict(body.above)},
    sides_of=_sides,
    own_of=_own,
    check=no_hysteresis,
    warn=_warn,
    settable=("tolerance",),
)
