"""What an alarm says, in one sentence, in Chinese and English: what, how bad, where, since, why.

A rule's own message comes first where it has one; what it leaves out is added, for a bare number
is a defect and so is an alarm without its place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rules.bulletins import HAZARDS
from rules.language.messages import render
from rules.quantities import QUANTITIES, SITE_LEL_BASIS
from rules.vocabulary import DOMAINS

if TYPE_CHECKING:
    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.bulletins import Cited
    from rules.plan import ChannelRule, DeadmanRule

LANGUAGES = ("en", "zh")
LEVEL_WORDS = {
    "en": ("", "blue", "yellow", "orange", "red"),
    "zh": ("", "蓝", "黄", "橙", "红"),
}
SOURCES = {
    "en": {"clause": "from a standard's clause", "vendor": "vendor's", "estimate": "an estimate"},
    "zh": {"clause": "标准条文", "vendor": "厂家值", "estimate": "估计值"},
}
_UNIT_WORDS = {
    "%{vol}": "%vol", "%{RH}": "%RH", "Cel": "°C", "m3/h": "m³/h", "mg/m3": "mg/m³",
    "ug/m3": "µg/m³", "um/m": "µm/m", "m/s2": "m/s²", "deg": "°", "{NTU}": "NTU", "[pH]": "pH",
    "uS/cm": "µS/cm", "1": "", "kW.h": "kWh", "m3": "m³", "dB{A}": "dB(A)", "uSv/h": "µSv/h",
}  # fmt: skip
_COUNTS = ("vote", "all", "any", "sequence")
_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The sentence of an alarm and the parts a page shows by themselves."""

    what: str
    value: str
    limit: str
    place: str
    since: str
    level: str
    why: str
    sentence: str


_SYSTEM_WORDS = {
    "rerun-differs": {
        "en": "a re-run of the journal gave other events than the log holds; tell a maintainer",
        "zh": "日志重算的事件与记录不一致，请通知维护人员",
    },
    "ledger-mismatch": {
        "en": "the ledger and the event log disagree; tell a maintainer",
        "zh": "台账与事件日志不一致，请通知维护人员",
    },
    "clock-unsynchronised": {
        "en": "this machine's clock is not synchronised; see to NTP (chronyc tracking)",
        "zh": "本机时钟未同步，请检查 NTP（chronyc tracking）",
    },
    "watch-blind": {
        "en": "no heartbeat comes through: the city is not watched; docs/runbook.md, Blind",
        "zh": "心跳未走完全程，全市监测中断；见 docs/runbook.md「Blind」",
    },
    "proof-test-failed": {
        "en": "FAILED its proof test: it would not warn; replace or repair it, then test again",
        "zh": "功能测试未通过，不能有效报警；请维修或更换后复测",
    },
    "warning-unreadable": {
        "en": "an official warning came that cannot be read; ask its issuer (GET /api/warnings)",
        "zh": "收到无法解析的官方预警，请与发布单位核实（GET /api/warnings）",
    },
    "warning-feed": {
        "en": "official warnings do not come from where they are published; docs/runbook.md",
        "zh": "官方预警来源中断，请人工关注预警发布；见 docs/runbook.md",
    },
    "clock-step": {
        "en": "this machine's clock was set; times and durations around it may be wrong",
        "zh": "本机时钟被调整，前后的时间和持续时长可能有误",
    },
}


@dataclass(frozen=True, slots=True)
class _Parts:
    what: str
    value: str
    score: str
    limit: str
    score_is_value: bool = True


def domain_words() -> dict[str, tuple[str, str]]:
    """Return what people call each domain, in English and Chinese; the site's own too."""
    return {domain.name: (domain.label, domain.label_zh) for domain in DOMAINS.values()}


def unit_word(unit: str) -> str:
    """Return how a UCUM unit is written for people (``per`` units keep their slash)."""
    head, slash, tail = unit.rpartition("/")
    if slash and unit not in _UNIT_WORDS and head in _UNIT_WORDS:
        return f"{_UNIT_WORDS[head]}/{tail}"
    return _UNIT_WORDS.get(unit, unit)


def number(value: float | None, decimals: int) -> str:
    """Return a number for people: no more digits than it is worth, ∞ as a word sign."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    digits = decimals if abs(value) >= 10.0**-decimals or value == 0 else decimals + 2
    return f"{value:.{digits}f}".replace("-", "−")


def local(ns: int, zone: str) -> str:
    """Return a time as people of the site read it."""
    return datetime.fromtimestamp(ns / 1e9, ZoneInfo(zone)).strftime("%m-%d %H:%M:%S")


def duration(seconds: float, language: str) -> str:
    """Return a length of time in one or two units."""
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s" if language == "en" else f"{seconds:.0f} 秒"
    if minutes < 120:
        return f"{minutes:.0f} min" if language == "en" else f"{minutes:.0f} 分钟"
    return f"{minutes / 60:.1f} h" if language == "en" else f"{minutes / 60:.1f} 小时"


def words(alarm: Alarm, site: Site | None, language: str, *, zone: str) -> Words:
    """Return the words of an alarm; without a site (texts unreadable) ids take their places."""
    level = LEVEL_WORDS[language][min(alarm.shown_severity, 4)]
    since = local(alarm.onset_ns, zone)
    if site is not None and alarm.rule in site.deadman:
        parts = _silence(alarm, language)
    elif site is not None and (alarm.rule, alarm.side) in site.composite:
        parts = _computed(alarm, site)
    elif (
        site is not None
        and alarm.subject in site.registry.channel_row
        and alarm.rule not in _SYSTEM_WORDS
    ):
        parts = _measured(alarm, site, language)
    else:
        value = "" if alarm.value is None else number(alarm.value, 3)
        limit = "" if alarm.limit is None else number(alarm.limit, 3)
        said = _SYSTEM_WORDS.get(alarm.rule, {}).get(language)
        parts = _Parts(said or alarm.subject or alarm.rule, value, value, limit)
    place = _place(alarm, site, language)
    why = _why(alarm, site, language, zone=zone)
    sentence = _sentence(alarm, site, language, parts=parts, place=place, zone=zone)
    value = parts.value
    if not parts.score_is_value and alarm.score is not None:
        value = f"{value} ({parts.score})" if value else parts.score
    return Words(
        what=parts.what,
        value=value,
        limit=parts.limit,
        place=place,
        since=since,
        level=level,
        why=why,
        sentence=f"{sentence}{'；' if language == 'zh' else '; '}{why}" if why else sentence,
    )


def _silence(alarm: Alarm, language: str) -> _Parts:
    what = "no data" if language == "en" else "无数据"
    value = "" if alarm.value is None else duration(alarm.value, language)
    limit = "" if alarm.limit is None else duration(alarm.limit, language)
    return _Parts(what, value, value, limit)


def _computed(alarm: Alarm, site: Site) -> _Parts:
    """Return the words of what was made of several channels: the number is no value of one."""
    rule = site.composite[alarm.rule, alarm.side]
    unit, decimals = unit_word(rule.unit), 0 if rule.kind in _COUNTS else 2
    said, limit = (
        "" if each is None else f"{number(each, decimals)} {unit}".strip()
        for each in (alarm.value, alarm.limit)
    )
    return _Parts(alarm.rule, said, said, limit)


def _measured(alarm: Alarm, site: Site, language: str) -> _Parts:
    row = site.registry.channel_row[alarm.subject]
    quantity = QUANTITIES.get(site.registry.channels.quantity[row])
    if quantity is None:
        value, score = number(alarm.value, 3), number(alarm.score, 3)
        return _Parts(alarm.subject, value, score, number(alarm.limit, 3))
    rule = site.rule(alarm.rule, alarm.side, alarm.subject)
    unit, score_unit = unit_word(quantity.unit), unit_word(rule.unit if rule else quantity.unit)
    what = quantity.label_zh if language == "zh" else quantity.label
    value = f"{number(alarm.value, quantity.decimals)} {unit}".strip()
    finite = alarm.value is not None and math.isfinite(alarm.value)
    if quantity.name == "ch4" and finite and alarm.value is not None:
        value += f" ({alarm.value / SITE_LEL_BASIS * 100:.0f} %LEL)"
    if score_unit == "sigma":
        score_unit = "σ"
    score = f"{number(alarm.score, quantity.decimals)} {score_unit}".strip()
    limit = f"{number(alarm.limit, quantity.decimals)} {score_unit}".strip()
    if rule is not None and rule.unit == "s":
        score, limit = _span(alarm.score, language), _span(alarm.limit, language)
    threshold = rule is None or rule.kind == "threshold"
    return _Parts(what, value, value if threshold else score, limit, score_is_value=threshold)


def _span(seconds: float | None, language: str) -> str:
    """Return a time that a rule judges, which may lie in the past: negative."""
    if seconds is None or not math.isfinite(seconds):
        return number(seconds, 0)
    return f"{'−' if seconds < 0 else ''}{duration(abs(seconds), language)}"


def _place(alarm: Alarm, site: Site | None, language: str) -> str:
    row = site.asset_of(alarm.subject) if site is not None else -1
    if site is None or row < 0:
        return alarm.subject.split("/")[0]
    assets = site.registry.assets
    name = (assets.name_zh if language == "zh" else assets.name)[row] or assets.name[row]
    district = assets.district[row]
    named = name or assets.id[row]
    if language == "en":
        return f"{named}, {district}" if district else named
    return named if district.isascii() else f"{district}{named}"  # no half-translated places


def _why(alarm: Alarm, site: Site | None, language: str, *, zone: str) -> str:
    """Return what else a person must know to believe the number or to doubt it."""
    zh = language == "zh"
    parts: list[str] = []
    if not alarm.confirmed:
        parts.append("首个危险值，尚未确认" if zh else "first dangerous sample, unconfirmed")
    if alarm.over_range:
        parts.append(
            "超出传感器量程，须现场复测后复位"
            if zh
            else "beyond the sensor's range, latched until re-tested and reset"
        )
    if alarm.late:
        received = local(alarm.receive_ns, zone)
        measured = local(alarm.raised_ns, zone)
        parts.append(
            f"迟到数据：测于 {measured}，收到于 {received}，共 {alarm.findings} 条"
            if zh
            else f"late data: measured {measured}, received {received}, {alarm.findings} found"
        )
    if alarm.cleared_ns and not alarm.late:
        back = "" if alarm.cleared_value is None else number(alarm.cleared_value, 2)
        at = local(alarm.cleared_ns, zone)
        parts.append(
            f"{at} 恢复{f'至 {back}' if back else ''}"
            if zh
            else f"returned {f'to {back} ' if back else ''}at {at}"
        )
    if alarm.warning is not None:
        parts.append(_warned(alarm.warning, language, zone=zone))
    if alarm.reactivations:
        parts.append(
            f"恢复后再次报警 {alarm.reactivations} 次"
            if zh
            else f"came back {alarm.reactivations}×"
        )
    rule = site.rule(alarm.rule, alarm.side, alarm.subject) if site is not None else None
    if rule is not None:
        source = SOURCES[language].get(rule.source, rule.source)
        approved = (
            "" if rule.approved_by else ("，未经本地批准" if zh else ", not approved for this site")
        )
        parts.append(
            f"规则 {alarm.rule}，限值为{source}{approved}"
            if zh
            else f"rule {alarm.rule}, limit is {source}{approved}"
        )
    elif alarm.rule:
        parts.append(f"规则 {alarm.rule}" if zh else f"rule {alarm.rule}")
    return ("；" if zh else "; ").join(parts)


def _warned(warning: Cited, language: str, *, zone: str) -> str:
    """Name the official warning an alarm was judged under: what, how bad, whose, of when."""
    hazard = HAZARDS.get(warning.hazard, HAZARDS["other"])
    sent = local(warning.sent_ns, zone)
    level = LEVEL_WORDS[language][min(warning.severity, 4)]
    if language == "zh":
        colour = f"{level}色" if level else ""
        return f"{warning.issuer_zh}{hazard[1]}{colour}预警（{sent} 发布）期间，按从严限值判断"
    named = f"{level} {hazard[0]} warning" if level else f"{hazard[0]} warning"
    return f"judged more strictly under the {named} of {warning.issuer}, sent {sent}"


def _sentence(
    alarm: Alarm, site: Site | None, language: str, *, parts: _Parts, place: str, zone: str
) -> str:
    """Fill the rule's message, or make one, and add what it does not say."""
    zh = language == "zh"
    since = local(alarm.onset_ns, zone)
    asset = site.asset_of(alarm.subject) if site is not None else -1
    values = {
        "asset.name": place,
        "asset.name_zh": place,
        "asset.district": place,
        "asset.id": site.registry.assets.id[asset] if site is not None and asset >= 0 else "",
        "channel": alarm.subject,
        "device": alarm.subject,
        "rule": alarm.rule,
        "level": LEVEL_WORDS[language][min(alarm.shown_severity, 4)],
        "quantity": parts.what,
        "quantity_zh": parts.what,
        "value": parts.value,
        "score": parts.score,
        "limit": parts.limit,
        "since": since,
        "measured": local(alarm.event_ns, zone),
        "received": local(alarm.receive_ns, zone),
        "silence": parts.value,
    }
    rule = site.said_by(alarm) if site is not None else None
    if rule is not None:
        values |= {f"labels.{name}": text for name, text in rule.labels.items()}
    template = _template(rule, language)
    used = set(_PLACE.findall(template))
    head = render(template, values) if template else f"{parts.what} {parts.value}".strip()
    if place and not used & {"asset.name", "asset.name_zh", "asset.id"}:
        head = f"{place} {head}" if zh else f"{head} at {place}"
    clauses = [head[:1].upper() + head[1:]]
    if template and parts.value and not used & {"value", "silence"}:
        clauses.append(parts.value)
    if "since" not in used:
        clauses.append(f"自 {since} 起" if zh else f"since {since}")
    if parts.limit and "limit" not in used:
        clauses.append(f"限值 {parts.limit}" if zh else f"limit {parts.limit}")
    return ("，" if zh else ", ").join(clauses)


def _template(rule: ChannelRule | DeadmanRule | None, language: str) -> str:
    if rule is None:
        return ""
    # A message in the other language is worse than none: the sentence can be made without it.
    return rule.message_zh if language == "zh" else rule.message
