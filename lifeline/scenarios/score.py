"""The score of alarms: events found, how soon, how many false, how much people hear."""

from __future__ import annotations

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
    demanded: int  # about a fault of which Fail loud demands an alarm
    false: int
    false_red: int
    false_orange: int
    announced: int  # alarms of every class and level
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
        demanded=sum(_demanded(alarm) for alarm in alarms),
        false=len(false),
        false_red=sum(alarm.episode.severity == RED for alarm in false),
        false_orange=sum(alarm.episode.severity == ORANGE for alarm in false),
        announced=len(alarms),
        kinds=tuple(_kinds(verdicts)),
    )


def _demanded(alarm: Alarm) -> bool:
    return bool(alarm.by_fault) and not alarm.by_incident and alarm.klass == SAFETY


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


def loudest(verdicts: Sequence[Verdict], most: int = 12) -> list[tuple[str, str, int, int]]:
    """Return (class, rule, worst severity, alarms) of the rules that spoke most, unexplained."""
    counts: dict[tuple[str, str], list[int]] = {}
    for verdict in verdicts:
        for alarm in verdict.alarms:
            if not (alarm.by_incident or alarm.by_fault):
                key = (alarm.klass, alarm.episode.rule)
                counts.setdefault(key, []).append(alarm.episode.severity)
    order = sorted(counts.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(klass, rule, max(held), len(held)) for (klass, rule), held in order[:most]]
