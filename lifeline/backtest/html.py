"""The back-test as one page: the table and the worst episodes, drawn; nothing from the network."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.backtest.episodes import OPEN_NS
from lifeline.backtest.report import COLUMNS, TRUTH, cells, remarks
from lifeline.backtest.score import ALL, HOUR_NS
from lifeline.console.sentences import LEVEL_WORDS, unit_word
from lifeline.console.vendor import vendor_files
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.whole import Report

MOST_POINTS: Final = 2_000
COLOURS: Final = ("#888", "#2f6fd0", "#c9a400", "#e07b00", "#d02f2f")
_ZH: Final = {
    "rule": "规则",
    "sensors": "监测点",
    "episodes": "报警次数",
    "red": "红色",
    "med.dur": "时长中位数",
    "chatter": "抖动",
    "flood10m": "泛滥(10分钟)",
    "per-op-day": "每人每日",
    "recall": "查全",
    "precision": "查准",
    "lead(p50)": "提前量中位数",
}
_ALL: Final = "全部规则"
_TITLE: Final = {"en": "Rules tried on the past", "zh": "规则回测"}
_WORST: Final = {"en": "The worst episodes", "zh": "最严重的报警"}
_STYLE: Final = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC","WenQuanYi Micro Hei",sans-serif;margin:2em;
max-width:1200px;color:#222;background:#fff}table{border-collapse:collapse}
td,th{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}tr:last-child{font-weight:bold}
pre{background:#f5f5f5;padding:1em;overflow-x:auto}.plot{height:300px;margin-bottom:2em}
[lang=zh] .en,[lang=en] .zh{display:none}button{float:right;font:inherit}
"""
_SCRIPT: Final = """
const plots = JSON.parse(document.getElementById('plots').textContent);
function draw() {
  const zh = document.documentElement.lang === 'zh';
  plots.forEach((p, i) => Plotly.react('plot' + i, p.traces.map(t =>
    ({...t, name: zh ? t.name_zh : t.name_en})), {...p.layout,
    title: {text: zh ? p.title_zh : p.title_en, font: {size: 14}}},
    {responsive: true, displaylogo: false}));
}
document.getElementById('language').onclick = () => {
  const root = document.documentElement;
  root.lang = root.lang === 'zh' ? 'en' : 'zh';
  draw();
};
draw();
"""


def page(report: Report, *, against: str = "") -> str:
    """Return the whole page; it opens in Chinese or English by a button."""
    plots = [plot for e in report.worst if (plot := _plot(report, e)) is not None]
    lines = both({name: "\n".join(remarks(report, name)) for name in ("en", "zh")})
    body = (
        f"<p>{html.escape(report.source)}</p>{_table(report, against)}<pre>{lines}</pre>"
        f"<h2>{both(_WORST)}</h2>"
    )
    return whole_page(_TITLE, body, plots)


def whole_page(title: dict[str, str], body: str, plots: Sequence[dict[str, Any]]) -> str:
    """Return a page of a title in both languages, a body in HTML and pictures below it.

    A picture holds ``title_en``, ``title_zh``, ``layout`` and plotly's ``traces``, each with
    ``name_en`` and ``name_zh``.
    """
    script = vendor_files()["plotly.min.js"].read_text(encoding="utf-8")
    data = json.dumps(plots, ensure_ascii=False).replace("</", "<\\/")
    places = "".join(f'<div class="plot" id="plot{i}"></div>' for i in range(len(plots)))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title["en"]} '
        f"{title['zh']}</title><style>{_STYLE}</style></head><body>"
        f'<button id="language">中文 / English</button><h1>{both(title)}</h1>{body}{places}'
        f'<script type="application/json" id="plots">{data}</script>'
        f"<script>{script}</script><script>{_SCRIPT}</script></body></html>\n"
    )


def both(said: dict[str, str]) -> str:
    """Return a text in each language, of which the page shows one."""
    return "".join(
        f'<span class="{name}" lang="{name}">{html.escape(text)}</span>'
        for name, text in said.items()
    )


def _table(report: Report, against: str) -> str:
    has_truth = report.truth is not None
    names = ["rule", *COLUMNS, *(TRUTH if has_truth else ())]
    head = "".join(f"<th>{both({'en': n, 'zh': _ZH[n]})}</th>" for n in names)
    if against:
        head += f"<th>{both({'en': f'vs {against}', 'zh': f'对比 {against}'})}</th>"
    rows = []
    for line in report.figures:
        en, zh = (
            cells(line, truth=has_truth, against=bool(against), language=language)
            for language in ("en", "zh")
        )
        if line.rule == ALL:
            zh[0] = _ALL
        told = (
            both({"en": a, "zh": b}) if a != b else html.escape(a)
            for a, b in zip(en, zh, strict=True)
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in told) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _plot(report: Report, episode: Episode) -> dict[str, Any] | None:
    """Return traces and layout of one episode; None where its subject has no values of its own."""
    registry = report.version.registry
    row = registry.channel_row.get(episode.subject)
    if row is None:
        return None
    end_ns = min(episode.end_ns, report.reading.end_ns)
    room = max((end_ns - episode.onset_ns) // 2, HOUR_NS // 2)
    t, value = report.subset.values(row)
    inside = (t >= episode.onset_ns - room) & (t <= end_ns + room)
    t, value = thinned(t[inside], value[inside])
    if not len(t):
        return None
    quantity = QUANTITIES.get(registry.channels.quantity[row])
    unit = unit_word(quantity.unit) if quantity else ""
    asset = int(registry.channels.asset[row])
    name = registry.assets.name[asset] or registry.assets.id[asset]
    name_zh = registry.assets.name_zh[asset] or name
    what = (quantity.label, quantity.label_zh) if quantity else ("value", "数值")
    shown = [None if np.isnan(v) else float(v) for v in value.tolist()]
    traces = [
        {"x": times(t), "y": shown, "mode": "lines+markers", "line": {"color": "#444"},
         "marker": {"size": 4}, "name_en": what[0], "name_zh": what[1]},
        *_limits(report, episode, row, (int(t[0]), int(t[-1]))),
    ]  # fmt: skip
    word = {language: words[episode.severity] for language, words in LEVEL_WORDS.items()}
    mark = {"x0": _time(episode.raised_ns), "x1": _time(end_ns), "opacity": 0.15,
            "fillcolor": COLOURS[episode.severity], "type": "rect"}  # fmt: skip
    onset = dict.fromkeys(("x0", "x1"), _time(episode.onset_ns)) | {"type": "line", "opacity": 0.6}
    shapes = [{"yref": "paper", "y0": 0, "y1": 1, "line": {"width": w}, **shape}
              for shape, w in ((mark, 0), (onset, 1))]  # fmt: skip
    still = ("", "") if episode.end_ns != OPEN_NS else (", still open", "，仍在报警")
    return {
        "title_en": f"{episode.rule} · {name} · {episode.subject} · {word['en']}{still[0]}",
        "title_zh": f"{episode.rule} · {name_zh} · {episode.subject} · {word['zh']}{still[1]}",
        "traces": traces,
        "layout": {"shapes": shapes, "yaxis": {"title": {"text": unit}},
                   "margin": {"t": 40, "b": 40}, "legend": {"orientation": "h"}},
    }  # fmt: skip


def _limits(
    report: Report, episode: Episode, row: int, span: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the limits of a threshold rule as lines; other kinds judge no value."""
    plan = report.version.plan
    traces: list[dict[str, Any]] = []
    for rule in plan.channel_rules:
        if (rule.rule_id, rule.side) != (episode.rule, episode.side) or rule.kind != "threshold":
            continue
        for at in np.flatnonzero(rule.channel == row).tolist():
            known = report.version.engine.warnings
            asset = int(report.version.registry.channels.asset[row])
            turns = {t for each in rule.schedules for t in each.switches(*span, known, asset)}
            turning = np.array(sorted({*span, *turns}))
            along = rule.along("raise_at", at, turning, known, asset)
            for column, level in enumerate(plan.levels):
                if np.isnan(along[0, column]):
                    continue
                traces.append(
                    {"x": times(turning), "y": along[:, column].tolist(), "mode": "lines",
                     "line": {"color": COLOURS[level.severity], "dash": "dash", "width": 1,
                              "shape": "hv"},
                     "name_en": LEVEL_WORDS["en"][level.severity],
                     "name_zh": LEVEL_WORDS["zh"][level.severity]}
                )  # fmt: skip
    return traces


def thinned(t: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return at most MOST_POINTS rows: the lowest and highest of each equal part."""
    if len(t) <= MOST_POINTS:
        return t, value
    keep: list[int] = []
    for part in np.array_split(np.arange(len(t)), MOST_POINTS // 2):
        finite = part[~np.isnan(value[part])]
        if len(finite):
            lowest, highest = finite[value[finite].argmin()], finite[value[finite].argmax()]
            keep += sorted({int(lowest), int(highest)})
    return t[keep], value[keep]


def _time(ns: int) -> str:
    return times(np.array([ns]))[0]


def times(t: np.ndarray[Any, Any]) -> list[str]:
    """Return Unix ns as plotly reads them, UTC."""
    return [f"{text}Z" for text in np.datetime_as_string(t.astype("datetime64[ns]"), unit="ms")]
