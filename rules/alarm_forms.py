"""An alarm in other forms: as JSON, which ledger and cursors keep, and as events about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rules.alarm_life import Life
from rules.alarms import Ack, Alarm, Condition, Data, Hold, Suppression
from rules.bulletins import cited_of
from rules.events import Event, EventType


def state_of(alarm: Alarm) -> str:
    """Return the alarm as JSON."""
    raw = asdict(alarm) | {"life": alarm.life.said()}
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


def alarm_of(state: str) -> Alarm:
    """Return the alarm of its JSON."""
    raw = json.loads(state)
    holds = tuple(Suppression(**{**s, "hold": Hold(s["hold"])}) for s in raw["suppression"])
    raw |= {
        "condition": Condition(raw["condition"]),
        "ack": Ack(raw["ack"]),
        "data": Data(raw["data"]),
        "suppression": holds,
        "life": Life.of(raw.get("life", {})),
        "bouts": tuple(raw.get("bouts", ())),
        "warning": cited_of(raw.get("warning")),
    }
    return Alarm(**raw)


def event_about(kind: EventType, alarm: Alarm, *, offset: int, **more: Any) -> Event:
    """Return an event that a person causes: it repeats what stands, and changes no level."""
    return Event(
        type=kind,
        offset=offset,
        row=0,
        rule=alarm.rule,
        side=alarm.side,
        subject=alarm.subject,
        severity=alarm.severity,
        previous=alarm.severity,
        max_severity=alarm.max_severity,
        klass=alarm.klass,
        episode=alarm.episode,
        onset_ns=alarm.onset_ns,
        confirmed=alarm.confirmed,
        **more,
    )
