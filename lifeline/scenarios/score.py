"""The score of alarms: events found, how soon, how many false, how much people hear."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.scenarios.judge import Alarm, Verdict

RED: Final = 4
ORANGE: Final = 3
SAFETY: Final = "safety"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindScore:
    """One kind of incident or fault over all variants."""

    kind: str
    expected: int
    found: int
    late: int
    delay_p50_s: float | None
    delay_max_s: float | None
    left_min_s: float | None  # time left to the deadline, the least


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a set of runs came to. An event is one expected alarm, not one channel of it."""

    runs: int
    as_wanted: int
    days: float
    channel_days: float
    operators: int
    expected: int
    found: int
    late: int
    alarms: int  # of safety
    right: int  # of these, about an incident
    demanded: int  # announced for a fault of which Fail loud demands it
    false: int
    false_red: int
    false_orange: int
    announced: int  # alarms of every class and level that somebody was told
    kinds: tuple[KindScore, ...]

    @property
    def recall(self) -> float | None:
        """Return the share of expected alarms that came in time."""
        return (self.found - self.late) / self.expected if self.expected else None

    @property
    def precision(self) -> float | None:
        """Return the share of safety alarms that an incident or a loud fault explains."""
        return 1 - self.false / self.alarms if self.alarms else None

    @property
    def false_per_1000_channel_days(self) -> float:
        """Return false alarms of safety per 1 000 channel-days."""
        return 1000 * self.false / self.channel_days if self.channel_days else 0.0

    @property
    def announced_per_operator_day(self) -> float:
        """Return what an operator hears a day, alarms that Fail loud demands left out."""
        heard = self.announced - self.demanded
        return heard / self.days / self.operators if self.days else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {
            "recall": self.recall,
            "precision": self.precision,
            "false_per_1000_channel_days": self.false_per_1000_channel_days,
            "announced_per_operator_day": self.announced_per_operator_day,
        }


def score(verdicts: Sequence[Verdict], *, operators: int = 1) -> Score:
    """Return the score of runs."""
    alarms = [alarm for verdict in verdicts for alarm in verdict.alarms]
    safety = [alarm for alarm in alarms if alarm.klass == SAFETY]
    false = [alarm for alarm in safety if not (alarm.by_incident or alarm.by_fault)]
    found = [each for verdict in verdicts for each in verdict.found]
    return Score(
        runs=len(verdicts),
        as_wanted=sum(verdict.passed for verdict in verdicts),
        days=sum(verdict.days for verdict in verdicts),
        channel_days=sum(verdict.channel_days for verdict in verdicts),
        operators=operators,
        expected=len(found),
        found=sum(each.episode is not None for each in found),
        late=sum(each.late for each in found),
        alarms=len(safety),
        right=sum(bool(alarm.by_incident) for alarm in safety),
        demanded=sum(alarm.demanded and alarm.announced for alarm in alarms),
        false=len(false),
        false_red=sum(alarm.episode.severity == RED for alarm in false),
        false_orange=sum(alarm.episode.severity == ORANGE for alarm in false),
        announced=sum(alarm.announced for alarm in alarms),
        kinds=tuple(_kinds(verdicts)),
    )


def _kinds(verdicts: Sequence[Verdict]) -> list[KindScore]:
    held = []
    found = [each for verdict in verdicts for each in verdict.found]
    for kind in sorted({each.expected.kind for each in found}):
        mine = [each for each in found if each.expected.kind == kind]
        delays = [each.delay_s for each in mine if each.delay_s is not None]
        left = [each.margin_s for each in mine if each.margin_s is not None]
        held.append(
            KindScore(
                kind=kind,
                expected=len(mine),
                found=sum(each.episode is not None for each in mine),
                late=sum(each.late for each in mine),
                delay_p50_s=median(delays) if delays else None,
                delay_max_s=max(delays, default=None),
                left_min_s=min(left, default=None),
            )
        )
    return held


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShare:
    """What one rule said, by what lay beside it: the most talkative first."""

    klass: str
    rule: str
    severity: int  # the worst
    cause: str  # an incident, a kind of fault, or nothing
    alarms: int
    announced: int
    demanded: int  # of the announced, by Fail loud
    channel: str  # that spoke most
    of_channel: int  # alarms of it


def by_rule(verdicts: Sequence[Verdict], most: int = 40) -> list[RuleShare]:
    """Return who spoke, by class, rule and cause."""
    groups: dict[tuple[str, str, str], list[Alarm]] = {}
    for verdict in verdicts:
        for alarm in verdict.alarms:
            cause = "an incident" if alarm.by_incident else alarm.beside or "nothing"
            groups.setdefault((alarm.klass, alarm.episode.rule, cause), []).append(alarm)
    held = []
    for (klass, rule, cause), alarms in groups.items():
        channel, count = Counter(alarm.episode.subject for alarm in alarms).most_common(1)[0]
        held.append(
            RuleShare(
                klass=klass, rule=rule, cause=cause, alarms=len(alarms),
                severity=max(alarm.episode.severity for alarm in alarms),
                announced=sum(alarm.announced for alarm in alarms),
                demanded=sum(alarm.demanded and alarm.announced for alarm in alarms),
                channel=channel, of_channel=count,
            )
        )  # fmt: skip
    held.sort(key=lambda one: (-one.announced, -one.alarms, one.klass, one.rule, one.cause))
    return held[:most]
