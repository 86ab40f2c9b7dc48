"""The figures beside their targets: each a value, what it should be, and whether it is.

Targets: ISA-18.2-2016 §16.4 and EEMUA 191 as docs/kpi.md lists them. A target of time is the
site's own (``[kpi]`` of city.toml) or none: nobody else can know how far its people have to go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifeline.kpi.calls import Calls, calls_of
from lifeline.kpi.lives import Lives, Times, lives_of
from rules.flood import FloodLimits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifeline.kpi.past import Line, Span
    from lifeline.kpi.protected import Protected

DAY_NS: Final = 86_400 * 10**9
SPLIT: Final = {1: 0.80, 2: 0.15, 3: 0.05, 4: 0.01}
"""Shares of calls by level: low, medium, high, and the highest, which should be rarer still."""
SPLIT_BAND: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What a site wants: operators at a time, and its own times by severity in seconds."""

    operators: int = 1
    ack_s: Mapping[int, float] = field(default_factory=dict)
    close_s: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the page: ``met`` is None where nothing was there to measure, or no target is.

    ``unit``: "" a number, "%" a share of 1, "s" seconds. ``limit``: what is beyond it wants work.
    """

    key: str
    value: float | None
    unit: str
    relation: str = ""  # ≤ < ≥ ±, "" = no target
    target: float | None = None
    limit: float | None = None
    severity: int = 0
    count: int | None = None  # of what the value is made

    @property
    def met(self) -> bool | None:
        """Tell whether the target is met."""
        if self.value is None or self.target is None:
            return None
        value, target = self.value, self.target
        if self.relation == "±":
            return abs(value - target) <= SPLIT_BAND + 1e-9
        if self.relation == "<":
            return value < target
        return value <= target if self.relation == "≤" else value >= target

    @property
    def beyond(self) -> bool:
        """Tell whether it is beyond its limit."""
        return self.value is not None and self.limit is not None and self.value > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpis:
    """All of a span, and what the lines are made of."""

    span: Span
    figures: tuple[Figure, ...]
    calls: Calls
    lives: Lives
    protected: Protected | None


def kpis(
    lines: Sequence[Line],
    span: Span,
    aims: Aims,
    *,
    flood: FloodLimits | None = None,
    protection: Protected | None = None,
) -> Kpis:
    """Return the figures of a span; ``lines`` as `past.read_past` gives them."""
    calls = calls_of(lines, span, flood=flood or FloodLimits())
    lives = lives_of(lines, span)
    figures = (
        *_load(calls),
        *_noise(calls, lives, span),
        *_split(calls),
        *_answers("ack", lives.acknowledged, aims.ack_s),
        *_answers("close", lives.closed, aims.close_s),
        _false_share(lives),
        _protection(protection),
    )
    return Kpis(span=span, figures=figures, calls=calls, lives=lives, protected=protection)


def _load(calls: Calls) -> list[Figure]:
    n = calls.total
    share = {"unit": "%", "relation": "<", "target": 0.01, "limit": 0.05}
    return [
        Figure(key="mean", value=calls.mean, unit="", relation="≤", target=1.0, limit=2.0, count=n),
        Figure(key="peak", value=calls.peak, unit="", relation="≤", target=10.0, count=n),
        Figure(key="over_ten", value=calls.over_ten, count=len(calls.bins), **share),  # type: ignore[arg-type]
        Figure(key="in_flood", value=calls.in_flood, count=len(calls.floods), **share),  # type: ignore[arg-type]
    ]


def _noise(calls: Calls, lives: Lives, span: Span) -> list[Figure]:
    days = (span.to_ns - span.from_ns) / DAY_NS
    few = {"unit": "", "relation": "≤", "target": 0.0, "limit": 3.0}
    return [
        Figure(
            key="top_share",
            value=calls.top_share if calls.total else None,
            unit="%",
            relation="≤",
            target=0.05,
            limit=0.15,
            count=len(calls.top),
        ),
        Figure(key="chattering", value=float(len(calls.chattering)), **few),  # type: ignore[arg-type]
        Figure(key="fleeting", value=float(len(calls.fleeting)), **few),  # type: ignore[arg-type]
        Figure(
            key="stale",
            value=lives.became_stale / max(days, 1.0),
            unit="",
            relation="<",
            target=5.0,
            limit=5.0,
            count=lives.became_stale,
        ),
        Figure(
            key="standing",
            value=len(lives.standing) / span.operators,
            unit="",
            relation="<",
            target=10.0,
            count=len(lives.standing),
        ),
    ]


def _split(calls: Calls) -> list[Figure]:
    return [
        Figure(
            key="split",
            value=calls.by_severity.get(at, 0) / calls.total if calls.total else None,
            unit="%",
            relation="<" if at == max(SPLIT) else "±",
            target=share,
            severity=at,
            count=calls.by_severity.get(at, 0),
        )
        for at, share in SPLIT.items()
    ]


def _answers(key: str, times: Mapping[int, Times], aims: Mapping[int, float]) -> list[Figure]:
    return [
        Figure(
            key=key,
            value=times[at].p90_s if at in times else None,
            unit="s",
            relation="≤" if at in aims else "",
            target=aims.get(at),
            severity=at,
            count=times[at].count if at in times else 0,
        )
        for at in sorted({*times, *aims})
    ]


def _false_share(lives: Lives) -> Figure:
    true = sum(each.true for each in lives.rules.values())
    false = sum(each.false for each in lives.rules.values())
    told = true + false
    share = false / told if told else None
    return Figure(key="false", value=share, unit="%", relation="<", target=0.30, count=told)


def _protection(found: Protected | None) -> Figure:
    return Figure(
        key="protected",
        value=found.share if found is not None else None,
        unit="%",
        relation="≥",
        target=1.0,
        count=found.assets if found is not None else 0,
    )
