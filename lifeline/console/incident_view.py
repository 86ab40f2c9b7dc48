"""Incidents as JSON: times in Unix milliseconds, words in both languages.

Who sees a part of the city is told of an incident's alarms there, and that there are others.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from lifeline.console.sentences import LANGUAGES, words
from lifeline.console.times import ms
from lifeline.ledger.incidents import Incidents
from rules.incidents.flow import ORDER_NAMES, STEPS, dues, lands
from rules.incidents.isolation import concern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.ledger import Ledger
    from lifeline.ledger.incidents import Incident, Told
    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.incidents.flow import Targets
    from rules.registry import Registry

MOST_NAMED: Final = 8
"""Assets a sentence names; the lists beside it have all."""
MOST_LISTED: Final = 500
"""Incidents on the page, and alarms named of each."""
Words = dict[str, dict[str, str]]


def incidents_json(
    desk: Desk,
    sight: Sight,
    ledger: Ledger,
    *,
    over: bool | None = False,
    limit: int = MOST_LISTED,
    known: Mapping[str, Words] | None = None,
) -> list[dict[str, Any]]:
    """Return incidents as every answer has them, worst and newest first.

    ``known`` has what is said already of alarms by id, so that nothing is worded twice.
    """
    incidents = Incidents(ledger)
    held = incidents.list(over=over, limit=limit if sight.whole else None)
    seen = [(part, i) for i in held if (part := sight.part(i)) is not None][:limit]
    return shown(desk, incidents, seen, known or {})


def shown(
    desk: Desk,
    incidents: Incidents,
    seen: Sequence[tuple[Incident, Incident]],
    known: Mapping[str, Words],
) -> list[dict[str, Any]]:
    """Return incidents as JSON; each is the part that is seen, and the whole."""
    settings, site, now_ns = desk.settings, desk.keeper.site, desk.clock.now_ns()
    firsts = [part.group.first_out.alarm_id for part, _ in seen]
    others = incidents.alarms([i for i in firsts if i not in known])
    said = dict(known) | {i: _words(a, site, settings.zone) for i, a in others.items()}
    return [
        incident_json(
            part,
            said.get(part.group.first_out.alarm_id),
            now_ns=now_ns,
            targets=settings.targets,
            partial=len(part.group.members) < len(whole.group.members),
        )
        for part, whole in seen
    ]


def _words(alarm: Alarm, site: Site | None, zone: str) -> Words:
    said = {language: words(alarm, site, language, zone=zone) for language in LANGUAGES}
    return {
        language: {"what": w.what, "place": w.place, "sentence": w.sentence}
        for language, w in said.items()
    }


def incident_json(
    incident: Incident, said: Words | None, *, now_ns: int, targets: Targets, partial: bool = False
) -> dict[str, Any]:
    """Return one incident; ``said`` are the words of its first-out alarm."""
    held, group = incident.handling, incident.group
    first = group.first_out
    limits = dues(held, incident.severity, targets)
    bare = {"what": first.rule, "place": first.place.subject, "sentence": first.rule}
    told = said or dict.fromkeys(LANGUAGES, bare)
    return {
        "id": incident.incident_id,
        "seq": held.seq,
        "stage": held.stage.value,
        "over": held.over,
        "severity": incident.severity,
        "active": group.active,
        "news": held.news,
        "simulation": incident.simulation,
        "domain": first.place.domain,
        "nature": first.place.nature,
        "members": len(group.members),
        "alarms": [member.alarm_id for member in group.members[:MOST_LISTED]],
        "partial": partial,
        "first_out": first.alarm_id,
        "raised_ms": ms(held.reached["raised"]),
        "reached": {stage: ms(at) for stage, at in held.reached.items()},
        "by": dict(held.by),
        "assigned_to": held.assigned_to,
        "handover": held.handover,
        "handover_by": held.handover_by,
        "cause": held.cause,
        "reason": held.reason,
        "comments": held.comments,
        "dues": [
            {
                "stage": d.stage,
                "due_ms": ms(d.due_ns),
                "met_ms": ms(d.met_ns),
                "overdue": d.overdue(now_ns),
            }
            for d in limits
        ],
        "overdue": any(d.overdue(now_ns) and not d.met_ns for d in limits) and not held.over,
        "orders": [] if partial else _orders(incident),
        "words": {
            language: {key: told[language][key] for key in ("what", "place", "sentence")}
            for language in LANGUAGES
        },
    }


def _orders(incident: Incident) -> list[str]:
    """Return the steps there are from here, by their names in a path."""
    held = incident.handling
    return [
        ORDER_NAMES[kind]
        for kind in STEPS
        if lands(held.stage, kind, severity=incident.severity, news=held.news) is not None
    ]


def told_json(told: Told) -> dict[str, Any]:
    """Return one line of an incident's story."""
    said = {k: v for k, v in told.said.items() if k in ("alarm", "reason", "cause", "to")}
    return {
        "seq": told.seq,
        "type": told.kind.value,
        "at_ms": ms(told.at_ns),
        "by": told.by,
        **said,
    }


def concern_json(incident: Incident, site: Site | None, sight: Sight) -> dict[str, Any] | None:
    """Return whom an incident concerns and what isolates it; None without a registry.

    Assets that are not seen are left out, with their people; ``beyond`` says that there are some.
    """
    if site is None:
        return None
    registry = site.registry
    assets = dict.fromkeys(m.place.asset for m in incident.group.members if m.place.asset)
    told = asdict(concern(registry, site.network, assets))
    raw: dict[str, Any] = told | {"beyond": False}
    if not sight.whole:
        for name in ("assets", "close", "section", "feeding", "dry", "downstream", "critical"):
            raw[name] = tuple(i for i in told[name] if sight.asset(registry.asset_row[i]))
            raw["beyond"] |= len(raw[name]) < len(told[name])
        without = {*raw["section"], *raw["dry"]} if told["close"] else ()
        raw["exposed_people"] = _people(registry, raw["assets"])
        raw["people_without"] = _people(registry, without)
        raw["people_downstream"] = _people(registry, raw["downstream"])
    raw["cameras"] = [
        {"asset": asset, "url": url}
        for asset, url in told["cameras"]
        if url.startswith(("http://", "https://")) and asset in raw["assets"]
    ]  # a link of another kind would do something else in the browser
    return raw | {"says": {language: _says(raw, site, language) for language in LANGUAGES}}


def _people(registry: Registry, ids: Iterable[str]) -> int:
    people = registry.assets.exposed_people
    return sum(int(people[registry.asset_row[i]]) for i in ids)


_SAYS: Final = {
    "en": {
        "exposed": "About {n} people at the places of its alarms.",
        "close": "Close {names}: this cuts off {n} assets, {people} people are without supply.",
        "feeding": "No valve of the registry cuts off {names}.",
        "none": "The registry knows no network here: no advice on isolation.",
        "no_valve": "The registry knows no valve that cuts this off.",
        "downstream": "Downstream: {names}, {people} people.",
        "critical": "Must not be without: {names}.",
        "beyond": "It goes on beyond what you see: ask the city's desk before closing anything.",
        "advice": "From the registry alone; whoever runs the network decides.",
        "more": " and {n} more",
    },
    "zh": {
        "exposed": "报警地点影响约 {n} 人。",
        "close": "关闭{names}：隔离 {n} 处设施，{people} 人停供。",
        "feeding": "台账中没有阀门可切断{names}。",
        "none": "台账中此处无管网关系，无隔离建议。",
        "no_valve": "台账中没有可隔离此处的阀门。",
        "downstream": "下游：{names}，涉及 {people} 人。",
        "critical": "重点保障：{names}。",
        "beyond": "还涉及您权限以外的设施，关阀前请联系城市平台值班员。",
        "advice": "仅依据台账，由管网运营单位决定。",
        "more": "等 {n} 处",
    },
}


def _says(told: Mapping[str, Any], site: Site, language: str) -> list[str]:
    """Return what to know, a sentence a line."""
    text = _SAYS[language]

    def names(ids: tuple[str, ...]) -> str:
        assets = site.registry.assets
        column = assets.name_zh if language == "zh" else assets.name
        shown = [column[site.registry.asset_row[i]] or i for i in ids[:MOST_NAMED]]
        rest = len(ids) - len(shown)
        joint = "、" if language == "zh" else ", "
        return joint.join(shown) + (text["more"].format(n=rest) if rest else "")

    said = []
    if told["exposed_people"]:
        said.append(text["exposed"].format(n=told["exposed_people"]))
    if told["close"]:
        cut, without = len(told["section"]), told["people_without"]
        said.append(text["close"].format(names=names(told["close"]), n=cut, people=without))
    if told["feeding"]:
        said.append(text["feeding"].format(names=names(told["feeding"])))
    if not told["networked"]:
        said.append(text["none"])
    elif not any(told[x] for x in ("close", "feeding", "downstream", "beyond")):
        said.append(text["no_valve"])
    if told["downstream"]:
        people = told["people_downstream"]
        said.append(text["downstream"].format(names=names(told["downstream"]), people=people))
    if told["critical"]:
        said.append(text["critical"].format(names=names(told["critical"])))
    if told["beyond"]:
        said.append(text["beyond"])
    return [*said, text["advice"]] if told["networked"] else said
