"""The tables of docs/detection.md: each between two marks, written anew by its command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lifeline.scenarios.report import remarks, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.scenarios.judge import Verdict
    from lifeline.scenarios.score import Score

MOST_REMARKS: Final = 40
_MADE_BY: Final = {
    "scenarios": "lifeline score scenarios --seeds {seeds} --markdown docs/detection.md",
    "quiet": "lifeline score quiet --days {days} --markdown docs/detection.md",
}


def section(
    what: str,
    score: Score,
    loud: Sequence[tuple[str, str, int, int]],
    verdicts: Sequence[Verdict],
) -> str:
    """Return the figures of a score as Markdown."""
    seeds = len({verdict.variant.seed for verdict in verdicts})
    command = _MADE_BY[what].format(seeds=seeds, days=round(score.days))
    lines = [f"`{command}`", "", "| figure | value |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in _figures(score)]
    if score.kinds:
        head = "| kind | expected | found | late | delay, median | longest | least time left |"
        lines += ["", head, "|---|--:|--:|--:|--:|--:|--:|"]
        lines += [
            f"| {k.kind} | {k.expected} | {k.found} | {k.late} | {seconds(k.delay_p50_s)} |"
            f" {seconds(k.delay_max_s)} | {seconds(k.left_min_s)} |"
            for k in score.kinds
        ]
    if loud:
        lines += [
            "",
            "| class | rule | worst level | alarms nothing explains |",
            "|---|---|--:|--:|",
        ]
        lines += [f"| {klass} | {rule} | {level} | {count} |" for klass, rule, level, count in loud]
    said = [line for verdict in verdicts for line in remarks(verdict.row())]
    if said:
        lines += ["", "Not as wanted:", ""]
        lines += [f"- {line}" for line in said[:MOST_REMARKS]]
        if len(said) > MOST_REMARKS:
            lines.append(f"- … and {len(said) - MOST_REMARKS} more")
    return "\n".join(lines)


def _figures(score: Score) -> list[tuple[str, str]]:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    return [
        ("runs as wanted", f"{score.as_wanted} of {score.runs}"),
        ("city time judged", f"{score.days:.1f} d"),
        ("events found in time (recall)", share(score.recall)),
        ("alarms of safety that something explains (precision)", share(score.precision)),
        ("false alarms of safety per 1 000 channel-days",
         f"{score.false_per_1000_channel_days:.3f}"),
        ("false red, false orange", f"{score.false_red}, {score.false_orange}"),
        ("demanded by Fail loud for a fault", f"{score.demanded}"),
        ("announced an operator and day, those demanded left out",
         f"{score.announced_per_operator_day:.2f}"),
    ]  # fmt: skip


def with_tables(text: str, what: str, body: str) -> str:
    """Return the page with one section's tables put in place of those it has, or at its end."""
    whole = f"<!-- {what} -->\n{body.strip()}\n<!-- end of {what} -->\n"
    pattern = re.compile(rf"<!-- {what} -->\n.*?<!-- end of {what} -->\n", re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: whole, text)
    return f"{text.rstrip()}\n\n{whole}"
