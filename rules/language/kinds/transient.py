"""``kind: transient``: fast pressure waves in a channel's waveform, by their amplitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from rules.language.kinds.kind import Kind, limit_levels, warn_of_span
from rules.language.limits import difference_of, limit_sides
from rules.language.models import LimitBody
from rules.quantities import QUANTITIES
from rules.strict_models import DurationNs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.kinds.kind import Columns, Found, Matched
    from rules.language.limits import Side
    from rules.plan import Level

HOP_NS: Final = 1_000_000_000
_MILLISECOND: Final = 1_000_000


class TransientRule(LimitBody):
    """A fast drop (below) or rise (above) of the waveform against limits in its own unit."""

    kind: Literal["transient"]
    front: Annotated[DurationNs, Field(ge=20 * _MILLISECOND, le=500 * _MILLISECOND)] = (
        200 * _MILLISECOND
    )
    baseline: Annotated[DurationNs, Field(ge=5 * HOP_NS, le=60 * HOP_NS)] = 30 * HOP_NS
    noise: Annotated[float, Field(ge=0, le=1000)] = 8.0  # standard deviations it must stand out
    hold_off: Annotated[DurationNs, Field(ge=0, le=3600 * HOP_NS)] = 30 * HOP_NS


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    def step(amount: Any) -> float:
        return difference_of(amount, body.unit, quantity)

    return limit_sides(body, levels, (step, step), QUANTITIES[quantity].unit)


def _own(body: Any, _side: Side, matched: Matched) -> Columns:
    return {
        "front_ns": matched.whole(body.front),
        "hop_ns": matched.whole(HOP_NS),
        "hops": matched.whole(body.baseline // HOP_NS),
        "gate": matched.each(body.noise),
        "hold_off_ns": matched.whole(body.hold_off),
    }


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    """Tell limits of the wrong sign (a drop is negative), and holds no wave lasts for."""
    for key, sign in (("above", 1), ("below", -1)):
        for level, amount in (getattr(body, key) or {}).items():
            if not amount.number * sign > 0:
                word = "above 0 (a rise)" if sign > 0 else "below 0 (a drop), such as -50 kPa"
                yield (key, level), f"{key}: {level} must be {word}"
    if body.hold is not None and _longest_hold(body) > body.hold_off + HOP_NS:
        yield ("for",), "for is longer than hold_off: a wave is over before it"


def _longest_hold(body: Any) -> int:
    holds = [body.hold.each] if body.hold.each else [hold for _, hold in body.hold.by_level]
    return max(0 if hold.samples else hold.hold_ns for hold in holds)


TRANSIENT = Kind(
    name="transient",
    model=TransientRule,
    message=(
        "{{ asset.name }}: {{ quantity }} jumps by {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}突变 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=limit_levels,
    sides_of=_sides,
    own_of=_own,
    check=_check,
    warn=warn_of_span,
    least_gap_of=lambda _body: 5 * HOP_NS,
    settable=("front", "baseline", "noise", "hold_off"),
)
