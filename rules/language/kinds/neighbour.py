"""``kind: neighbour``: the distance from the median of the channels around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from rules.language.amounts import AmountValue, Limits, Span, SpanValue
from rules.language.kinds.kind import Kind, limit_levels, warn_of_span
from rules.language.limits import difference_of, limit_sides, sigma_sides
from rules.language.models import ChannelBody
from rules.language.nearby import MAX_NEIGHBOURS, Hops, Near, Nearby, Scope, one_way, padded
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.kinds.kind import Columns, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


class NeighbourRule(ChannelBody):
    """The value against the median of its neighbours, in the quantity's unit or in sigma."""

    kind: Literal["neighbour"]
    near: Near | None = None
    network: str | None = None
    hops: Hops | None = None
    scope: Scope | None = None
    max_age: SpanValue = Span(times=3.0)
    min_members: Annotated[int, Field(ge=1, le=MAX_NEIGHBOURS)] = 3
    unit: str = ""
    above: Limits | None = None
    below: Limits | None = None
    clear: Limits | None = None
    sigma: Limits | None = None
    side: Literal["above", "below", "both"] = "both"  # of sigma
    floor: AmountValue | None = None  # least sigma, in the quantity's unit

    @model_validator(mode="after")
    def _whole(self) -> NeighbourRule:
        one_way(self.near, self.network, self.hops, self.scope)
        limits = self.above is not None or self.below is not None
        if limits == (self.sigma is not None):
            raise ValueError("needs either above and below (in a unit) or sigma limits")
        if self.sigma is not None and self.floor is None:
            raise ValueError("sigma needs floor: how well the sensors measure, such as 0.5 kPa")
        if self.sigma is not None and self.clear is not None:
            raise ValueError("clear goes with above or below: use hysteresis")
        if self.clear is not None and self.hysteresis is not None:
            raise ValueError("has both hysteresis and clear: keep one")
        if self.clear is not None and self.above is not None and self.below is not None:
            raise ValueError("clear does not say which side: use hysteresis, or two rules")
        return self


def _levels_of(body: Any) -> dict[str, dict[str, Any]]:
    return limit_levels(body) if body.sigma is None else {"sigma": dict(body.sigma)}


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    def difference(amount: Any) -> float:
        return difference_of(amount, body.unit, quantity)

    if body.sigma is None:
        unit = QUANTITIES[quantity].unit
        sides = limit_sides(body, levels, (difference, difference), unit)
    else:
        sides = sigma_sides("sigma", body.sigma, body.side, body, levels)
    for side in sides:
        side.own["floor"] = 0.0 if body.floor is None else difference(body.floor)
    return sides


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    near = Nearby(matched.registry, matched.among).of(matched.rows, body)
    return {
        "neighbours": padded(near, MAX_NEIGHBOURS),
        "max_age_ns": matched.spans(body.max_age),
        "min_members": matched.whole(body.min_members),
        "floor": matched.each(side.own["floor"]),
    }


def _warn(
    warn: Warn,
    built: ChannelRule,
    registry: Registry,
    levels: Sequence[Level],
) -> None:
    if built.options["method"] == "difference":
        warn_of_span(warn, built, registry, levels)
    alone = (built.own["neighbours"] >= 0).sum(axis=1) < built.own["min_members"]
    warn.some(alone, ("min_members",), "fewer neighbours than min_members: it never fires")


NEIGHBOUR = Kind(
    name="neighbour",
    model=NeighbourRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} is {{ score }} off those around it",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }}，与邻近测点相差 {{ score }}",
    ),
    levels_of=_levels_of,
    sides_of=_sides,
    own_of=_own,
    options_of=lambda body: {"method": "difference" if body.sigma is None else "sigma"},
    warn=_warn,
    settable=("sigma", "floor", "max_age", "min_members"),
)
