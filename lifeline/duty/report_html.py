"""The shift report as one page of HTML: it needs nothing else, and says nothing unescaped.

Every text goes through `_t`; names, notes and reasons are what people and devices wrote.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from lifeline.console.sentences import LEVEL_WORDS, words
from lifeline.duty.report_words import EVENT_WORDS, TEXTS, cause_word
from lifeline.kpi.words import length, number, said, target
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeline.duty.report import ShiftReport
    from lifeline.kpi.gather import City
    from lifeline.ledger import HandOver
    from rules.alarms import Alarm
    from rules.events import Event

COLOURS: Final = ("#888888", "#1f6fd6", "#e9b800", "#e87500", "#d3101b")
_STYLE: Final = """
body{font:14px/1.5 system-ui,"Noto Sans CJK SC","WenQuanYi Micro Hei","Microsoft YaHei",sans-serif;
margin:2em auto;max-width:1100px;color:#1e2226;background:#fff;padding:0 1em}
h1{font-size:20px}h2{font-size:16px;margin:1.6em 0 .4em;border-bottom:2px solid #1e2226}
table{border-collapse:collapse;width:100%}
td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid #ddd;vertical-align:top;
overflow-wrap:anywhere}
th{color:#4f565f;font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums}
.drill{font-weight:700;border:2px solid #1e2226;padding:.4em .8em;text-align:center}
.not{font-weight:700}.note{white-space:pre-wrap}
@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
"""


@dataclass(frozen=True, slots=True)
class _Page:
    """How things are said: language, zone, and the site behind the words."""

    city: City
    language: str

    def t(self, name: str, *values: object) -> str:
        """Return a text of ours, escaped with what stands in it."""
        return _t(TEXTS[name][self.language == "zh"].format(*values))

    def at(self, ns: int) -> str:
        if not ns:
            return "–"
        return f"{datetime.fromtimestamp(ns / 1e9, ZoneInfo(self.city.zone)):%m-%d %H:%M:%S}"

    def level(self, severity: int) -> str:
        """Return a level as its shape, colour and word."""
        word = _t(LEVEL_WORDS[self.language][severity] or "–")
        colour = COLOURS[severity]
        return f'<span style="color:{colour}" aria-hidden="true">■</span> {word}'

    def alarm(self, alarm: Alarm | None, event: Event | None = None) -> str:
        """Return what an alarm is about and where, escaped."""
        if alarm is None:
            return _t(f"{event.rule} {event.subject}" if event is not None else "–")
        w = words(alarm, self.city.site, self.language, zone=self.city.zone)
        return _t(f"{w.what} {w.value} – {w.place}")


def report_page(report: ShiftReport, city: City, language: str) -> str:
    """Return the whole page in ``en`` or ``zh``."""
    page = _Page(city, language)
    parts = [
        _head(page, report),
        _hand_overs(page, report),
        _open(page, report),
        _shelved(page, report),
        _came(page, report),
        _done(page, report),
        _blind(page, report),
        _tests(page, report),
        _kpis(page, report),
    ]
    title = page.t("title", report.shift.name)
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head>'
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"{''.join(parts)}</body></html>\n"
    )


def _t(text: object) -> str:
    return html.escape(str(text), quote=True)


def _table(page: _Page, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are HTML already."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return f"<p>{page.t('none')}</p>"
    head = "".join(f"<th>{page.t(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _section(page: _Page, name: str, body: str, *values: object) -> str:
    return f'<section id="{name}"><h2>{page.t(name, *values)}</h2>{body}</section>'


def _head(page: _Page, report: ShiftReport) -> str:
    shift = report.shift
    lines = [page.t("span", page.at(shift.from_ns), page.at(shift.to_ns), page.city.zone)]
    lines.append(page.t("running" if report.running else "made", page.at(report.made_ns)))
    counts = (
        len(report.came), len(report.done), len(report.open), len(report.unacknowledged),
        len(report.shelved),
    )  # fmt: skip
    lines.append(page.t("counts", *counts))
    drill = f'<p class="drill">{page.t("drill")}</p>' if page.city.simulation else ""
    return drill + "".join(f"<p>{line}</p>" for line in lines)


def _hand_overs(page: _Page, report: ShiftReport) -> str:
    rows = [_hand_over(page, each) for each in report.hand_overs]
    heads = ("at", "from_whom", "to_whom", "state", "note", "remark", "left")
    return _section(page, "hand_overs", _table(page, heads, rows))


def _hand_over(page: _Page, each: HandOver) -> list[str]:
    confirmed = f" {page.at(each.taken_ns)}" if each.taken_ns else ""
    return [
        _t(page.at(each.offered_ns)),
        _t(each.by),
        _t(each.to),
        page.t(f"state_{each.state}") + _t(confirmed),
        f'<span class="note">{_t(each.note)}</span>',
        f'<span class="note">{_t(each.remark)}</span>',
        _t(each.open.get("open", "–")),
    ]


def _open(page: _Page, report: ShiftReport) -> str:
    rows = [
        [
            page.level(alarm.shown_severity),
            _t(alarm.word.value),
            page.alarm(alarm),
            _t(page.at(alarm.onset_ns)),
            _t(alarm.acked_by or "–"),
            _t(alarm.assigned_to or "–"),
            _t(alarm.alarm_id),
        ]
        for alarm in report.open
    ]
    heads = ("level", "word", "what", "since", "acked_by", "assigned", "id")
    return _section(page, "open", _table(page, heads, rows), len(rows))


def _shelved(page: _Page, report: ShiftReport) -> str:
    rows = [
        [
            page.level(alarm.shown_severity),
            page.alarm(alarm),
            _t(page.at(shelf.until_ns)),
            _t(shelf.by),
            _t(shelf.cause),
        ]
        for alarm in report.shelved
        if (shelf := alarm.shelf) is not None
    ]
    heads = ("level", "what", "until", "by", "why")
    return _section(page, "shelved", _table(page, heads, rows), len(rows))


def _came(page: _Page, report: ShiftReport) -> str:
    rows = [
        [
            _t(page.at(event.receive_ns)),
            page.level(event.severity),
            _t(EVENT_WORDS[event.type][page.language == "zh"]),
            page.alarm(report.alarms.get(event.alarm_id), event),
            _t(event.rule),
        ]
        for event in report.came
    ]
    return _section(
        page, "came", _table(page, ("at", "level", "happened", "what", "rule"), rows), len(rows)
    )


def _done(page: _Page, report: ShiftReport) -> str:
    rows = [
        [
            _t(page.at(event.receive_ns)),
            _t(event.evidence.get("by", "")),
            _t(EVENT_WORDS[event.type][page.language == "zh"]),
            page.alarm(report.alarms.get(event.alarm_id), event),
            f'<span class="note">{_t(_said(page, event))}</span>',
        ]
        for event in report.done
    ]
    return _section(
        page, "done", _table(page, ("at", "by", "happened", "what", "said"), rows), len(rows)
    )


def _said(page: _Page, event: Event) -> str:
    """Return what a person wrote or chose with what they did."""
    evidence = event.evidence
    if event.type is EventType.CLASSIFIED:
        verdict = TEXTS[f"verdict_{evidence['verdict']}"][page.language == "zh"]
        cause = cause_word(str(evidence["cause"]), page.language)
        return f"{verdict}: {cause} {evidence.get('comment', '')}".strip()
    if event.type is EventType.ASSIGNED:
        return str(evidence.get("to", "")) or "–"
    if event.type is EventType.SHELVED:
        return f"{evidence.get('reason', '')} → {page.at(int(evidence.get('until_ns', 0)))}"
    return str(evidence.get("comment", "") or evidence.get("reason", ""))


def _blind(page: _Page, report: ShiftReport) -> str:
    rows = [[_t(page.at(a)), _t(page.at(b)), _t(length((b - a) / 1e9))] for a, b in report.blinds]
    return _section(page, "blind", _table(page, ("since", "until", "long"), rows))


def _tests(page: _Page, report: ShiftReport) -> str:
    rows = [
        [
            _t(page.at(event.event_ns)),
            _t(event.subject),
            page.t("passed" if event.evidence["passed"] else "failed"),
            _t(event.evidence["by"]),
            _t(event.evidence["note"]),
        ]
        for event in report.tests
    ]
    return _section(page, "tests", _table(page, ("at", "what", "result", "by", "note"), rows))


def _kpis(page: _Page, report: ShiftReport) -> str:
    found = report.kpis
    rows = []
    for figure in found.figures:
        met = {True: page.t("met"), False: f'<span class="not">{page.t("not_met")}</span>'}
        rows.append(
            [
                _t(said(figure, page.language)),
                _t(number(figure.value, figure.unit)),
                _t(target(figure)),
                met.get(figure.met, ""),  # type: ignore[arg-type]  # None where nothing is judged
            ]
        )
    table = _table(page, ("figure", "value", "target", "judged"), rows)
    return _section(page, "kpis", bars(found.calls.bins, page.t("per_ten")) + table)


def bars(bins: Sequence[int], title: str) -> str:
    """Return calls in ten minutes as bars of an SVG, with the line of ten; ``title`` is HTML."""
    width, height, most = 1000, 90, max(11, *bins)
    step = width / len(bins)

    def rect(at: int, calls: int) -> dict[str, Any]:
        high = height * calls / most
        return {"x": f"{at * step:.1f}", "y": f"{height - high:.1f}", "h": f"{high:.1f}"}

    drawn = "".join(
        '<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{c}"/>'.format(
            **rect(at, calls),
            w=f"{max(step - 0.5, 0.5):.1f}",
            c="#d3101b" if calls > 10 else "#555",
        )
        for at, calls in enumerate(bins)
        if calls
    )
    line = f"{height - height * 10 / most:.1f}"
    return (
        f'<svg viewBox="0 0 {width} {height + 4}" role="img" width="100%"><title>{title}</title>'
        f'<line x1="0" x2="{width}" y1="{line}" y2="{line}" stroke="#999" stroke-dasharray="6 4"/>'
        f'<line x1="0" x2="{width}" y1="{height}" y2="{height}" stroke="#222"/>{drawn}</svg>'
        f"<p>{title}</p>"
    )
