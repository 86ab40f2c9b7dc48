"""The figures of a back-test, rule by rule: how often, how long, how noisy, how right.

What counts as found, in one place: an incident is found by an alarm of a fitting rule and place
that stood at the incident's least level or above and was open, by receive time, at some time from
``from`` to ``to``. An alarm is right if it is about an incident in this sense, whatever its level.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from ingest.store.alarm_book import CHATTERING, FLOOD
from lifeline.backtest.episodes import OPEN_NS
from lifeline.backtest.truth import watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.run import Version
    from lifeline.backtest.truth import Incident

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
RED = 4
ALL = "all rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One line of the table; None where there is nothing to say."""

    rule: str
    sensors: int  # channels, devices, assets or zones it can alarm about
    episodes: int
    red: int
    median_s: float | None  # of episodes that ended
    chatter: int  # raises that were the third or more of their alarm within an hour
    flood10m: int  # ten minutes in which more than 10 an operator were raised
    per_op_day: float
    incidents: int | None  # that it could have seen
    found: int | None
    right: int | None  # episodes that are about an incident
    lead_s: float | None  # median: how long before its `by` an incident was known
    change: tuple[int, int, int] | None  # against the other version: added, removed, unchanged

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with recall and precision."""
        held = asdict(self)
        held["recall"] = _share(self.found, self.incidents)
        held["precision"] = _share(self.right, self.episodes)
        return held


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An incident and the first alarm that found it; no alarm, no episode."""

    incident: Incident
    episode: Episode | None

    @property
    def lead_s(self) -> float | None:
        """Return how long before its ``by`` it was known, in seconds."""
        if self.episode is None:
            return None
        return (self.incident.by_ns - self.episode.reached_ns[self.incident.severity]) / 1e9


def found_by(incident: Incident, episodes: Sequence[Episode]) -> Found:
    """Return the first episode that found an incident."""
    at = incident.severity
    fitting = [
        e
        for e in episodes
        if e.severity >= at
        and e.reached_ns[at] <= incident.to_ns
        and e.end_ns >= incident.from_ns
        and incident.fits(e.rule, e.subject)
    ]
    first = min(fitting, key=lambda e: e.reached_ns[at], default=None)
    return Found(incident=incident, episode=first)


def is_right(episode: Episode, truth: Sequence[Incident]) -> bool:
    """Tell whether an episode is about one of the incidents."""
    return any(
        episode.overlaps(i.from_ns, i.to_ns) and i.fits(episode.rule, episode.subject)
        for i in truth
    )


def figures(
    version: Version,
    truth: Sequence[Incident] | None,
    *,
    days: float,
    operators: int,
    other: Version | None = None,
) -> list[Figures]:
    """Return a line for each rule, in the order of their names, and one for all live ones."""
    known = watched(version.plan, version.registry)
    plan = version.plan
    on_channels = (*plan.channel_rules, *plan.composite_rules)
    safety = {rule.rule_id for rule in on_channels if rule.klass == "safety"}
    safety |= {rule.rule_id for rule in plan.deadman_rules if rule.klass == "safety"}
    episodes = version.episodes.held
    by_rule: dict[str, list[Episode]] = {name: [] for name in sorted(known)}
    for episode in episodes:
        by_rule.setdefault(episode.rule, []).append(episode)
    before: dict[str, list[Episode]] = {}
    for episode in other.episodes.held if other is not None else ():
        before.setdefault(episode.rule, []).append(episode)
        by_rule.setdefault(episode.rule, [])

    def line(
        name: str, held: list[Episode], subjects: frozenset[str], was: list[Episode]
    ) -> Figures:
        concerned = None
        if truth is not None:
            expected = [i for i in truth if i.rules or name in safety]
            concerned = [i for i in expected if any(i.fits(name, s) for s in i.subjects & subjects)]
            if name == ALL:
                concerned = list(truth)
        found = [found_by(i, held) for i in concerned or ()]
        leads = [f.lead_s for f in found if f.lead_s is not None]
        ended = [(e.end_ns - e.raised_ns) / 1e9 for e in held if e.end_ns != OPEN_NS]
        return Figures(
            rule=name,
            sensors=len(subjects),
            episodes=len(held),
            red=sum(e.severity == RED for e in held),
            median_s=median(ended) if ended else None,
            chatter=chattering(held),
            flood10m=floods(held, operators),
            per_op_day=len(held) / max(days, 1e-9) / operators,
            incidents=None if concerned is None else len(concerned),
            found=None if concerned is None else sum(f.episode is not None for f in found),
            right=None if truth is None else sum(is_right(e, truth) for e in held),
            lead_s=median(leads) if leads else None,
            change=changed(held, was) if other is not None else None,
        )

    lines = [
        line(name, held, known.get(name, frozenset()), before.get(name, []))
        for name, held in by_rule.items()
    ]
    every = frozenset().union(*known.values())
    was = other.alarming if other is not None else []
    return [*lines, line(ALL, version.alarming, every, was)]


def chattering(episodes: Sequence[Episode]) -> int:
    """Return the raises that were at least the third of their alarm within an hour."""
    times: dict[str, list[int]] = {}
    for episode in episodes:
        times.setdefault(episode.alarm_key, []).append(episode.raised_ns)
    return sum(
        n + 1 - bisect_left(at, at[n] - HOUR_NS) >= CHATTERING
        for at in map(sorted, times.values())
        for n in range(len(at))
    )


def floods(episodes: Sequence[Episode], operators: int) -> int:
    """Return the tens of minutes of the clock in which more were raised than people can take in."""
    slots = Counter(e.raised_ns // (10 * MINUTE_NS) for e in episodes)
    return sum(count > FLOOD * operators for count in slots.values())


def changed(now: Sequence[Episode], was: Sequence[Episode]) -> tuple[int, int, int]:
    """Return (added, removed, unchanged)."""
    unchanged = len(paired(now, was))
    return len(now) - unchanged, len(was) - unchanged, unchanged


def paired(now: Sequence[Episode], was: Sequence[Episode]) -> list[tuple[Episode, Episode]]:
    """Return the episodes both have: of one alarm key, overlapping in time, each in one pair.

    Where one episode covers several of the other version, it is the first of them that stayed.
    """
    rivals: dict[str, list[Episode]] = {}
    for episode in was:
        rivals.setdefault(episode.alarm_key, []).append(episode)
    next_of = dict.fromkeys(rivals, 0)
    found = []
    for episode in now:  # in order of their raise, as the others are
        key = episode.alarm_key
        held, at = rivals.get(key, []), next_of.get(key, 0)
        while at < len(held) and held[at].end_ns < episode.raised_ns:
            at += 1
        if at < len(held) and held[at].overlaps(episode.raised_ns, episode.end_ns):
            found.append((episode, held[at]))
            at += 1
        if held:
            next_of[key] = at
    return found
