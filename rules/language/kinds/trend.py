"""``kind: trend``: a slow drift that is more than chance, against limits of its slope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rules.language.compensation import NOTHING, Compensate, companions_of, lag_problems
from rules.language.kinds.kind import Kind, limit_levels
from rules.language.kinds.rate import slope_sides
from rules.language.models import LimitBody
from rules.language.resampling import POINTS, Resample, grid_problems, warn_of_grid
from rules.strict_models import DurationNs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.kinds.kind import Columns, Found, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


class TrendRule(LimitBody):
    """The Theil–Sen slope of resampled points where the Mann–Kendall test is significant."""

    kind: Literal["trend"]
    window: DurationNs
    resample: Resample
    min_duration: DurationNs
    min_points: Annotated[int, Field(ge=4, le=POINTS)] = 10
    test: Literal["mann_kendall"] = "mann_kendall"
    p_value: Annotated[float, Field(gt=0, lt=1)] = 0.01
    compensate: Compensate | None = None


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    own = {
        "window_ns": matched.whole(body.window),
        "resample_ns": matched.whole(body.resample),
        "min_duration_ns": matched.whole(body.min_duration),
        "min_points": matched.whole(body.min_points),
        "p_value": matched.each(body.p_value),
        "per_ns": matched.whole(int(side.own["per_ns"])),
    }
    if body.compensate is not None:
        own |= companions_of(body.compensate, body.resample, matched)
    return own


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    yield from grid_problems(body.window, body.resample, body.min_points)
    if body.min_duration > body.window - body.resample:
        yield (
            ("min_duration",),
            "min_duration never fits between the first and last point of window",
        )
    if body.compensate is not None:
        yield from lag_problems(body.compensate, body.resample)


def _warn(warn: Warn, built: ChannelRule, registry: Registry, _levels: Sequence[Level]) -> None:
    warn_of_grid(warn, built, registry)
    if "companion" in built.own:
        said = "nothing to compensate by is there: the trend is judged as it is"
        warn.some(built.own["companion"] == NOTHING, ("compensate",), said)


TREND = Kind(
    name="trend",
    model=TrendRule,
    message=(
        "{{ asset.name }}: {{ quantity }} drifts by {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}趋势 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=limit_levels,
    sides_of=slope_sides,
    own_of=_own,
    options_of=lambda body: {} if body.compensate is None else {"method": "compensated"},
    check=_check,
    warn=_warn,
    settable=("window", "min_points", "min_duration", "p_value"),
)
