"""What the rule language compiles to and the engine runs: parameter arrays, no text.

Every rule names the channels it matched and, per channel, its effective parameters (after
templates and overrides), so that the engine lays all rules of one kind side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from rules.alarm_life import Life
    from rules.language.runbooks import Runbook
    from rules.schedule import Schedule
    from rules.standing import StandingWarnings

SHADOW = "shadow:"
"""Before the ids of a shadow folder's rules; no id has a colon, so it meets no other rule."""
NEVER_NS = np.int64(2**62)
"""A hold that time alone never fulfils (for levels declared by samples only)."""


@dataclass(frozen=True, slots=True)
class Level:
    """One alarm level: data, not code. ``severity`` rises with danger (1 blue … 4 red)."""

    name: str
    severity: int
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHours:
    """What a rule's levels are while a combination of its schedules holds; as in ChannelRule."""

    raise_at: NDArray[np.float64]  # [n, L]
    clear_at: NDArray[np.float64]
    hold_ns: NDArray[np.int64]
    hold_samples: NDArray[np.int32]
    keep_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRule:
    """One side of one per-channel rule on the n channels it matched; L levels by severity rising.

    Limits are in score units with their natural sign: for ``side`` −1 a *low* limit is breached
    by ``score <= raise_at``. A level the rule does not declare has NaN limits.
    """

    rule_id: str
    kind: str
    side: int  # +1 above, -1 below
    channel: NDArray[np.int32]  # [n]
    raise_at: NDArray[np.float64]  # [n, L]
    clear_at: NDArray[np.float64]  # [n, L]; equal to raise_at where there is no hysteresis
    hold_ns: NDArray[np.int64]  # [n, L] `for`; NEVER_NS = only by samples
    hold_samples: NDArray[np.int32]  # [n, L] breaching samples that also fulfil it; 0 = time only
    keep_ns: NDArray[np.int64]  # [n, L] `keep_firing_for`
    max_gap_ns: NDArray[np.int64]  # [n]
    accept: tuple[int, ...] = (1, 2, 3)  # qc flags judged; ignored when fail_loud
    klass: str = "safety"  # safety | maintenance | info
    fail_loud: bool = False
    shadow: bool = False  # judged and logged, told to nobody; not part of what a rule means
    beside: str = ""  # the live rule a shadow rule is compared with, "" for none
    over_range: bool = False  # beyond the channel's range on this side counts as +inf, latched
    unit: str = ""  # canonical unit of the score, for messages
    source: str = "estimate"  # clause | vendor | estimate
    approved_by: str = ""  # who approved the limits for this site; "" = shipped default
    message: str = ""
    message_zh: str = ""
    runbook: str = ""  # where it is written what to do: a name or an address
    labels: Mapping[str, str] = field(default_factory=dict)  # of pages and notifications
    status: str = "trial"  # stable | trial
    source_text: str = ""  # which clause, data sheet or reasoning
    known_false_positives: tuple[str, ...] = ()
    file: str = ""  # file:line the rule stands at, for explanations
    own: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Kind-specific parameters, each [n] or [n, k] of numbers; the kind's file names them."""
    options: Mapping[str, str | int | float] = field(default_factory=dict)
    """Kind-specific choices that hold for the whole rule, such as ``method``."""
    schedules: tuple[Schedule, ...] = ()
    """Hours, seasons and official warnings under which its levels are others; by the judged time of
    a sample."""
    by_hours: tuple[ByHours, ...] = ()
    """What holds then: entry m − 1 where the schedules of the set bits of m hold; 2^s − 1 of s."""
    calendar: tuple[int, ...] = ()
    """Days that are holidays, in days since 1970-01-01, rising. Not part of what a rule means: when
    next year's are added, what was learned stays."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of what the score is made of, where the rule has names for it."""
        return tuple(str(self.options.get("inputs", "")).split())

    def at_hours(self) -> Iterator[ChannelRule]:
        """Yield the rule as it is outside all of its schedules, then under each combination."""
        yield self
        for held in self.by_hours:
            moved = {name: getattr(held, name) for name in ByHours.__slots__}
            yield replace(self, schedules=(), by_hours=(), **moved)

    @property
    def by_clock(self) -> bool:
        """Tell whether its levels are others at some hours, whatever official warnings stand."""
        return any(schedule.warned is None for schedule in self.schedules)

    def at(
        self, t_ns: int, standing: StandingWarnings | None = None, asset: int = -1
    ) -> ChannelRule:
        """Return the rule as it is at a moment, on an asset (row), where warnings are known."""
        held = self._hours(np.array([t_ns], np.int64), standing, asset)
        return list(self.at_hours())[int(held[0])]

    def along(
        self,
        name: str,
        place: int,
        t_ns: NDArray[np.int64],
        standing: StandingWarnings | None = None,
        asset: int = -1,
    ) -> NDArray[Any]:
        """Return a column of ``ByHours`` on one channel as it was at each time, [t, L]."""
        held: NDArray[Any] = np.stack([getattr(each, name)[place] for each in self.at_hours()])
        return held[self._hours(t_ns, standing, asset)]

    def _hours(
        self, t_ns: NDArray[np.int64], standing: StandingWarnings | None, asset: int
    ) -> NDArray[np.int64]:
        """Return which combination of the schedules holds at each time; 0 is none."""
        held, where = np.zeros(len(t_ns), np.int64), np.full(len(t_ns), asset)
        for i, schedule in enumerate(self.schedules):
            held |= schedule.active(t_ns, standing, where).astype(np.int64) << i
        return held

    def taken(self, places: NDArray[np.intp]) -> ChannelRule:
        """Return the rule on some of its channels, by their places among them."""
        hours = tuple(
            replace(each, **_rows(each, ByHours.__slots__, places)) for each in self.by_hours
        )
        own = {name: column[places] for name, column in self.own.items()}
        columns = _rows(self, ("channel", *ByHours.__slots__, "max_gap_ns"), places)
        return replace(self, by_hours=hours, own=own, **columns)

    @property
    def kernel(self) -> str:
        """Return the name of the scorer that runs it: the kind, and the method where it has any."""
        method = self.options.get("method")
        return f"{self.kind}_{method}" if method else self.kind


def _rows(held: Any, names: tuple[str, ...], places: NDArray[np.intp]) -> dict[str, Any]:
    """Return some rows of some columns."""
    return {name: getattr(held, name)[places] for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRule:
    """A check of the quality stage on the n channels it matched; docs/kinds/quality.md."""

    rule_id: str
    kind: str
    channel: NDArray[np.int32]  # [n]
    max_gap_ns: NDArray[np.int64]  # [n] for gap: the silence that is suspect
    own: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Kind-specific parameters, each [n] or [n, k] of numbers; the kind's file names them."""
    file: str = ""  # file:line the rule stands at


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadmanRule:
    """Silence of the n devices a rule matched. A device is heard by any authenticated frame."""

    rule_id: str
    device: NDArray[np.int32]  # [n]
    missing_ns: NDArray[np.int64]  # [n, L]; NEVER_NS = level not declared
    klass: str = "maintenance"
    shadow: bool = False
    beside: str = ""
    message: str = ""
    message_zh: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    status: str = "trial"
    source_text: str = ""
    known_false_positives: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibit:
    """While an alarm of one rule stands, those of others with the same labels announce nothing."""

    inhibit_id: str
    cause: str  # rule
    at_least: int  # severity of the cause
    mute: tuple[str, ...]  # rules
    same: tuple[str, ...]  # labels that must be known and equal: SAME
    file: str = ""


SAME = ("device", "asset", "zone", "district", "site", "domain")
"""Labels by which a cause and what it mutes may belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A time in which what stands about some subjects is told to the crew only."""

    window_id: str
    from_ns: int  # begins at the first tick not before it
    to_ns: int  # and ends at the first tick not before this
    subjects: frozenset[str]  # channels, devices and assets
    by: str = ""
    reason: str = ""
    crew: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStep:
    """One step of a chain of calls, so long after an alarm began to call."""

    after_ns: int
    to: tuple[str, ...]  # console, or a way and a name: sms:duty
    severities: tuple[int, ...]
    unless_acked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All rules of a site, compiled against one registry."""

    content_hash: str
    levels: tuple[Level, ...]  # by severity rising
    channel_rules: tuple[ChannelRule, ...] = ()
    deadman_rules: tuple[DeadmanRule, ...] = ()
    quality_rules: tuple[QualityRule, ...] = ()
    composite_rules: tuple[ChannelRule, ...] = ()
    """Rules across channels. Their ``channel`` says what an alarm is about: a channel's row, or,
    counted on from the last row of the registry's channels, one of ``subjects``."""
    input_rules: tuple[ChannelRule, ...] = ()
    """Conditions that rules across channels join: judged as rules on channels, told to nobody."""
    inhibits: tuple[Inhibit, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    escalations: Mapping[str, tuple[CallStep, ...]] = field(default_factory=dict)
    """Who is called about the alarms of a rule, by rule."""
    lives: Mapping[str, Life] = field(default_factory=dict)
    """How the alarms of a rule live where it is not the usual way, by rule."""
    subjects: tuple[str, ...] = ()
    runbooks: Mapping[str, Runbook] = field(default_factory=dict)
    """What people do, by the name rules give."""
    probe_channels: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """Channels whose every judged row gives a HEARTBEAT event: the watcher is watched."""
    blind_after_ns: int = 30_000_000_000
    """Two ticks further apart than this are a stop of ours: BLIND, and silence does not count."""
    blind_grace_ns: int = 10_000_000_000
    """After a stop, how long queued data may take to arrive before silence counts again."""
    confirm_hold_ns: int = 30_000_000_000
    """A first dangerous sample of a fail_loud rule is CONFIRMED by a second or after this."""

    @property
    def slot_rules(self) -> tuple[ChannelRule, ...]:
        """Return every rule the engine lays out slots for; those told to nobody come last."""
        return (*self.channel_rules, *self.composite_rules, *self.input_rules)

    @property
    def told_rules(self) -> tuple[ChannelRule | DeadmanRule, ...]:
        """Return every rule whose decisions stand in the event log."""
        return (*self.channel_rules, *self.composite_rules, *self.deadman_rules)

    def without_shadows(self) -> Plan:
        """Return the plan of what may alarm, for whoever draws or counts alarms."""
        return replace(
            self,
            channel_rules=tuple(rule for rule in self.channel_rules if not rule.shadow),
            composite_rules=tuple(rule for rule in self.composite_rules if not rule.shadow),
            deadman_rules=tuple(rule for rule in self.deadman_rules if not rule.shadow),
        )

    def as_live(self) -> Plan:
        """Return the plan as if every shadow rule were live: what tests of rules try."""
        if not any(rule.shadow for rule in self.told_rules):
            return self
        return replace(
            self,
            channel_rules=tuple(replace(rule, shadow=False) for rule in self.channel_rules),
            composite_rules=tuple(replace(rule, shadow=False) for rule in self.composite_rules),
            deadman_rules=tuple(replace(rule, shadow=False) for rule in self.deadman_rules),
        )
