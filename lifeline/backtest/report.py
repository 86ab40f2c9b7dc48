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


def remarks(report: Report, language: str = "en") -> Iterator[str]:
    """Yield what stands below the table, line by line."""
    zh = language == "zh"
    quiet = sum(1 for line in report.figures if not line.episodes and line.rule != ALL)
    yield f"静默：{quiet} 条规则未报警" if zh else f"quiet:    {quiet} rules raised nothing"
    for each in report.noisy:
        yield f"最吵：{noisy_text(each, language)}" if zh else f"noisiest: {noisy_text(each)}"
    for near in report.missed:
        yield f"漏报：{missed_text(near, language)}" if zh else f"missed:   {missed_text(near)}"
    for limit in report.unreachable[:MOST_NEVER]:
        unit, end = unit_word(limit.unit), f"{limit.range_end:g}"
        what = f"{limit.channel} {limit.rule} {limit.level} {limit.limit:g} {unit}"
        yield (
            f"永不触发：{what} 超出传感器量程 {end}"
            if zh
            else f"never:    {what} is beyond the sensor's range, {end}"
        )
    if report.judged_false is not None:
        told, still = report.judged_false
        yield (
            f"误报：值班员判为误报 {told} 条，其中仍会触发 {still} 条"
            if zh
            else f"false:    of {told} alarms that operators found false, {still} are raised"
        )
    more = len(report.unreachable) - MOST_NEVER
    if more > 0:
        yield f"永不触发：另有 {more} 个限值" if zh else f"never:    and {more} more limits"
    yield from _data(report, zh=zh)


def _data(report: Report, *, zh: bool) -> Iterator[str]:
    read, version = report.reading, report.version
    share = read.masked / max(read.judged + read.late, 1)
    speed = read.rows / max(read.wall_s, 1e-9)
    late = version.episodes.late_findings
    if zh:
        yield (
            f"数据：{report.days:.2f} 天 {read.rows:,} 个样本，屏蔽 {share:.2%}，"
            f"迟到 {read.late:,}，重复 {read.duplicates:,}，冲突 {read.conflicts:,}"
        )
        yield (
            f"运行：{read.wall_s:.1f} 秒（读取 {read.reading_s:.1f}，判断 {read.folding_s:.1f}），"
            f"每秒 {speed:,.0f} 个样本，{version.events:,} 个事件，{late:,} 个迟到发现"
        )
        yield f"摘要：sha256:{version.digest}"
        return
    yield (
        f"data:     {read.rows:,} samples over {report.days:.2f} days, {share:.2%} masked, "
        f"{read.late:,} late, {read.duplicates:,} duplicate, {read.conflicts:,} conflicting"
    )
    yield (
        f"run:      {read.wall_s:.1f} s ({read.reading_s:.1f} s reading, {read.folding_s:.1f} s "
        f"judging), {speed:,.0f} samples/s, {version.events:,} events, {late:,} late findings"
    )
    yield f"digest:   sha256:{version.digest}"


def noisy_text(each: Noisy, language: str = "en") -> str:
    """Return ``X 41 episodes of rule y: try hysteresis 3.5 kPa (−38)``."""
    zh = language == "zh"
    n, rule = each.episodes, each.rule
    said = f"规则 {rule} 报警 {n} 次" if zh else f"{n} episodes of {rule}"
    head = f"{each.channel} {said}"
    if not each.alone:
        said = (
            "规则还用到其他数据，未试改动" if zh else "it needs more than this channel: not tried"
        )
        return f"{head}{'：' if zh else ': '}{said}"
    if not each.suggestions:
        said = "小改动无效，请检查传感器" if zh else "no small change helps; look at the sensor"
        return f"{head}{'：' if zh else ': '}{said}"
    tries = [f"{s.text()} ({s.episodes - each.episodes})" for s in each.suggestions]
    return f"{head}：可试 {'，或 '.join(tries)}" if zh else f"{head}: try {', or '.join(tries)}"


def missed_text(near: Nearest, language: str = "en") -> str:
    """Return when and where, and how near the nearest rule came."""
    zh = language == "zh"
    at = datetime.fromtimestamp(near.from_ns / 1e9, UTC)
    head = f"{at:%Y-%m-%d %H:%M}Z {near.id_text()}{'：' if zh else ': '}"
    if near.score is None or near.limit is None:
        return f"{head}{'该处无规则判断' if zh else 'no rule judged a channel there'}"
    number = f"{near.score:.4g} {unit_word(near.unit)}"
    limit = f"{near.level} {near.limit:.4g} ({near.rule})"
    if zh:
        word = "最高" if near.side > 0 else "最低"
        held = "，已到限值但未持续" if near.reached else ""
        return f"{head}{near.channel} {word} {number}，限值 {limit}{held}"
    word = "max" if near.side > 0 else "min"
    held = ": reached, but not held" if near.reached else ""
    return f"{head}{word} {number} on {near.channel}, limit {limit}{held}"
