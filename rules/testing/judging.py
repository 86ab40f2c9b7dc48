"""What was expected against what came: each expectation after everything of its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.alarm_fold import AlarmFold
from rules.durations import format_duration
from rules.events import EventType
from rules.problems import listed
from rules.quantities import canonical
from rules.testing.journal import basis_of

if TYPE_CHECKING:
    from rules.alarms import Alarm
    from rules.events import Event
    from rules.testing.cases import Case
    from rules.testing.journal import Journal
    from rules.testing.models import Expectation, Near
    from rules.testing.play import Played

FIRED = (EventType.RAISED, EventType.ESCALATED, EventType.LATE_FINDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One thing that is not as expected. ``subject`` is what it is about, "" for several."""

    number: int  # of the expectation, −1 for an action, a golden file or an invariant
    at_ns: int  # since the start
    line: int
    rule: str
    subject: str
    said: str  # at 5m expected yellow UNACK, got NORM
    why: str = ""


@dataclass(slots=True)
class _Now:
    """How things stand after the events taken so far."""

    alarms: AlarmFold = field(default_factory=AlarmFold)
    decided: dict[str, Event] = field(default_factory=dict)  # alarm key → what last made it worse
    fired: list[Event] = field(default_factory=list)
    count: int = 0

    def take(self, event: Event) -> None:
        self.count += 1
        self.alarms.apply(event, self.count)
        if event.type in FIRED and event.announce:
            self.fired.append(event)
            self.decided[event.alarm_key] = event

    def current(self, *, late: bool) -> list[Alarm]:
        """Return the newest alarm of every key."""
        held = self.alarms.alarms.values()
        return [a for a in held if a.late == late and self.alarms.current(a.alarm_key, late=late)
                is a]  # fmt: skip


def judge(case: Case, journal: Journal, played: Played) -> list[Failure]:
    """Return the expectations that do not hold, in the order of their times."""
    now, begin, failures = _Now(), 0, []
    expected = sorted(enumerate(case.test.expect), key=lambda pair: (pair[1].at, pair[0]))
    for number, of in expected:
        last = journal.until(of.at)
        while begin < len(played.told) and played.told[begin].offset <= last:
            now.take(played.told[begin])
            begin += 1
        found = _Judging(case, now, number, of).failure()
        if found is not None:
            failures.append(found)
    return failures


@dataclass(frozen=True, slots=True)
class _Judging:
    """One expectation."""

    case: Case
    now: _Now
    number: int
    of: Expectation

    @property
    def subject(self) -> str | None:
        """Return whom it is about, None for any."""
        return self.case.subjects[self.number]

    def failure(self) -> Failure | None:
        if self.of.none:
            return self._silent()
        found = [a for a in self.now.current(late=self.of.late) if self._means(a)]
        if self.of.isa == "NORM" or not found:
            if not found:
                return self._without()
            wrong = [(a, w) for a in found if (w := self._wrong(a))]
            return self._failed(*wrong[0]) if wrong else None
        wrongs = [(a, self._wrong(a)) for a in found]
        if any(not w for _, w in wrongs):
            return None
        return self._failed(*min(wrongs, key=lambda pair: len(pair[1])))

    def _means(self, alarm: Alarm) -> bool:
        side = {"high": 1, "low": -1, None: alarm.side}[self.of.side]
        mine = self.subject in (None, alarm.subject)
        return alarm.rule == self.of.rule and mine and side == alarm.side

    def _silent(self) -> Failure | None:
        for event in self.now.fired:
            rule = self.of.rule in (None, event.rule)
            side = {"high": 1, "low": -1, None: event.side}[self.of.side]
            if rule and self.subject in (None, event.subject) and side == event.side:
                level = self._level(event.severity)
                got = f"{event.rule} fired {level} on {self.case.names.shown(event.subject)}"
                when = self._time(event.receive_ns)
                said = f"expected nothing to fire, but {got} at {when}"
                return self._fail(event.rule, event.subject, said)
        return None

    def _without(self) -> Failure | None:
        """Judge where no alarm has ever been: that is NORM and nothing else."""
        if self._expects_norm_alone():
            return None
        return self._fail(
            str(self.of.rule), self.subject or "", f"expected {self._wanted()}, got NORM"
        )

    def _expects_norm_alone(self) -> bool:
        given = self.of.model_fields_set - {"at", "rule", "side", "late"}
        given -= {"sensor", "asset", "device", "zone"}
        return self.of.isa == "NORM" and given == {"isa"}

    def _failed(self, alarm: Alarm, wrong: list[str]) -> Failure:
        got = f"got {self._level(alarm.severity)} {alarm.word}".replace("  ", " ")
        rest = "" if len(wrong) == 1 and wrong[0].startswith("isa") else f" ({'; '.join(wrong)})"
        said = f"expected {self._wanted()}, {got}{rest}"
        return self._fail(alarm.rule, alarm.subject, said)

    def _fail(self, rule: str, subject: str, said: str) -> Failure:
        line = self.case.test.document.at((*self.case.test.path, "expect", self.number))[0]
        at = format_duration(self.of.at)
        return Failure(
            number=self.number, at_ns=self.of.at, line=line, rule=rule, subject=subject,
            said=f"at {at} {said}",
        )  # fmt: skip

    def _wanted(self) -> str:
        words = [self.of.level or "", self.of.isa or ""]
        plain = " ".join(filter(None, words))
        return plain or listed(
            key for key in ("since", "onset", "members", "inputs", "value", "score", "confirmed",
            "over_range", "warning") if getattr(self.of, key) is not None
        )  # fmt: skip

    def _wrong(self, alarm: Alarm) -> list[str]:
        """Return what of an alarm is not as expected, each as 'onset: 3m, not 4m'."""
        of, event = self.of, self.now.decided.get(alarm.alarm_key)
        evidence: Any = event.evidence if event is not None else {}
        facts: list[tuple[str, Any, Any]] = [
            ("isa", str(alarm.word), of.isa),
            ("level", self._level(alarm.severity or alarm.max_severity), of.level),
            ("since", self._time(alarm.raised_ns), _span(of.since)),
            ("onset", self._time(alarm.onset_ns), _span(of.onset)),
            ("inputs", sorted(evidence.get("inputs", ())), of.inputs and sorted(of.inputs)),
            ("warning", evidence.get("warning", {}).get("hazard", "none"), of.warning),
            ("confirmed", alarm.confirmed, of.confirmed),
            ("over_range", alarm.over_range, of.over_range),
        ]
        wrong = [f"{k}: {got}, not {want}" for k, got, want in facts if want is not None
                 and got != want]  # fmt: skip
        members = self.case.members[self.number]
        if members is not None and set(evidence.get("members", ())) != members:
            shown = self.case.names.shown
            got = listed(sorted(map(shown, evidence.get("members", ())))) or "none"
            wrong.append(f"members: {got}, not {listed(sorted(map(shown, members)))}")
        for key, want in (("value", of.value), ("score", of.score)):
            if want is not None:
                wrong += self._number(key, getattr(alarm, key), want, alarm.subject)
        return wrong

    def _number(self, key: str, got: float | None, want: Near, subject: str) -> list[str]:
        low, high = want.is_ - want.within, want.is_ + want.within
        if key == "value":
            low, high = self._canonical(low, subject), self._canonical(high, subject)
        if got is not None and low <= got <= high:
            return []
        unit = " (in the unit it is kept in)" if key == "value" else ""
        return [f"{key}: {'none' if got is None else f'{got:g}'}, not {want.is_:g}{unit}"]

    def _canonical(self, number: float, subject: str) -> float:
        """Return a number in the sensor's unit as the engine keeps it."""
        channels = self.case.registry.channels
        row = self.case.registry.channel_row.get(subject)
        if row is None:
            return number
        return canonical(
            channels.quantity[row], channels.unit[row], number, lel_basis=basis_of(channels, row)
        )

    def _level(self, severity: int) -> str:
        return next((x.name for x in self.case.plan.levels if x.severity == severity), "")

    def _time(self, at_ns: int) -> str:
        since_ns = at_ns - self.case.start_ns
        sign = "-" if since_ns < 0 else ""
        return sign + format_duration(abs(since_ns))


def _span(span_ns: int | None) -> str | None:
    return None if span_ns is None else format_duration(span_ns)
