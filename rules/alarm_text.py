"""An alarm as JSON and back: what a ledger or a cursor keeps of it."""

from __future__ import annotations

import json
from dataclasses import asdict

from rules.alarms import Ack, Alarm, Condition, Data, Hold, Suppression


def state_of(alarm: Alarm) -> str:
    """Return the alarm as JSON."""
    return json.dumps(asdict(alarm), ensure_ascii=False, separators=(",", ":"))


def alarm_of(state: str) -> Alarm:
    """Return the alarm of its JSON."""
    raw = json.loads(state)
    holds = tuple(Suppression(**{**s, "hold": Hold(s["hold"])}) for s in raw["suppression"])
    raw |= {
        "condition": Condition(raw["condition"]),
        "ack": Ack(raw["ack"]),
        "data": Data(raw["data"]),
        "suppression": holds,
    }
    return Alarm(**raw)
