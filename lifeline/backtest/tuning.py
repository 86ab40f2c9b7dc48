"""``lifeline rules suggest``: propose from good history, then run what is proposed.

The alarms a proposal would have raised are counted by the live engine over the same records, beside
today's rules, as a back-test does; nothing is estimated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.backtest.good import gathered
from lifeline.backtest.patch import meant, patch_of, patched, with_patch
from lifeline.backtest.propose import (
    MIRRORED,
    PER_SIDE,
    Proposal,
    as_plain,
    like_groups,
    proposed,
)
from lifeline.backtest.run import Version, run
from lifeline.backtest.score import DAY_NS
from lifeline.backtest.suggest import CALM_SEVERITY, loses_none
from lifeline.errors import Failure, Missing
from rules.engine.kinds import ACROSS
from rules.language import compile_plan
from rules.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.store.past import Span
    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.good import Good
    from lifeline.backtest.sources import Source
    from lifeline.backtest.truth import Incident
    from rules.language import Rule, RuleSet
    from rules.plan import ChannelRule, Plan
    from rules.registry import Registry

MOST_FITTED: Final = 200  # channels a group's numbers are made from, evenly among them
KINDS: Final = (*PER_SIDE, *MIRRORED)
Counts = dict[str, dict[str, int]]
"""Alarms by side (above, below) and by the highest level they reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked: of which rule and channels, how rare the lowest level is to be."""

    rules: RuleSet
    rule: str = ""  # "" = all of the kinds that can be tuned
    channels: tuple[str, ...] = ()  # patterns; () = all
    per_year: float = 4.0  # of a channel
    each: bool = False  # a proposal a channel, not one for like channels
    span: Span
    from_ns: int = 0
    truth: tuple[Incident, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A proposal, its text, and the alarms of today's rule and with it."""

    proposal: Proposal
    patch: str  # "" where nothing is proposed
    now: Counts = field(default_factory=dict)
    then: Counts = field(default_factory=dict)
    days: float = 0.0
    loses: bool = False  # an incident of the truth that was found is not found any more

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = self.proposal
        return {
            "rule": told.rule,
            "kind": told.kind,
            "unit": told.unit,
            "channels": list(told.channels),
            "bases": [asdict(basis) for basis in told.bases],
            "left_out": told.left_out,
            "levels": [as_plain(level) for level in told.levels],
            "alarms_now": self.now,
            "alarms_proposed": self.then,
            "days": self.days,
            "loses_an_incident": self.loses,
            "patch": self.patch,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Everything that was found."""

    tried: tuple[Tried, ...]
    passed_over: dict[str, str]  # rules nothing can be proposed for: why
    good: Good
    registry: Registry

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = [each.to_json() for each in self.tried]
        return {"suggest": 1, "proposals": told, "passed_over": self.passed_over}


def tuned(source: Source, wanted: Wanted) -> Tuning:
    """Return proposals and what they would have done.

    Raises
    ------
    Missing
        No such rule or channel.
    Failure
        The one rule that was named cannot be tuned; says why.
    """
    registry = source.latest
    plan, _ = compile_plan(wanted.rules, registry)
    chosen, passed_over = _chosen(wanted, plan)
    rows = _rows(wanted, registry)
    groups = list(_groups(chosen, rows, each=wanted.each))
    if not groups:
        raise Missing(f"rule {wanted.rule or 'any'}: watches none of the channels that were named")
    fitted = [_some(group) for _, group in groups]
    good = gathered(
        source, plan, registry, [side for sides in chosen.values() for side in sides],
        np.unique(np.concatenate(fitted)), span=wanted.span, from_ns=wanted.from_ns,
        truth=wanted.truth,
    )  # fmt: skip
    told = [
        proposed(chosen[name], group, some, good, registry, plan.levels, per_year=wanted.per_year)
        for (name, group), some in zip(groups, fitted, strict=True)
    ]
    tried = _tried(source, wanted, told, registry)
    return Tuning(tried=tuple(tried), passed_over=passed_over, good=good, registry=registry)


def _chosen(wanted: Wanted, plan: Plan) -> tuple[dict[str, list[ChannelRule]], dict[str, str]]:
    """Return the sides of the rules to tune, and why others are not."""
    names = [rule.id for rule in wanted.rules.rules]
    if wanted.rule and wanted.rule not in names:
        raise Missing(f"rule {wanted.rule}: no such rule{nearest(wanted.rule, names)}")
    chosen: dict[str, list[ChannelRule]] = {}
    passed_over: dict[str, str] = {}
    for rule in wanted.rules.rules:
        if wanted.rule not in ("", rule.id):
            continue
        sides = [side for side in plan.channel_rules if side.rule_id == rule.id]
        if rule.body.kind not in KINDS:
            kinds = ", ".join(KINDS)
            passed_over[rule.id] = f"kind {rule.body.kind} is not among those tuned: {kinds}"
        elif not sides:
            passed_over[rule.id] = "it matches no registered channel"
        elif not ACROSS.isdisjoint(side.kernel for side in sides):
            passed_over[rule.id] = "it looks at the channels around too (beyond): tune it by hand"
        elif any(side.by_clock for side in sides):
            passed_over[rule.id] = "its limits change by the hour (when): tune each by hand"
        elif _all_frozen(sides, plan):
            passed_over[rule.id] = (
                "it is fail_loud and has only orange and red, which are never suggested from "
                "history: they are a person's decision"
            )
        else:
            chosen[rule.id] = sides
    if wanted.rule and passed_over:
        raise Failure(f"rule {wanted.rule}: {passed_over[wanted.rule]}")
    return chosen, passed_over


def _all_frozen(sides: Sequence[ChannelRule], plan: Plan) -> bool:
    low = [i for i, level in enumerate(plan.levels) if level.severity <= CALM_SEVERITY]
    return all(side.fail_loud and np.isnan(side.raise_at[:, low]).all() for side in sides)


def _rows(wanted: Wanted, registry: Registry) -> NDArray[np.int32]:
    names = registry.channels.id
    if not wanted.channels:
        return np.arange(len(names), dtype=np.int32)
    for pattern in wanted.channels:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Missing(f"--channel {pattern}: no such channel{nearest(pattern, names)}")
    fits = [any(fnmatchcase(name, p) for p in wanted.channels) for name in names]
    return np.flatnonzero(fits).astype(np.int32)


def _groups(
    chosen: dict[str, list[ChannelRule]], rows: NDArray[np.int32], *, each: bool
) -> Iterator[tuple[str, NDArray[np.int32]]]:
    for name, sides in chosen.items():
        for group in like_groups(sides):
            some = np.intersect1d(group, rows)
            if each:
                yield from ((name, some[i : i + 1]) for i in range(len(some)))
            elif len(some):
                yield name, some


def _some(group: NDArray[np.int32]) -> NDArray[np.int32]:
    if len(group) <= MOST_FITTED:
        return group
    return group[np.linspace(0, len(group) - 1, MOST_FITTED).astype(np.int64)]


def _tried(
    source: Source, wanted: Wanted, told: Sequence[Proposal], registry: Registry
) -> Iterator[Tried]:
    """Run today's rules and the changed ones over the same records, all proposals at once."""
    by_rule: dict[str, Rule] = {rule.id: rule for rule in wanted.rules.rules}
    changed: dict[str, Rule] = {}
    texts: list[str] = []
    for each in told:
        text = patch_of(by_rule[each.rule], each, _reason(wanted, each)) if each.changed else ""
        texts.append(text)
        if text:
            before = changed.get(each.rule, by_rule[each.rule])
            changed[each.rule] = with_patch(before, text)
    of_rules = dict.fromkeys(each.rule for each in told)
    today = patched(wanted.rules, [by_rule[name] for name in of_rules])
    after = patched(wanted.rules, [changed.get(name, by_rule[name]) for name in of_rules])
    plan, _ = compile_plan(after, registry)
    for each, text in zip(told, texts, strict=True):
        if text and not meant(plan, registry, each):
            raise Failure(
                f"rule {each.rule}: the change would not mean what is proposed, because an "
                f"override of it is stronger; change that one by hand:\n{text}"
            )
    versions = [Version(today, source, wanted.from_ns), Version(after, source, wanted.from_ns)]
    names = {name for each in told for name in each.channels}
    rows = np.array(sorted(registry.channel_row[name] for name in names), np.int32)
    computed = any(registry.channels.derived[row] for row in rows.tolist())
    span = wanted.span if computed else replace(wanted.span, channels=rows)
    reading = run(source, versions, span)
    days = max(reading.end_ns - max(reading.begin_ns, wanted.from_ns), 0) / DAY_NS
    for each, text in zip(told, texts, strict=True):
        now, then = (_of(each, version.episodes.held) for version in versions)
        yield Tried(
            proposal=each, patch=text, days=days,
            now=_by_level(now, wanted.rules), then=_by_level(then, wanted.rules),
            loses=not loses_none(wanted.truth or (), now, then),
        )  # fmt: skip


def _of(proposal: Proposal, episodes: Sequence[Episode]) -> list[Episode]:
    names = set(proposal.channels)
    return [e for e in episodes if e.rule == proposal.rule and e.subject in names]


def _by_level(episodes: Sequence[Episode], rules: RuleSet) -> Counts:
    counts = Counter((e.side, e.severity) for e in episodes)
    return {
        side: {level.name: counts[sign, level.severity] for level in rules.levels}
        for side, sign in (("above", 1), ("below", -1))
    }


def _reason(wanted: Wanted, proposal: Proposal) -> str:
    """Return in one line what the numbers rest on."""
    basis = proposal.bases[0]
    begin = wanted.span.from_ns if wanted.from_ns == 0 else wanted.from_ns
    since = f" since {datetime.fromtimestamp(begin / 1e9, UTC):%Y-%m-%d}" if begin else ""
    how = "counted" if basis.counted else "peaks over threshold"
    return (
        f"{wanted.per_year:g} alarms a channel and year at the lowest level, by {how} on "
        f"{basis.years * 365.25:.3g} days of good data{since}"
    )
