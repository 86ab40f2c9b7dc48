"""``kind: step``: a level that shifted, the newest window against the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from rules.language.amounts import Span, SpanValue
from rules.language.kinds.kind import Kind, limit_levels, warn_of_span
from rules.language.limits import difference_of, limit_sides
from rules.language.models import LimitBody
from rules.language.nearby import MAX_NEIGHBOURS, Nearby, Where, padded
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


class Beyond(Where):
    """The channels around, whose own step is taken off."""

    max_age: SpanValue = Span(times=3.0)
    min_members: Annotated[int, Field(ge=1, le=MAX_NEIGHBOURS)] = 3


class StepRule(LimitBody):
    """The median of the newest window less that of the window before it."""

    kind: Literal["step"]
    window: SpanValue
    before: SpanValue | None = None  # as long as window
    beyond: Beyond | None = None
    min_points: Annotated[int, Field(ge=1, le=ROWS // 2)] = 3  # in each window
    resample: Resample | None = None
    relative: bool = False  # limits in %, of the window before


def _method(body: Any) -> str:
    if body.beyond is not None:
        return "beyond"
    return "rows" if body.resample is None else "resampled"


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
    own = _steps(body, matched)
    if body.beyond is not None:
        near = Nearby(matched.registry, matched.among).of(matched.rows, body.beyond)
        own |= {
            "neighbours": padded(near, MAX_NEIGHBOURS),
            "max_age_ns": matched.spans(body.beyond.max_age),
            "min_members": matched.whole(body.beyond.min_members),
        }
    return own


def _steps(body: Any, matched: Matched) -> Columns:
    return {
        "window_ns": matched.spans(body.window),
        "before_ns": matched.spans(body.window if body.before is None else body.before),
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
    if body.beyond is not None:
        yield ("beyond",), "beyond looks at rows as they come: leave out resample"
    for key in ("window", "before"):
        span = getattr(body, key)
        if span is not None and span.times is not None:
            yield (key,), f"{key} must be a duration where resample is given"
            return
        if span is not None:
            grid = (span.duration_ns, body.resample, body.min_points)
            yield from grid_problems(*grid, halves=2, key=key)


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    if not built.own["relative"].any():
        warn_of_span(warn, built, registry, levels)
    if built.options["method"] == "resampled":
        warn_of_grid(warn, built, registry)
        return
    interval_ns = registry.channels.interval_ns[built.channel]
    points, older = built.own["window_ns"] / interval_ns, built.own["before_ns"] / interval_ns
    least = built.own["min_points"]
    warn.some(points < least, ("window",), "window never holds min_points samples")
    warn.some(
        (older < least) & (older != points), ("before",), "before never holds min_points samples"
    )
    remedy = "shorten them" if built.options["method"] == "beyond" else "give resample"
    said = f"two windows hold more than {ROWS} samples, which are kept: {remedy}"
    warn.some(points + older > ROWS, ("window",), said)
    if built.options["method"] == "beyond":
        alone = (built.own["neighbours"] >= 0).sum(axis=1) < built.own["min_members"]
        said = "fewer neighbours than min_members: it never fires"
        warn.some(alone, ("beyond", "min_members"), said)


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
    options_of=lambda body: {"method": _method(body)},
    check=_check,
    warn=_warn,
    settable=("window", "before", "min_points"),
)
