"""Rules on trial beside the live ones over a time of the event log: who saw what.

Two episodes are the same where they are about one side of one subject and their times overlap.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ingest.journal import JournalReader, durable_end
from ingest.journal.segments import segments
from lifeline.backtest.episodes import Episodes
from lifeline.errors import Missing
from rules.events import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lifeline.backtest.episodes import Episode
    from rules.events import Event
    from rules.plan import Plan

READ_LINES = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A rule on trial and the live rule beside it ("" where there is none)."""

    shadow: str
    active: str
    both: tuple[tuple[Episode, Episode], ...]  # (on trial, live)
    only_shadow: tuple[Episode, ...]
    only_active: tuple[Episode, ...]

    @property
    def higher(self) -> int:
        """Return how many both saw, and the rule on trial at a higher level."""
        return sum(trial.severity > live.severity for trial, live in self.both)

    @property
    def lower(self) -> int:
        """Return how many both saw, and the rule on trial at a lower level."""
        return sum(trial.severity < live.severity for trial, live in self.both)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "shadow": self.shadow,
            "active": self.active,
            "counts": asdict(counts(self)),
            "both": [
                {"shadow": trial.to_json(), "active": live.to_json()} for trial, live in self.both
            ],
            "only_shadow": [episode.to_json() for episode in self.only_shadow],
            "only_active": [episode.to_json() for episode in self.only_active],
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """A pair in figures."""

    both: int
    only_shadow: int
    only_active: int
    higher: int
    lower: int


def counts(pair: Pair) -> Counts:
    """Return a pair's figures."""
    return Counts(
        len(pair.both), len(pair.only_shadow), len(pair.only_active), pair.higher, pair.lower
    )


def compared(
    events: Iterable[Event], beside: Mapping[str, str], *, from_ns: int, to_ns: int
) -> list[Pair]:
    """Return what each rule on trial and the live one beside it raised in a time, by rule.

    ``beside`` names the live rule of each rule on trial, "" for none. Episodes count that were
    open at some time of [from, to); one live episode may be matched by several on trial, and the
    other way round: a rule that chatters within one alarm of the other missed none of it.
    """
    trial, live = Episodes(), Episodes()
    for event in events:
        (trial if event.shadow else live).take([event])
    inside = [e for e in trial.held if e.overlaps(from_ns, to_ns - 1)]
    known = dict(beside) | {e.rule: "" for e in inside if e.rule not in beside}
    active: dict[str, list[Episode]] = defaultdict(list)
    for episode in live.held:
        if episode.overlaps(from_ns, to_ns - 1):
            active[episode.rule].append(episode)
    pairs = []
    for name in sorted(known):
        mine = [e for e in inside if e.rule == name]
        pairs.append(_pair(name, known[name], mine, active.get(known[name], [])))
    return pairs


def _pair(name: str, beside: str, mine: Sequence[Episode], theirs: Sequence[Episode]) -> Pair:
    at: dict[tuple[int, str], list[Episode]] = defaultdict(list)
    for episode in theirs:
        at[episode.side, episode.subject].append(episode)
    both, alone, met = [], [], set()
    for episode in mine:
        found = [
            other
            for other in at[episode.side, episode.subject]
            if episode.overlaps(other.raised_ns, other.end_ns)
        ]
        if not found:
            alone.append(episode)
            continue
        met |= {id(other) for other in found}
        both.append((episode, max(found, key=lambda other: other.severity)))
    return Pair(
        shadow=name,
        active=beside,
        both=tuple(both),
        only_shadow=tuple(alone),
        only_active=tuple(other for other in theirs if id(other) not in met),
    )


def pairs_of(plan: Plan) -> dict[str, str]:
    """Return the live rule beside each rule on trial of a plan, "" for none."""
    return {rule.rule_id: rule.beside for rule in plan.told_rules if rule.shadow}


def logged(data: Path) -> Iterator[Event]:
    """Yield every event the log still holds, in its order.

    Raises
    ------
    Missing
        A line is no event of this version.
    """
    folder = data / "events"
    held = segments(folder) if folder.is_dir() else []
    if not held:
        return
    end = durable_end(folder)
    with JournalReader(folder, start=held[0].first) as reader:
        while some := reader.events(until=end, max_rows=READ_LINES):
            for offset, record in some:
                try:
                    yield from map(decode, record.lines)
                except ValueError as error:
                    raise Missing(f"{folder}: record {offset}: {error}") from error
