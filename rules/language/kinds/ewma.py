"""``kind: ewma``: the distance from an exponentially weighted mean, in standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from rules.language.amounts import AmountValue, Limits
from rules.language.kinds.kind import Kind
from rules.language.limits import difference_of, sigma_sides
from rules.language.models import ChannelBody, Warmup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.kinds.kind import Columns, Matched
    from rules.language.limits import Side
    from rules.plan import Level


class EwmaRule(ChannelBody):
    """The distance from an exponentially weighted mean, in its own standard deviations."""

    kind: Literal["ewma"]
    sigma: Limits
    side: Literal["above", "below", "both"] = "both"
    lambda_: Annotated[float, Field(gt=0, le=1)] | None = Field(None, alias="lambda")
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None  # another name of lambda
    warmup: Warmup
    floor: AmountValue | None = None  # least standard deviation, in the quantity's unit

    @model_validator(mode="after")
    def _one_lambda(self) -> EwmaRule:
        if (self.lambda_ is None) == (self.alpha is None):
            raise ValueError("needs lambda (0 … 1; also called alpha), once")
        return self


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    floor = 0.0 if body.floor is None else difference_of(body.floor, "", quantity)
    sides = sigma_sides("sigma", body.sigma, body.side, body, levels)
    for side in sides:
        side.own["floor"] = floor
    return sides


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    interval = matched.interval_ns
    return {
        "alpha": matched.each(body.lambda_ or body.alpha),
        "warmup": -(-matched.spans(body.warmup) // interval),  # samples, rounded up
        "floor": matched.each(side.own["floor"]),
    }


EWMA = Kind(
    name="ewma",
    model=EwmaRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} is unusual ({{ score }}, limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }} 异常（{{ score }}，限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"sigma": dict(body.sigma)},
    sides_of=_sides,
    own_of=_own,
    settable=("sigma", "warmup", "floor"),
)
