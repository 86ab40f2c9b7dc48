"""``kind: cusum``: a small shift that lasts, by what exceeds a slack, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import PlainValidator

from rules.language.amounts import (
    Amount,
    AmountValue,
    Limits,
    Span,
    SpanValue,
    Written,
    read_amount,
    read_span,
)
from rules.language.kinds.kind import Kind
from rules.language.kinds.zscore import baseline_of, lay_floor, warn_baseline
from rules.language.limits import sigma_sides, unit_of
from rules.language.models import ChannelBody, Warmup
from rules.quantities import QUANTITIES, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.kinds.kind import Columns, Found, Matched
    from rules.language.limits import Side
    from rules.plan import Level

NEARLY = 0.5  # of the lowest limit: from there on nothing is learned
BOUND = 2.0  # times the highest limit: a sum grows no further


def read_target(value: object) -> Span | Amount:
    """Read ``median 14d`` as the window of a learned target, ``20 kPa`` as the target itself."""
    if isinstance(value, str) and value.split()[:1] == ["median"]:
        return read_span(value.partition("median")[2].strip())
    try:
        return read_amount(value)
    except ValueError:
        raise ValueError(f"{value!r} must be a value (20 kPa) or learned: median 14d") from None


def read_slack(value: object) -> float:
    """Read ``0.5 sigma`` or ``0.5``."""
    amount = read_amount(value)
    if amount.unit not in ("", "sigma") or amount.number < 0:
        raise ValueError(f"{value!r} must be 0 or more sigma, such as 0.5 sigma")
    return amount.number


Target = Annotated[Any, PlainValidator(read_target, json_schema_input_type=Written)]
Slack = Annotated[float, PlainValidator(read_slack, json_schema_input_type=Written)]


class CusumRule(ChannelBody):
    """A small shift that lasts: the sum of what exceeds a slack, in robust sigma, row by row."""

    kind: Literal["cusum"]
    decide: Limits
    side: Literal["above", "below", "both"] = "both"
    target: Target
    window: SpanValue | None = None  # of sigma, where the target is a value
    warmup: Warmup
    robust: bool = True
    slack: Slack = 0.5
    floor: AmountValue | None = None  # least sigma; none: the channel's resolution
    reset: Literal["never", "ack"] = "never"


def _check(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    if isinstance(body.target, Span) and body.window is not None:
        yield ("window",), "window stands in the target already: target: median 14d"
    if isinstance(body.target, Amount) and body.window is None:
        yield ("target",), "target is a value: sigma needs a window to be learned from, window: 14d"


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    sides = sigma_sides("decide", body.decide, body.side, body, levels)
    target = float("nan")
    if isinstance(body.target, Amount):
        unit = unit_of(body.target, "", QUANTITIES[quantity].unit)
        target = canonical(quantity, unit, body.target.number)
    for side in sides:
        side.own["target"] = target
        lay_floor(side, body, quantity)
    return sides


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    window = body.target if isinstance(body.target, Span) else body.window
    limits = [amount.number for amount in body.decide.values()]
    return {
        **baseline_of(body, window, side, matched),
        "exclude": matched.each(np.nan),  # what is learned is told by freeze
        "target": matched.each(side.own["target"]),
        "slack": matched.each(body.slack),
        "freeze": matched.each(NEARLY * min(limits)),
        "cap": matched.each(BOUND * max(limits)),
        "direction": matched.each(float(side.sign)),
        "by_ack": matched.each(float(body.reset == "ack")),
    }


CUSUM = Kind(
    name="cusum",
    model=CusumRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} has shifted ({{ score }}, limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }} 偏移（{{ score }}，限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"decide": dict(body.decide)},
    sides_of=_sides,
    own_of=_own,
    check=_check,
    warn=warn_baseline,
    settable=("decide", "target", "window", "warmup", "slack", "floor"),
)
