"""What is held, found anew at every position from the alarms that stand: docs/semantics.md 8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.events import Event, EventType
from rules.readings import offset_of, position, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.plan import Inhibit, Maintenance, Plan
    from rules.registry import Registry


def label(registry: Registry, subject: str, name: str) -> str:
    """A label of a channel, device or asset."""
    asset, device = -1, -1
    if subject in registry.channels.id:
        row = registry.channels.id.index(subject)
        asset, device = int(registry.channels.asset[row]), int(registry.channels.device[row])
    elif subject in registry.devices.id:
        device = registry.devices.id.index(subject)
        asset = int(registry.devices.asset[device])
    elif subject in registry.assets.id:
        asset = registry.assets.id.index(subject)
    if name == "device":
        return registry.devices.id[device] if device >= 0 else ""
    columns = registry.assets
    column = {"asset": columns.id, "zone": columns.zone, "district": columns.district,
              "site": columns.site, "domain": columns.domain}[name]  # fmt: skip
    return column[asset] if asset >= 0 else ""


def muted_by(inhibit: Inhibit, alarm: Event, standing: Sequence[Event], registry: Registry) -> bool:
    """Whether some other alarm of the cause stands that belongs to this one."""
    if alarm.rule not in inhibit.mute:
        return False
    for other in standing:
        if other.rule != inhibit.cause or other.severity < inhibit.at_least:
            continue
        if other.alarm_key == alarm.alarm_key:
            continue
        pairs = [
            (label(registry, alarm.subject, name), label(registry, other.subject, name))
            for name in inhibit.same
        ]
        if all(mine == theirs and mine for mine, theirs in pairs):
            return True
    return False


def held_by(
    alarm: Event, standing: Sequence[Event], open_: Sequence[Maintenance], plan: Plan,
    registry: Registry,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """What holds an alarm, by name, as a message says it."""
    loud = {r.rule_id for r in plan.slot_rules if r.fail_loud}
    if alarm.rule in loud and alarm.severity >= 3:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for inhibit in plan.inhibits:
        if muted_by(inhibit, alarm, standing, registry):
            found[inhibit.inhibit_id] = {"hold": "by_design", "cause": inhibit.inhibit_id}
    for window in open_:
        if alarm.subject in window.subjects:
            found[window.window_id] = {
                "hold": "out_of_service", "cause": window.window_id, "until_ns": window.to_ns,
                "by": window.by, "reason": window.reason, "crew": list(window.crew),
            }  # fmt: skip
    return dict(sorted(found.items()))


def woven(
    plan: Plan, registry: Registry, events: Sequence[Event], ticks: Sequence[tuple[int, int]]
) -> list[Event]:
    """Events in log order, and what is held said among them; ticks are (position, time)."""
    if not plan.inhibits and not plan.maintenance:
        return list(events)
    times = dict(ticks)
    standing: dict[str, Event] = {}
    told: dict[str, dict[str, dict[str, Any]]] = {}
    open_: list[Maintenance] = []
    out: list[Event] = []
    for g in sorted({*times, *(position(e.offset, e.row) for e in events)}):
        here = [e for e in events if position(e.offset, e.row) == g]
        at = {"offset": offset_of(g), "row": row_of(g), "stage": 3}
        before_open = open_
        when: tuple[int, int] = (times.get(g, 0), times.get(g, 0))
        if g in times:
            open_ = [w for w in plan.maintenance if w.from_ns <= times[g] < w.to_ns]
        for window in plan.maintenance:
            if (window in open_) != (window in before_open):
                kind = EventType.OUT_OF_SERVICE if window in open_ else EventType.IN_SERVICE
                said = {"by": window.by, "reason": window.reason, "until_ns": window.to_ns}
                out.append(
                    Event(type=kind, rule=window.window_id, event_ns=when[0], receive_ns=when[1],
                          announce=False, **at,
                          evidence={**said, "subjects": sorted(window.subjects)[:100]})
                )  # fmt: skip
        for event in here:
            when = (event.event_ns, event.receive_ns)
            if event.shadow:
                continue
            if event.type in ("RAISED", "ESCALATED", "LOWERED"):
                standing[event.alarm_key] = event
            elif event.type == "CLEARED":
                del standing[event.alarm_key]
                told.pop(event.alarm_key, None)
        every = list(standing.values())
        fresh = {e.alarm_key for e in here if e.type == "RAISED" and not e.shadow}
        for event in here:
            if event.type == "RAISED" and not event.shadow:
                held = held_by(standing[event.alarm_key], every, open_, plan, registry)
                told[event.alarm_key] = held
                if held:
                    more = {**event.evidence, "held": list(held.values())}
                    out.append(event._replace(evidence=more))
                    continue
            out.append(event)
        for key, alarm in standing.items():
            if key in fresh:
                continue
            held, before = held_by(alarm, every, open_, plan, registry), told.get(key, {})
            told[key] = held
            for number, cause in enumerate(sorted(held.keys() ^ before.keys())):
                window_id = cause in {w.window_id for w in plan.maintenance}
                names = (
                    (EventType.OUT_OF_SERVICE, EventType.IN_SERVICE)
                    if window_id
                    else (EventType.SUPPRESSED, EventType.UNSUPPRESSED)
                )
                on = cause in held
                out.append(
                    Event(
                        type=names[0] if on else names[1], rule=alarm.rule, side=alarm.side,
                        subject=alarm.subject, ordinal=10 + number, severity=alarm.severity,
                        previous=alarm.severity, max_severity=alarm.max_severity,
                        klass=alarm.klass, episode=alarm.episode, event_ns=when[0],
                        receive_ns=when[1], **at,
                        evidence=held[cause] if on else {"cause": cause},
                    )
                )  # fmt: skip
    return out
