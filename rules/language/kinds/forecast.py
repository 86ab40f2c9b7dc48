"""``kind: forecast``: a limit will be crossed within so long, the early bound of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainValidator

from rules.language.amounts import Amount, Spans, Written, read_amount
from rules.language.kinds.kind import Kind
from rules.language.limits import side_of, unit_of
from rules.language.models import ChannelBody
from rules.language.resampling import POINTS, Resample, grid_problems
from rules.problems import near_or_known, nearest
from rules.quantities import QUANTITIES, canonical
from rules.strict_models import DurationNs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rules.language.kinds.kind import Columns, Found, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

SECOND_NS = 1e9
GRID = 60  # buckets of a window where resample is not written


@dataclass(frozen=True, kw_only=True)
class LimitOf:
    """A level of another rule, or an attribute of the asset the channel belongs to."""

    rule: str = ""
    level: str = ""
    attribute: str = ""


def _limit(value: object) -> Amount | LimitOf:
    """Read ``2.4 m``, ``{rule: well-level, level: red}`` or ``asset.overflow``."""
    if isinstance(value, dict):
        unknown = [key for key in value if key not in ("rule", "level")]
        if unknown:
            raise ValueError(f'unknown key "{unknown[0]}"{nearest(unknown[0], ("rule", "level"))}')
        if not all(isinstance(value.get(key), str) for key in ("rule", "level")):
            raise ValueError("names a rule and its level: {rule: well-level, level: red}")
        return LimitOf(rule=value["rule"], level=value["level"])
    if isinstance(value, str) and value.startswith("asset."):
        return LimitOf(attribute=value.removeprefix("asset."))
    try:
        return read_amount(value)
    except ValueError as error:
        raise ValueError(f"{error}, or {{rule: …, level: …}}, or asset.attribute") from None


class ForecastRule(ChannelBody):
    """When a limit will be crossed: a robust line through the window, and its bounds."""

    kind: Literal["forecast"]
    limit: Annotated[Any, PlainValidator(_limit, json_schema_input_type=Written | dict[str, str])]
    unit: str = ""  # of the limit
    crossing: Literal["above", "below"] = "above"
    model: Literal["robust_linear"] = "robust_linear"
    window: DurationNs
    resample: Resample | None = None
    min_points: Annotated[int, Field(ge=3, le=POINTS)] = 6
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    reach_within: Spans
    clear: Spans | None = None  # later than the limit


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    raise_at = {level: span.duration_ns / SECOND_NS for level, span in body.reach_within.items()}
    clear = {level: span.duration_ns / SECOND_NS for level, span in (body.clear or {}).items()}
    side = side_of("reach_within", -1, raise_at, raise_at | clear, levels, "s")
    unit, number = QUANTITIES[quantity].unit, np.nan
    if isinstance(body.limit, Amount):
        number = canonical(quantity, unit_of(body.limit, body.unit, unit), body.limit.number)
    elif body.unit:
        canonical(quantity, body.unit, 1.0)  # the unit of an attribute must fit as well
    side.own["limit"] = number
    return [side]


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    limit = matched.each(side.own["limit"])
    if isinstance(body.limit, LimitOf) and body.limit.rule:
        limit = _of_rule(body, matched)
    elif isinstance(body.limit, LimitOf):
        limit = _of_assets(body, matched)
    return {
        "window_ns": matched.whole(body.window),
        "resample_ns": matched.whole(_grid_ns(body)),
        "min_points": matched.whole(body.min_points),
        "limit": limit,
        "direction": matched.each(1.0 if body.crossing == "above" else -1.0),
        "confidence": matched.each(body.confidence),
    }


def _grid_ns(body: Any) -> int:
    return int(body.resample or body.window // GRID)


def _of_rule(body: Any, matched: Matched) -> NDArray[np.float64]:
    """Return another rule's limit on each channel; NaN where it has none."""
    limit = matched.each(np.nan)
    side = 1 if body.crossing == "above" else -1
    for built in matched.built:
        if built.rule_id != body.limit.rule or built.side != side:
            continue
        column = matched.level(body.limit.level)
        place = {channel: i for i, channel in enumerate(built.channel.tolist())}
        for i, row in enumerate(matched.rows.tolist()):
            if row in place and column is not None:
                limit[i] = built.raise_at[place[row], column]
    return limit


def _of_assets(body: Any, matched: Matched) -> NDArray[np.float64]:
    """Return an attribute of each channel's asset in the quantity's unit; NaN where it has none."""
    registry = matched.registry
    unit = body.unit or QUANTITIES[matched.quantity].unit
    limit = matched.each(np.nan)
    for i, row in enumerate(matched.rows.tolist()):
        found = registry.assets.attributes[registry.channels.asset[row]].get(body.limit.attribute)
        if isinstance(found, int | float) and not isinstance(found, bool):
            limit[i] = canonical(matched.quantity, unit, float(found))
    return limit


def _check(body: Any, levels: Sequence[Level]) -> Iterable[Found]:
    yield from _check_times(body)
    if isinstance(body.limit, LimitOf) and body.limit.level:
        names = [level.name for level in levels]
        if body.limit.level not in names:
            near = near_or_known(body.limit.level, names)
            yield ("limit",), f'limit: unknown level "{body.limit.level}"{near}'
    if body.resample is not None:
        yield from grid_problems(body.window, body.resample, body.min_points)
    elif body.window < GRID * SECOND_NS:
        yield ("window",), f"window must be at least {GRID}s"


def _check_times(body: Any) -> Iterable[Found]:
    for key, held in (("reach_within", body.reach_within), ("clear", body.clear or {})):
        for level, span in held.items():
            if span.times is not None or span.duration_ns <= 0:
                yield (key, level), f"{key}: {level} must be a duration above 0s, such as 30m"
    if body.hysteresis is not None:
        yield ("hysteresis",), "a forecast clears by time: write clear: {red: 1h}"


def _warn(warn: Warn, built: ChannelRule, registry: Registry, _levels: Sequence[Level]) -> None:
    warn.some(np.isnan(built.own["limit"]), ("limit",), "limit is not known here: it never fires")
    points = built.own["window_ns"] / registry.channels.interval_ns[built.channel]
    few = points < built.own["min_points"]
    warn.some(few, ("window",), "window never holds min_points samples")


def _limit_rule(body: Any) -> str:
    return body.limit.rule if isinstance(body.limit, LimitOf) else ""


FORECAST = Kind(
    name="forecast",
    model=ForecastRule,
    message=(
        (
            "{{ asset.name }}: {{ quantity }} {{ value }} will cross its limit in {{ score }}"
            " at the earliest (alarm within {{ limit }})"
        ),
        (
            "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }}，"
            "最早 {{ score }} 后越限（报警阈值 {{ limit }}）"
        ),
    ),
    levels_of=lambda body: {"reach_within": dict(body.reach_within)},
    sides_of=_sides,
    own_of=_own,
    check=_check,
    warn=_warn,
    limit_rule=_limit_rule,
    settable=("limit", "reach_within", "window", "min_points", "confidence"),
)
