"""What failed as a small picture: values, limits, alarm states and expectations over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from rich.text import Text

from lifeline.terminal_chart import draw
from rules.alarm_fold import AlarmFold
from rules.alarms import Condition
from rules.durations import format_duration
from rules.testing.reasons import scored_rows, slot_of
from rules.testing.warned import along

if TYPE_CHECKING:
    from rules.plan import ChannelRule
    from rules.testing.judging import Failure
    from rules.testing.models import Expectation
    from rules.testing.run import Result

MARGIN: Final = 9  # of the axis' labels
HEIGHT: Final = 12
MAX_POINTS: Final = 4_000  # drawn; more are thinned evenly
STYLES: Final = {"b": "blue", "y": "yellow", "o": "dark_orange", "r": "red", "N": "green"}
LEGEND: Final = "capital: not acknowledged · small: acknowledged · ~ returned, not acknowledged"


def picture(result: Result, failure: Failure, *, width: int) -> Text | None:
    """Return the picture of one failed expectation, None where there is nothing to draw."""
    slot = slot_of(result.case, failure) if failure.number >= 0 else None
    if slot is None:
        return None
    built, subject, place = slot
    columns = max(20, min(width, 120) - MARGIN - 2)
    span_ns = max(result.journal.end_ns, 1)
    text = Text()
    curve = _curve(result, built, subject, place, columns, span_ns)
    if curve:
        text.append(curve + "\n")
    text.append("got".rjust(MARGIN) + " ")
    text.append_text(_coloured(_got(result, failure.rule, subject, columns, span_ns)))
    text.append("\n" + "expected".rjust(MARGIN) + " ")
    text.append_text(_coloured(_expected(result, failure, columns, span_ns)))
    text.append(f"\n{' ' * MARGIN} {LEGEND}")
    return text


def _curve(
    result: Result, built: ChannelRule, subject: str, place: int, columns: int, span_ns: int
) -> str:
    """Return what the rule compared, and its limits, as lines of text."""
    scored = scored_rows(result.case, result.journal, result.series, built, subject)
    keep = np.isfinite(scored.score)
    times, score = scored.measured_ns[keep], scored.score[keep]
    if not len(times):
        return ""
    thin = slice(None, None, max(1, len(times) // MAX_POINTS))
    order = np.argsort(times, kind="stable")[thin]
    seen_ns = np.array([result.case.start_ns + span_ns], np.int64)  # limits as of its end
    last = along(result.case, built, place, "raise_at", seen_ns, span_ns)[0]
    limits = [
        (level.name, float(limit))
        for level, limit in zip(result.case.plan.levels, last, strict=True)
        if np.isfinite(limit)
    ]
    low, high = float(score.min()), float(score.max())
    ticks = {low: f"{low:.4g}", high: f"{high:.4g}"} | {limit: name for name, limit in limits}
    drawn = draw(
        times[order].tolist(),
        score[order].tolist(),
        size=(columns + MARGIN + 2, HEIGHT),
        limits=[limit for _, limit in limits],
        value_names={at: name[:MARGIN].rjust(MARGIN) for at, name in ticks.items()},
        time_names={mark: _short(mark) for mark in (span_ns * i // 4 for i in range(5))},
        span=(0, span_ns),
    )
    unit = f" {built.unit}" if built.unit else ""
    title = f"{built.rule_id} on {result.case.names.shown(subject)}{unit}"
    return f"{title}\n{drawn}"


def _short(at_ns: int) -> str:
    return format_duration(at_ns - at_ns % 1_000_000_000)


def _column(at_ns: int, columns: int, span_ns: int) -> int:
    return min(columns - 1, max(0, at_ns * (columns - 1) // span_ns))


def _got(result: Result, rule: str, subject: str, columns: int, span_ns: int) -> str:
    """Return the alarm's state at each column."""
    case, fold = result.case, AlarmFold()
    names = {level.severity: level.name for level in case.plan.levels}
    told, begin, line = result.played.told, 0, ""
    for column in range(columns):
        until = result.journal.until(span_ns * (column + 1) // columns)
        while begin < len(told) and told[begin].offset <= until:
            fold.apply(told[begin], begin + 1)
            begin += 1
        mark = "·"
        for alarm in fold.alarms.values():
            if alarm.rule != rule or alarm.subject != subject or alarm.ended:
                continue
            if alarm.condition is Condition.ACTIVE:
                letter = names.get(alarm.severity, "?")[0]
                mark = letter.upper() if str(alarm.word) == "UNACK" else letter
            elif mark == "·":
                mark = "~"
        line += mark
    return line


def _expected(result: Result, failure: Failure, columns: int, span_ns: int) -> str:
    """Return what was expected where; ``!`` follows what failed."""
    line = [" "] * columns
    for number, of in enumerate(result.case.test.expect):
        if of.rule not in (None, failure.rule):
            continue
        if result.case.subjects[number] not in (None, "", failure.subject):
            continue
        at = _column(of.at, columns, span_ns)
        line[at] = _mark(of)
        if number == failure.number:
            line[at + 1 if at + 1 < columns else at - 1] = "!"
    return "".join(line)


def _mark(of: Expectation) -> str:
    if of.none or of.isa == "NORM":
        return "N"
    if of.isa == "RTNUN":
        return "~"
    letter = (of.level or "x")[0]
    return letter if of.isa == "ACKED" else letter.upper()


def _coloured(line: str) -> Text:
    text = Text()
    for mark in line:
        style = STYLES.get(mark if mark == "N" else mark.lower(), "")
        text.append(mark, style="bold red" if mark == "!" else style)
    return text
