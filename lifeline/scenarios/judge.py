"""What a run's alarms are worth: found or not, in time or not, forbidden or explained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.scenarios.draw import about
from simulators.incidents import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.backtest.episodes import Episode
    from lifeline.scenarios.announced import Told
    from lifeline.scenarios.draw import Expected, Variant
    from rules.plan import ChannelRule, Plan
    from simulators.faults import Fault


EVERYWHERE: Final = "*"
LINGERS_NS: Final = 3_600 * 10**9
"""How long after its cause has gone an alarm may still be raised by it: windows look back."""
SILENCING: Final = frozenset({"gateway_loss", "psm_batches", "lossy", "reboot", "clock_unset"})
"""Faults of links by which a device may not be heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An expected alarm and the first one that meets it; none, no episode."""

    expected: Expected
    episode: Episode | None
    peak: float | None  # how far beyond the limit its channel went, as a share of the limit

    @property
    def delay_s(self) -> float | None:
        """Return the time from onset to alarm, s."""
        if self.episode is None:
            return None
        at = self.episode.reached_ns[self.expected.severity]
        return (at - self.expected.onset_ns) / 1e9

    @property
    def allowed_s(self) -> float:
        """Return the time from onset to deadline, s."""
        return (self.expected.due_ns - self.expected.onset_ns) / 1e9

    @property
    def margin_s(self) -> float | None:
        """Return the time left to the deadline, s; negative is late."""
        return None if self.delay_s is None else self.allowed_s - self.delay_s

    @property
    def late(self) -> bool:
        """Tell whether it came, but after its deadline."""
        return self.margin_s is not None and self.margin_s < 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "of": self.expected.of,
            "kind": self.expected.kind,
            "severity": self.expected.severity,
            "rule": self.episode.rule if self.episode else None,
            "subject": self.episode.subject if self.episode else None,
            "delay_s": self.delay_s,
            "allowed_s": self.allowed_s,
            "margin": {"time_s": self.margin_s, "peak": self.peak},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm episode with its class, and what explains it."""

    episode: Episode
    klass: str
    by_incident: str = ""
    by_fault: str = ""  # a fault of which Fail loud demands it
    beside: str = ""  # kind of a fault that lay on its subject then, whether it explains it or not
    announced: bool = True  # somebody was told; not only logged

    @property
    def demanded(self) -> bool:
        """Tell whether Fail loud demands it for a fault: an alarm of safety that is right."""
        return bool(self.by_fault) and not self.by_incident and self.klass == "safety"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one variant."""

    variant: Variant
    found: tuple[Found, ...]
    alarms: tuple[Alarm, ...]  # of rules that are not on trial
    forbidden: tuple[Alarm, ...]
    channel_days: float
    plan: Plan = field(repr=False)

    @property
    def passed(self) -> bool:
        """Tell whether all came in time and nothing forbidden came."""
        return not self.forbidden and all(f.episode is not None and not f.late for f in self.found)

    @property
    def days(self) -> float:
        """Return how long was judged."""
        return (self.variant.end_ns - self.variant.begin_ns) / 86_400e9

    def row(self) -> dict[str, Any]:
        """Return the row of the report: counts, the worst delay and the least margin."""
        came = [f for f in self.found if f.episode is not None]
        left = [f.margin_s for f in came if f.margin_s is not None]
        peaks = [f.peak for f in came if f.peak is not None]
        return {
            "scenario": self.variant.name,
            "seed": self.variant.seed,
            "passed": self.passed,
            "expected": len(self.found),
            "raised": len(came),
            "late": sum(f.late for f in came),
            "forbidden": len(self.forbidden),
            "delay_s": max((f.delay_s for f in came if f.delay_s is not None), default=None),
            "margin": {"time_s": min(left, default=None), "peak": min(peaks, default=None)},
            "alarms": [f.to_json() for f in self.found],
            "forbidden_alarms": [asdict(_told(alarm)) for alarm in self.forbidden],
            "announced": sum(alarm.announced for alarm in self.alarms),
            "explained": sum(bool(a.by_incident or a.by_fault) for a in self.alarms),
        }


@dataclass(frozen=True, slots=True)
class _Told:
    rule: str
    subject: str
    severity: int
    value: float | None
    raised_ns: int


def _told(alarm: Alarm) -> _Told:
    e = alarm.episode
    return _Told(e.rule, e.subject, e.severity, e.value, e.raised_ns)


def judged(
    variant: Variant, plan: Plan, episodes: Sequence[Episode], told: Told | None = None
) -> Verdict:
    """Return what the episodes of a run are worth; without ``told`` all count as announced."""
    alarms = explained(variant, plan, episodes)
    if told is not None:
        alarms = [replace(alarm, announced=told.of(alarm.episode)) for alarm in alarms]
    found = tuple(_found(variant, plan, each, alarms) for each in variant.expected)
    met = {id(f.episode) for f in found if f.episode is not None}
    wrong = [a for a in alarms if id(a.episode) not in met and _is_forbidden(variant, a)]
    days = (variant.end_ns - variant.begin_ns) / 86_400e9
    return Verdict(
        variant=variant, found=found, alarms=tuple(alarms), forbidden=tuple(wrong),
        channel_days=len(variant.registry.channels.id) * days, plan=plan,
    )  # fmt: skip


def explained(variant: Variant, plan: Plan, episodes: Sequence[Episode]) -> list[Alarm]:
    """Return the alarms of live rules with the incident or fault that explains each."""
    klass = {rule.rule_id: rule.klass for rule in plan.told_rules if not rule.shadow}
    silent = {rule.rule_id for rule in plan.deadman_rules}
    causes = [(i, about(variant.registry, i)) for i in variant.incidents]
    faults: list[tuple[Fault, frozenset[str], frozenset[str]]] = []
    for fault in variant.faults:
        if fault.place == EVERYWHERE:  # it would explain every alarm there is
            continue
        devices = frozenset(variant.registry.devices.id[int(r)] for r in fault.devices)
        loud = about(variant.registry, fault) if fault.fails_loud else frozenset()
        if loud or devices:
            faults.append((fault, loud, devices))
    held, beside = [], _Beside(variant)
    for episode in episodes:
        if episode.rule not in klass:
            continue
        known_ns, subject = episode.raised_ns, episode.subject
        incident = next(
            (
                i.id
                for i, names in causes
                if subject in names
                and i.begin_ns <= known_ns <= i.end_ns + int(i.fades_s * 1e9) + LINGERS_NS
            ),
            "",
        )
        # a device that says nothing cannot be told from one that burns
        loud_fault = next(
            (
                f.id
                for f, loud, devices in faults
                if f.begin_ns <= known_ns <= f.end_ns + LINGERS_NS
                and (
                    subject in loud
                    or (f.kind in SILENCING and episode.rule in silent and subject in devices)
                )
            ),
            "",
        )
        held.append(
            Alarm(
                episode=episode, klass=klass[episode.rule], by_incident=incident,
                by_fault=loud_fault, beside=beside.of(episode),
            )
        )  # fmt: skip
    return held


class _Beside:
    """Which fault lay on a subject at a time; those of the whole city (ageing) are none."""

    def __init__(self, variant: Variant) -> None:
        self._faults: dict[str, list[Fault]] = {}
        for fault in variant.faults:
            if fault.place != EVERYWHERE:
                for name in about(variant.registry, fault):
                    self._faults.setdefault(name, []).append(fault)

    def of(self, episode: Episode) -> str:
        """Return the kind of the fault at an episode's raise, "" where there was none."""
        known_ns = episode.raised_ns
        return next(
            (
                fault.kind
                for fault in self._faults.get(episode.subject, ())
                if fault.begin_ns <= known_ns <= fault.end_ns + LINGERS_NS
            ),
            "",
        )


def _found(variant: Variant, plan: Plan, expected: Expected, alarms: Sequence[Alarm]) -> Found:
    at = expected.severity
    fitting = [
        a.episode
        for a in alarms
        if a.klass == expected.klass
        and a.episode.severity >= at
        and a.episode.reached_ns[at] >= expected.onset_ns
        and a.episode.subject in expected.subjects
        and fnmatchcase(a.episode.rule, expected.rule)
    ]
    first = min(fitting, key=lambda e: e.reached_ns[at], default=None)
    peak = None if first is None else _peak(variant, plan, expected, first)
    return Found(expected=expected, episode=first, peak=peak)


def _is_forbidden(variant: Variant, alarm: Alarm) -> bool:
    for said in variant.forbidden:
        if said.where == "elsewhere" and (alarm.by_incident or alarm.by_fault):
            continue
        if (
            alarm.klass == said.klass
            and alarm.episode.severity >= SEVERITY[said.level]
            and fnmatchcase(alarm.episode.rule, said.rule)
            and fnmatchcase(alarm.episode.subject, said.place)
        ):
            return True
    return False


def threshold_of(plan: Plan, episode: Episode) -> tuple[ChannelRule, int] | None:
    """Return the threshold rule of an episode; other kinds compare no value with a limit."""
    for rule in plan.channel_rules:
        if (rule.rule_id, rule.side) == (episode.rule, episode.side) and rule.kind == "threshold":
            return rule, rule.side
    return None


def limits_of(plan: Plan, episode: Episode, row: int, at_ns: int) -> dict[int, float]:
    """Return severity → limit of an episode's threshold rule on a channel; {} for other kinds."""
    found = threshold_of(plan, episode)
    if found is None:
        return {}
    rule = found[0]
    for at in np.flatnonzero(rule.channel == row).tolist():
        along = rule.along("raise_at", at, np.array([at_ns]))
        return {
            level.severity: float(along[0, column])
            for column, level in enumerate(plan.levels)
            if not np.isnan(along[0, column])
        }
    return {}


def _peak(variant: Variant, plan: Plan, expected: Expected, episode: Episode) -> float | None:
    row = variant.registry.channel_row.get(episode.subject)
    if row is None:
        return None
    limit = limits_of(plan, episode, row, episode.raised_ns).get(expected.severity)
    if not limit:
        return None
    end_ns = min(expected.end_ns, variant.end_ns)
    shown = variant.city.samples(expected.onset_ns, end_ns + 1, np.array([row], np.int32))
    values = shown.value[shown.usable & ~np.isnan(shown.value)]
    if not len(values):
        return None
    side = 1 if episode.side > 0 else -1
    return float((side * (values - limit)).max() / abs(limit))
