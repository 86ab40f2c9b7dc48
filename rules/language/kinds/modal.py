"""``kind: modal``: the shift of a frequency, in percent of what it usually is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from rules.language.amounts import (
    AmountValue,
    Hysteresis,
    Keeps,
    Limits,
    SpanValue,
)
from rules.language.compensation import Beside, nearest_of
from rules.language.kinds.kind import Kind
from rules.language.limits import difference_of, percent_side
from rules.language.models import Accept, Body, ChannelSelect, Override, RuleClass
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.kinds.kind import Columns, Matched, Warn
    from rules.language.limits import Side
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

SLOTS: Final = 64  # the engine's, of a baseline
RECENT: Final = 16  # shifts the engine remembers
SPREAD: Final = 5.0  # of the companion, in its own unit, without which nothing is compensated
_HOUR_NS: Final = 3600 * 10**9
_DAY_NS: Final = 24 * _HOUR_NS


class CompensateShift(Beside):
    """By what other quantity, of a channel near, the frequency is known to move."""

    max_age: DurationNs = _HOUR_NS
    spread: AmountValue | None = None  # range of it without which no slope is drawn


class Baseline(Strict):
    """What is usual: the median of a window of learned slots."""

    window: Annotated[DurationNs, Field(ge=_HOUR_NS, le=400 * _DAY_NS)] = 30 * _DAY_NS
    warmup: DurationNs | None = None  # default: an eighth of the window
    compensate: CompensateShift | None = None

    @model_validator(mode="after")
    def _whole(self) -> Baseline:
        if self.warmup is not None and self.warmup > self.window:
            raise ValueError("warmup is longer than the window: it would never end")
        return self


class Recent(Strict):
    """So many of the last segments must have shifted."""

    segments: Annotated[int, Field(ge=1, le=RECENT)] = 1
    of: Annotated[int, Field(ge=1, le=RECENT)] = 1

    @model_validator(mode="after")
    def _enough(self) -> Recent:
        if self.segments > self.of:
            raise ValueError(f"{self.segments} of {self.of} segments can never be")
        return self


class ModalRule(Body):
    """The shift of a frequency against its baseline, of the k-th worst of the last segments."""

    kind: Literal["modal"]
    select: ChannelSelect
    klass: RuleClass = Field("safety", alias="class")
    fail_loud: Literal[False] = False
    accept: Accept | None = None
    max_gap: SpanValue | None = None
    keep_firing_for: Keeps | None = None
    hysteresis: Hysteresis | None = None
    overrides: list[Override] = Field(default_factory=list)
    shift_below: Limits | None = None
    shift_above: Limits | None = None
    baseline: Baseline = Baseline()
    recent: Recent = Field(Recent(), alias="for")
    learn_from: Literal["not_alarmed", "all"] = "not_alarmed"
    hold: ClassVar[None] = None  # there is no hold by time beside ``recent``

    @model_validator(mode="before")
    @classmethod
    def _elsewhere(cls, value: Any) -> Any:
        for key in ("modes", "segment", "method"):
            if isinstance(value, dict) and key in value:
                raise ValueError(
                    f"{key} stands in the registry: derived: {{from: z, feature: peak_frequency,"
                    " band: [1.9, 2.4], every: 10m}; select those channels"
                )
        return value

    @model_validator(mode="after")
    def _whole(self) -> ModalRule:
        if (self.shift_below is None) == (self.shift_above is None):
            raise ValueError("needs shift_below: {red: -10 %}, or shift_above; for both, two rules")
        return self


def _limits(body: Any) -> tuple[str, int, Any]:
    """Return key, sign and limits of the side a rule is about."""
    if body.shift_below is not None:
        return "shift_below", -1, body.shift_below
    return "shift_above", 1, body.shift_above


def _sides(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:  # noqa: ARG001
    return [percent_side(*_limits(body), body, levels)]


def _own(body: Any, side: Side, matched: Matched) -> Columns:
    baseline, beside = body.baseline, body.baseline.compensate
    slot_ns = baseline.window // SLOTS
    warmup = baseline.window // 8 if baseline.warmup is None else baseline.warmup
    companion = matched.whole(-1) if beside is None else nearest_of(beside, matched)
    spread = SPREAD
    if beside is not None and beside.spread is not None:
        spread = difference_of(beside.spread, "", beside.by)
    lowest = float(np.nanmin(np.abs(side.raise_at)))
    return {
        "slot_ns": matched.whole(slot_ns),
        "least": matched.whole(max(1, warmup // slot_ns)),
        "spread": matched.each(spread),
        "companion": companion,
        "max_age_ns": matched.whole(0 if beside is None else beside.max_age),
        "k": matched.whole(body.recent.segments),
        "of": matched.whole(body.recent.of),
        "direction": matched.whole(side.sign),
        "exclude": matched.each(lowest if body.learn_from == "not_alarmed" else float("nan")),
    }


def _warn(warn: Warn, built: ChannelRule, registry: Registry, _levels: Sequence[Level]) -> None:
    alone = (built.own["companion"] < 0) & (built.own["max_age_ns"] > 0)
    warn.some(alone, ("baseline", "compensate"), "nothing near to compensate with: it is not")
    interval = registry.channels.interval_ns[built.channel]
    few = built.own["slot_ns"] < interval
    warn.some(few, ("baseline", "window"), f"window is shorter than {SLOTS} segments")


MODAL = Kind(
    name="modal",
    model=ModalRule,
    message=(
        "{{ asset.name }}: {{ quantity }} {{ value }} is {{ score }} off what is usual",
        "{{ asset.name_zh }}：{{ quantity_zh }} {{ value }}，偏离常值 {{ score }}",
    ),
    levels_of=lambda body: {_limits(body)[0]: dict(_limits(body)[2])},
    sides_of=_sides,
    own_of=_own,
    warn=_warn,
    settable=("shift_below", "shift_above"),
)
