"""Silence of devices, judged in *sighted* time: while we were stopped, nobody was silent.

docs/semantics.md section 6. Nothing is computed while no device can be overdue: one scalar says
until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.holds import Standing
from rules.engine.slots import INF_NS, NO_NS, timed
from rules.events import Event, EventType
from rules.readings import offset_of, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.lifecycle import Ticks
    from rules.plan import DeadmanRule, Plan


@dataclass(frozen=True, slots=True)
class Heard:
    """Who spoke: one row a frame's row or block, in journal order."""

    device: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    g: NDArray[np.int64]

    def between(self, low: int, high: int) -> Heard:
        """Return the rows with low <= g < high."""
        a, b = np.searchsorted(self.g, [low, high])
        return Heard(self.device[a:b], self.receive_ns[a:b], self.g[a:b])


class Deadman:
    """One slot a rule and device. State: last heard (sighted and plain), latch, episode."""

    def __init__(self, plan: Plan, device_ids: Sequence[str]) -> None:
        rules = plan.deadman_rules
        self._plan, self._device_ids = plan, device_ids
        self.rule = np.repeat(np.arange(len(rules)), [len(r.device) for r in rules])
        empty = [np.zeros(0, np.int64)]
        self.device = np.concatenate([r.device.astype(np.int64) for r in rules] or empty)
        levels = len(plan.levels)
        self.missing_ns = np.concatenate(
            [r.missing_ns for r in rules] or [np.zeros((0, levels), np.int64)]
        )
        self.shortest_ns = np.where(timed(self.missing_ns), self.missing_ns, INF_NS).min(
            axis=1, initial=INF_NS
        )
        n = len(self.rule)
        self.seen_ns = np.full(n, NO_NS)  # sighted; NO_NS until the first tick or row
        self.heard_ns = np.full(n, NO_NS)  # plain Clock time
        self.level = np.full(n, -1, np.int64)
        self.top = np.full(n, -1, np.int64)
        self.episode = np.zeros(n, np.int64)
        self.tick_ns = np.int64(NO_NS)
        self.blind_ns = np.int64(0)
        self._due_ns = np.int64(NO_NS)  # no slot is overdue before this sighted time

    @property
    def keys(self) -> list[tuple[str, str, bytes]]:
        """Name each slot by rule, device and what it waits for."""
        rules = self._plan.deadman_rules
        return [
            (rules[r].rule_id, self._device_ids[d], self.missing_ns[i].tobytes())
            for i, (r, d) in enumerate(zip(self.rule, self.device, strict=True))
        ]

    def advance(self, heard: Heard, ticks: Ticks) -> list[Event]:
        """Take up who was heard and what the ticks say, cut where we were blind."""
        events: list[Event] = []
        start = np.int64(-1)
        begin = 0
        tick_ns = np.concatenate(([self.tick_ns], ticks.tick_ns))
        limit = self._plan.blind_after_ns
        known = tick_ns[:-1] != NO_NS
        jumps = np.where(known, tick_ns[1:] - np.where(known, tick_ns[:-1], 0), 0)
        for i in np.flatnonzero(jumps > limit).tolist():
            stop = int(ticks.g[i])
            events += self._advance(heard.between(int(start), stop), ticks_slice(ticks, begin, i))
            self.blind_ns += jumps[i] + self._plan.blind_grace_ns
            self._due_ns = np.int64(NO_NS)
            events.append(_blind(stop, int(tick_ns[i]), int(tick_ns[i + 1])))
            start, begin = np.int64(stop), i
        rest = heard.between(int(start), int(INF_NS))
        events += self._advance(rest, ticks_slice(ticks, begin, len(ticks.g)))
        if len(ticks.g):
            self.tick_ns = ticks.tick_ns[-1]
        return events

    def _advance(self, heard: Heard, ticks: Ticks) -> list[Event]:
        """Go on under one blind time."""
        if not len(self.rule):
            return []
        sighted = ticks.tick_ns - self.blind_ns
        if len(ticks.g):
            new = self.seen_ns == NO_NS
            if new.any():
                self._begin(new, heard, ticks)
        overdue = len(ticks.g) > 0 and sighted[-1] >= self._due_ns
        if not overdue and not (self.level >= 0).any():
            self._remember(heard)
            return []
        events = self._walk(heard, ticks, sighted)
        self._remember(heard)
        self._due_ns = self._next_due(sighted[-1] if len(sighted) else NO_NS)
        return events

    def _begin(self, new: NDArray[np.bool_], heard: Heard, ticks: Ticks) -> None:
        """Start the clock of slots at the first tick, unless their device was heard before it."""
        first_ns, first_g = ticks.tick_ns[0], ticks.g[0]
        early = heard.between(-1, int(first_g))
        self._remember(early)
        new &= self.seen_ns == NO_NS
        self.seen_ns[new] = first_ns - self.blind_ns
        self.heard_ns[new] = first_ns
        self._due_ns = np.int64(NO_NS)

    def _remember(self, heard: Heard) -> None:
        """Keep the last time each device was heard."""
        if not len(heard.g):
            return
        devices = int(max(heard.device.max(), self.device.max(initial=0))) + 1
        last = np.full(devices, NO_NS)
        last[heard.device] = heard.receive_ns  # the last row of a device stays
        mine = last[self.device]
        found = mine != NO_NS
        seen = mine[found] - self.blind_ns
        if (seen < self.seen_ns[found]).any():
            self._due_ns = np.int64(NO_NS)  # heard just before we were blind: due sooner now
        self.heard_ns[found] = mine[found]
        self.seen_ns[found] = seen

    def _next_due(self, now_ns: np.int64) -> np.int64:
        """Return the earliest sighted time at which a level not yet set may be.

        After we were blind, a device may seem heard in the future of ``now_ns``, the sighted time
        of the last tick; heard once more, it is heard from now on only, and due sooner.
        """
        missing = np.where(timed(self.missing_ns), self.missing_ns, INF_NS)
        higher = np.arange(missing.shape[1]) > self.level[:, None]
        waiting = np.where(higher, missing, INF_NS).min(axis=1)
        known = (self.seen_ns != NO_NS) & (waiting != INF_NS)
        since = np.minimum(self.seen_ns, now_ns)
        due = np.where(known, since + np.where(known, waiting, 0), INF_NS)
        return np.int64(due.min(initial=INF_NS))

    def _walk(self, heard: Heard, ticks: Ticks, sighted: NDArray[np.int64]) -> list[Event]:
        """Go through the slots that were silent too long, or were heard again."""
        last_ns = sighted[-1] if len(sighted) else NO_NS
        first = np.full(int(max(heard.device.max(initial=0), self.device.max())) + 1, INF_NS)
        first[heard.device[::-1]] = heard.receive_ns[::-1] - self.blind_ns
        since = np.minimum(self.seen_ns, first[self.device])
        silent = (self.seen_ns != NO_NS) & (last_ns - self.shortest_ns >= since)
        rows_of = _rows_by_device(heard)
        events: list[Event] = []
        for slot in np.flatnonzero(silent | (self.level >= 0)).tolist():
            rows = rows_of.get(int(self.device[slot]))
            events += self._walk_slot(slot, heard, rows, ticks, sighted)
        return events

    def _walk_slot(
        self,
        slot: int,
        heard: Heard,
        rows: NDArray[np.int64] | None,
        ticks: Ticks,
        sighted: NDArray[np.int64],
    ) -> list[Event]:
        """Take one slot through its hearings and the silences between them."""
        none = np.empty(0, np.int64)
        times = none if rows is None else heard.receive_ns[rows]
        places = none if rows is None else heard.g[rows]
        seen = np.concatenate(([self.seen_ns[slot]], times - self.blind_ns))
        plain = np.concatenate(([self.heard_ns[slot]], times))
        after = np.concatenate(([-1], places))
        long = np.flatnonzero(seen[1:] - seen[:-1] >= self.shortest_ns[slot])
        # before every other hearing nothing can have been raised
        first = np.zeros(1 if self.level[slot] >= 0 else 0, np.int64)
        events = []
        for i in np.unique(np.concatenate((first, long, [len(times)]))).tolist():
            until = int(places[i]) if i < len(times) else int(INF_NS)
            since = (int(seen[i]), int(plain[i]))
            events += self._silence(slot, since, (int(after[i]), until), ticks, sighted)
            if i < len(times) and self.level[slot] >= 0:
                receive_ns = int(times[i])
                events.append(self._event(slot, EventType.CLEARED, until, -1, receive_ns, None))
        return events

    def _silence(
        self,
        slot: int,
        since: tuple[int, int],
        span: tuple[int, int],
        ticks: Ticks,
        sighted: NDArray[np.int64],
    ) -> list[Event]:
        """Raise what ticks strictly inside ``span`` say about a silence that began at ``since``."""
        seen, plain = since
        low, high = np.searchsorted(ticks.g, [span[0] + 1, span[1]])
        if low >= high or sighted[high - 1] - seen < self.shortest_ns[slot]:
            return []
        at: dict[int, int] = {}
        for level in range(int(self.level[slot]) + 1, self.missing_ns.shape[1]):
            missing = int(self.missing_ns[slot, level])
            if missing >= int(INF_NS) // 2:
                continue
            tick = int(low) + int(np.searchsorted(sighted[low:high], seen + missing))
            if tick < high:
                at[tick] = max(level, at.get(tick, -1))
        events = []
        for tick in sorted(at):
            level = at[tick]
            if level <= self.level[slot]:
                continue
            kind = EventType.RAISED if self.level[slot] < 0 else EventType.ESCALATED
            g, tick_ns = int(ticks.g[tick]), int(ticks.tick_ns[tick])
            silence_s = float(sighted[tick] - seen) / 1e9
            events.append(self._event(slot, kind, g, level, tick_ns, (plain, silence_s)))
        return events

    def _event(
        self,
        slot: int,
        kind: EventType,
        g: int,
        level: int,
        receive_ns: int,
        silence: tuple[int, float] | None,
    ) -> Event:
        """Build one event and keep level and episode."""
        rule: DeadmanRule = self._plan.deadman_rules[int(self.rule[slot])]
        previous = int(self.level[slot])
        if kind is EventType.RAISED:
            self.episode[slot], self.top[slot] = g, -1
        self.level[slot], self.top[slot] = level, max(level, int(self.top[slot]))
        episode = int(self.episode[slot])
        since_ns, silence_s = silence if silence is not None else (receive_ns, None)
        severities = [0, *(x.severity for x in self._plan.levels)]
        limit = None if silence_s is None else int(self.missing_ns[slot, level]) / 1e9
        return Event(
            type=kind,
            offset=offset_of(g),
            row=row_of(g),
            stage=1,
            rule=rule.rule_id,
            subject=self._device_ids[int(self.device[slot])],
            severity=severities[level + 1],
            previous=severities[previous + 1],
            max_severity=severities[int(self.top[slot]) + 1],
            klass=rule.klass,
            episode=f"{offset_of(episode)}.{row_of(episode)}",
            onset_ns=since_ns,
            event_ns=since_ns,
            receive_ns=receive_ns,
            value=silence_s,
            score=silence_s,
            limit=limit,
            announce=not rule.shadow,
            shadow=rule.shadow,
        )

    def standing(self) -> list[Standing]:
        """Return the alarms of silence that stand."""
        severities = [0, *(x.severity for x in self._plan.levels)]
        found = []
        for slot in np.flatnonzero(self.level >= 0).tolist():
            rule = self._plan.deadman_rules[int(self.rule[slot])]
            if rule.shadow:
                continue
            device, episode = self._device_ids[int(self.device[slot])], int(self.episode[slot])
            found.append(
                Standing(
                    rule.rule_id, 1, device, severities[int(self.level[slot]) + 1],
                    severities[int(self.top[slot]) + 1], rule.klass,
                    f"{offset_of(episode)}.{row_of(episode)}",
                )
            )  # fmt: skip
        return found

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the slots' state by name."""
        names = ("seen_ns", "heard_ns", "level", "top", "episode")
        return {name: getattr(self, name) for name in names}

    def wake(self) -> None:
        """Forget when the next silence is due: it is found again at the next tick."""
        self._due_ns = np.int64(NO_NS)


def ticks_slice(ticks: Ticks, begin: int, stop: int) -> Ticks:
    """Return ticks begin … stop − 1."""
    return type(ticks)(ticks.tick_ns[begin:stop], ticks.g[begin:stop])


def _rows_by_device(heard: Heard) -> dict[int, NDArray[np.int64]]:
    """Return the rows of each device, in journal order."""
    order = np.argsort(heard.device, kind="stable")
    devices, first = np.unique(heard.device[order], return_index=True)
    return (
        dict(zip(devices.tolist(), np.split(order, first[1:]), strict=True)) if len(order) else {}
    )


def _blind(g: int, from_ns: int, to_ns: int) -> Event:
    """Say that we were stopped."""
    return Event(
        type=EventType.BLIND,
        offset=offset_of(g),
        row=row_of(g),
        onset_ns=from_ns,
        event_ns=to_ns,
        receive_ns=to_ns,
    )
