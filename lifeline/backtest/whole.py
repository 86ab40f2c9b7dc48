"""A whole back-test: read, fold, count, compare with the truth, look closer where it matters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from ingest.store.past import END_NS, Span
from lifeline.backtest.nearest import Nearest, Unreachable, concerned, nearest, unreachable
from lifeline.backtest.run import Reading, Version, run
from lifeline.backtest.score import ALL, DAY_NS, Figures, figures, found_by, paired
from lifeline.backtest.subset import Subset
from lifeline.backtest.suggest import Noisy, noisiest, suggested
from lifeline.backtest.truth import Incident, read_false, read_truth, recorded_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.sources import Source
    from rules.language import RuleSet
    from rules.plan import Level

WORST = 12  # episodes drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is wanted of a back-test. The engine begins ``warmup_ns`` before ``from_ns``."""

    rules: RuleSet
    other: RuleSet | None = None
    from_ns: int = 0
    to_ns: int = END_NS
    warmup_ns: int = 0
    truth: Path | None = None
    operators: int = 1
    lines: BinaryIO | None = None
    tell: Callable[[int, int], None] = field(default=lambda _done, _time_ns: None)

    @property
    def span(self) -> Span:
        """Return what is read."""
        return Span(from_ns=max(self.from_ns - self.warmup_ns, 0), to_ns=self.to_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a back-test found. ``subset`` holds the channels of what is told in detail."""

    source: str
    version: Version
    reading: Reading
    figures: list[Figures]
    noisy: list[Noisy]
    missed: list[Nearest]
    unreachable: list[Unreachable]
    truth: list[Incident] | None
    worst: list[Episode]
    added: list[Episode]
    removed: list[Episode]
    subset: Subset
    days: float
    judged_false: tuple[int, int] | None = None  # false by operators' verdicts; still raised

    @property
    def total(self) -> Figures:
        """Return the line of all rules."""
        return next(line for line in self.figures if line.rule == ALL)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with every episode."""
        return {
            "backtest": 1,
            "source": self.source,
            "rules": self.version.rules.content_hash,
            "digest": f"sha256:{self.version.digest}",
            "events": self.version.events,
            "late_findings": self.version.episodes.late_findings,
            "days": self.days,
            "reading": asdict(self.reading),
            "figures": [line.to_json() for line in self.figures],
            "noisiest": [each.to_json() for each in self.noisy],
            "missed": [each.to_json() for each in self.missed],
            "judged_false": self.judged_false,
            "never": [asdict(each) for each in self.unreachable],
            "added": [each.to_json() for each in self.added],
            "removed": [each.to_json() for each in self.removed],
            "episodes": [each.to_json() for each in self.version.episodes.held],
            "warnings": [each.to_json() for each in self.version.warnings],
        }


def back_test(source: Source, ask: Ask) -> Report:
    """Run the rules over a source.

    Raises
    ------
    rules.problems.Invalid, lifeline.errors.Missing
        The rules do not fit the registry, the truth cannot be read, or the source is damaged.
    """
    # first: what is wrong with it need not wait for the run
    truth = told_truth(source, ask.truth, ask.rules.levels, span=(ask.from_ns, ask.to_ns))
    version = Version(ask.rules, source, ask.from_ns, ask.lines)
    versions = [version]
    if ask.other is not None:
        versions.append(Version(ask.other, source, ask.from_ns))
    reading = run(source, versions, ask.span, tell=ask.tell)
    episodes = version.episodes.held
    begin_ns = max(reading.begin_ns, ask.from_ns)
    days = max(reading.end_ns - begin_ns, 0) / DAY_NS
    other = versions[1] if len(versions) > 1 else None
    noisy = noisiest(version)
    missed = [i for i in truth or () if found_by(i, version.alarming).episode is None]
    worst = worst_of(episodes)
    subset = Subset.of(source, _channels(version, noisy, worst, missed), ask.span)
    was = other.episodes.held if other is not None else []
    kept = {id(e) for pair in paired(episodes, was) for e in pair}
    return Report(
        source=source.name,
        version=version,
        reading=reading,
        figures=figures(version, truth, days=days, operators=ask.operators, other=other),
        noisy=suggested(version, noisy, subset, truth or ()),
        missed=nearest(version.plan, version.registry, missed, subset) if missed else [],
        unreachable=unreachable(version.plan, version.registry),
        truth=truth,
        worst=worst,
        added=[e for e in episodes if id(e) not in kept] if other is not None else [],
        removed=[e for e in was if id(e) not in kept],
        subset=subset,
        days=days,
        judged_false=_judged_false(ask, version),
    )


def _judged_false(ask: Ask, version: Version) -> tuple[int, int] | None:
    """Return how many alarms operators found false, and how many of these the rules still raise."""
    if ask.truth is None or not ask.truth.is_dir():
        return None
    false = [
        each
        for each in read_false(ask.truth, version.registry, ask.rules.levels)
        if each.to_ns >= ask.from_ns and each.from_ns < ask.to_ns
    ]
    still = sum(found_by(each, version.alarming).episode is not None for each in false)
    return len(false), still


def told_truth(
    source: Source, path: Path | None, levels: Sequence[Level], *, span: tuple[int, int]
) -> list[Incident] | None:
    """Return the incidents of (from, to) that was read; None where nobody told of any."""
    if path is not None:
        found = read_truth(path, source.latest, levels)
    elif source.truth:
        found = recorded_truth(source.truth, source.latest)
    else:
        return None
    return [i for i in found if i.to_ns >= span[0] and i.from_ns < span[1]]


def worst_of(episodes: Sequence[Episode]) -> list[Episode]:
    """Return those to look at first: the highest, and of these the longest; one an alarm key."""
    order = sorted(episodes, key=lambda e: (-e.severity, e.raised_ns - e.end_ns))
    first: dict[str, Episode] = {}
    for episode in order:
        first.setdefault(episode.alarm_key, episode)
    return list(first.values())[:WORST]


def _channels(
    version: Version,
    noisy: Sequence[Noisy],
    worst: Sequence[Episode],
    missed: Sequence[Incident],
) -> list[int]:
    known = version.registry.channel_row
    rows = [known[each.channel] for each in noisy]
    rows += [known[e.subject] for e in worst if e.subject in known]
    return [*rows, *sorted(concerned(version.plan, version.registry, missed))]
