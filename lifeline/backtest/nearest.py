"""How near the rules came to what they missed, and limits no reading can reach."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.backtest.subset import Subset
    from lifeline.backtest.truth import Incident
    from rules.plan import ChannelRule, Plan
    from rules.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The channel and rule that came nearest to finding an incident; scores in natural sign."""

    incident: str
    place: str
    kind: str
    from_ns: int
    channel: str = ""
    rule: str = ""
    side: int = 1
    score: float | None = None  # the extreme in the time of the incident
    limit: float | None = None  # of the least level that would have counted
    level: str = ""
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Tell whether the limit itself was reached, so that `for` or late data kept it back."""
        if self.score is None or self.limit is None:
            return False
        return self.side * (self.score - self.limit) >= 0

    def id_text(self) -> str:
        """Return what people call the incident."""
        return " ".join(filter(None, (self.place, self.kind)))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "reached": self.reached}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A limit that lies outside its sensor's range."""

    rule: str
    channel: str
    level: str
    limit: float
    range_end: float
    unit: str


def unreachable(plan: Plan, registry: Registry) -> list[Unreachable]:
    """Return the limits of threshold rules no reading can reach; over_range raises some anyway."""
    found = []
    for rule in plan.channel_rules:
        if rule.kind != "threshold" or rule.over_range:
            continue
        ends = registry.channels.range_hi if rule.side > 0 else registry.channels.range_lo
        end = ends[rule.channel]
        # by the hour the nearest limit counts: out of reach is what no hour brings into it
        nearest_at = rule.side * np.minimum.reduce(
            [rule.side * each.raise_at for each in rule.at_hours()]
        )
        beyond = rule.side * (nearest_at - end[:, None]) > 0
        for row, level in zip(*np.nonzero(beyond), strict=True):
            found.append(
                Unreachable(
                    rule=rule.rule_id,
                    channel=registry.channels.id[rule.channel[row]],
                    level=plan.levels[level].name,
                    limit=float(nearest_at[row, level]),
                    range_end=float(end[row]),
                    unit=rule.unit,
                )
            )
    return found


def concerned(plan: Plan, registry: Registry, missed: Sequence[Incident]) -> set[int]:
    """Return the rows of channels whose rules might have found what was missed."""
    return {
        row
        for incident in missed
        for rule in plan.channel_rules
        for row in rule.channel.tolist()
        if incident.fits(rule.rule_id, registry.channels.id[row])
    }


def nearest(
    plan: Plan, registry: Registry, missed: Sequence[Incident], subset: Subset
) -> list[Nearest]:
    """Return, for each missed incident, what came nearest; ``subset`` holds its channels.

    Values against thresholds are compared reading by reading; scores of other kinds, by a run of
    those rules, minute by minute.
    """
    scored = _Scores(plan, registry, subset)
    found = []
    for incident in missed:
        best = Nearest(
            incident=incident.id,
            place=incident.place,
            kind=incident.kind,
            from_ns=incident.from_ns,
        )
        margin = -np.inf
        for rule in plan.channel_rules:
            for at, row in enumerate(rule.channel.tolist()):
                if not incident.fits(rule.rule_id, registry.channels.id[row]):
                    continue
                level = _least(plan, rule, at, incident.severity)
                came = scored.nearest(rule, at, level, incident) if level is not None else None
                if level is None or came is None:
                    continue
                score, limit = came
                near = rule.side * (score - limit) / max(abs(limit), 1e-12)
                if near > margin:
                    margin = near
                    best = replace(
                        best,
                        channel=registry.channels.id[row],
                        rule=rule.rule_id,
                        side=rule.side,
                        score=score,
                        limit=limit,
                        level=plan.levels[level].name,
                        unit=rule.unit,
                    )
        found.append(best)
    return found


def _least(plan: Plan, rule: ChannelRule, at: int, severity: int) -> int | None:
    """Return the column of the lowest level a rule has on a channel that would have counted."""
    for column, level in enumerate(plan.levels):
        if level.severity >= severity and not np.isnan(rule.raise_at[at, column]):
            return column
    return None


class _Scores:
    """Scores of a subset of channels: values for thresholds, else what the engine reads out."""

    def __init__(self, plan: Plan, registry: Registry, subset: Subset) -> None:
        self._subset = subset
        self._registry = registry
        engine = Engine(subset.cut(plan), registry, reads_out=True)
        self._told = []
        for columns in subset.columns:
            engine.fold_columns(columns)
            self._told += engine.series()

    def nearest(
        self, rule: ChannelRule, at: int, level: int, incident: Incident
    ) -> tuple[float, float] | None:
        """Return the score that came nearest to a level's limit in an incident, and that limit.

        None if there is none. Rows count that were received by then, judged or late.
        """
        row = int(rule.channel[at])
        if rule.kind == "threshold":
            t, score = self._subset.values(row)
        else:
            t, score = self._read_out(rule.rule_id, self._registry.channels.id[row])
        inside = (t >= incident.from_ns) & (t <= incident.to_ns) & ~np.isnan(score)
        if not inside.any():
            return None
        score = score[inside]
        limit = rule.along("raise_at", at, t[inside])[:, level]
        best = int(np.argmax(rule.side * (score - limit)))
        return float(score[best]), float(limit[best])

    def _read_out(self, rule: str, subject: str) -> tuple[Any, Any]:
        times, scores = [np.zeros(0, np.int64)], [np.zeros(0)]
        for series in self._told:
            source = [i for i, s in enumerate(series.sources) if s.rule == rule]
            named = [i for i, name in enumerate(series.subjects) if name == subject]
            chosen = np.isin(series.source, source) & np.isin(series.subject, named)
            times.append(series.judged_ns[chosen])
            scores.append(series.score[chosen])
        return np.concatenate(times), np.concatenate(scores)
