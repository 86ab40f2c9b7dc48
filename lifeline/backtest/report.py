"""A back-test's result for a terminal: the table, then what to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from lifeline.backtest.score import ALL
from lifeline.console.sentences import duration, unit_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.backtest.nearest import Nearest
    from lifeline.backtest.score import Figures
    from lifeline.backtest.suggest import Noisy
    from lifeline.backtest.whole import Report

COLUMNS = ("sensors", "episodes", "red", "med.dur", "chatter", "flood10m", "per-op-day")
TRUTH = ("recall", "precision", "lead(p50)")
MOST_NEVER = 5


def table(report: Report, *, against: str = "") -> Table:
    """Return a line a rule that said something or missed something, and one for all."""
    made = Table(box=None, pad_edge=False)
    made.add_column("rule", no_wrap=True)
    names = [*COLUMNS, *(TRUTH if report.truth is not None else ())]
    for name in [*names, *([f"vs {against}"] if against else [])]:
        made.add_column(name, justify="right")
    for line in report.figures:
        if line.rule == ALL or line.episodes or line.incidents or any(line.change or ()):
            made.add_row(*cells(line, truth=report.truth is not None, against=bool(against)))
    return made


def cells(line: Figures, *, truth: bool, against: bool, language: str = "en") -> list[str]:
    """Return a line as text."""
    said = [
        line.rule,
        f"{line.sensors}",
        f"{line.episodes}",
        f"{line.red}",
        _lasting(line.median_s, language),
        f"{line.chatter}",
        f"{line.flood10m}",
        f"{line.per_op_day:.2f}",
    ]
    if truth:
        said.append(f"{line.found}/{line.incidents}" if line.incidents else "–")
        right = (
            "–" if line.right is None or not line.episodes else f"{line.right / line.episodes:.2f}"
        )
        said += [right, _lasting(line.lead_s, language)]
    if against and line.change is not None:
        said.append("+{} −{} ={}".format(*line.change))
    return said


def _lasting(seconds: float | None, language: str) -> str:
    if seconds is None:
        return "–"
    return f"{'−' if seconds < 0 else ''}{duration(abs(seconds), language)}"


def remarks(report: Report) -> Iterator[str]:
    """Yield what stands below the table, line by line."""
    quiet = sum(1 for line in report.figures if not line.episodes and line.rule != ALL)
    yield f"quiet:    {quiet} rules raised nothing"
    for each in report.noisy:
        yield f"noisiest: {noisy_text(each)}"
    for near in report.missed:
        yield f"missed:   {missed_text(near)}"
    for limit in report.unreachable[:MOST_NEVER]:
        unit = unit_word(limit.unit)
        yield (
            f"never:    {limit.channel} {limit.rule} {limit.level} {limit.limit:g} {unit} is "
            f"beyond the sensor's range, {limit.range_end:g}"
        )
    if len(report.unreachable) > MOST_NEVER:
        yield f"never:    and {len(report.unreachable) - MOST_NEVER} more limits out of range"
    read = report.reading
    share = read.masked / max(read.judged + read.late, 1)
    yield (
        f"data:     {read.rows:,} samples over {report.days:.2f} days, {share:.2%} masked, "
        f"{read.late:,} late, {read.duplicates:,} duplicate, {read.conflicts:,} conflicting"
    )
    speed = read.rows / max(read.wall_s, 1e-9)
    yield (
        f"run:      {read.wall_s:.1f} s ({read.reading_s:.1f} s reading, {read.folding_s:.1f} s "
        f"judging), {speed:,.0f} samples/s, {report.version.events:,} events, "
        f"{report.version.episodes.late_findings:,} late findings"
    )
    yield f"digest:   sha256:{report.version.digest}"


def noisy_text(each: Noisy) -> str:
    """Return ``X 41 episodes of rule y: try hysteresis 3.5 kPa (−38)``."""
    head = f"{each.channel} {each.episodes} episodes of {each.rule}"
    if not each.suggestions:
        return f"{head}: no small change helps; look at the sensor"
    tries = (f"{s.text()} ({s.episodes - each.episodes})" for s in each.suggestions)
    return f"{head}: try " + ", or ".join(tries)


def missed_text(near: Nearest) -> str:
    """Return when and where, and how near the nearest rule came."""
    at = datetime.fromtimestamp(near.from_ns / 1e9, UTC)
    head = f"{at:%Y-%m-%d %H:%M}Z {near.id_text()}"
    if near.score is None or near.limit is None:
        return f"{head}: no rule judged a channel there"
    unit = unit_word(near.unit)
    word = "max" if near.side > 0 else "min"
    said = f"{head}: {word} {near.score:.4g} {unit} on {near.channel}"
    if near.reached:
        return f"{said}, {near.level} is {near.limit:.4g} ({near.rule}): reached, but not held"
    return f"{said}, {near.level} is {near.limit:.4g} ({near.rule})"
