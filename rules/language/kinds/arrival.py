"""``kind: gap``, ``late`` and ``clock``: when samples come, and what their clock says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from rules.language.amounts import Spans
from rules.language.kinds.kind import Kind, no_hysteresis
from rules.language.limits import second_sides
from rules.language.models import ChannelBody, RuleClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.kinds.kind import Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


class GapRule(ChannelBody):
    """The time since the sample before, told when the next one comes."""

    kind: Literal["gap"]
    klass: RuleClass = Field("maintenance", alias="class")
    above: Spans


class LateRule(ChannelBody):
    """How old a sample was when it came."""

    kind: Literal["late"]
    klass: RuleClass = Field("maintenance", alias="class")
    above: Spans


class ClockRule(ChannelBody):
    """How far the device's stamp lies from the time of its receipt."""

    kind: Literal["clock"]
    klass: RuleClass = Field("maintenance", alias="class")
    future: Spans | None = None
    past: Spans | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> ClockRule:
        if self.future is None and self.past is None:
            raise ValueError("has no limits: write future: {yellow: 2m} or past: {yellow: 7d}")
        return self


def _above(body: Any, _quantity: str, levels: Sequence[Level]) -> list[Side]:
    return second_sides({"above": (1, body.above)}, levels)


def _clock_sides(body: Any, _quantity: str, levels: Sequence[Level]) -> list[Side]:
    return second_sides({"future": (1, body.future), "past": (-1, body.past)}, levels)


def _clock_levels(body: Any) -> dict[str, dict[str, Any]]:
    sides = (("future", body.future), ("past", body.past))
    return {key: dict(held) for key, held in sides if held is not None}


def _warn_gap(warn: Warn, built: ChannelRule, registry: Registry, levels: Sequence[Level]) -> None:
    interval = registry.channels.interval_ns[built.channel]
    for i, level in enumerate(levels):
        said = f"above: {level.name} is within one sampling interval: every sample raises it"
        warn.some(built.raise_at[:, i] * 1e9 <= interval, ("above", level.name), said)


GAP = Kind(
    name="gap",
    model=GapRule,
    message=(
        "{{ asset.name }}: {{ quantity }} came after a gap of {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}数据中断 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"above": dict(body.above)},
    sides_of=_above,
    check=no_hysteresis,
    warn=_warn_gap,
)

LATE = Kind(
    name="late",
    model=LateRule,
    message=(
        "{{ asset.name }}: {{ quantity }} came {{ score }} late (limit {{ limit }})",
        "{{ asset.name_zh }}：{{ quantity_zh }}数据迟到 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"above": dict(body.above)},
    sides_of=_above,
    check=no_hysteresis,
)

CLOCK = Kind(
    name="clock",
    model=ClockRule,
    message=(
        "{{ asset.name }}: the clock of {{ device }} is off by {{ score }} (limit {{ limit }})",
        "{{ asset.name_zh }}：设备 {{ device }} 时钟偏差 {{ score }}（限值 {{ limit }}）",
    ),
    levels_of=_clock_levels,
    sides_of=_clock_sides,
    check=no_hysteresis,
    settable=("future", "past"),
)
