"""Why an expectation failed, in one sentence, from the samples, the limits and the holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.durations import format_duration
from rules.plan import NEVER_NS
from rules.testing.warned import known_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.plan import ChannelRule
    from rules.series import Series
    from rules.testing.cases import Case
    from rules.testing.journal import Journal
    from rules.testing.judging import Failure
    from rules.testing.models import Expectation


def because(case: Case, journal: Journal, series: Sequence[Series], failure: Failure) -> Failure:
    """Return the failure with its reason, as far as it can be told."""
    if failure.number < 0 or not failure.rule:
        return failure
    of = case.test.expect[failure.number]
    slot = slot_of(case, failure)
    if of.none:
        return failure  # what fired and when is said already
    if slot is None:
        return replace(failure, why=", ".join(_silence(case, journal, failure)))
    built, subject, place = slot
    scored = scored_rows(case, journal, series, built, subject)
    told = _Telling(case, built, place, subject, of, scored).sentences()
    return replace(failure, why=", ".join(told))


def _silence(case: Case, journal: Journal, failure: Failure) -> list[str]:
    """Tell when a device was last heard, and after how much silence its rule raises."""
    device = case.registry.device_row.get(failure.subject, -1)
    at_ns = case.start_ns + failure.at_ns
    heard = journal.rows.receive_ns[journal.rows.device == device]
    told = []
    for rule in case.plan.deadman_rules:
        for place in np.flatnonzero(rule.device == device).tolist():
            if rule.rule_id != failure.rule:
                continue
            before = heard[heard <= at_ns]
            since = int(before[-1]) - case.start_ns if len(before) else 0
            told.append(f"last heard at {format_duration(since)}" if len(before) else "never heard")
            for level, missing in zip(case.plan.levels, rule.missing_ns[place], strict=True):
                if missing < NEVER_NS:
                    when = format_duration(since + int(missing))
                    needs = format_duration(int(missing))
                    told.append(f"{level.name} needs {needs} of silence, until {when}")
    return told


def slot_of(case: Case, failure: Failure) -> tuple[ChannelRule, str, int] | None:
    """Return what a failure is about: a rule's arrays of one side, the subject, its place there."""
    found = [slot for slot in case.slots(failure.rule) if failure.subject in ("", slot[1])]
    of = case.test.expect[failure.number]
    sides = {"high": (1,), "low": (-1,), None: (1, -1)}[of.side]
    return next((slot for slot in found if slot[0].side in sides), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class Scored:
    """What a rule compared with its limits on one subject: times since the start, and scores."""

    measured_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    score: NDArray[np.float64]


def scored_rows(
    case: Case, journal: Journal, series: Sequence[Series], built: ChannelRule, subject: str
) -> Scored:
    """Return a threshold's usable values by arrival; of other kinds the scores of each minute."""
    row = case.registry.channel_row.get(subject, -1)
    if built.kind == "threshold":
        rows = journal.rows
        mine = np.flatnonzero((rows.channel == row) & rows.usable & ~np.isnan(rows.value))
        held = rows.take(mine)
        return Scored(held.judged_ns - case.start_ns, held.receive_ns - case.start_ns, held.value)
    measured, score = [np.zeros(0, np.int64)], [np.zeros(0)]
    for each in series:
        sources = [i for i, s in enumerate(each.sources) if s.rule == built.rule_id]
        subjects = [i for i, s in enumerate(each.subjects) if s == subject]
        mine = np.flatnonzero(np.isin(each.source, sources) & np.isin(each.subject, subjects))
        measured.append(each.judged_ns[mine] - case.start_ns)
        score.append(each.score[mine])
    times = np.concatenate(measured)
    return Scored(times, times, np.concatenate(score))


@dataclass(frozen=True, slots=True)
class _Telling:
    case: Case
    built: ChannelRule
    place: int
    subject: str
    of: Expectation
    scored: Scored

    def sentences(self) -> list[str]:
        level = self._level()
        if level < 0:
            return [f"the rule has no level {self.of.level} here"]
        came = self.scored.received_ns <= self.of.at
        if not came.any():
            return ["no score had come by then", *self._on_its_way(came)]
        order = np.argsort(self.scored.measured_ns[came], kind="stable")
        times, score = self.scored.measured_ns[came][order], self.scored.score[came][order]
        limits, clears = (
            self._along("raise_at", times, level),
            self._along("clear_at", times, level),
        )
        limit, clear = float(limits[-1]), float(clears[-1])
        sign = self.built.side
        breach = score * sign >= limits * sign
        last = f"the last {self._noun()} ({self._at(times[-1])}: {score[-1]:g})"
        name = self.case.plan.levels[level].name
        if breach[-1]:
            return [*self._held(times, breach, level), *self._on_its_way(came)]
        beyond = "below" if sign > 0 else "above"
        if score[-1] * sign < clear * sign:
            said = f"{last} is {beyond} {name}, {limit:g}"
            return [said, *self._keeping(times, score, level), *self._on_its_way(came)]
        said = f"{last} is between {name}, {limit:g}, and its clear limit {clear:g}"
        return [said, *self._on_its_way(came)]

    def _level(self) -> int:
        """Return the column of the level expected; of none, of the lowest the rule has."""
        names = [level.name for level in self.case.plan.levels]
        declared = np.flatnonzero(~np.isnan(self.built.raise_at[self.place]))
        if self.of.level is not None:
            wanted = names.index(self.of.level)
            return wanted if wanted in declared else -1
        return int(declared[0]) if len(declared) else -1

    def _held(self, times: NDArray[np.int64], breach: NDArray[np.bool_], level: int) -> list[str]:
        """Tell since when the limit is breached, and what `for` still waits for."""
        gap = int(self.built.max_gap_ns[self.place])
        starts = breach.copy()
        starts[1:] &= ~breach[:-1] | (np.diff(times) > gap)
        begin = int(np.flatnonzero(starts)[-1])
        onset = int(times[begin])
        told = [f"breached since {self._at(onset)}"]
        hold = int(self._along("hold_ns", times, level)[-1])
        samples = int(self._along("hold_samples", times, level)[-1])
        if 0 < hold < NEVER_NS:
            until = self._at(onset + hold)
            told.append(f"`for` needs {format_duration(hold)} until {until}")
        if samples > 0:
            told.append(f"`for` needs {samples} samples, there were {len(times) - begin}")
        return told

    def _keeping(
        self, times: NDArray[np.int64], score: NDArray[np.float64], level: int
    ) -> list[str]:
        """Tell since when it is clear, and until when `keep_firing_for` holds the alarm."""
        keep = int(self._along("keep_ns", times, level)[-1])
        if not keep:
            return []
        sign = self.built.side
        inside = score * sign < self._along("clear_at", times, level) * sign
        stop = np.flatnonzero(~inside)
        onset = int(times[stop[-1] + 1] if len(stop) else times[0])
        until = self._at(onset + keep)
        return [f"clear since {self._at(onset)}",
                f"`keep_firing_for` needs {format_duration(keep)} until {until}"]  # fmt: skip

    def _on_its_way(self, came: NDArray[np.bool_]) -> list[str]:
        """Tell of a sample measured by then that came later."""
        waits = np.flatnonzero(~came & (self.scored.measured_ns <= self.of.at))
        if not len(waits):
            return []
        newest = waits[np.argmax(self.scored.measured_ns[waits])]
        measured = self._at(self.scored.measured_ns[newest])
        return [f"the sample of {measured} arrived at {self._at(self.scored.received_ns[newest])}"]

    def _along(self, name: str, times: NDArray[np.int64], level: int) -> NDArray[Any]:
        """Return a level's limit, band or hold as it was at each time since the start."""
        row = self.case.registry.channel_row.get(self.subject, -1)
        asset = int(self.case.registry.channels.asset[row]) if row >= 0 else -1
        known = known_by(self.case, self.of.at)
        times = times + self.case.start_ns
        return self.built.along(name, self.place, times, known, asset)[:, level]

    def _noun(self) -> str:
        return "sample" if self.built.kind == "threshold" else "score"

    @staticmethod
    def _at(at_ns: np.int64 | int) -> str:
        return format_duration(int(at_ns))
