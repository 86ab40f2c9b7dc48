"""What the page shows, as JSON: times in Unix milliseconds, words in both languages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lifeline import metrics
from lifeline.console.health import strip
from lifeline.console.incident_view import incidents_json
from lifeline.console.sentences import LANGUAGES, LEVEL_WORDS, domain_words, unit_word, words
from lifeline.console.times import ms
from lifeline.ledger import Unavailable
from lifeline.notify.targets import target_words
from lifeline.reload.outcome import last
from lifeline.sensor_health import OLD_INTERVALS
from rules.alarms import Ack, Word
from rules.engine.ordered import MARK
from rules.events import EventType
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.site import Site
    from rules.alarms import Alarm, Suppression
    from rules.events import Event

COLOURS = {1: "blue", 2: "yellow", 3: "orange", 4: "red"}
SHAPES = {1: "circle", 2: "triangle", 3: "diamond", 4: "square"}
STALE_AFTER_S = 60.0
MOST_OPEN = 5_000
MOST_WARNINGS = 20
MOST_DRAWN = 64  # kinds of sight
TROUBLE = "the system is in trouble; whoever runs the city sees it 系统有故障，请联系城市平台值班员"


def finite(value: float | None) -> float | str | None:
    """Return a number JSON can hold; infinities become words."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    if value in (float("inf"), float("-inf")):
        return "over" if value > 0 else "under"
    return value


def alarm_json(alarm: Alarm, site: Site | None, *, zone: str, simulation: bool) -> dict[str, Any]:
    """Return one alarm as the list shows it."""
    said = {language: words(alarm, site, language, zone=zone) for language in LANGUAGES}
    asset = site.asset_of(alarm.subject) if site is not None else -1
    known = site is not None and asset >= 0
    rule = site.said_by(alarm) if site is not None else None
    row = site.registry.channel_row.get(alarm.subject) if site is not None else None
    return {
        "id": alarm.alarm_id,
        "seq": alarm.seq,
        "word": alarm.word.value,
        "severity": alarm.shown_severity,
        "max_severity": alarm.max_severity,
        "active": alarm.condition.value == "active",
        "acked": alarm.ack is Ack.ACKED,
        "confirmed": alarm.confirmed,
        "over_range": alarm.over_range,
        "held": [
            {"hold": s.hold.value, "cause": _cause(s), "until_ms": ms(s.until_ns), "by": s.by}
            for s in alarm.suppression
        ],
        **_operated(alarm),
        "late": alarm.late,
        "ended": alarm.ended,
        "class": alarm.klass,
        "simulation": simulation,
        "domain": site.domain_of(alarm.subject) if site is not None else "",
        "rule": alarm.rule,
        "subject": alarm.subject,
        "channel": alarm.subject if row is not None else "",
        "scored": _scored(alarm, site),
        **_digits(site, row),
        "asset": site.registry.assets.id[asset] if site is not None and known else "",
        "at": _at(site, asset) if site is not None and known else None,
        "value": finite(alarm.value),
        "limit": finite(alarm.limit),
        "onset_ms": ms(alarm.onset_ns),
        "raised_ms": ms(alarm.raised_ns),
        "event_ms": ms(alarm.event_ns),
        "received_ms": ms(alarm.receive_ns),
        "cleared_ms": ms(alarm.cleared_ns),
        "acked_by": alarm.acked_by,
        "acked_ms": ms(alarm.acked_ns),
        "comment": alarm.ack_comment,
        "labels": dict(rule.labels) if rule is not None else {},
        "words": {
            language: {
                "what": w.what,
                "value": w.value,
                "limit": w.limit,
                "place": w.place,
                "since": w.since,
                "why": w.why,
                "sentence": w.sentence,
            }
            for language, w in said.items()
        },
    }


class Written:
    """Alarms as they were written down last: of 500 a change concerns one, and words cost time.

    The same alarm gives the same object, by which a stream knows what is new to its page.
    """

    def __init__(self) -> None:
        self._site: Site | None = None
        self._held: dict[str, tuple[Alarm, bool, dict[str, Any]]] = {}

    def of(self, alarm: Alarm, site: Site | None, *, zone: str, simulation: bool) -> dict[str, Any]:
        """Return alarm_json of it; called by one thread at a time."""
        if site is not self._site or len(self._held) > 4 * MOST_OPEN:
            self._site, self._held = site, {}
        held = self._held.get(alarm.alarm_id)
        if held is None or held[:2] != (alarm, simulation):
            told = alarm_json(alarm, site, zone=zone, simulation=simulation)
            held = self._held[alarm.alarm_id] = (alarm, simulation, told)
        return held[2]


def _cause(held: Suppression) -> str:
    """Return what holds an alarm: a rule's or window's id, or who calibrates on site."""
    return f"calibrating 标定: {held.by}" if held.cause.startswith(MARK) else held.cause


def _operated(alarm: Alarm) -> dict[str, Any]:
    """Return what people did with it, and what its rule lets them do."""
    return {
        "chattering": alarm.chattering,
        "reactivations": alarm.reactivations,
        "assigned_to": alarm.assigned_to,
        "verdict": alarm.verdict,
        "cause": alarm.cause,
        "comments": alarm.comments,
        "shelve_asked_by": alarm.shelve_asked_by,
        "shelve_max_min": alarm.life.shelve_max_ns // 60_000_000_000,
        "ack_wants": alarm.life.ack,
    }


def _digits(site: Site | None, row: int | None) -> dict[str, Any]:
    """Return how the page writes the channel's readings as they come."""
    if site is None or row is None:
        return {"unit": "", "decimals": 2, "quantity": "", "gap_ms": None}
    channels = site.registry.channels
    quantity = QUANTITIES.get(channels.quantity[row])
    return {
        "unit": unit_word(quantity.unit) if quantity else channels.unit[row],
        "decimals": quantity.decimals if quantity else 3,
        "quantity": channels.quantity[row],
        "gap_ms": OLD_INTERVALS * int(channels.interval_ns[row]) // 1_000_000,
    }


def _scored(alarm: Alarm, site: Site | None) -> bool:
    """Tell whether the limit is on something computed (a rate, a deviation), not on the value."""
    rule = site.rule(alarm.rule, alarm.side, alarm.subject) if site is not None else None
    return rule is not None and rule.kind != "threshold"


def _at(site: Site, asset: int) -> list[float]:
    assets = site.registry.assets
    return [float(assets.lon[asset]), float(assets.lat[asset])]


def event_json(
    seq: int, event: Event, departments: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Return one line of an alarm's history; ``to``: whom a step of an escalation called."""
    return {
        "seq": seq,
        "type": event.type.value,
        "severity": event.severity,
        "event_ms": ms(event.event_ns),
        "received_ms": ms(event.receive_ns),
        "value": finite(event.value),
        "limit": finite(event.limit),
        "by": event.evidence.get("by", ""),
        "comment": event.evidence.get("comment", ""),
        "to": [
            {"name": each, "words": target_words(each, departments)}
            for each in (event.evidence["to"] if event.type is EventType.CALLED else ())
        ],
    }


def state(desk: Desk, sight: Sight) -> dict[str, Any]:
    """Return the first screen of who sees so much; many that ask at once get the one made first."""
    with desk.drawing:
        revision = desk.bell.revision
        drawn = desk.drawn.get(sight.scopes)
        if drawn is None or drawn[0] != revision or "alarms" in desk.flow.problems:
            if len(desk.drawn) >= MOST_DRAWN:
                desk.drawn.clear()
            drawn = desk.drawn[sight.scopes] = (revision, _draw(desk, revision, sight))
        return {**drawn[1], **pulse(desk, sight)}


def _draw(desk: Desk, revision: int, sight: Sight) -> dict[str, Any]:
    site, settings = desk.keeper.site, desk.settings
    most = settings.max_listed
    try:
        if sight.whole:
            held = desk.stand_in.current.list(limit=most + 1)
        else:  # all, for a firm's alarms must not hide behind the city's worst
            every = desk.stand_in.current.list(limit=MOST_OPEN)
            held = [(a, s) for a, s in every if sight.alarm(a)]
        desk.flood = desk.stand_in.current.flood()
        listed = held[:most]
        alarms = [desk.written.of(a, site, zone=settings.zone, simulation=s) for a, s in listed]
        said = {alarm["id"]: alarm["words"] for alarm in alarms}
        incidents = incidents_json(desk, sight, desk.stand_in.current, known=said)
        for incident in incidents:
            if incident["first_out"] in said:
                incident.pop("words")  # they stand with the alarm: a state goes to many pages
        desk.flow.problems.pop("alarms", None)
    except Unavailable as error:
        desk.flow.problems["alarms"] = str(error)
        held, listed, alarms, incidents = [], [], [], []
    if sight.whole:
        _gauge(desk, held)
    return {
        "revision": revision,
        "simulation": desk.keeper.simulation,
        "replay": settings.replay,
        "zone": settings.zone,
        "approved": site.approved if site is not None else False,
        "domains": _domains(site, sight),
        "levels": _levels(site),
        "counts": _counts(alarms),
        "silent": _silent(alarms, site),
        "alarms": alarms,
        "incidents": incidents,
        "more": len(held) > len(listed),
        "blinds": [{"from_ms": ms(a), "to_ms": ms(b)} for a, b in desk.flow.blinds],
        "site": site is not None,
    }


def pulse(desk: Desk, sight: Sight | None = None) -> dict[str, Any]:
    """Return what moves by itself: the clock, the age of the data, sight, problems.

    What is wrong is told in full to who sees the whole city; its words may name anything.
    """
    now_ns = desk.clock.now_ns()
    last_ns = desk.flow.last_receive_ns
    age_s = desk.clock.wall_s(max(0, now_ns - last_ns)) if last_ns else None
    if age_s is not None:
        metrics.DATA_AGE.set(age_s)
    seen = desk.watchdog.sight()
    problems = dict(desk.flow.problems)
    if desk.keeper.problem:
        problems["site"] = desk.keeper.problem
    if (reload := last(desk.data)) is not None and reload.trouble:
        problems["reload"] = reload.trouble
    flood = desk.flood.at(now_ns, desk.ledger.writing.flood)
    announced: int | None = flood.announced
    if sight is not None and not sight.whole:
        problems = {"city": TROUBLE} if problems else {}
        announced = None
    return {
        "now_ms": now_ns // 1_000_000,
        "warnings": _warnings(desk, now_ns),
        "flood": {"since_ms": ms(flood.since_ns), "announced": announced},
        "factor": desk.clock.factor,
        "data_age_s": age_s,
        "stale": age_s is None or age_s > STALE_AFTER_S,
        "behind": desk.flow.behind,
        "watched": seen.watched,
        "blind": seen.blind,
        "heartbeat_age_s": round(seen.age_s, 1),
        "health": strip(desk, sight),
        "problems": problems,
    }


def _warnings(desk: Desk, now_ns: int) -> list[dict[str, Any]]:
    """Return the official warnings that hold, without what only a list of them needs."""
    try:
        held = desk.board.standing(now_ns)
    except Unavailable as error:
        desk.flow.problems["warnings"] = f"warnings cannot be read 预警无法读取: {error}"
        return []
    desk.flow.problems.pop("warnings", None)
    left_out = ("polygons", "references", "description", "codes")
    return [{k: v for k, v in each.items() if k not in left_out} for each in held[:MOST_WARNINGS]]


def _domains(site: Site | None, sight: Sight) -> list[dict[str, str]]:
    every = site.registry.assets.domain if site is not None else ()
    held = set(every) if sight.whole else {d for row, d in enumerate(every) if sight.asset(row)}
    return [
        {"domain": d, "en": en, "zh": zh} for d, (en, zh) in domain_words().items() if d in held
    ]


def _levels(site: Site | None) -> list[dict[str, Any]]:
    """Return every level there is, worst first; a site that declares three has three."""
    named = {x.severity: x for x in site.plan.levels} if site is not None else {}
    return [
        {
            "severity": s,
            "name": named[s].name if s in named else LEVEL_WORDS["en"][s],
            "zh": LEVEL_WORDS["zh"][s],
            "colour": COLOURS[s],
            "shape": SHAPES[s],
        }
        for s in (4, 3, 2, 1)
        if not named or s in named
    ]


def _counts(alarms: list[dict[str, Any]]) -> dict[str, dict[str, list[int]]]:
    """Return {domain: {severity: [standing, of these unacknowledged]}}."""
    counts: dict[str, dict[str, list[int]]] = {}
    for alarm in alarms:
        of_domain = counts.setdefault(alarm["domain"], {})
        pair = of_domain.setdefault(str(alarm["severity"]), [0, 0])
        pair[0] += 1
        pair[1] += not alarm["acked"]
    return counts


def _silent(alarms: list[dict[str, Any]], site: Site | None) -> int:
    if site is None:
        return 0
    return len({a["subject"] for a in alarms if a["active"] and a["rule"] in site.deadman})


def _gauge(desk: Desk, held: list[tuple[Alarm, bool]]) -> None:
    """Tell how many alarms are open: 0 too, and those beyond what the page lists as well."""
    beyond = len(held) > desk.settings.max_listed
    open_now = desk.ledger.open_alarms() if beyond else [alarm for alarm, _ in held]
    counts = Counter((alarm.shown_severity, alarm.word) for alarm in open_now)
    for severity in COLOURS:
        for word in Word:
            metrics.OPEN_ALARMS.labels(severity, word).set(counts[severity, word])


def map_json(desk: Desk, sight: Sight) -> dict[str, Any]:
    """Return the assets that are seen as GeoJSON (RFC 7946)."""
    site = desk.keeper.site
    features: list[dict[str, Any]] = []
    if site is not None:
        assets = site.registry.assets
        features = [
            {
                "type": "Feature",
                "id": assets.id[row],
                "geometry": {"type": "Point", "coordinates": _at(site, row)},
                "properties": {
                    "kind": "asset",
                    "domain": assets.domain[row],
                    "type": assets.asset_type[row],
                    "name": assets.name[row],
                    "name_zh": assets.name_zh[row],
                    "district": assets.district[row],
                },
            }
            for row in range(len(assets.id))
            if assets.alive[row] and assets.lon[row] == assets.lon[row] and sight.asset(row)
        ]
    return {"type": "FeatureCollection", "features": features}
