"""``kind: step``: a level that shifted, the newest window against the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from rules.language.amounts import SpanValue
from rules.language.kinds.kind import Kind, limit_levels, warn_of_span
from rules.language.limits import difference_of, limit_sides
from rules.language.models import LimitBody
from rules.language.resampling import Resample, grid_problems, warn_of_grid
from rules.quantities import QUANTITIES, UnknownUnit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.amounts import Amount
    from rules.language.kinds.kind import Columns, Found, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

ROWS: Final = 64  # what the engine keeps of both windows together, unless it resamples


class StepRule(LimitBody):
    """The median of the newest window less that of the window before it."""

    kind: Literal["step"]
    window: SpanValue
    min_points: Annotated[int, Field(ge=1, le=ROWS // 2)] = 3  # in each window
    resample: Resample | None = None
    relative: bool = False  # limits in %, of the window before


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    def share(amount: Amount) -> float:
        if (amount.unit or body.unit) != "%":
            raise UnknownUnit(f"relative: limits are in %: write {amount.number:g} %")
        return amount.number

    def difference(amount: Amount) -> float:
        return difference_of(amount, body.unit, quantity)

    if body.relative:
        return limit_sides(body, levels, (share, share), "%")
    return limit_sides(body, levels, (difference, difference), QUANTITIES[quantity].unit)


def _own(body: Any, _side: Side, matched: Matched) -> Columns:
    return {
        "window_ns": matched.spans(body.window),
        "min_points": matched.whole(body.min_points),
        "relative": matched.whole(int(body.relative)),
        "resample_ns": matched.whole(body.resample or 0),
    }


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    for key, held in limit_levels(body).items():
        for level, amount in held.items():
            if (amount.number > 0) != (key == "above"):
                said = f"{key}: a step up is above 0, one down below: not {amount.number:g}"
                yield (key, level), said
    if body.resample is None:
        return
    if body.window.times is not None:
        yield ("window",), "window must be a duration where resample is given"
    else:
        yield from grid_problems(body.window.duration_ns, body.resample, body.min_points, halves=2)


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    if not built.own["relative"].any():
        warn_of_span(warn, built, registry, levels)
    if built.options["method"] == "resampled":
        warn_of_grid(warn, built, registry)
        return
    points = built.own["window_ns"] / registry.channels.interval_ns[built.channel]
    few = points < built.own["min_points"]
    warn.some(few, ("window",), "window never holds min_points samples")
    said = f"two windows hold more than {ROWS} samples, which are kept: give resample"
    warn.some(2 * points > ROWS, ("window",), said)


STEP = Kind(
    name="step",
    model=StepRule,
    message=(
        "{{ asset.name }}: {{ quantity }} step {{ score }} to {{ value }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}阶跃 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=limit_levels,
    sides_of=_sides,
    own_of=_own,
    options_of=lambda body: {"method": "rows" if body.resample is None else "resampled"},
    check=_check,
    warn=_warn,
    settable=("window", "min_points"),
)
