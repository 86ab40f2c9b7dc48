"""``kind: zscore``: the deviation from what is usual over a window, in sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from rules.language.amounts import AmountValue, Limits, SpanValue
from rules.language.kinds.kind import Kind
from rules.language.limits import difference_of, sigma_sides
from rules.language.models import ChannelBody, Warmup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.amounts import Span
    from rules.language.kinds.kind import Columns, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

LEAST: Final = 8  # rows without which the engine knows nothing


class ZscoreRule(ChannelBody):
    """The deviation from the median (or mean) of a window, in robust (or standard) deviations."""

    kind: Literal["zscore"]
    sigma: Limits
    side: Literal["above", "below", "both"] = "both"
    window: SpanValue
    warmup: Warmup
    robust: bool = True
    floor: AmountValue | None = None  # least sigma; none: the channel's resolution
    learn_from: Literal["not_alarmed", "all"] = "not_alarmed"


def floored_sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    """Return limits in sigma, with the least sigma in the quantity's unit."""
    sides = sigma_sides("sigma", body.sigma, body.side, body, levels)
    for side in sides:
        lay_floor(side, body, quantity)
    return sides


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    lowest = min(amount.number for amount in body.sigma.values())
    return {
        **baseline_of(body, body.window, side, matched),
        "exclude": matched.each(lowest if body.learn_from == "not_alarmed" else float("nan")),
    }


def lay_floor(side: Side, body: Any, quantity: str) -> None:
    """Note the least sigma in the quantity's unit; without one the channel's resolution holds."""
    if body.floor is not None:
        side.own["floor"] = difference_of(body.floor, "", quantity)
        if side.own["floor"] < 0:
            side.problems.append((("floor",), "floor must not be below 0", "error"))


def baseline_of(body: Any, window: Span, side: Side, matched: Matched) -> Columns:
    """Return the parameters of a baseline."""
    resolution = matched.registry.channels.resolution[matched.rows].astype(np.float64)
    return {
        "window_ns": matched.spans(window),
        "warmup_ns": matched.spans(body.warmup),
        "robust": matched.each(float(body.robust)),
        "floor": resolution if body.floor is None else matched.each(side.own["floor"]),
    }


def warn_baseline(
    warn: Warn, built: ChannelRule, registry: Registry, _levels: Sequence[Level]
) -> None:
    """Warn of windows with too few samples, warm-ups that never end, and sigmas that may be 0."""
    interval = registry.channels.interval_ns[built.channel]
    window, warmup = built.own["window_ns"], built.own["warmup_ns"]
    few = window < LEAST * interval
    warn.some(few, ("window",), f"window never holds {LEAST} samples: it never alarms")
    said = "warmup is longer than the window: nothing is gained by it"
    warn.some(warmup > window, ("warmup",), said)
    said = "neither floor nor a registered resolution: any change of a constant value is infinite"
    warn.some(built.own["floor"] <= 0, ("floor",), said)


ZSCORE = Kind(
    name="zscore",
    model=ZscoreRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} is unusual ({{ score }}, limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }} 异常（{{ score }}，限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"sigma": dict(body.sigma)},
    sides_of=floored_sides,
    own_of=_own,
    warn=warn_baseline,
    settable=("sigma", "window", "warmup", "floor"),
)
