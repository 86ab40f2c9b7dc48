"""The noisiest channels, and what a changed rule would have said there: found by running it.

For each of them a few changes are tried, all in one more run of the engine over that channel's own
records: a wider hysteresis, a longer `for`, a limit further out. Rules marked fail_loud are never
changed at orange or red. What is suggested takes away most of the episodes with the least change,
and loses no incident of the truth that was found before. Beside the changes the rule runs as it is:
where that gives other episodes than the whole run did, it needs other channels or waveforms, and
nothing is suggested.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lifeline.backtest.episodes import Episodes
from lifeline.backtest.score import found_by
from lifeline.backtest.subset import cut_rule
from rules.engine import Engine
from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.run import Version
    from lifeline.backtest.subset import Subset
    from lifeline.backtest.truth import Incident
    from rules.plan import ChannelRule, Plan

NOISY = 5  # channels told of
LEAST_EPISODES = 3  # fewer are no noise
ENOUGH = 0.8  # of the episodes gone: a smaller change is not looked past
CALM_SEVERITY = 2  # the highest level of a fail_loud rule that may be changed
SPREADS = (2.0, 4.0, 8.0)  # times the band there is, or a fiftieth of the limit
HOLDS = (2, 5, 15)  # more intervals to wait
LIMITS = (0.05, 0.1, 0.25)  # of the limit, further out


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A change of one parameter, and the episodes it leaves; numbers in the rule's unit, or s."""

    parameter: str  # hysteresis, for.blue, above.yellow
    value: float
    unit: str
    episodes: int

    def text(self) -> str:
        """Return ``hysteresis 3.5 kPa``."""
        return f"{self.parameter} {self.value:.4g} {self.unit}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Noisy:
    """A channel under one rule that raised more than others."""

    rule: str
    side: int
    channel: str
    episodes: int
    suggestions: tuple[Suggestion, ...] = ()
    alone: bool = True
    """False: the rule needs more than this channel's readings, so nothing was tried."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def noisiest(version: Version) -> list[Noisy]:
    """Return the alarm keys on channels with the most episodes, worst first."""
    rules = {(rule.rule_id, rule.side) for rule in version.plan.channel_rules}
    known = version.registry.channel_row
    counts = Counter(
        (e.rule, e.side, e.subject)
        for e in version.episodes.held
        if (e.rule, e.side) in rules and e.subject in known
    )
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NOISY]
    return [
        Noisy(rule=rule, side=side, channel=channel, episodes=count)
        for (rule, side, channel), count in found
        if count >= LEAST_EPISODES
    ]


@dataclass(frozen=True, slots=True)
class _Trial:
    noisy: Noisy
    rule: ChannelRule  # on that channel alone, under a name of its own
    parameter: str
    value: float
    unit: str
    was: str  # the name the truth knows it by


def suggested(
    version: Version, noisy: Sequence[Noisy], subset: Subset, truth: Sequence[Incident]
) -> list[Noisy]:
    """Return them with their suggestions; ``subset`` holds their channels."""
    trials = [trial for each in noisy for trial in _trials(version, each)]
    if not trials:
        return list(noisy)
    names = {trial.rule.rule_id: trial.was for trial in trials}
    before = {each: _on(version.episodes.held, each) for each in noisy}
    ran = _ran(subset, version, trials)
    by_name: dict[str, list[Episode]] = {}
    for episode in ran:
        by_name.setdefault(episode.rule, []).append(replace(episode, rule=names[episode.rule]))
    told = []
    for each in noisy:
        as_is = [t for t in trials if t.noisy is each and not t.parameter]
        if len(by_name.get(as_is[0].rule.rule_id, [])) != each.episodes:
            told.append(replace(each, alone=False))
            continue
        lost_none = [
            Suggestion(
                parameter=trial.parameter, value=trial.value, unit=trial.unit, episodes=len(left)
            )
            for trial in trials
            if trial.noisy is each and trial.parameter
            for left in [by_name.get(trial.rule.rule_id, [])]
            if len(left) < each.episodes and loses_none(truth, before[each], left)
        ]
        told.append(replace(each, suggestions=tuple(_best(each, lost_none))))
    return told


def _on(episodes: Sequence[Episode], noisy: Noisy) -> list[Episode]:
    key = (noisy.rule, noisy.side, noisy.channel)
    return [e for e in episodes if (e.rule, e.side, e.subject) == key]


def _ran(subset: Subset, version: Version, trials: Sequence[_Trial]) -> list[Episode]:
    """Run every changed rule, and the site's quality checks before them."""
    plan = replace(subset.cut(version.plan), channel_rules=tuple(trial.rule for trial in trials))
    engine, episodes = Engine(plan, version.registry), Episodes(version.from_ns)
    for columns in subset.columns:
        episodes.take(engine.fold_columns(columns))
    return episodes.held


def loses_none(
    truth: Sequence[Incident], before: Sequence[Episode], after: Sequence[Episode]
) -> bool:
    """Tell whether all incidents that were found before are found after."""
    return all(
        found_by(incident, after).episode is not None
        for incident in truth
        if found_by(incident, before).episode is not None
    )


def _best(noisy: Noisy, found: Sequence[Suggestion]) -> Iterator[Suggestion]:
    """Yield of each parameter the least change that is enough, else the one that does most."""
    for parameter in dict.fromkeys(s.parameter for s in found):
        of_one = [s for s in found if s.parameter == parameter]  # the least change first
        enough = [s for s in of_one if s.episodes <= (1 - ENOUGH) * noisy.episodes]
        yield enough[0] if enough else min(of_one, key=lambda s: s.episodes)


def _trials(version: Version, noisy: Noisy) -> Iterator[_Trial]:
    row = version.registry.channel_row[noisy.channel]
    rules = [
        r
        for r in version.plan.channel_rules
        if (r.rule_id, r.side) == (noisy.rule, noisy.side) and row in r.channel
    ]
    for rule in rules[:1]:
        one = cut_rule(rule, np.array([row], np.int32))
        every_ns = int(version.registry.channels.interval_ns[row])
        as_is = ("", 0.0, "", one)
        changes = [as_is, *_changes(version.plan, one, every_ns)]
        for number, (parameter, value, unit, changed) in enumerate(changes):
            name = f"{noisy.rule}#{noisy.side}#{row}#{number}"
            trial = replace(changed, rule_id=name)
            yield _Trial(noisy, trial, parameter, value, unit, noisy.rule)


def _changes(
    plan: Plan, rule: ChannelRule, every_ns: int
) -> Iterator[tuple[str, float, str, ChannelRule]]:
    """Yield (parameter, value, unit, changed rule), of each parameter the least change first."""
    if rule.by_clock:
        return  # a change would have to be made at each hour, and no one key does that
    declared = [
        i
        for i, level in enumerate(plan.levels)
        if not np.isnan(rule.raise_at[0, i])
        and (not rule.fail_loud or level.severity <= CALM_SEVERITY)
    ]
    if not declared:
        return
    raise_at, clear_at = rule.raise_at[0, declared], rule.clear_at[0, declared]
    # of a fail_loud rule only the low levels change, and the name says which
    low = ",".join(plan.levels[i].name for i in declared)
    some = f".{low}" if rule.fail_loud else ""
    band = float(np.abs(raise_at - clear_at).max()) or float(np.abs(raise_at).min()) / 50
    for times in SPREADS:
        clear = rule.clear_at.copy()
        clear[0, declared] = raise_at - rule.side * band * times
        yield f"hysteresis{some}", band * times, rule.unit, replace(rule, clear_at=clear)
    first = declared[0]
    held_ns = int(rule.hold_ns[0, first])
    for more in HOLDS:
        hold_ns, samples = rule.hold_ns.copy(), rule.hold_samples.copy()
        wait_ns = (0 if held_ns == NEVER_NS else held_ns) + more * every_ns
        hold_ns[0, declared] = np.maximum(np.where(hold_ns < NEVER_NS, hold_ns, 0), wait_ns)[
            0, declared
        ]
        samples[0, declared] = 0
        changed = replace(rule, hold_ns=hold_ns, hold_samples=samples)
        yield f"for{some}", wait_ns / 1e9, "s", changed
    key = "above" if rule.side > 0 else "below"
    room = np.abs(np.diff(rule.raise_at[0, declared])).min() if len(declared) > 1 else np.inf
    for share in LIMITS:
        step = abs(float(rule.raise_at[0, first])) * share
        if not 0 < step < room:
            continue
        raised, cleared = rule.raise_at.copy(), rule.clear_at.copy()
        raised[0, first] += rule.side * step
        cleared[0, first] += rule.side * step
        changed = replace(rule, raise_at=raised, clear_at=cleared)
        yield f"{key}.{plan.levels[first].name}", float(raised[0, first]), rule.unit, changed
