"""Every public data set through the whole pipeline once: what is raised on it, and why.

Judged by the shipped rules and by ``usual``, which fits measurements without limits of their own.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeline.bench.datasets_why import why
from rules.language.loader import load_rules
from rules.problems import Invalid
from simulators.datasets import SETS, Absent, Table, rules_of, tables
from simulators.recording import replay, shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rules.events import Event
    from rules.language.ruleset import RuleSet
    from simulators.recording import Replayed

LEVELS = ("", "blue", "yellow", "orange", "red")


@dataclass(frozen=True, slots=True)
class Raised:
    """What one rule raised on one kind of column: how often, the worst, and the first as it was."""

    rule: str
    times: int
    channels: int
    level: str
    klass: str
    first: str
    why: str  # empty: nobody has said why, a surprise


@dataclass(slots=True)
class Row:
    """One set: its tables together."""

    name: str
    tables: int = 0
    lines: int = 0
    quarantined: int = 0
    days: float = 0.0
    wall_s: float = 0.0
    raised: list[Raised] = field(default_factory=list)
    left_out: str = ""
    refused: list[str] = field(default_factory=list)
    spans: int = 0  # that the set itself calls wrong
    spans_told: int = 0  # of them with an alarm of ``usual`` or ``still``
    alarms: int = 0  # of these two rules, on tables with such spans …
    alarms_in_spans: int = 0  # … and those that lie in one

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def run(folder: Path, names: Sequence[str], *, tell: Callable[[str], None]) -> Iterator[Row]:
    """Replay the named sets (all, if none is named) below ``folder``; yield a row each."""
    shipped = [p for p in shipped_rules().glob("*.yaml") if not p.name.endswith(".test.yaml")]
    rules = load_rules([*sorted(shipped), rules_of("usual")])
    for name in names or SETS:
        row = Row(name)
        try:
            held = tables(folder, name)
        except Absent as absent:
            row.left_out = str(absent)
        else:
            _replay_all(held, rules, row)
        tell(_line(row))
        yield row


def _replay_all(held: Sequence[Table], rules: RuleSet, row: Row) -> None:
    alarms: dict[tuple[str, str], list[tuple[Event, str]]] = {}
    for table in held:
        with tempfile.TemporaryDirectory(prefix="lifeline-dataset-") as name:
            try:
                done = replay(table.write(Path(name)), rules=rules)
            except Invalid as error:
                row.refused.append(f"{table.name}: {error}")
                continue
        row.tables += 1
        _count(row, done)
        _compare(row, table, done)
        for event in done.alarms:
            alarms.setdefault((event.rule, event.klass), []).append((event, table.name))
    for (rule, klass), found in sorted(alarms.items()):
        row.raised.append(_raised(row.name, rule, klass, found))


def _count(row: Row, done: Replayed) -> None:
    row.lines += done.readings
    row.quarantined += done.quarantined
    row.days += (done.end_ns - done.begin_ns) / 86_400e9
    row.wall_s += done.wall_s


def _compare(row: Row, table: Table, done: Replayed) -> None:
    """Hold the statistical rules' alarms against what the set itself calls wrong."""
    spans = [(b.timestamp() * 1e9, e.timestamp() * 1e9) for b, e in table.spans()]
    if not spans:
        return
    times = [event.event_ns for event in done.alarms if event.rule in ("usual", "still")]
    row.spans += len(spans)
    row.spans_told += sum(any(b <= at <= e for at in times) for b, e in spans)
    row.alarms += len(times)
    row.alarms_in_spans += sum(any(b <= at <= e for b, e in spans) for at in times)


def _raised(name: str, rule: str, klass: str, found: Sequence[tuple[Event, str]]) -> Raised:
    first, table = min(found, key=lambda pair: (-pair[0].severity, pair[0].receive_ns))
    columns = Counter((table, event.subject) for event, table in found)
    at = datetime.fromtimestamp(first.event_ns / 1e9, UTC)
    value = "" if first.value is None else f", {first.value:.4g}"
    limit = "" if first.limit is None else f" beside {first.limit:.4g}"
    where = first.subject.removeprefix("000000-").split("rec-000001/")[-1].removesuffix("/value")
    level = LEVELS[max(event.max_severity or event.severity for event, _ in found)]
    return Raised(
        rule=rule,
        times=len(found),
        channels=len(columns),
        level=level,
        klass=klass,
        first=f"{table} {where}, {at:%Y-%m-%d %H:%M}{value}{limit}",
        why=why(name, rule),
    )


def _line(row: Row) -> str:
    if row.left_out:
        return f"{row.name}: left out: {row.left_out}"
    head = (
        f"{row.name}: {row.tables} tables, {row.lines} readings of {row.days:.0f} days in "
        f"{row.wall_s:.1f} s, {row.quarantined} in quarantine"
    )
    if row.spans:
        head += (
            f"; {row.spans_told} of {row.spans} labelled spans told, "
            f"{row.alarms_in_spans} of {row.alarms} statistical alarms lie in one"
        )
    said = [
        f"  {r.rule}: {r.times} times on {r.channels} channels, {r.level} ({r.klass}); {r.first}"
        + ("" if r.why else "; A SURPRISE: nobody has said why")
        for r in row.raised
    ]
    return "\n".join([head, *said, *(f"  refused: {text}" for text in row.refused)])
