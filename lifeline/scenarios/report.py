"""Scenario runs as people read them: a table, remarks, and one page with pictures."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.table import Table

from lifeline.backtest.episodes import OPEN_NS
from lifeline.backtest.html import COLOURS, both, thinned, times, whole_page
from lifeline.console.sentences import LEVEL_WORDS, unit_word
from lifeline.scenarios.judge import limits_of
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.scenarios.judge import Found, Verdict

AROUND_NS: Final = 20 * 60_000_000_000  # drawn before the onset and after the deadline
MOST_PICTURES: Final = 200
_HEAD: Final = (
    ("scenario", "场景"),
    ("seed", "种子"),
    ("expected", "应报"),
    ("raised", "已报"),
    ("late", "迟报"),
    ("forbidden", "误报"),
    ("delay", "时延"),
    ("time left", "时间裕量"),
    ("peak", "幅值裕量"),
    ("", ""),
)
_TITLE: Final = {"en": "Scenarios and their alarms", "zh": "场景与报警评分"}
_OUTCOME: Final = {True: ("as wanted", "符合"), False: ("NOT as wanted", "不符合")}


def seconds(value: float | None) -> str:
    """Return a span of time for people: 42 s, 17 min, 5.3 h, 2.1 d."""
    if value is None:
        return "–"
    for size, word in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(value) >= 2 * size:
            return f"{value / size:.1f} {word}"
    return f"{value:.0f} s"


def cells(row: dict[str, Any]) -> list[str]:
    """Return a row of the report as text, all but the outcome."""
    peak = row["margin"]["peak"]
    return [
        row["scenario"],
        *(str(row[key]) for key in ("seed", "expected", "raised", "late", "forbidden")),
        seconds(row["delay_s"]),
        seconds(row["margin"]["time_s"]),
        "–" if peak is None else f"{peak:+.0%}",
    ]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the rows for a terminal."""
    held = Table(box=None)
    for at, (name, _) in enumerate(_HEAD):
        held.add_column(name, justify="left" if at == 0 else "right")
    for row in rows:
        style = "" if row["passed"] else "bold red"
        held.add_row(*cells(row), _OUTCOME[row["passed"]][0], style=style)
    return held


def remarks(row: dict[str, Any]) -> list[str]:
    """Return what was missed, late or forbidden, a line each."""
    name = f"{row['scenario']} (seed {row['seed']})"
    said = []
    for alarm in row["alarms"]:
        what = f"{name}: {alarm['of']} ({alarm['kind']})"
        if alarm["rule"] is None:
            allowed = seconds(alarm["allowed_s"])
            said.append(f"{what}: no alarm of level {alarm['severity']}; due within {allowed}")
        elif alarm["margin"]["time_s"] < 0:
            late = seconds(-alarm["margin"]["time_s"])
            said.append(f"{what}: {alarm['rule']} came {late} after its deadline")
    for alarm in row["forbidden_alarms"]:
        at = datetime.fromtimestamp(alarm["raised_ns"] / 1e9, UTC)
        said.append(
            f"{name}: forbidden: {alarm['rule']} at {alarm['subject']}, level"
            f" {alarm['severity']}, value {alarm['value']}, {at:%Y-%m-%dT%H:%M:%SZ}"
        )
    return said


def page(verdicts: Sequence[Verdict]) -> str:
    """Return one page: the table, then a time line of each expected alarm; bilingual."""
    rows = [verdict.row() for verdict in verdicts]
    head = "".join(f"<th>{both({'en': en, 'zh': zh})}</th>" for en, zh in _HEAD)
    lines = [
        "<tr>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row))
        + f"<td>{both(dict(zip(('en', 'zh'), _OUTCOME[row['passed']], strict=True)))}</td></tr>"
        for row in rows
    ]
    said = "\n".join(line for row in rows for line in remarks(row))
    plots = [
        plot
        for verdict in verdicts
        for found in verdict.found
        if (plot := _plot(verdict, found)) is not None
    ][:MOST_PICTURES]
    body = f"<table><tr>{head}</tr>{''.join(lines)}</table><pre>{html.escape(said)}</pre>"
    return whole_page(_TITLE, body, plots)


def _plot(verdict: Verdict, found: Found) -> dict[str, Any] | None:
    """Return the time line of one expected alarm: values, limits, onset, deadline, alarm."""
    variant, expected, episode = verdict.variant, found.expected, found.episode
    registry = variant.registry
    names = [episode.subject] if episode is not None else sorted(expected.subjects)
    row = next((registry.channel_row[n] for n in names if n in registry.channel_row), None)
    if row is None:
        return None
    begin_ns = max(expected.onset_ns - AROUND_NS, variant.from_ns)
    end_ns = min(max(expected.due_ns, expected.end_ns) + AROUND_NS, variant.end_ns)
    shown = variant.city.samples(begin_ns, end_ns, np.array([row], np.int32))
    order = np.argsort(shown.t_ns, kind="stable")
    order = order[shown.usable[order] & ~np.isnan(shown.value[order])]
    t, value = thinned(shown.t_ns[order], shown.value[order])
    quantity = QUANTITIES.get(registry.channels.quantity[row])
    what = (quantity.label, quantity.label_zh) if quantity else ("value", "数值")
    traces: list[dict[str, Any]] = [
        {"x": times(t), "y": value.tolist(), "mode": "lines+markers", "line": {"color": "#444"},
         "marker": {"size": 4}, "name_en": what[0], "name_zh": what[1]}
    ]  # fmt: skip
    if episode is not None:
        for severity, limit in limits_of(verdict.plan, episode, row, episode.raised_ns).items():
            traces.append(
                {"x": times(np.array([begin_ns, end_ns])), "y": [limit, limit], "mode": "lines",
                 "line": {"color": COLOURS[severity], "dash": "dash", "width": 1},
                 "name_en": LEVEL_WORDS["en"][severity], "name_zh": LEVEL_WORDS["zh"][severity]}
            )  # fmt: skip
    margin = seconds(found.margin_s)
    told = episode.rule if episode is not None else "–"
    title = f"{variant.name} · {expected.kind} · {registry.channels.id[row]} · {told}"
    return {
        "title_en": f"{title} · left {margin}",
        "title_zh": f"{title} · 裕量 {margin}",
        "traces": traces,
        "layout": {
            "shapes": _marks(found),
            "yaxis": {"title": {"text": unit_word(quantity.unit) if quantity else ""}},
            "margin": {"t": 40, "b": 40},
            "legend": {"orientation": "h"},
        },
    }


def _marks(found: Found) -> list[dict[str, Any]]:
    """Return onset (black), deadline (dotted) and the alarm's time at its level (its colour)."""

    def line(at_ns: int, **how: Any) -> dict[str, Any]:
        at = times(np.array([at_ns]))[0]
        return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": how}

    expected = found.expected
    held = [
        line(expected.onset_ns, color="#000", width=1),
        line(expected.due_ns, color="#000", width=1, dash="dot"),
    ]
    if found.episode is not None:
        at_ns = found.episode.reached_ns[expected.severity]
        if at_ns != OPEN_NS:
            held.append(line(at_ns, color=COLOURS[expected.severity], width=3))
    return held
