"""Every public data set through the whole pipeline once: what shipped rules raise, and why."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.language.loader import load_rules
from rules.problems import Invalid
from simulators.datasets import SETS, Absent, Table, tables
from simulators.recording import replay, shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def run(folder: Path, names: Sequence[str], *, tell: Callable[[str], None]) -> list[Row]:
    """Replay the named sets (all, if none is named) below ``folder``; a row each, in order."""
    rules = load_rules(shipped_rules())
    rows = []
    for name in names or SETS:
        row = Row(name)
        try:
            held = tables(folder, name)
        except Absent as absent:
            row.left_out = str(absent)
        else:
            _replay_all(held, rules, row)
        rows.append(row)
        tell(_line(row))
    return rows


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
        for event in done.alarms:
            alarms.setdefault((event.rule, event.klass), []).append((event, table.name))
    for (rule, klass), found in sorted(alarms.items()):
        row.raised.append(_raised(rule, klass, found))


def _count(row: Row, done: Replayed) -> None:
    row.lines += done.readings
    row.quarantined += done.quarantined
    row.days += (done.end_ns - done.begin_ns) / 86_400e9
    row.wall_s += done.wall_s


def _raised(rule: str, klass: str, found: Sequence[tuple[Event, str]]) -> Raised:
    first, table = min(found, key=lambda pair: (-pair[0].severity, pair[0].receive_ns))
    columns = Counter((table, event.subject) for event, table in found)
    at = datetime.fromtimestamp(first.event_ns / 1e9, UTC)
    value = "" if first.value is None else f", {first.value:.4g}"
    limit = "" if first.limit is None else f" beside {first.limit:.4g}"
    where = first.subject.removeprefix("000000-").split("rec-000001/")[-1].removesuffix("/value")
    return Raised(
        rule=rule,
        times=len(found),
        channels=len(columns),
        level=LEVELS[max(event.max_severity or event.severity for event, _ in found)],
        klass=klass,
        first=f"{table} {where}, {at:%Y-%m-%d %H:%M}{value}{limit}",
    )


def _line(row: Row) -> str:
    if row.left_out:
        return f"{row.name}: left out: {row.left_out}"
    head = (
        f"{row.name}: {row.tables} tables, {row.lines} readings of {row.days:.0f} days in "
        f"{row.wall_s:.1f} s, {row.quarantined} in quarantine"
    )
    said = [
        f"  {r.rule}: {r.times} times on {r.channels} channels, {r.level} ({r.klass}); {r.first}"
        for r in row.raised
    ]
    return "\n".join([head, *said, *(f"  refused: {text}" for text in row.refused)])


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as the table of the page."""
    lines = [
        "| set | tables | readings | days | raised: times, channels, worst, class | first worst |",
        "|---|--:|--:|--:|---|---|",
    ]
    for row in rows:
        if row.left_out:
            lines.append(f"| {row.name} | | | | left out | {row.left_out} |")
            continue
        counts = f"| {row.name} | {row.tables} | {row.lines:,} | {row.days:,.0f} "
        if not row.raised:
            lines.append(f"{counts}| nothing | |")
        for number, raised in enumerate(row.raised):
            said = f"`{raised.rule}`: {raised.times}, {raised.channels}"
            said += f", {raised.level}, {raised.klass}"
            lines.append(f"{counts if not number else '| | | | '}| {said} | {raised.first} |")
    return "\n".join(lines) + "\n"
