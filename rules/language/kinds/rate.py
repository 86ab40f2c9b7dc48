"""``kind: rate``: the change per time over a window against limits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from rules.language.amounts import SpanValue
from rules.language.kinds.kind import Kind, limit_levels, warn_of_span
from rules.language.limits import limit_sides, unit_of
from rules.language.models import LimitBody
from rules.quantities import QUANTITIES, per_time, ucum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.amounts import Amount
    from rules.language.kinds.kind import Columns, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

POINTS: Final = 64  # what the engine keeps of a window


class RateRule(LimitBody):
    """The change per time over a window against limits."""

    kind: Literal["rate"]
    window: SpanValue
    min_points: Annotated[int, Field(ge=2, le=POINTS)] = 2
    method: Literal["difference", "theil_sen", "least_squares"] = "difference"


def slope_sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    """Return limits of a change per time, which ``Side.own["per_ns"]`` is of."""
    unit = QUANTITIES[quantity].unit
    every = [*(body.above or {}).values(), *(body.below or {}).values()]
    first = unit_of(every[0], body.unit, f"{unit}/min")
    _, per_ns = per_time(quantity, first)

    def rate(amount: Amount) -> float:
        scale, ns = per_time(quantity, unit_of(amount, body.unit, f"{unit}/min"))
        return float(Fraction(repr(amount.number)) * scale * per_ns / ns)

    said = f"{unit}/{ucum(first).rpartition('/')[2]}"
    sides = limit_sides(body, levels, (rate, rate), said)
    for side in sides:
        side.own["per_ns"] = per_ns
    return sides


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    return {
        "window_ns": matched.spans(body.window),
        "min_points": matched.whole(body.min_points),
        "per_ns": matched.whole(int(side.own["per_ns"])),
    }


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    interval = registry.channels.interval_ns[built.channel]
    warn_of_span(warn, built, registry, levels, most=built.own["per_ns"] / interval)
    points = built.own["window_ns"] / interval
    few = points < built.own["min_points"] - 1
    warn.some(few, ("window",), "window never holds min_points samples")
    warn.some(points > POINTS, ("window",), f"only the newest {POINTS} samples count")


RATE = Kind(
    name="rate",
    model=RateRule,
    message=(
        "{{ asset.name }}: {{ quantity }} changes by {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}变化 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=limit_levels,
    sides_of=slope_sides,
    own_of=_own,
    options_of=lambda body: {"method": body.method},
    warn=_warn,
    settable=("window", "min_points"),
)
