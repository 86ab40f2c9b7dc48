"""The figures' names in English and Chinese, for page, report and terminal alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.console.sentences import LEVEL_WORDS

if TYPE_CHECKING:
    from lifeline.kpi.figures import Figure

WORDS: Final[dict[str, tuple[str, str]]] = {
    "mean": ("Alarms per operator in 10 min, mean", "每名值班员每 10 分钟报警数（平均）"),
    "peak": ("Alarms per operator in 10 min, worst", "每名值班员每 10 分钟报警数（最多）"),
    "over_ten": ("10-min periods with more than 10 alarms", "10 分钟内超过 10 条报警的时段占比"),
    "in_flood": ("Time in alarm floods", "报警泛滥时间占比"),
    "top_share": ("Share of the ten noisiest sources", "前十报警源占比"),
    "chattering": ("Chattering sources (3 in 1 min)", "抖动报警源（1 分钟内 3 次）"),
    "fleeting": ("Fleeting sources (gone within 10 s)", "瞬时报警源（10 秒内消失）"),
    "stale": ("Became stale (over 24 h) per day", "每日新增陈旧报警（超过 24 小时）"),
    "standing": ("Standing alarms per operator", "每名值班员当前持续报警数"),
    "split": ("Share of {level} alarms", "{level}色报警占比"),
    "ack": ("Time to acknowledge {level}, 90 % within", "{level}色报警确认时间（90% 不超过）"),
    "close": ("Time to close {level}, 90 % within", "{level}色报警办结时间（90% 不超过）"),
    "false": ("False alarms among those judged", "已研判报警中的误报率"),
    "protected": ("Red-risk assets with a working safety channel", "红色风险设施有效监护率"),
}


def said(figure: Figure, language: str) -> str:
    """Return a figure's name."""
    text = WORDS[figure.key][language == "zh"]
    return text.format(level=LEVEL_WORDS[language][figure.severity])


def number(value: float | None, unit: str) -> str:
    """Return a value as it is read: shares as %, seconds as s, min or h."""
    if value is None:
        return "–"
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "s":
        return length(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")


def length(seconds: float) -> str:
    """Return a time as one reads it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def target(figure: Figure) -> str:
    """Return what it should be, "" where there is no target."""
    if figure.target is None:
        return ""
    if figure.relation == "±":
        return f"{100 * figure.target:.0f} ± 15 %"
    return f"{figure.relation} {number(figure.target, figure.unit)}"
