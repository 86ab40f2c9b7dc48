"""Faults put into a real heating substation's lines, and how many of them its rules find.

Rules are tuned on the older half of the heating seasons and judged on the newer ones, each spoilt
by one fault of every kind, drawn by seed. The newer seasons are replayed unspoilt as well: what is
raised there counts as false, although nobody says that nothing happened in them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lifeline.bench.heat_rules import rules_text, tune
from rules.language.loader import load_rules
from simulators.datasets import HEAT_COLUMNS, Table
from simulators.heat_station import KINDS, read_lines, seasons, spoil
from simulators.recording import replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.events import Event
    from rules.language.ruleset import RuleSet
    from simulators.heat_station import Injected, Lines

WANTED: Final = 0.8
AFTER_NS: Final = 12 * 3_600_000_000_000  # an alarm so long after a fault's end is still of it
APART_NS: Final = 24 * 3_600_000_000_000  # false alarms nearer than this are one


@dataclass(slots=True)
class Score:
    """Events over all seeds and seasons: found, missed, and false ones."""

    station: str
    tuned_on: int
    judged_on: int
    seeds: int
    rules: str = field(repr=False)
    found: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    false: int = 0
    unspoilt: int = 0  # false ones of the judged seasons as they are, once each
    by_rule: Counter[str] = field(default_factory=Counter)  # what false alarms were raised by
    delay_h: list[float] = field(default_factory=list)

    @property
    def f05(self) -> float:
        """Return F0.5 of events: precision counts twice as much as recall."""
        hit, miss = self.found.total(), self.missed.total()
        return 1.25 * hit / max(1.25 * hit + 0.25 * miss + self.false, 1e-9)

    @property
    def precision(self) -> float:
        """Return the share of true ones among what was raised."""
        return self.found.total() / max(self.found.total() + self.false, 1)

    @property
    def recall(self) -> float:
        """Return the share of faults that were found."""
        return self.found.total() / max(self.found.total() + self.missed.total(), 1)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        whole = {"f05": self.f05, "precision": self.precision, "recall": self.recall}
        counted = {name: getattr(self, name) for name in ("found", "missed", "by_rule")}
        # asdict would make a Counter of a Counter's pairs
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {name: dict(counter) for name, counter in counted.items()} | whole


def judge(path: Path, *, seeds: int, size: float = 1.0) -> Score:
    """Tune on the older seasons of a file, spoil the newer ones by seeds 1 … ``seeds``, and score.

    ``size`` times the usual size is what faults have.

    Raises
    ------
    ValueError
        The file has fewer than two heating seasons with enough lines.
    """
    held = seasons(read_lines(path))
    if len(held) < 2:
        raise ValueError(f"{path.name}: {len(held)} heating seasons with enough lines, 2 needed")
    old, new = held[: len(held) // 2], held[len(held) // 2 :]
    relations, still_hours = tune(old)
    kw = sum(season.usual_kw() for season in old) / len(old)
    text = rules_text(relations, still_hours, kw=kw, seasons=len(old))
    rules = load_rules({"station.yaml": text})
    score = Score(path.stem, len(old), len(new), seeds, text)
    for season in new:
        score.unspoilt += len(_false(_raised(season, rules), [])[0])
        for seed in range(1, seeds + 1):
            spoilt, truth = spoil(season, seed=seed, size=size)
            _add(score, _raised(spoilt, rules), truth)
    return score


def _raised(lines: Lines, rules: RuleSet) -> list[Event]:
    when = {"column": "datetime", "format": "%Y-%m-%d %H:%M:%S", "zone": "UTC"}
    table = Table("station", "heat", "station", "1h", when, HEAT_COLUMNS, lines.text)
    with tempfile.TemporaryDirectory(prefix="lifeline-station-") as name:
        done = replay(table.write(Path(name)), rules=rules)
    return [alarm for alarm in done.alarms if alarm.klass != "info"]


def _add(score: Score, alarms: Sequence[Event], truth: Sequence[Injected]) -> None:
    for fault in truth:
        mine = [a.event_ns for a in alarms if _of(a, fault)]
        if mine:
            score.found[fault.kind] += 1
            score.delay_h.append(round((min(mine) - fault.begin_ns) / 3.6e12, 1))
        else:
            score.missed[fault.kind] += 1
    groups, rules = _false(alarms, truth)
    score.false += len(groups)
    score.by_rule.update(rules)


def _of(alarm: Event, fault: Injected) -> bool:
    return fault.begin_ns <= alarm.event_ns <= fault.end_ns + AFTER_NS


def _false(alarms: Sequence[Event], truth: Sequence[Injected]) -> tuple[list[int], Counter[str]]:
    """Return when each group of false alarms began, and which rules raised them."""
    wrong = [a for a in alarms if not any(_of(a, fault) for fault in truth)]
    begins: list[int] = []
    last_ns = -APART_NS
    for at_ns in sorted(a.event_ns for a in wrong):
        if at_ns - last_ns >= APART_NS:
            begins.append(at_ns)
        last_ns = at_ns
    return begins, Counter(a.rule for a in wrong)


def table_of(score: Score) -> list[tuple[str, int, int]]:
    """Return (kind, found, missed) of each kind."""
    return [(kind, score.found[kind], score.missed[kind]) for kind in KINDS]
