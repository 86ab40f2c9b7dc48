"""``kind: seasonal``: the deviation from what is usual at this hour of this day, in sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, PlainValidator, model_validator

from rules.civil_time import DAY_NS, day_number
from rules.durations import parse_duration
from rules.language.amounts import AmountValue, Limits
from rules.language.kinds.kind import Kind
from rules.language.kinds.zscore import floored_sides
from rules.language.models import ChannelBody, Zone
from rules.strict_models import DurationNs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from rules.language.kinds.kind import Columns, Found, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

WEEK_NS: Final = 7 * DAY_NS
PERIODS: Final = {DAY_NS: DAY_NS, WEEK_NS: WEEK_NS, 365 * DAY_NS: 31_556_952 * 10**9}
"""As written, and as meant: 365d is the mean Gregorian year, 365.2425 d."""
MOST_KEPT: Final = 32
MOST_VALUES: Final = 16_384  # a track


def _periods(value: object) -> tuple[int, ...]:
    """Read ``[1d, 7d]``: the longest first."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of 1d, 7d and 365d")
    read = [parse_duration(item) for item in value]
    if len(set(read)) < len(read) or not set(read) <= set(PERIODS):
        raise ValueError(f"{str(value)[:40]}: each one of 1d, 7d, 365d")
    return tuple(sorted(read, reverse=True))


def _dates(value: object) -> tuple[int, ...]:
    """Read a list of dates as days since 1970, rising."""
    if not isinstance(value, list):
        raise ValueError('must be a list of dates: ["2026-10-01", "2026-10-02"]')  # noqa: TRY004
    days = [day_number(str(item)) for item in value]
    if len(set(days)) < len(days):
        raise ValueError("a date stands twice")
    return tuple(sorted(days))


class SeasonalRule(ChannelBody):
    """The deviation from the median of the same slot of earlier days, weeks or years."""

    kind: Literal["seasonal"]
    sigma: Limits
    side: Literal["above", "below", "both"] = "both"
    periods: Annotated[tuple[int, ...], PlainValidator(_periods, json_schema_input_type=list[str])]
    slot: DurationNs
    baseline: DurationNs
    min_points: Annotated[int, Field(ge=1, le=MOST_KEPT)] = 3
    floor: AmountValue
    timezone: Zone = "+08:00"
    holidays: (
        Annotated[tuple[int, ...], PlainValidator(_dates, json_schema_input_type=list[str])] | None
    ) = None
    learn_from: Literal["not_alarmed", "all"] = "not_alarmed"

    @model_validator(mode="after")
    def _whole(self) -> SeasonalRule:
        shortest = self.periods[-1]
        if self.slot < 1 or self.slot > shortest or (DAY_NS % self.slot and self.slot % DAY_NS):
            raise ValueError("slot must divide a day, or be whole days, and fit into the periods")
        if any(period % self.slot for period in self.periods if period != 365 * DAY_NS):
            raise ValueError("slot must divide the periods")
        if self.holidays is not None and self.slot > DAY_NS:
            raise ValueError("holidays need slots of a day or less")
        few = [period for period in self.periods if _kept(self, period) < self.min_points]
        if few:
            days = self.min_points * few[0] // DAY_NS
            raise ValueError(
                f"baseline holds fewer than {self.min_points} periods of {few[0] // DAY_NS}d, so"
                f" nothing is ever usual: write at least {days}d, or a smaller min_points"
            )
        if _values(self) > MOST_VALUES:
            raise ValueError(
                f"{_values(self)} values would be kept of each channel, more than {MOST_VALUES}:"
                " a longer slot, a shorter baseline, or two rules"
            )
        return self


def _kept(body: Any, period: int) -> int:
    """Return how many periods a slot remembers."""
    return min(int(body.baseline // period), MOST_KEPT)


def _values(body: Any) -> int:
    """Return how many values a channel's profiles hold."""
    extra = 0 if body.holidays is None else -(-DAY_NS // body.slot)
    return sum(
        (-(-PERIODS[period] // body.slot) + extra) * _kept(body, period) for period in body.periods
    )


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    lowest = min(amount.number for amount in body.sigma.values())
    periods = [PERIODS[period] for period in body.periods]
    keep = [_kept(body, period) for period in body.periods]

    def rows(numbers: list[int]) -> np.ndarray[Any, Any]:
        return matched.whole(1)[:, None] * numbers

    return {
        "slot_ns": matched.whole(body.slot),
        "period_ns": rows(periods),
        "keep": rows(keep),
        "least": matched.whole(body.min_points),
        "floor": matched.each(side.own["floor"]),
        "exclude": matched.each(lowest if body.learn_from == "not_alarmed" else float("nan")),
    }


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    if body.floor.number == 0:
        yield ("floor",), "floor: 0 makes any change infinite where earlier days were alike"


def _warn(warn: Warn, built: ChannelRule, registry: Registry, _levels: Sequence[Level]) -> None:
    interval = registry.channels.interval_ns[built.channel]
    said = "slot is shorter than the sampling interval: many slots stay empty"
    warn.some(built.own["slot_ns"] < interval, ("slot",), said)


SEASONAL = Kind(
    name="seasonal",
    model=SeasonalRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} is unusual for this time ({{ score }})",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }}，与同期相比异常（{{ score }}）",
    ),
    levels_of=lambda body: {"sigma": dict(body.sigma)},
    sides_of=floored_sides,
    own_of=_own,
    options_of=lambda body: {"zone": body.timezone, "holidays": int(body.holidays is not None)},
    check=_check,
    warn=_warn,
    calendar_of=lambda body: body.holidays or (),
    settable=("sigma", "floor", "min_points"),
)
