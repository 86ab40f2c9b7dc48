"""The report: what the city sent, what became of it, and which promises that breaks.

Every figure is read back from the parts themselves: the city's own statistics, the journal, the
archive's manifest, the quarantine, the event log and the ledger. Nothing is taken on trust.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.journal import JournalReader, durable_end
from ingest.store.manifest import Manifest
from lifeline.demo.watch import RAISING, shown_severity
from lifeline.ledger import Ledger
from rules.events import EventType
from rules.readings import HEARD_ONLY, Readings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from lifeline.clock import Clock
    from lifeline.demo.watch import Seen
    from rules.events import Event
    from rules.registry import Registry

BLUE = 1


@dataclass(frozen=True, slots=True)
class Journaled:
    """What the journal holds: scalar readings, and which channels some records carry."""

    readings: int
    carried: frozenset[tuple[int, int]]  # (offset, channel row), of the offsets asked for

    @classmethod
    def count(cls, data: Path, offsets: Collection[int]) -> Journaled:
        """Read the whole journal."""
        folder, readings = data / "journal", 0
        carried: set[tuple[int, int]] = set()
        end = durable_end(folder)
        with JournalReader(folder) as reader:
            while records := reader.read(until=end):
                for record in records:
                    if isinstance(record.body, Readings):
                        readings += int(np.count_nonzero(record.body.channel != HEARD_ONLY))
                        if record.offset in offsets:
                            held = np.unique(record.body.channel).tolist()
                            carried.update((record.offset, row) for row in held)
        return cls(readings, frozenset(carried))


def quarantined(data: Path) -> Counter[str]:
    """Return how many frames stand in quarantine, by reason."""
    folder = data / "quarantine"
    reasons: Counter[str] = Counter()
    with JournalReader(folder) as reader:
        end = durable_end(folder)
        while some := reader.frames(until=end):
            for _, frames in some:
                reasons.update(frames.reason)
    return reasons


def incident_row(incident: dict[str, Any], seen: Sequence[Seen], end_ns: int) -> dict[str, Any]:
    """Return how one incident was detected: the first alarm at its level or above."""
    subjects, level = set(incident["subjects"]), incident["severity"]
    begin_ns = incident["begin_ns"]
    first = next(
        (
            s.event
            for s in seen
            if s.event.type in RAISING
            and s.event.subject in subjects
            and s.event.receive_ns >= begin_ns
            and shown_severity(s.event) >= level
        ),
        None,
    )
    delay_s = None if first is None else (first.receive_ns - begin_ns) / 1e9
    due = end_ns >= begin_ns + incident["deadline_s"] * 1e9
    return {
        "id": incident["id"],
        "kind": incident["kind"],
        "place": incident["place"],
        "began": begin_ns,
        "detected": None if first is None else first.receive_ns,
        "delay_s": delay_s,
        "deadline_s": incident["deadline_s"],
        "severity": None if first is None else shown_severity(first),
        "severity_wanted": level,
        "rule": None if first is None else first.rule,
        "due": due,
        "in_time": delay_s is not None and delay_s <= incident["deadline_s"],
    }


def unexpected(
    incidents: Sequence[dict[str, Any]], seen: Sequence[Seen], end_ns: int
) -> list[Event]:
    """Return raises above blue while the city lived that belong to no incident under way."""
    begun: dict[str, int] = {}
    for incident in incidents:
        for subject in incident["subjects"]:
            begun[subject] = min(begun.get(subject, incident["begin_ns"]), incident["begin_ns"])
    raising = (EventType.RAISED, EventType.ESCALATED, EventType.LATE_FINDING)
    return [
        s.event
        for s in seen
        if s.event.type in raising
        and shown_severity(s.event) > BLUE
        and s.event.receive_ns <= end_ns
        and s.event.receive_ns < begun.get(s.event.subject, end_ns + 1)
    ]


def latency_ms(
    seen: Sequence[Seen], carried: frozenset[tuple[int, int]], registry: Registry, clock: Clock
) -> dict[str, dict[str, list[float]]]:
    """Return wall milliseconds to the readable alarm, by transport.

    ``sensor``: since the sample was taken, so a module's wait for its next report is in it;
    ``received``: since its frame came in. A hold that ran out is no latency: it counts only where
    the record that raised carries a reading of the channel.
    """
    held: dict[str, dict[str, list[float]]] = {"sensor": {}, "received": {}}
    for s in seen:
        row = registry.channel_row.get(s.event.subject)
        raised = s.event.type in (EventType.RAISED, EventType.ESCALATED)
        if row is None or not raised or (s.event.offset, row) not in carried:
            continue
        transport = registry.devices.transport[int(registry.channels.device[row])]
        known_ns = clock.city_origin_ns + (s.wall_ns - clock.wall_origin_ns) * clock.factor
        for since, from_ns in (("sensor", s.event.event_ns), ("received", s.event.receive_ns)):
            took_ms = clock.wall_s(int(known_ns) - from_ns) * 1e3
            held[since].setdefault(transport, []).append(took_ms)
    return held


def percentiles(samples: dict[str, list[float]], percent: float) -> dict[str, float]:
    """Return a percentile by transport, in ms."""
    return {name: round(float(np.percentile(v, percent)), 1) for name, v in sorted(samples.items())}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a report is made of."""

    data: Path
    city: dict[str, Any]
    seen: Sequence[Seen]
    registry: Registry
    clock: Clock
    end_ns: int  # city time at which the city was told to stop
    heartbeats: int = 0  # readings of our own probe

    def report(self) -> dict[str, Any]:
        """Return the report; ``failures`` lists in words what does not hold, [] = all does."""
        journal = Journaled.count(self.data, {s.event.offset for s in self.seen})
        archived = Counter[str]()
        for file in Manifest.load(self.data / "archive").files:
            archived.update(file.counts)
        refused = quarantined(self.data)
        waits = latency_ms(self.seen, journal.carried, self.registry, self.clock)
        begun = [i for i in self.city["incidents"] if i["began"] is not None]
        surprises = unexpected(begun, self.seen, self.end_ns)
        report: dict[str, Any] = {
            "simulation": True,
            "scenario": self.city["scenario"],
            "factor": self.clock.factor,
            "readings_sent": self.city["readings_sent"] + self.heartbeats,
            "heartbeats_sent": self.heartbeats,
            "readings_lost_injected": self.city["readings_lost_injected"],
            "readings_shed": self.city["readings_shed"],
            "readings_journaled": journal.readings,
            "readings_archived": archived["judged"] + archived["late"] + archived["conflicts"],
            "frames_malformed_injected": self.city["frames_malformed_injected"],
            "frames_quarantined": refused.total(),
            "quarantine_reasons": dict(sorted(refused.items())),
            "duplicates": archived["duplicates"],
            "late": archived["late"],
            "conflicts": archived["conflicts"],
            "transports": self.city["transports"],
            "incidents": [incident_row(i, self.seen, self.end_ns) for i in begun],
            "alarms_raised": sum(1 for s in self.seen if s.event.type is EventType.RAISED),
            "alarms_in_ledger": _in_ledger(self.data),
            "alarms_unexpected": len(surprises),
            "unexpected": [_told(event) for event in surprises[:50]],
            "latency_ms_p50": percentiles(waits["sensor"], 50),
            "latency_ms_p99": percentiles(waits["sensor"], 99),
            "received_to_alarm_ms_p50": percentiles(waits["received"], 50),
            "received_to_alarm_ms_p99": percentiles(waits["received"], 99),
        }
        report["failures"] = failures(report)
        return report


def failures(report: dict[str, Any]) -> list[str]:
    """Return what of the demo's promises does not hold."""
    held = [
        _equal(report, "readings_archived", "readings_journaled", minus="duplicates"),
        _equal(report, "readings_archived", "readings_sent", minus="readings_lost_injected"),
        _equal(report, "frames_quarantined", "frames_malformed_injected"),
    ]
    if report["alarms_unexpected"]:
        first = report["unexpected"][0]
        held.append(
            f"{report['alarms_unexpected']} alarms above blue belong to no incident; the first: "
            f"{first['rule']} at {first['subject']}"
        )
    for row in report["incidents"]:
        if row["due"] and not row["in_time"]:
            came = "no alarm" if row["delay_s"] is None else f"alarm after {row['delay_s']:.0f} s"
            wanted = f"level {row['severity_wanted']} within {row['deadline_s']:.0f} s"
            held.append(f"{row['id']}: {came}; wanted {wanted}")
    if not report["incidents"]:
        held.append("no incident began: give it more time with --duration")
    return [line for line in held if line]


def _equal(report: dict[str, Any], left: str, right: str, *, minus: str = "") -> str:
    wanted = report[right] - (report[minus] if minus else 0)
    if report[left] == wanted:
        return ""
    sum_ = f"{right} − {minus}" if minus else right
    return f"{left} is {report[left]}, but {sum_} is {wanted}"


def _told(event: Event) -> dict[str, Any]:
    return {
        "type": event.type.value,
        "rule": event.rule,
        "subject": event.subject,
        "severity": shown_severity(event),
        "value": event.value,
        "receive_ns": event.receive_ns,
    }


def _in_ledger(data: Path) -> int:
    ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    try:
        return len(ledger.list(ended=None, limit=1_000_000))
    finally:
        ledger.close()
