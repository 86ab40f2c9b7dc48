"""The lifecycle of one slot (rule x side x channel): docs/semantics.md sections 4 and 5."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from rules.events import Event, EventType
from tests.oracle_hours import held_at, levels_of
from tests.oracle_judge import Row
from tests.oracle_scores import SCORES, Score, TakesLate, Threshold
from tests.oracle_statistics import Arrival

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.plan import ChannelRule, Plan
    from rules.registry import Registry
    from rules.schedule import Schedule
    from tests.oracle_warnings import NaiveWarnings
    from tests.oracle_waveforms import Sample

NEVER_NS = 2**62
HIGH_SEVERITY = 3


@dataclass
class LevelState:
    """One declared level, or the hidden one; limits in natural sign."""

    severity: int
    column: int  # of the rule's arrays
    raise_at: float = math.nan
    clear_at: float = math.nan
    hold_ns: int = 0
    hold_samples: int = 0
    keep_ns: int = 0
    breach_onset: int | None = None
    breach_count: int = 0
    clear_onset: int | None = None
    is_set: bool = False

    def end_breach(self) -> None:
        self.breach_onset = None
        self.breach_count = 0

    def end_clear(self) -> None:
        self.clear_onset = None


@dataclass
class LastRow:
    t: int
    receive_ns: int
    value: float
    score: float
    said: dict[str, Any]


@dataclass
class Slot:
    rule: ChannelRule
    subject: str
    threshold: Threshold | None
    scorer: Score
    levels: list[LevelState]
    hidden: LevelState | None
    top_severity: int
    max_gap_ns: int
    place: int  # of the channel among the rule's
    confirm_hold_ns: int
    last: LastRow | None = None
    after_epoch: bool = False
    range_latch: bool = False
    episode: str = ""
    max_severity: int = 0
    just_reset: list[LevelState] = field(default_factory=list)
    warnings: NaiveWarnings | None = None
    held: list[Schedule] = field(default_factory=list)  # schedules of the last row

    def schedules_at(self, t_ns: int) -> list[Schedule]:
        return held_at(self.rule, t_ns, self.warnings, int(self.rule.channel[self.place]))

    def under(self, held: list[Schedule]) -> None:
        """Give the levels the limits and holds of some schedules."""
        said, i = levels_of(self.rule, held), self.place
        self.held = held
        for level in self.all_levels():
            level.raise_at = float(said.raise_at[i, level.column])
            level.clear_at = float(said.clear_at[i, level.column])
            level.hold_ns = int(said.hold_ns[i, level.column])
            level.hold_samples = int(said.hold_samples[i, level.column])
            level.keep_ns = int(said.keep_ns[i, level.column])
        if self.hidden is not None:
            self.hidden.hold_samples, self.hidden.hold_ns = 2, self.confirm_hold_ns

    # -- questions -------------------------------------------------------------------------

    def all_levels(self) -> list[LevelState]:
        return [*self.levels, *([self.hidden] if self.hidden else [])]

    def severity(self) -> int:
        return max((level.severity for level in self.levels if level.is_set), default=0)

    def alarm_id(self) -> str:
        side = "high" if self.rule.side > 0 else "low"
        named = f"{self.rule.rule_id}|{side}|{self.subject}#{self.episode}"
        return blake2b(named.encode(), digest_size=6).hexdigest()

    def hidden_is_set(self) -> bool:
        return self.hidden is not None and self.hidden.is_set

    def breaches(self, score: float, level: LevelState) -> bool:
        return score >= level.raise_at if self.rule.side > 0 else score <= level.raise_at

    def clears(self, score: float, level: LevelState) -> bool:
        return score < level.clear_at if self.rule.side > 0 else score > level.clear_at

    def accepts(self, row: Row) -> bool:
        return row.usable and (self.rule.fail_loud or row.qc_flag in self.rule.accept)

    # -- rows ------------------------------------------------------------------------------

    def epoch(self) -> None:
        self.after_epoch = True
        self.scorer.epoch()

    def block_epoch(self) -> None:
        self.after_epoch = True
        self.scorer.block_epoch()

    def samples(self, offset: int, receive_ns: int, samples: list[Sample]) -> list[Event]:
        """The rows that a kind on waveforms makes of the samples of one block."""
        made = [row for sample in samples for row in self.scorer.take(sample)]
        said = [row for row in made if not math.isnan(row.score)]
        events = []
        for number, made_row in enumerate(said):
            row = Row(offset, number, -1, -1, made_row.t, made_row.t, receive_ns,
                      made_row.value, 1, True, 0, -1, 0)  # fmt: skip
            events += self.step_all(row, made_row.score, made_row.evidence)
        return events

    def judged(self, row: Row) -> list[Event]:
        if not self.accepts(row):
            return []
        if isinstance(self.scorer, Arrival):
            self.scorer.see(row)
        score = self.scorer.score(row.judged_ns, row.value)
        if math.isnan(score):
            return []
        said = self.scorer.evidence() if hasattr(self.scorer, "evidence") else {}
        return self.step_all(row, score, said)

    def step_all(self, row: Row, score: float, said: dict[str, Any]) -> list[Event]:
        """Take a row with its score."""
        t = row.judged_ns
        self.under(self.schedules_at(t))
        if self.threshold and self.threshold.beyond(row.value):
            self.range_latch = True
        gap = self.last is not None and t - self.last.t > self.max_gap_ns
        before = (self.severity(), self.hidden_is_set())
        self.just_reset = []
        for level in self.all_levels():
            if gap or self.after_epoch:
                level.end_breach()
                level.end_clear()
            self.step(level, t, score)
        self.after_epoch = False
        told = {name: x for name, x in said.items() if isinstance(x, list) or not math.isnan(x)}
        across = hasattr(self.scorer, "value")
        value = self.scorer.value(row.value, score) if across else row.value
        self.last = LastRow(t, row.receive_ns, value, score, told)
        return self.tell(row.offset, row.row, row.receive_ns, before)

    def step(self, level: LevelState, t: int, score: float) -> None:
        if self.breaches(score, level):
            level.end_clear()
            if level.breach_onset is None:
                level.breach_onset = t
            level.breach_count += 1
            held = t - level.breach_onset >= level.hold_ns
            if held or 0 < level.hold_samples <= level.breach_count:
                level.is_set = True
        elif self.clears(score, level):
            level.end_breach()
            if level.clear_onset is None:
                level.clear_onset = t
            kept = t - level.clear_onset >= level.keep_ns
            if level.is_set and kept and not self.range_latch:
                level.is_set = False
                if level is not self.hidden:
                    self.just_reset.append(level)
        else:
            level.end_breach()
            level.end_clear()

    def saw(self, row: Row) -> None:
        """Tell a score that looks across channels of a row that was judged."""
        if hasattr(self.scorer, "saw") and self.accepts(row):
            self.scorer.saw(row.channel, row.judged_ns, row.value)

    def forget(self, channel: int) -> None:
        if hasattr(self.scorer, "forget"):
            self.scorer.forget(channel)

    # -- ticks and resets ------------------------------------------------------------------

    def tick(self, offset: int, tick_ns: int) -> list[Event]:
        if self.last is None:
            return []
        before = (self.severity(), self.hidden_is_set())
        for level in self.all_levels():
            if level.is_set or level.breach_onset is None or level.hold_ns >= NEVER_NS:
                continue
            need = level.hold_ns - (self.last.t - level.breach_onset)
            if need <= self.max_gap_ns and tick_ns >= self.last.receive_ns + need:
                level.is_set = True
        return self.tell(offset, 0, tick_ns, before)

    def reset(self, offset: int) -> list[Event]:
        if not self.range_latch or self.last is None:
            return []
        self.range_latch = False
        for level in self.all_levels():
            level.end_clear()
        severity = self.severity()
        plain = self.event(EventType.RESET, offset, 0, self.last.receive_ns)._replace(evidence={})
        return [plain._replace(severity=severity, previous=severity, confirmed=self.confirmed())]

    # -- events ----------------------------------------------------------------------------

    def event(self, kind: EventType, offset: int, row: int, receive_ns: int) -> Event:
        assert self.last is not None
        return Event(
            type=kind,
            offset=offset,
            row=row,
            stage=getattr(self.scorer, "stage", 1),
            rule=self.rule.rule_id,
            subject=self.subject,
            side=self.rule.side,
            klass=self.rule.klass,
            episode=self.episode,
            max_severity=self.max_severity,
            event_ns=self.last.t,
            receive_ns=receive_ns,
            value=self.last.value,
            score=self.last.score,
            over_range=self.range_latch,
            evidence=self.retold(self.last.said) | self.cited(self.last.t),
            announce=not self.rule.shadow,
            shadow=self.rule.shadow,
        )

    def retold(self, said: dict[str, Any]) -> dict[str, Any]:
        return self.scorer.retold(said) if hasattr(self.scorer, "retold") else said

    def cited(self, t_ns: int) -> dict[str, Any]:
        """The warning the limits of the last row held for, as it is known now."""
        if self.warnings is None or not self.held:
            return {}
        channel = int(self.rule.channel[self.place])
        said = self.warnings.cited(self.held, channel, t_ns)
        return {} if said is None else {"warning": said}

    def confirmed(self) -> bool:
        if not self.rule.fail_loud:
            return True
        return self.hidden_is_set() or self.severity() < HIGH_SEVERITY

    def tell(self, offset: int, row: int, receive_ns: int, stood: tuple[int, bool]) -> list[Event]:
        """The at most two events of a row or tick, from the severity and confirmation before."""
        before, hidden_before = stood
        after = self.severity()
        told = []
        if after > before:
            if before == 0:
                self.episode = f"{offset}.{row}"
            self.max_severity = max(self.max_severity, after)
            kind = EventType.ESCALATED if before else EventType.RAISED
            level = next(level for level in self.levels if level.severity == after)
            plain = self.event(kind, offset, row, receive_ns)
            onset_ns, limit, confirmed = level.breach_onset, level.raise_at, self.confirmed()
            told.append((plain, onset_ns, limit, confirmed))
        elif after < before:
            kind = EventType.LOWERED if after else EventType.CLEARED
            level = max(self.just_reset, key=lambda level: level.severity)
            plain = self.event(kind, offset, row, receive_ns)
            told.append((plain, level.clear_onset, level.clear_at, self.confirmed()))
            if after == 0:
                self.episode, self.max_severity = "", 0
        if self.hidden is not None and self.hidden.is_set and not hidden_before:
            plain = self.event(EventType.CONFIRMED, offset, row, receive_ns)._replace(ordinal=1)
            told.append((plain, self.hidden.breach_onset, self.hidden.raise_at, self.confirmed()))
        return [
            plain._replace(
                severity=after,
                previous=before,
                onset_ns=onset_ns,
                limit=limit,
                confirmed=confirmed,
            )
            for plain, onset_ns, limit, confirmed in told
        ]

    def late(self, row: Row) -> list[Event]:
        if isinstance(self.scorer, TakesLate) and self.accepts(row):
            self.scorer.late(row.judged_ns, row.value)
        if self.threshold is None or not self.accepts(row) or math.isnan(row.value):
            return []
        score = self.threshold.score(row.judged_ns, row.value)
        usual = self.held
        self.under(self.schedules_at(row.judged_ns))
        event = self.late_finding(row, score)
        self.under(usual)
        return [event] if event is not None else []

    def late_finding(self, row: Row, score: float) -> Event | None:
        assert self.threshold is not None
        breached = [level for level in self.levels if self.breaches(score, level)]
        if not breached:
            return None
        worst = max(breached, key=lambda level: level.severity)
        contradicted = self.last is not None and self.clears(self.last.score, worst)
        loud = worst.severity >= HIGH_SEVERITY and not contradicted
        top = self.rule.fail_loud and worst.severity == self.top_severity
        return Event(
            type=EventType.LATE_FINDING,
            offset=row.offset,
            row=row.row,
            stage=1,
            rule=self.rule.rule_id,
            subject=self.subject,
            side=self.rule.side,
            severity=worst.severity,
            klass=self.rule.klass,
            onset_ns=row.judged_ns,
            event_ns=row.judged_ns,
            receive_ns=row.receive_ns,
            value=row.value,
            score=score,
            limit=worst.raise_at,
            announce=(loud or top) and not self.rule.shadow,
            over_range=self.threshold.beyond(row.value),
            evidence=self.cited(row.judged_ns),
            shadow=self.rule.shadow,
        )


def slots_of(plan: Plan, registry: Registry, rules: Sequence[ChannelRule]) -> list[Slot]:
    """Lay out one slot for every side and channel of the rules."""
    return [
        slot_of(plan, registry, rule, place) for rule in rules for place in range(len(rule.channel))
    ]


def slot_of(plan: Plan, registry: Registry, rule: ChannelRule, i: int) -> Slot:
    channel = int(rule.channel[i])
    levels = [
        LevelState(severity=level.severity, column=k)
        for k, level in enumerate(plan.levels)
        if not math.isnan(float(rule.raise_at[i, k]))
    ]
    hidden = None
    if rule.fail_loud and levels:
        high = [level for level in levels if level.severity >= HIGH_SEVERITY]
        model = high[0] if high else levels[-1]
        hidden = replace(model)
    max_gap_ns = int(rule.max_gap_ns[i])
    scorer = SCORES[rule.kind](rule, i, registry)
    slot = Slot(
        rule=rule,
        subject=(*registry.channels.id, *plan.subjects)[channel],
        threshold=scorer if isinstance(scorer, Threshold) else None,
        scorer=scorer,
        levels=levels,
        hidden=hidden,
        top_severity=plan.levels[-1].severity,
        max_gap_ns=max_gap_ns,
        place=i,
        confirm_hold_ns=plan.confirm_hold_ns,
    )
    slot.under([])
    return slot
