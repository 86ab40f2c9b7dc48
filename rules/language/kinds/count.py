"""``kind: count``: how often a value was reached within a window, against limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from rules.language.amounts import AmountValue, Limits, SpanValue
from rules.language.kinds.kind import Kind
from rules.language.limits import sigma_sides, unit_of
from rules.language.models import ChannelBody
from rules.quantities import QUANTITIES, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.kinds.kind import Columns, Found, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

EVENTS: Final = 64  # what the engine holds of a window


class CountRule(ChannelBody):
    """How often a value was reached within a window."""

    kind: Literal["count"]
    at: AmountValue  # a row at or beyond it is an event
    unit: str = ""
    side: Literal["above", "below"] = "above"
    window: SpanValue
    events: Limits


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    unit = unit_of(body.at, body.unit, QUANTITIES[quantity].unit)
    [side] = sigma_sides("events", body.events, "above", body, levels)
    side.own["at"] = canonical(quantity, unit, body.at.number)
    side.own["direction"] = 1.0 if body.side == "above" else -1.0
    return [replace(side, unit="1")]


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    return {
        "window_ns": matched.spans(body.window),
        "at": matched.each(side.own["at"]),
        "direction": matched.each(side.own["direction"]),
    }


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    for level, amount in body.events.items():
        if amount.unit or not amount.number.is_integer() or not 1 <= amount.number <= EVENTS:
            written = f"{amount.number:g} {amount.unit}".strip()
            said = f"events: so many events are counted: a whole number 1 … {EVENTS}, not {written}"
            yield ("events", level), said


def _warn(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    channels, at = registry.channels, built.own["at"]
    high, low = channels.range_hi[built.channel], channels.range_lo[built.channel]
    beyond = np.where(built.own["direction"] > 0, at > high, at < low)
    said = "at is beyond the sensor's range: no sample is ever an event"
    warn.some(beyond, ("at",), said, unreachable=True)
    samples = built.own["window_ns"] / registry.channels.interval_ns[built.channel]
    for i, level in enumerate(levels):
        few = samples + 1 <= built.raise_at[:, i]
        said = f"window never holds as many samples as {level.name} wants events: it never fires"
        warn.some(few, ("events", level.name), said, unreachable=True)


COUNT = Kind(
    name="count",
    model=CountRule,
    message=(
        "{{ asset.name }}: {{ quantity }} reached its mark {{ score }} times (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}达到设定值 {{ score }} 次（限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"events": dict(body.events)},
    sides_of=_sides,
    own_of=_own,
    check=_check,
    warn=_warn,
    settable=("at", "window", "events"),
)
