"""An alarm as a CAP 1.2 message (OASIS, urn:oasis:names:tc:emergency:cap:1.2) for a platform above.

A monitoring alarm is no public warning: scope is Restricted, and it says so. One message a state:
its identifier is the alarm and the number of the event that made it so, ``references`` names the
messages before it. What is simulated is an Exercise. How our words become CAP's is told in
docs/notification.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from zoneinfo import ZoneInfo

from lifeline.console.sentences import LEVEL_WORDS, words
from rules.alarms import Condition
from rules.events import EventType
from rules.vocabulary import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.events import Event

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
CONTENT_TYPE: Final = "application/cap+xml"
SEVERITY: Final = ("Unknown", "Minor", "Moderate", "Severe", "Extreme")  # none, blue … red
CATEGORIES: Final = {
    "gas": ("Safety", "Infra"),
    "bridge": ("Transport", "Infra"),
    "tunnel": ("Transport", "Infra"),
    "water": ("Infra",),
    "drain": ("Infra", "Env"),
    "heat": ("Infra",),
    "gallery": ("Infra",),
    "env": ("Env",),
}
FORESEEING: Final = ("forecast", "trend")
"""Kinds of rules that say what will be, not what is."""
STATES: Final = frozenset(
    {
        EventType.RAISED, EventType.ESCALATED, EventType.LOWERED, EventType.CONFIRMED,
        EventType.LATE_FINDING, EventType.CLEARED, EventType.RULE_CHANGED,
    }
)  # fmt: skip
"""Events after which another message stands."""
_TEXT = {
    "zh": {
        "language": "zh-CN",
        "note": "监测报警等级，非公众预警",
        "event": "{domain}{level}色监测报警",
        "done": "监测值已恢复",
        "held": "按处置预案处置",
        "none": "城市生命线系统",
    },
    "en": {
        "language": "en-US",
        "note": "a monitoring alarm level, not a public warning",
        "event": "{domain}: {level} monitoring alarm",
        "done": "the measured value has returned",
        "held": "act by the runbook",
        "none": "City Lifeline",
    },
}
_FORBIDDEN: Final = re.compile(r"[\s,<&]+")
_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapSender:
    """Who we are to the platform above."""

    sender: str = "city-lifeline"
    name: str = ""
    name_zh: str = ""


def cap_xml(
    alarm: Alarm,
    events: Sequence[tuple[int, Event]],
    site: Site | None,
    *,
    zone: str,
    simulation: bool,
    sender: CapSender,
    web: str = "",
) -> bytes:
    """Return the message of an alarm as it stands; ``events`` are its numbered ones, oldest first.

    ``web`` is where people see it. Times are of ``zone``, with their offset, as CAP wants them.
    """
    states = [(seq, e) for seq, e in events if e.type in STATES]
    told = [(_identifier(alarm, seq), stamp(event.receive_ns, zone)) for seq, event in states] or [
        (_identifier(alarm, alarm.seq), stamp(alarm.receive_ns, zone))
    ]
    over = alarm.ended or (alarm.condition is Condition.NORMAL and not alarm.late)
    root = alert(told, over=over, simulation=simulation, sender=sender)
    for language in ("zh", "en"):
        add_info(root, alarm, site, language, zone=zone, sender=sender, web=web, over=over)
    return written(root)


def alert(
    told: Sequence[tuple[str, str]],
    *,
    over: bool,
    simulation: bool,
    sender: CapSender,
    incident: str = "",
) -> Element:
    """Return a message without its infos; ``told`` are (identifier, sent), this one's the last."""
    identifier, sent = told[-1]
    root = Element("alert", xmlns=NAMESPACE)
    _add(root, "identifier", identifier)
    _add(root, "sender", _FORBIDDEN.sub("-", sender.sender))
    _add(root, "sent", sent)
    _add(root, "status", "Exercise" if simulation else "Actual")
    kind = "Cancel" if over else "Alert" if len(told) == 1 else "Update"
    _add(root, "msgType", kind)
    _add(root, "source", "City Lifeline")
    _add(root, "scope", "Restricted")
    _add(root, "restriction", "; ".join(_TEXT[language]["note"] for language in ("zh", "en")))
    if simulation:
        _add(root, "note", "演练/仿真数据 exercise, simulated data")
    before = [f"{_FORBIDDEN.sub('-', sender.sender)},{name},{at}" for name, at in told[:-1]]
    _add(root, "references", " ".join(before))
    _add(root, "incidents", incident)
    return root


def written(root: Element) -> bytes:
    """Return a message's bytes."""
    indent(root)
    raw: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return raw + b"\n"


def add_info(
    root: Element,
    alarm: Alarm,
    site: Site | None,
    language: str,
    *,
    zone: str,
    sender: CapSender,
    web: str,
    over: bool,
) -> Element:
    """Add what is told in one language, and return it."""
    text, said = _TEXT[language], words(alarm, site, language, zone=zone)
    domain = site.domain_of(alarm.subject) if site is not None else ""
    level = LEVEL_WORDS[language][min(alarm.shown_severity, 4)]
    known = DOMAINS.get(domain)
    called = text["none"] if known is None else known.label_zh if language == "zh" else known.label
    info = SubElement(root, "info")
    _add(info, "language", text["language"])
    for category in CATEGORIES.get(domain, ("Infra",) if domain else ("Other",)):
        _add(info, "category", category)
    _add(info, "event", text["event"].format(domain=called, level=level))
    _add(info, "responseType", "AllClear" if over else "Monitor" if alarm.late else "Execute")
    _add(info, "urgency", urgency(alarm, site, over=over))
    _add(info, "severity", SEVERITY[min(alarm.shown_severity, 4)])
    _add(info, "certainty", certainty(alarm, site))
    _add(info, "onset", stamp(alarm.onset_ns or alarm.raised_ns, zone))
    _add(info, "senderName", sender.name_zh if language == "zh" else sender.name)
    _add(info, "headline", said.sentence)
    done = f" ({text['done']})" if over else ""
    _add(info, "description", f"{said.sentence}{done}")
    _add(info, "instruction", "" if over else _instruction(alarm, site, language))
    _add(info, "web", web)
    for name, value in (
        ("level", level),
        ("rule", alarm.rule),
        ("subject", alarm.subject),
        ("value", said.value),
        ("limit", said.limit),
        ("state", alarm.word.value),
        ("acknowledged_by", alarm.acked_by),
    ):
        add_pair(info, "parameter", name, value)
    _area(info, alarm, site, said.place)
    return info


def add_area(info: Element, alarm: Alarm, site: Site | None, language: str, *, zone: str) -> None:
    """Add the place of another alarm."""
    _area(info, alarm, site, words(alarm, site, language, zone=zone).place)


def urgency(alarm: Alarm, site: Site | None, *, over: bool) -> str:
    """Return CAP's urgency: Past when it is over or was found late, else by level and kind."""
    if over or alarm.late:
        return "Past"
    if _kind(alarm, site) in FORESEEING:
        return "Expected" if alarm.shown_severity >= 3 else "Future"
    return ("Unknown", "Expected", "Expected", "Immediate", "Immediate")[
        min(alarm.shown_severity, 4)
    ]


def certainty(alarm: Alarm, site: Site | None) -> str:
    """Return CAP's certainty: what was measured is Observed, one sample Likely, silence Unknown."""
    if site is not None and alarm.rule in site.deadman:
        return "Unknown"
    if _kind(alarm, site) in FORESEEING:
        return "Likely" if alarm.shown_severity >= 3 else "Possible"
    if alarm.verdict == "false":
        return "Unlikely"
    return "Observed" if alarm.confirmed else "Likely"


def stamp(ns: int, zone: str) -> str:
    """Return a time as CAP wants it: whole seconds and an offset in numbers, never Z."""
    return datetime.fromtimestamp(ns // 10**9, ZoneInfo(zone)).isoformat(timespec="seconds")


def _identifier(alarm: Alarm, seq: int) -> str:
    return f"{alarm.alarm_id}-{seq}"


def _kind(alarm: Alarm, site: Site | None) -> str:
    rule = site.rule(alarm.rule, alarm.side, alarm.subject) if site is not None else None
    return rule.kind if rule is not None else ""


def _instruction(alarm: Alarm, site: Site | None, language: str) -> str:
    rule = site.said_by(alarm) if site is not None else None
    if site is None or rule is None or not rule.runbook:
        return ""
    book = site.plan.runbooks.get(rule.runbook)
    named = rule.runbook if book is None else book.title_zh if language == "zh" else book.title
    return f"{_TEXT[language]['held']}: {named}"


def _area(info: Element, alarm: Alarm, site: Site | None, place: str) -> None:
    area = SubElement(info, "area")
    _add(area, "areaDesc", place or alarm.subject or "–")
    row = site.asset_of(alarm.subject) if site is not None else -1
    if site is None or row < 0:
        return
    assets = site.registry.assets
    lat, lon = float(assets.lat[row]), float(assets.lon[row])
    if math.isfinite(lat) and math.isfinite(lon):
        _add(area, "circle", f"{lat:.6f},{lon:.6f} 0")
    add_pair(area, "geocode", "city-code", assets.id[row])
    add_pair(area, "geocode", "district", assets.district[row])


def _add(parent: Element, name: str, text: str) -> None:
    """Add an element; an empty one has no meaning in CAP and is left out."""
    if text:
        SubElement(parent, name).text = _NO_XML.sub(" ", text)


def add_pair(parent: Element, element: str, name: str, value: str) -> None:
    """Add a named value, where there is one."""
    if value:
        pair = SubElement(parent, element)
        _add(pair, "valueName", name)
        _add(pair, "value", value)
