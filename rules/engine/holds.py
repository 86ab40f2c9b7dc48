"""What keeps an alarm from being announced to all: an alarm that explains it, or maintenance.

Held is a function of the alarms that stand and of the last tick, nothing else: so a restart finds
it again, and a change of rules tells the difference. docs/semantics.md section 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.ordered import read_order, windows_of
from rules.engine.parameters import DANGEROUS
from rules.events import Event, EventType, alarm_key
from rules.readings import offset_of, position, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rules.engine.deadman import Deadman
    from rules.engine.lifecycle import Ticks
    from rules.engine.ordered import Order
    from rules.engine.slots import Slots
    from rules.plan import Inhibit, Maintenance, Plan
    from rules.registry import Registry

STAGE = 3
FIRST_ORDINAL = 10
"""Of events about holds: those of levels come before."""
_LEVELS = (EventType.RAISED, EventType.ESCALATED, EventType.LOWERED)
_OVER = (EventType.CLEARED, EventType.RULE_CHANGED)


@dataclass(slots=True)
class Standing:
    """An alarm that stands: what an event about it says, and what holds it."""

    rule: str
    side: int
    subject: str
    severity: int
    max_severity: int
    klass: str
    episode: str
    held: tuple[str, ...] = ()  # ids of inhibits and windows, in order


class Holds:
    """Follows the alarms of a plan. Costs nothing where it has neither inhibit nor maintenance."""

    def __init__(self, plan: Plan, registry: Registry) -> None:
        self._plan, self._registry = plan, registry
        self._loud = {rule.rule_id for rule in plan.slot_rules if rule.fail_loud}
        self._causes: dict[str, list[Inhibit]] = {}
        self._muted: dict[str, list[Inhibit]] = {}
        for inhibit in plan.inhibits:
            self._causes.setdefault(inhibit.cause, []).append(inhibit)
            for rule in inhibit.mute:
                self._muted.setdefault(rule, []).append(inhibit)
        self.orders: dict[str, Order] = {}  # windows that people ordered, by id
        self._lay()
        self._open: list[Maintenance] = []
        self._active: dict[str, Standing] = {}
        self._of_rule: dict[str, dict[str, Standing]] = {}
        self._group: dict[tuple[str, tuple[str, ...]], set[str]] = {}  # causes, by inhibit, labels
        self._tick_ns = -1

    def _lay(self) -> None:
        """Lay out the windows of the plan and those that people ordered."""
        windows = [*self._plan.maintenance, *windows_of(self.orders.values(), self._registry)]
        self._windows = {window.window_id: window for window in windows}
        self.any = bool(self._plan.inhibits or windows)

    # ---- along the journal --------------------------------------------------------------------

    def woven(self, events: list[Event], ticks: Ticks) -> list[Event]:
        """Return events, in log order, with what they and the ticks mean for what is held.

        What happens at one position counts as one: an alarm raised together with its cause is
        held from the start.
        """
        if not self.any:
            return events
        told: list[Event] = []
        turns = list(self._turns(ticks))
        for g, group in groupby(events, lambda event: position(event.offset, event.row)):
            while turns and turns[0][0] < g:
                told += self._at([], *turns.pop(0))
            turn = turns.pop(0) if turns and turns[0][0] == g else (g, None, self._open)
            told += self._at(list(group), *turn)
        for turn in turns:
            told += self._at([], *turn)
        if len(ticks.g):
            self._tick_ns = int(ticks.tick_ns[-1])
        return told

    def _turns(self, ticks: Ticks) -> Iterator[tuple[int, int | None, list[Maintenance]]]:
        """Yield (g, time, windows open from then on) where windows begin or end."""
        if not self._windows or not len(ticks.g):
            return
        at: set[int] = set()
        for window in self._windows.values():
            for edge in (window.from_ns, window.to_ns):
                place = int(np.searchsorted(ticks.tick_ns, edge))
                if self._tick_ns < edge and place < len(ticks.g):
                    at.add(place)
        for place in sorted(at):
            now_ns = int(ticks.tick_ns[place])
            yield int(ticks.g[place]), now_ns, self._open_at(now_ns)

    def _open_at(self, now_ns: int) -> list[Maintenance]:
        return [w for w in self._windows.values() if w.from_ns <= now_ns < w.to_ns]

    def _at(
        self, events: list[Event], g: int, now_ns: int | None, opened: list[Maintenance]
    ) -> list[Event]:
        """Follow all that happens at one position; a tick that turns windows has a time."""
        told: list[Event] = []
        looked: dict[str, Standing] = {}
        if now_ns is not None:
            told += self._turned(g, now_ns, opened)
            looked |= self._active
        for event in events:
            self._follow_one(event, looked)
        fresh = [e for e in events if e.type is EventType.RAISED and not e.shadow]
        raised = {e.alarm_key for e in fresh}
        for key in raised & self._active.keys():
            self._active[key].held = self._held(self._active[key])
        told += [self._raised(e) if e.alarm_key in raised else e for e in events]
        last = events[-1] if events else None
        when = (last.event_ns, last.receive_ns) if last is not None else (now_ns or 0, now_ns or 0)
        for key in sorted(looked):
            if key in self._active and key not in raised:
                told += self._differs(self._active[key], g, when)
        return sorted(told, key=_order)

    def _turned(self, g: int, now_ns: int, opened: list[Maintenance]) -> list[Event]:
        """Open and close windows."""
        before, self._open = self._open, opened
        begun = [w for w in opened if w not in before]
        ended = [w for w in before if w not in opened]
        return [
            *(_of_window(EventType.OUT_OF_SERVICE, window, g, now_ns) for window in begun),
            *(_of_window(EventType.IN_SERVICE, window, g, now_ns) for window in ended),
        ]

    def _follow_one(self, event: Event, looked: dict[str, Standing]) -> None:
        """Take up one event of the engine; note in ``looked`` whose holds it may change."""
        if event.shadow or (event.type not in _LEVELS and event.type not in _OVER):
            return  # what a rule on trial says is told to nobody, and explains nothing
        key = event.alarm_key
        if event.type in _OVER:
            self._forget(key)
        else:
            before = self._active.get(key)
            looked[key] = alarm = Standing(
                event.rule, event.side, event.subject, event.severity, event.max_severity,
                event.klass, event.episode, before.held if before else (),
            )  # fmt: skip
            self._stand(key, alarm)
        for inhibit in self._causes.get(event.rule, ()):
            for muted in inhibit.mute:
                looked |= self._of_rule.get(muted, {})

    def _raised(self, event: Event) -> Event:
        held = self._active[event.alarm_key].held
        if not held or event.type is not EventType.RAISED:
            return event
        said = [self._words(each) for each in held]
        return event._replace(evidence={**event.evidence, "held": said})

    # ---- what is held -------------------------------------------------------------------------

    def _stand(self, key: str, alarm: Standing) -> None:
        self._active[key] = alarm
        self._of_rule.setdefault(alarm.rule, {})[key] = alarm
        for inhibit in self._causes.get(alarm.rule, ()):
            group = self._labels(inhibit, alarm.subject)
            if group is not None:
                held = self._group.setdefault((inhibit.inhibit_id, group), set())
                (held.add if alarm.severity >= inhibit.at_least else held.discard)(key)

    def _forget(self, key: str) -> None:
        alarm = self._active.pop(key, None)
        if alarm is None:
            return
        self._of_rule[alarm.rule].pop(key)
        for inhibit in self._causes.get(alarm.rule, ()):
            group = self._labels(inhibit, alarm.subject)
            if group is not None:
                self._group.get((inhibit.inhibit_id, group), set()).discard(key)

    def _labels(self, inhibit: Inhibit, subject: str) -> tuple[str, ...] | None:
        """Return the labels of a subject that an inhibit compares, None where one is unknown."""
        found = tuple(label_of(self._registry, subject, name) for name in inhibit.same)
        return found if all(found) else None

    def _held(self, alarm: Standing) -> tuple[str, ...]:
        """Return what holds an alarm now. Danger that a rule must not keep quiet is never held."""
        if alarm.rule in self._loud and alarm.severity >= DANGEROUS:
            return ()
        own = alarm_key(alarm.rule, alarm.side, alarm.subject)
        held = []
        for inhibit in self._muted.get(alarm.rule, ()):
            group = self._labels(inhibit, alarm.subject)
            causes = (
                self._group.get((inhibit.inhibit_id, group), set()) if group is not None else ()
            )
            if len(causes) > (own in causes):
                held.append(inhibit.inhibit_id)
        held += [w.window_id for w in self._open if alarm.subject in w.subjects]
        return tuple(sorted(held))

    def _differs(self, alarm: Standing, g: int, when: tuple[int, int]) -> list[Event]:
        """Say what began or ceased to hold an alarm."""
        held, before = self._held(alarm), alarm.held
        if held == before:
            return []
        alarm.held = held
        changed = sorted({*held} ^ {*before})
        return [
            self.said_of(alarm, each, g, when, (number, each in held))
            for number, each in enumerate(changed)
        ]

    def _words(self, cause: str) -> dict[str, Any]:
        """Return what a message needs to know of an inhibit or window."""
        window = self._windows.get(cause)
        if window is None:
            return {"hold": "by_design", "cause": cause}
        return {
            "hold": "out_of_service", "cause": cause, "until_ns": window.to_ns, "by": window.by,
            "reason": window.reason, "crew": list(window.crew),
        }  # fmt: skip

    def said_of(
        self,
        alarm: Standing,
        cause: str,
        g: int,
        when: tuple[int, int],
        told: tuple[int, bool],
    ) -> Event:
        """Say that a cause began or ceased to hold an alarm; ``told`` is (how manieth, which)."""
        number, on = told
        window = cause in self._windows
        begins = EventType.OUT_OF_SERVICE if window else EventType.SUPPRESSED
        ends = EventType.IN_SERVICE if window else EventType.UNSUPPRESSED
        return Event(
            type=begins if on else ends,
            offset=offset_of(g),
            row=row_of(g),
            stage=STAGE,
            rule=alarm.rule,
            subject=alarm.subject,
            side=alarm.side,
            ordinal=FIRST_ORDINAL + number,
            severity=alarm.severity,
            previous=alarm.severity,
            max_severity=alarm.max_severity,
            klass=alarm.klass,
            episode=alarm.episode,
            event_ns=when[0],
            receive_ns=when[1],
            evidence=self._words(cause) if on else {"cause": cause},
        )

    # ---- what people order --------------------------------------------------------------------

    def take_up(self, orders: Iterable[Order]) -> None:
        """Take up the ordered windows of a snapshot, before `follow`."""
        self.orders = {order["window"]: order for order in orders}
        self._lay()

    def order(
        self, data: Mapping[str, Any], offset: int, standing: Sequence[Standing], tick_ns: int
    ) -> list[Event]:
        """Take up a Control ``window``: begin one, or end one that runs (``end``)."""
        if not self.any:
            self.follow(standing, tick_ns)  # nobody had followed them so far
        kept = {k: o for k, o in self.orders.items() if o["to_ns"] > self._tick_ns}
        name = str(data.get("window"))
        if data.get("end") and name in kept:
            kept[name] = kept[name] | {"to_ns": min(kept[name]["to_ns"], self._tick_ns)}
        elif not data.get("end") and (fresh := read_order(data)) is not None:
            kept[fresh["window"]] = fresh
        self.take_up(kept.values())
        return self._at([], position(offset), max(self._tick_ns, 0), self._open_at(self._tick_ns))

    # ---- restarts and changes -----------------------------------------------------------------

    def follow(self, standing: Sequence[Standing], tick_ns: int) -> None:
        """Take up the alarms that stand and the last tick, as after a restart: nothing is told."""
        self._tick_ns, self._open = tick_ns, self._open_at(tick_ns)
        for alarm in standing:
            self._stand(alarm_key(alarm.rule, alarm.side, alarm.subject), alarm)
        for alarm in standing:
            alarm.held = self._held(alarm)

    def changed(self, before: Holds, offset: int) -> list[Event]:
        """Say what another plan holds that ``before`` did not, and the other way round."""
        if not self.any and not before.any:
            return []
        now_ns, g, told = max(self._tick_ns, before._tick_ns, 0), position(offset), []
        known = {w.window_id: w for w in before._open}
        mine = {w.window_id: w for w in self._open}
        told += [
            _of_window(EventType.OUT_OF_SERVICE, w, g, now_ns)
            for name, w in mine.items() if name not in known
        ]  # fmt: skip
        told += [
            _of_window(EventType.IN_SERVICE, w, g, now_ns)
            for name, w in known.items() if name not in mine
        ]  # fmt: skip
        for key, alarm in self._active.items():
            was = before._active.get(key)
            held = was.held if was is not None and was.episode == alarm.episode else ()
            for number, each in enumerate(sorted({*alarm.held} ^ {*held})):
                on = each in alarm.held
                teller = self if on else before
                told.append(teller.said_of(alarm, each, g, (now_ns, now_ns), (number, on)))
        return told


def label_of(registry: Registry, subject: str, name: str) -> str:
    """Return one of ``plan.SAME`` of a channel, device or asset; "" where it has none."""
    channel = registry.channel_row.get(subject)
    device = registry.device_row.get(subject)
    if channel is not None:
        device = int(registry.channels.device[channel])
        asset = int(registry.channels.asset[channel])
    elif device is not None:
        asset = int(registry.devices.asset[device])
    else:
        asset = registry.asset_row.get(subject, -1)
    if name == "device":
        return registry.devices.id[device] if device is not None and device >= 0 else ""
    if asset < 0:
        return ""
    column: Sequence[str] = getattr(registry.assets, "id" if name == "asset" else name)
    return column[asset]


def standing_alarms(slots: Slots, deadman: Deadman) -> list[Standing]:
    """Return the alarms that the engine's arrays say stand."""
    state, p = slots.state, slots.parameters
    visible = (1 << len(slots.levels)) - 1
    found = []
    for slot in np.flatnonzero(state.mask & visible).tolist():
        number = int(p.rule[slot])
        if number >= slots.inputs_from:
            continue
        rule, episode = slots.rules[number], int(state.episode[slot])
        if rule.shadow:
            continue
        top = (int(state.mask[slot]) & visible).bit_length() - 1
        found.append(
            Standing(
                rule.rule_id, rule.side, slots.subjects[int(p.channel[slot])],
                int(slots.severity[top]), int(state.max_severity[slot]), rule.klass,
                f"{offset_of(episode)}.{row_of(episode)}",
            )
        )  # fmt: skip
    return [*found, *deadman.standing()]


def _of_window(kind: EventType, window: Maintenance, g: int, now_ns: int) -> Event:
    """Say that a window began or ended; it is about no alarm."""
    said = {"by": window.by, "reason": window.reason, "until_ns": window.to_ns}
    return Event(
        type=kind,
        offset=offset_of(g),
        row=row_of(g),
        stage=STAGE,
        rule=window.window_id,
        event_ns=now_ns,
        receive_ns=now_ns,
        announce=False,
        evidence={**said, "subjects": sorted(window.subjects)[:100]},
    )


def _order(event: Event) -> tuple[int, int, str, str, int, int]:
    g = position(event.offset, event.row)
    return (g, event.stage, event.rule, event.subject, event.side, event.ordinal)
