"""``lifeline alarms explain``: the evidence of an alarm, and how the engine came to it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from lifeline.explain.alarm import Explanation
    from lifeline.explain.steps import Step

MOST_WIDE = 110


def explain(
    alarm_id: Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")],
    *,
    data: Annotated[Path, typer.Option(help="A city's folder or its data folder.")] = Path(),
    step: Annotated[
        bool, typer.Option("--step", help="Also what was decided at each sample round it.")
    ] = False,
    zone: Annotated[str, typer.Option(help="Of the times shown.")] = "Asia/Shanghai",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything here as JSON.")
    ] = None,
) -> None:
    """Tell why an alarm stands: numbers, a sentence in Chinese and English, a picture."""
    from lifeline.explain.alarm import explain_alarm
    from lifeline.ledger.open import open_ledger

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"--zone {zone}: no such zone") from error
    folder = data / "data" if (data / "data").is_dir() else data
    ledger = open_ledger(folder)
    try:
        found = explain_alarm(ledger, folder, alarm_id, zone=zone)
    finally:
        ledger.close()
    if json_file is not None:
        text = json.dumps(found.to_json(), ensure_ascii=False, indent=1, default=str)
        json_file.write_text(text + "\n", encoding="utf-8")
    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=200)
    for sentence in found.sentences.values():
        screen.print(sentence, markup=False)
    if found.simulation:
        screen.print("simulation · 仿真")
    for line in _rule_says(found):
        screen.print(line, markup=False)
    screen.print(_events(found, zone))
    _look(found, screen, zone, step=step)


def _rule_says(found: Explanation) -> list[str]:
    """Return what the rule says of itself, and the steps of its runbook in both languages."""
    from lifeline.console.advice import advice

    told = advice(found.alarm, found.site)
    lines = [f"limits from · 限值依据: {told['limits_from']}"] if told["limits_from"] else []
    if told["maturity"] == "trial":
        lines.append("rule on trial · 规则试运行")
    if told["labels"]:
        lines.append("labels · 标签: " + ", ".join(f"{k}={v}" for k, v in told["labels"].items()))
    known = told["known_false_positives"]
    lines += [f"known to alarm without danger · 已知误报: {text}" for text in known]
    if told["runbook"] and told["steps"] is None:
        lines.append(f"runbook · 预案: {told['runbook']}")
    for part in (told["steps"] or {}).values():
        lines += [f"runbook · 预案: {part['title']}", *(f"  {step}" for step in part["steps"])]
    return lines


def _events(found: Explanation, zone: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("event", "level", "measured", "received", "onset", "value", "score", "limit"):
        table.add_column(name)
    names = {level.severity: level.name for level in found.site.plan.levels}
    for e in found.events:
        times = (_time(ns, zone) for ns in (e.event_ns, e.receive_ns, e.onset_ns))
        numbers = ("" if n is None else f"{n:.6g}" for n in (e.value, e.score, e.limit))
        table.add_row(e.type.value, names.get(e.severity, ""), *times, *numbers)
    return table


def _look(found: Explanation, screen: Console, zone: str, *, step: bool) -> None:
    """Show the picture and, if asked for, the steps."""
    if found.run is None:
        screen.print("no picture: the alarm is not of a rule on one channel")
        return
    picture = _picture(found, min(screen.width, MOST_WIDE))
    screen.print(picture or "no picture: no records of that time are left", markup=False)
    if step:
        screen.print(_steps(found.run.steps, zone))
    if found.run.steps:
        word = {True: "the same events", False: "OTHER events than the ledger holds"}
        screen.print(f"run again: {word[bool(found.same)]}")


def _picture(found: Explanation, width: int) -> str:
    from lifeline.explain.chart import chart

    alarm, site = found.alarm, found.site
    steps = [s for s in found.run.steps if s.score is not None and s.sample] if found.run else []
    raised = found.events[0]
    rule = site.rule(alarm.rule, alarm.side, alarm.subject)
    if rule is None or not steps:
        return ""
    at = rule.channel.tolist().index(site.registry.channel_row[alarm.subject])
    limits = {
        level.name: float(limit)
        for level, limit in zip(
            site.plan.levels, rule.at(raised.event_ns).raise_at[at], strict=True
        )
        if limit == limit  # noqa: PLR0124 - NaN: not declared
    }
    return chart(
        [(s.at_ns - raised.receive_ns) / 60e9 for s in steps],
        [float(s.score or 0.0) for s in steps],
        limits=limits,
        marks={"onset": (raised.onset_ns - raised.receive_ns) / 60e9, "raised": 0.0},
        width=width,
    )


def _steps(steps: list[Step], zone: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("received", "measured", "value", "score", "flag", "pending", "stands", "decided"):
        table.add_column(name)
    for s in steps:
        pending = stands = ""
        if s.pending:
            needed = "by samples" if s.needed_s is None else f"of {s.needed_s:g} s"
            since = _time(s.since_ns, zone)
            pending = f"{s.pending} since {since}, held {s.held_s:g} s {needed}"
        if s.stands:
            clearing = "" if s.clearing_s is None else f", clear for {s.clearing_s:g} s"
            stands = f"{s.stands}{clearing}"
        table.add_row(
            _time(s.at_ns, zone),
            _time(s.measured_ns, zone) if s.sample else "tick",
            "" if s.value is None else f"{s.value:.6g}",
            "" if s.score is None else f"{s.score:.6g}",
            f"{s.flag}" if s.sample else "",
            pending,
            stands,
            ", ".join(s.decided),
        )
    return table


def _time(ns: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, ZoneInfo(zone)):%m-%d %H:%M:%S}" if ns > 0 else ""
