"""The slow twin of the engine, written from docs/semantics.md alone: one reading at a time.

``Oracle(plan, registry).fold(records)`` gives what the engine must give, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.events import Event, EventType
from rules.readings import HEARD_ONLY, Block, Control, Readings, Tick, position
from tests.oracle_composites import Vote
from tests.oracle_holds import woven
from tests.oracle_joint import Joint
from tests.oracle_judge import JUDGED, LATE, NaiveJudge, Row
from tests.oracle_quality import NaiveQuality
from tests.oracle_slot import NEVER_NS, Slot, slots_of
from tests.oracle_statistics import Cusum
from tests.oracle_warnings import NaiveWarnings
from tests.oracle_waveforms import WAVE_KINDS, Ears

if TYPE_CHECKING:
    from rules.plan import DeadmanRule, Plan
    from rules.readings import Record
    from rules.registry import Registry

SECOND_NS = 1e9


@dataclass
class Ear:
    """When a device was last heard: on the sighted time, and on the plain Clock."""

    sighted_ns: int
    plain_ns: int


@dataclass
class Watch:
    """One dead-man rule on one device."""

    rule: DeadmanRule
    device: int
    subject: str
    limits: list[tuple[int, int]]  # (severity, missing_ns) of the declared levels
    severity: int = 0
    max_severity: int = 0
    episode: str = ""


@dataclass
class Oracle:
    plan: Plan
    registry: Registry
    judge: NaiveJudge = field(default_factory=NaiveJudge)
    slots: dict[int, list[Slot]] = field(default_factory=dict)  # by channel
    composites: list[Slot] = field(default_factory=list)
    votes: list[Slot] = field(default_factory=list)  # of the composites, those of the second stage
    watches: list[Watch] = field(default_factory=list)
    last_heard: dict[int, Ear] = field(default_factory=dict)  # by device
    last_tick_ns: int | None = None
    blind_ns: int = 0
    ears: Ears = field(init=False)
    quality: NaiveQuality = field(init=False)
    warnings: NaiveWarnings = field(init=False)

    def __post_init__(self) -> None:
        self.warnings = NaiveWarnings(self.registry)
        rules = [rule for rule in self.plan.channel_rules if rule.kind in WAVE_KINDS]
        self.ears = Ears(self.registry, {int(c) for rule in rules for c in rule.channel})
        self.quality = NaiveQuality(self.plan)
        own = (*self.plan.channel_rules, *self.plan.input_rules)
        places = [int(c) for rule in own for c in rule.channel]
        slots = slots_of(self.plan, self.registry, own)
        for slot, channel in zip(slots, places, strict=True):
            self.slots.setdefault(channel, []).append(slot)
        self.composites = slots_of(self.plan, self.registry, self.plan.composite_rules)
        self.votes = [s for s in self.composites if isinstance(s.scorer, (Vote, Joint))]
        for slot in self.votes:
            slot.scorer.look_at(self.slots)
        for slot in self.every_slot():
            slot.warnings = self.warnings
        for rule in self.plan.deadman_rules:
            for i, device in enumerate(rule.device):
                limits = [
                    (level.severity, int(rule.missing_ns[i, k]))
                    for k, level in enumerate(self.plan.levels)
                    if int(rule.missing_ns[i, k]) < NEVER_NS
                ]
                name = self.registry.devices.id[device]
                self.watches.append(Watch(rule, int(device), name, limits))

    def fold(self, records: list[Record]) -> list[Event]:
        events: list[Event] = []
        for record in records:
            if isinstance(record.body, Readings):
                events += self.readings(record.offset, record.body)
            elif isinstance(record.body, Block):
                events += self.block(record.offset, record.body)
            elif isinstance(record.body, Tick):
                events += self.tick(record.offset, record.body.tick_ns)
            elif isinstance(record.body, Control) and record.body.type == "reset":
                events += self.reset(record.offset, record.body)
            elif isinstance(record.body, Control) and record.body.type == "ack":
                self.acknowledged(record.body)
            elif isinstance(record.body, Control) and record.body.type == "warning":
                self.warnings.take(record.body.data)
        quiet = {rule.rule_id for rule in self.plan.input_rules}
        told = sorted((e for e in events if e.rule not in quiet), key=log_order)
        ticks = [(position(r.offset), r.body.tick_ns) for r in records if isinstance(r.body, Tick)]
        told = sorted(woven(self.plan, self.registry, told, ticks), key=log_order)
        return [self.lived(event) for event in told]

    def lived(self, event: Event) -> Event:
        life = self.plan.lives.get(event.rule)
        if life is None or event.type is not EventType.RAISED:
            return event
        return event._replace(evidence=dict(event.evidence) | {"life": life.said()})

    # -- rows ------------------------------------------------------------------------------

    def readings(self, offset: int, readings: Readings) -> list[Event]:
        rows = rows_of(offset, readings)
        return [event for row in rows for event in self.heard(row)] + self.rows(rows)

    def rows(self, rows: list[Row]) -> list[Event]:
        self.judge.mark(rows)
        events = []
        for row in rows:
            self.quality.mark(row)
            if row.opens_epoch:
                events.append(self.of_row(EventType.CLOCK_EPOCH, row))
                for slot in self.slots.get(row.channel, []):
                    slot.epoch()
                for slot in self.across(row.channel):
                    slot.epoch()
                for slot in self.every_slot():
                    slot.forget(row.channel)
            if row.verdict == JUDGED and row.channel in self.plan.probe_channels:
                beat = self.of_row(EventType.HEARTBEAT, row)
                events.append(beat._replace(value=row.value, ordinal=1))
            for slot in self.slots.get(row.channel, []):
                if slot.rule.kind in WAVE_KINDS:
                    continue
                if row.verdict == JUDGED:
                    events += slot.judged(row)
                elif row.verdict == LATE:
                    events += slot.late(row)
            if row.verdict == JUDGED:
                for slot in self.every_slot():
                    slot.saw(row)
                for slot in self.across(row.channel):
                    events += slot.judged(row)
            for slot in self.votes:
                slot.scorer.update(row.receive_ns)
                if row.verdict == JUDGED and slot.scorer.concerns(row):
                    events += self.voted(slot, row.offset, row.row, row.receive_ns)
        return events

    def block(self, offset: int, block: Block) -> list[Event]:
        said = Row(offset, 0, HEARD_ONLY, block.device, block.event_ns, block.judged_ns,
                   block.receive_ns, 0.0, 9, False, 0, -1, 0)  # fmt: skip
        events = self.heard(said)
        epochs, samples, features = self.ears.take(block)
        for channel in epochs:
            said.channel = channel
            events.append(self.of_row(EventType.CLOCK_EPOCH, said))
            for slot in self.slots.get(channel, []):
                if slot.rule.kind in WAVE_KINDS:
                    slot.block_epoch()
        for channel, new in samples.items():
            for slot in self.slots.get(channel, []):
                if slot.rule.kind in WAVE_KINDS:
                    events += slot.samples(offset, block.receive_ns, new)
        none = {"usable": True, "boot": 0, "sequence": -1}
        rows = [Row(offset, i, **row, **none, index=i) for i, row in enumerate(features)]
        return events + self.rows(rows)

    @staticmethod
    def voted(slot: Slot, offset: int, row: int, now_ns: int) -> list[Event]:
        """Give the count of a vote to its slot, as a row of the Clock."""
        count = float(slot.scorer.count(now_ns))
        counted = Row(offset, row, 0, 0, now_ns, now_ns, now_ns, count, 1, True, 0, 0, 0)
        return slot.judged(counted)

    def every_slot(self) -> list[Slot]:
        return [*(slot for slots in self.slots.values() for slot in slots), *self.composites]

    def across(self, channel: int) -> list[Slot]:
        """Slots that are about something else and take rows of this channel."""
        return [slot for slot in self.composites if slot.scorer.takes(channel)]

    def of_row(self, kind: EventType, row: Row) -> Event:
        return Event(
            type=kind,
            offset=row.offset,
            row=row.row,
            subject=self.registry.channels.id[row.channel],
            event_ns=row.judged_ns,
            receive_ns=row.receive_ns,
        )

    def reset(self, offset: int, control: Control) -> list[Event]:
        channel = self.registry.channel_row.get(control.data["channel"], HEARD_ONLY)
        events = []
        for slot in self.slots.get(channel, []):
            if slot.rule.rule_id == control.data["rule"]:
                events += slot.reset(offset)
        return events

    def acknowledged(self, control: Control) -> None:
        """Let an alarm's rule and channel know, if it is active now."""
        if control.data.get("revoke"):
            return
        for slots in self.slots.values():
            for slot in slots:
                named = slot.severity() and slot.alarm_id() == control.data.get("alarm")
                for other in slots if named else ():
                    if other.rule.rule_id == slot.rule.rule_id and isinstance(other.scorer, Cusum):
                        other.scorer.acknowledged()

    # -- ticks, silence and blindness ------------------------------------------------------

    def tick(self, offset: int, tick_ns: int) -> list[Event]:
        events = []
        gap_ns = 0 if self.last_tick_ns is None else tick_ns - self.last_tick_ns
        if self.last_tick_ns is not None and gap_ns > self.plan.blind_after_ns:
            self.blind_ns += gap_ns + self.plan.blind_grace_ns
            events.append(
                Event(
                    type=EventType.BLIND,
                    offset=offset,
                    row=0,
                    onset_ns=self.last_tick_ns,
                    event_ns=tick_ns,
                    receive_ns=tick_ns,
                )
            )
        self.last_tick_ns = tick_ns
        for watch in self.watches:
            ear = self.last_heard.setdefault(watch.device, Ear(tick_ns - self.blind_ns, tick_ns))
            events += self.silence(watch, ear, offset, tick_ns)
        for slot in self.every_slot():
            if not isinstance(slot.scorer, (Vote, Joint)):
                events += slot.tick(offset, tick_ns)
        for slot in self.votes:
            if slot.scorer.update(tick_ns) and slot.scorer.count(tick_ns) >= slot.scorer.need:
                events += self.voted(slot, offset, 0, tick_ns)
            events += slot.tick(offset, tick_ns)
        return events

    def silence(self, watch: Watch, ear: Ear, offset: int, tick_ns: int) -> list[Event]:
        silent_ns = tick_ns - self.blind_ns - ear.sighted_ns
        reached = [limit for limit in watch.limits if silent_ns >= limit[1]]
        if not reached or reached[-1][0] <= watch.severity:
            return []
        previous, (watch.severity, missing_ns) = watch.severity, reached[-1]
        watch.max_severity = watch.severity
        if previous == 0:
            watch.episode = f"{offset}.0"
        plain = self.of_watch(EventType.ESCALATED if previous else EventType.RAISED, watch)
        return [
            plain._replace(
                offset=offset,
                row=0,
                previous=previous,
                onset_ns=ear.plain_ns,
                event_ns=ear.plain_ns,
                receive_ns=tick_ns,
                value=silent_ns / SECOND_NS,
                score=silent_ns / SECOND_NS,
                limit=missing_ns / SECOND_NS,
            )
        ]

    def heard(self, row: Row) -> list[Event]:
        self.last_heard[row.device] = Ear(row.receive_ns - self.blind_ns, row.receive_ns)
        events = []
        for watch in self.watches:
            if watch.device != row.device or watch.severity == 0:
                continue
            previous, watch.severity = watch.severity, 0
            events.append(
                self.of_watch(EventType.CLEARED, watch)._replace(
                    offset=row.offset,
                    row=row.row,
                    previous=previous,
                    onset_ns=row.receive_ns,
                    event_ns=row.receive_ns,
                    receive_ns=row.receive_ns,
                )
            )
            watch.max_severity, watch.episode = 0, ""
        return events

    def of_watch(self, kind: EventType, watch: Watch) -> Event:
        return Event(
            type=kind,
            offset=0,
            row=0,
            stage=1,
            rule=watch.rule.rule_id,
            subject=watch.subject,
            severity=watch.severity,
            max_severity=watch.max_severity,
            klass=watch.rule.klass,
            episode=watch.episode,
            announce=not watch.rule.shadow,
            shadow=watch.rule.shadow,
        )


def log_order(event: Event) -> tuple[int, int, str, str, int, int]:
    g = position(event.offset, event.row)
    return (g, event.stage, event.rule, event.subject, event.side, event.ordinal)


def rows_of(offset: int, readings: Readings) -> list[Row]:
    names = (
        "channel",
        "device",
        "event_ns",
        "judged_ns",
        "receive_ns",
        "value",
        "qc_flag",
        "usable",
    )
    names = (*names, "boot", "sequence", "index")
    columns = [getattr(readings, name).tolist() for name in names]
    return [Row(offset, i, *cells) for i, cells in enumerate(zip(*columns, strict=True))]
