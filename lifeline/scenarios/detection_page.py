"""The tables of docs/detection.md: each between two marks, written anew by its command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lifeline.scenarios.report import remarks, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.scenarios.judge import Verdict
    from lifeline.scenarios.reach import Aim
    from lifeline.scenarios.score import RuleShare, Score

MOST_REMARKS: Final = 40
_MADE_BY: Final = {
    "scenarios": "lifeline score scenarios --seeds {seeds}{first} --markdown docs/detection.md",
    "quiet": "lifeline score quiet --days {days}{first} --markdown docs/detection.md",
}


def section(
    what: str,
    score: Score,
    rules: Sequence[RuleShare],
    verdicts: Sequence[Verdict],
) -> str:
    """Return the figures of a score as Markdown."""
    seeds = {verdict.variant.seed for verdict in verdicts}
    first = f" --first-seed {min(seeds)}" if min(seeds) != 1 else ""
    command = _MADE_BY[what].format(seeds=len(seeds), days=round(score.days), first=first)
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
    if rules:
        lines += [
            "",
            "Who spoke, by what lay on the channel or device then:",
            "",
            "| class | rule | beside it | worst | alarms | announced | demanded | most from |",
            "|---|---|---|--:|--:|--:|--:|---|",
        ]
        lines += [
            f"| {r.klass} | {r.rule} | {r.cause} | {r.severity} | {r.alarms} | {r.announced} |"
            f" {r.demanded} | {r.channel} ({r.of_channel}) |"
            for r in rules
        ]
    said = [line for verdict in verdicts for line in remarks(verdict.row())]
    if said:
        lines += ["", "Not as wanted:", ""]
        lines += [f"- {line}" for line in said[:MOST_REMARKS]]
        if len(said) > MOST_REMARKS:
            lines.append(f"- … and {len(said) - MOST_REMARKS} more")
    return "\n".join(lines)


def reach_section(aims: Sequence[Aim], *, seeds: int, first_seed: int) -> str:
    """Return what is asked for, what it came to, and where it ends by size, as Markdown."""
    command = f"lifeline score reach --seeds {seeds} --first-seed {first_seed}"
    lines = [f"`{command} --markdown docs/detection.md`", ""]
    lines += ["| asked for | wanted | reached | cases |", "|---|--:|--:|--:|"]
    for aim in aims:
        share = "–" if aim.share is None else f"{aim.share:.0%}"
        lines.append(f"| {aim.name} | {aim.wanted:.0%} | {share} | {len(aim.counted)} |")
    for aim in aims:
        lines += ["", f"{aim.name}, by size:", ""]
        lines += [f"| {aim.measure} | cases | reached |", "|---|--:|--:|"]
        lines += [f"| {size} | {cases} | {reached} |" for size, cases, reached in aim.by_size()]
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
        ("announced for a fault because Fail loud demands it", f"{score.demanded}"),
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
