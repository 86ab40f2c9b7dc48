"""The open alarms as the store knows them: events and acknowledgements folded in journal order.

The ledger folds the same events; the store has its own small book so that neither waits for the
other. Figures of ten minutes follow ISA-18.2 and EEMUA 191.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from ingest.store.points import point
from ingest.store.schema import ASSET_STATE, KPI, LEVELS
from rules.alarm_fold import AlarmFold
from rules.alarm_forms import alarm_of, event_about, state_of
from rules.alarms import Ack, Alarm, Condition
from rules.events import Event, EventType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.store.site_at import SiteAt
    from rules.readings import Control

TEN_MINUTES_NS: Final = 600_000_000_000
HOUR_NS: Final = 3_600_000_000_000
STANDING_NS: Final = 24 * HOUR_NS
FLOOD: Final = 10  # more raised in ten minutes are a flood (EEMUA 191)
CHATTERING: Final = 3  # raised so often within an hour
CITY: Final = "all"
_COUNTED: Final = {
    EventType.RAISED: "raised",
    EventType.ESCALATED: "escalated",
    EventType.CLEARED: "cleared",
    EventType.ACKED: "acked",
}


@dataclass(slots=True)
class _Window:
    """What happened in the ten minutes that run: counts by (domain, what), waits for an ack."""

    number: int = -1
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ack_s: dict[str, list[float]] = field(default_factory=dict)


class Taken(NamedTuple):
    """What an event led to: points, and the alarm as it stands after it."""

    points: list[bytes]
    alarm: Alarm | None


class AlarmBook:
    """Open alarms, the worst of each asset, and the figures of the running ten minutes."""

    def __init__(self, site: SiteAt) -> None:
        self._site = site
        self._fold = AlarmFold()
        self._window = _Window()
        self._by_subject: dict[str, dict[str, Alarm]] = {}
        self._raised: dict[str, list[int]] = {}  # times of the last hour, by alarm key
        self._seq = 0

    # ---- taking in ------------------------------------------------------------------------------

    def operated(self, control: Control, offset: int, time_ns: int) -> Event | None:
        """Return the event of what a person did, None for an alarm that is over or unknown.

        Nor is there one for an event that a newer version wrote.
        """
        data = control.data
        alarm = self._fold.alarms.get(str(data["alarm"]))
        if alarm is None:
            return None
        if control.type == "ack":
            kind = EventType.ACK_REVOKED if data.get("revoke") else EventType.ACKED
            said = {"by": str(data.get("by", ""))}
        elif data["event"] in EventType.__members__:
            kind, said = EventType(data["event"]), dict(data.get("said", {}))
        else:
            return None
        return event_about(
            kind, alarm, offset=offset, event_ns=time_ns, receive_ns=time_ns, evidence=said
        )

    def take(self, event: Event) -> Taken:
        """Fold an event in."""
        points = list(self.advance(event.receive_ns))
        before = self._fold.alarms.get(event.alarm_id)
        self._seq += 1
        step = self._fold.apply(event, self._seq)
        self._count(event, before)
        for alarm in step.changed:
            self._put(alarm)
        row = self._site.asset(event.subject)
        if step.changed and row >= 0:
            points.append(self._asset(row, event.receive_ns))
        return Taken(points, step.changed[-1] if step.changed else None)

    def _put(self, alarm: Alarm) -> None:
        """Keep an alarm among those of its asset, or forget it when it is over."""
        standing = self._by_subject.setdefault(alarm.subject, {})
        if not alarm.ended:
            self._fold.put(alarm)
            standing[alarm.alarm_id] = alarm
            return
        self._fold.alarms.pop(alarm.alarm_id, None)
        standing.pop(alarm.alarm_id, None)
        if not standing:
            del self._by_subject[alarm.subject]

    def _count(self, event: Event, before: Alarm | None) -> None:
        named = _COUNTED.get(event.type)
        if named is None:
            return
        domains = (CITY, self._site.tags(event.subject).get("domain", ""))
        words = [named]
        if event.type is EventType.RAISED:
            words.append(LEVELS[event.severity - 1])
            held = self._raised.setdefault(event.alarm_key, [])
            held.append(event.receive_ns)
        for domain in domains:
            self._window.counts.update((domain, word) for word in words)
            if event.type is EventType.ACKED and before is not None:
                waited = (event.receive_ns - before.raised_ns) / 1e9
                self._window.ack_s.setdefault(domain, []).append(waited)

    # ---- giving out -----------------------------------------------------------------------------

    def advance(self, time_ns: int) -> Iterator[bytes]:
        """Close ten minutes that are over at ``time_ns``."""
        number = time_ns // TEN_MINUTES_NS
        if number <= self._window.number:
            return
        if self._window.number >= 0:
            yield from self._figures(self._window)
        self._window = _Window(number)

    def _figures(self, window: _Window) -> Iterator[bytes]:
        begin_ns = window.number * TEN_MINUTES_NS
        end_ns = begin_ns + TEN_MINUTES_NS
        open_now: dict[str, list[Alarm]] = {}
        for alarm in self._fold.alarms.values():
            for domain in (CITY, self._site.tags(alarm.subject).get("domain", "")):
                open_now.setdefault(domain, []).append(alarm)
        chattering = self._chattering(end_ns)
        sim = {"sim": "1" if self._site.registry.simulation else ""}
        for domain in (CITY, *self._site.domains):
            alarms = open_now.get(domain, [])
            words = (*_COUNTED.values(), *LEVELS)
            counted: dict[str, int] = {word: window.counts[domain, word] for word in words}
            waits = window.ack_s.get(domain, [])
            fields: dict[str, int | float] = {
                **counted,
                "open": len(alarms),
                "unacked": sum(alarm.ack is Ack.UNACKED for alarm in alarms),
                "standing": sum(end_ns - alarm.raised_ns > STANDING_NS for alarm in alarms),
                "chattering": chattering[domain],
                "flood": int(counted["raised"] > FLOOD),
            }
            if waits:
                fields["ack_s"] = sum(waits) / len(waits)
            yield point(KPI, sim | {"domain": domain}, fields, begin_ns)

    def _chattering(self, end_ns: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for key, times in list(self._raised.items()):
            young = [time for time in times if time > end_ns - HOUR_NS]
            if not young:
                del self._raised[key]
                continue
            self._raised[key] = young
            if len(young) >= CHATTERING:
                subject = key.split("|", 2)[2]
                found.update((CITY, self._site.tags(subject).get("domain", "")))
        return found

    def assets(self, time_ns: int) -> Iterator[bytes]:
        """Yield the state of each asset that has channels."""
        alive = self._site.registry.channels.alive
        for row in sorted(set(self._site.registry.channels.asset[alive].tolist())):
            yield self._asset(row, time_ns)

    def _asset(self, row: int, time_ns: int) -> bytes:
        subjects = self._site.subjects(row)
        alarms = [a for s in subjects for a in self._by_subject.get(s, {}).values()]
        assets = self._site.registry.assets
        active = [alarm for alarm in alarms if alarm.condition is not Condition.NORMAL]
        tagged = self._site.tags(assets.id[row]) | {"asset": assets.id[row]}
        fields: dict[str, int | float | str] = {
            "severity": max((alarm.shown_severity for alarm in active), default=0),
            "open": len(active),
            "unacked": sum(alarm.ack is Ack.UNACKED for alarm in alarms),
            "lat": float(assets.lat[row]),
            "lon": float(assets.lon[row]),
            "name": assets.name[row],
            "name_zh": assets.name_zh[row],
            "exposed": int(assets.exposed_people[row]),
        }
        return point(ASSET_STATE, tagged, fields, time_ns)

    # ---- state ----------------------------------------------------------------------------------

    def saved(self) -> str:
        """Return all of it as a text that can stand in a cursor."""
        window = self._window
        return orjson.dumps(
            {
                "alarms": [state_of(alarm) for alarm in self._fold.alarms.values()],
                "seq": self._seq,
                "raised": self._raised,
                "window": window.number,
                "counts": [[*key, count] for key, count in window.counts.items()],
                "ack_s": window.ack_s,
            }
        ).decode()

    def restore(self, text: str) -> None:
        """Take up what ``saved`` gave."""
        held = orjson.loads(text)
        for state in held["alarms"]:
            self._put(alarm_of(state))
        self._seq, self._raised = held["seq"], held["raised"]
        counts = Counter({(domain, word): n for domain, word, n in held["counts"]})
        self._window = _Window(held["window"], counts, held["ack_s"])
