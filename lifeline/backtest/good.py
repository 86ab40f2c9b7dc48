"""What of the past was good: scores of rules as the engine made them, without what was not normal.

Left out, and counted: samples a rule does not accept, late ones and duplicates; the time of known
incidents; the time of alarms that were not about tuning: of class maintenance, and, where nobody
told what really happened, orange and red ones. Blue and yellow alarms of the rules stay in: they
are what is to be tuned, and without them every limit would seem loose enough.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.backtest.episodes import Episodes
from lifeline.backtest.subset import cut_plan
from rules.engine import Engine
from rules.engine.taking import Tally
from rules.judge import JUDGED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingest.store.past import Span
    from lifeline.backtest.sources import Source
    from lifeline.backtest.truth import Incident
    from rules.plan import ChannelRule, Plan
    from rules.readings import Readings
    from rules.registry import Registry
    from rules.series import Series

DANGER: Final = 3  # severity: an alarm that may have been right
Spans = list[tuple[int, int]]
Scores = tuple["NDArray[np.int64]", "NDArray[np.float64]"]


class Seen(Tally):
    """Keeps the judged rows of all channels as the quality checks left them."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[dict[str, NDArray[Any]]] = []

    def take(self, rows: Readings, verdict: NDArray[np.uint8]) -> None:
        """Count rows, and keep the judged ones."""
        super().take(rows, verdict)
        at = np.flatnonzero((verdict == JUDGED) & (rows.channel >= 0))
        if len(at):
            names = ("channel", "judged_ns", "value", "qc_flag", "usable")
            self._held.append({name: getattr(rows, name)[at] for name in names})

    def by_channel(self) -> dict[int, dict[str, NDArray[Any]]]:
        """Return the columns of each channel, in order of time."""
        if not self._held:
            return {}
        whole = {n: np.concatenate([part[n] for part in self._held]) for n in self._held[0]}
        order = np.argsort(whole["channel"], kind="stable")
        keys, heads = np.unique(whole["channel"][order], return_index=True)
        parts = np.split(order, heads[1:])
        return {
            int(key): {name: column[part] for name, column in whole.items()}
            for key, part in zip(keys, parts, strict=True)
        }


@dataclass(slots=True)
class Good:
    """Scores by rule and channel row, (judged ns, score) with time rising; what was left out."""

    scores: dict[tuple[str, int], Scores] = field(default_factory=dict)
    values: dict[tuple[str, int], Scores] = field(default_factory=dict)  # what was scored
    left_out: dict[str, Counter[str]] = field(default_factory=dict)  # by rule: why, how many


def gathered(
    source: Source,
    plan: Plan,
    registry: Registry,
    rules: Sequence[ChannelRule],
    rows: NDArray[np.int32],
    *,
    span: Span,
    from_ns: int,
    truth: Sequence[Incident] | None,
) -> Good:
    """Run the rules of a plan over the channels ``rows`` and return what ``rules`` scored there.

    Only what was measured at or after ``from_ns`` counts; the engine begins where ``span`` does.
    """
    engine = Engine(cut_plan(plan, rows), registry, reads_out=True)
    if engine.readout is not None:
        engine.readout.every_ns = 1
    engine.tally = seen = Seen()
    episodes, told = Episodes(), []
    computed = any(registry.channels.derived[row] for row in rows.tolist())
    wanted = span if computed else replace(span, channels=rows)  # waveforms come only with all
    for piece in source.read(wanted):
        if piece.columns is not None:
            episodes.take(engine.fold_columns(piece.columns, piece.blocks))
            told += engine.series()
    held, read_out, good = seen.by_channel(), _by_rule_and_subject(told), Good()
    klass = {rule.rule_id: rule.klass for rule in plan.channel_rules}
    for rule in {rule.rule_id: rule for rule in rules}.values():
        counts = good.left_out.setdefault(rule.rule_id, Counter())
        for row in np.intersect1d(rule.channel, rows).tolist():
            name = registry.channels.id[row]
            values = _accepted(rule, held.get(row), counts)
            told_of = [(i.from_ns, i.to_ns) for i in truth or () if name in i.subjects]
            alarms = [
                (e.onset_ns, e.end_ns)
                for e in episodes.held
                if e.subject == name
                and (klass.get(e.rule) == "maintenance" or (truth is None and e.severity >= DANGER))
            ]
            by_why = {"incident": told_of, "alarm": alarms}
            key = rule.rule_id, row
            good.values[key] = _outside(values, by_why, from_ns, counts)
            if rule.kind == "threshold":
                good.scores[key] = good.values[key]
            elif (rule.rule_id, name) in read_out:
                said = read_out[rule.rule_id, name]
                good.scores[key] = _outside(said, by_why, from_ns, Counter())
    return good


def _by_rule_and_subject(told: Sequence[Series]) -> dict[tuple[str, str], Scores]:
    """Return what was read out of each rule on each channel, in order of time."""
    parts: dict[tuple[str, str], list[Scores]] = {}
    for series in told:
        group = series.source.astype(np.int64) * len(series.subjects) + series.subject
        order = np.argsort(group, kind="stable")
        keys, heads = np.unique(group[order], return_index=True)
        for key, at in zip(keys.tolist(), np.split(order, heads[1:]), strict=True):
            source, subject = divmod(key, len(series.subjects))
            name = series.sources[source].rule, series.subjects[subject]
            parts.setdefault(name, []).append((series.judged_ns[at], series.score[at]))
    return {
        name: (np.concatenate([t for t, _ in held]), np.concatenate([x for _, x in held]))
        for name, held in parts.items()
    }


def _accepted(
    rule: ChannelRule, held: dict[str, NDArray[Any]] | None, counts: Counter[str]
) -> Scores:
    """Return the samples the rule accepts."""
    if held is None:
        return np.zeros(0, np.int64), np.zeros(0)
    fits = held["usable"] & ~np.isnan(held["value"])
    if not rule.fail_loud:
        fits &= np.isin(held["qc_flag"], rule.accept)
    counts["quality"] += int((~fits).sum())
    return held["judged_ns"][fits], held["value"][fits]


def _outside(told: Scores, by_why: dict[str, Spans], from_ns: int, counts: Counter[str]) -> Scores:
    """Return what lies outside of some spans of time, and count the rest by their names."""
    t_ns, x = told
    keep = t_ns >= from_ns
    for why, spans in by_why.items():
        inside = np.zeros(len(t_ns), np.bool_)
        for begin, end in spans:
            inside |= (t_ns >= begin) & (t_ns <= end)
        counts[why] += int((inside & keep).sum())
        keep &= ~inside
    return t_ns[keep], x[keep]
