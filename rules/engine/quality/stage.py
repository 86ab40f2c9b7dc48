"""The stage itself: every check looks at the rows, and the worst word becomes the row's flag."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.quality.checks import Marks, Rows, tracks_of
from rules.engine.quality.dropout import Dropout
from rules.engine.quality.single import Clock, Gap, Range
from rules.engine.quality.spike import Spike
from rules.engine.quality.stuck import Stuck
from rules.judge import JUDGED, LATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.quality.checks import Check, Words
    from rules.judge import Verdicts
    from rules.plan import Plan
    from rules.readings import Readings
    from rules.segments import Segments

CHECKS: tuple[type[Check], ...] = (Range, Clock, Gap, Spike, Dropout, Stuck)
"""Every kind; range first, for its fault codes make rows that are none for the others."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Rows whose flag or usability is not what the journal says."""

    g: NDArray[np.int64]  # [k] rising
    channel: NDArray[np.int64]  # [k]
    flag: NDArray[np.uint8]  # [k] QARTOD
    usable: NDArray[np.bool_]  # [k]


@dataclass(frozen=True, slots=True)
class RuleMarks:
    """What checks said of rows; where ``at`` is not ``g``, a later row decided."""

    at: NDArray[np.int64]  # [k]
    g: NDArray[np.int64]  # [k] the row it is about
    channel: NDArray[np.int64]  # [k]
    rule: NDArray[np.str_]  # [k] id of the quality rule
    flag: NDArray[np.uint8]  # [k] good = withdrawn


@dataclass(slots=True)
class Said:
    """All words of one fold, as they came."""

    flags: list[Flags] = field(default_factory=list)
    marks: list[RuleMarks] = field(default_factory=list)


class Quality:
    """All checks of a plan, and what they said in the last fold."""

    def __init__(self, plan: Plan, channels: int) -> None:
        known = {check.kind for check in CHECKS}
        unknown = {rule.kind for rule in plan.quality_rules} - known
        if unknown:
            raise ValueError(f"no such quality check: {', '.join(sorted(unknown))}")
        laid = [(check, tracks_of(check.kind, plan.quality_rules, channels)) for check in CHECKS]
        self.checks: list[Check] = [check(tracks) for check, tracks in laid if tracks is not None]
        self._rule_ids = np.array([rule.rule_id for rule in plan.quality_rules], np.str_)
        self._said = Said()

    def begin(self) -> None:
        """Forget what was said: a new fold."""
        self._said = Said()

    def follow(self, before: Quality) -> None:
        """Go on saying after what another stage said in this fold, before a change of rules."""
        self._said = before._said

    def mark(
        self, rows: Readings, g: NDArray[np.int64], verdicts: Verdicts, segments: Segments
    ) -> Readings:
        """Return the rows with the flags they have from now on; ``segments`` are the judged."""
        if not self.checks or not len(rows):
            return rows
        verdict = verdicts.verdict
        looked_at = None
        if verdict.any():
            looked_at = np.flatnonzero((verdict == JUDGED) | (verdict == LATE))
        seen = Rows(
            g=g,
            channel=rows.channel,
            value=rows.value,
            judged_ns=rows.judged_ns,
            event_ns=rows.event_ns,
            receive_ns=rows.receive_ns,
            usable=rows.usable,
            looked_at=looked_at,
            segments=segments,
            epochs=verdicts.epoch_rows,
        )
        flag = None
        for check in self.checks:
            words = check.look(seen)
            if words is None:
                continue
            if flag is None:
                flag = rows.qc_flag.copy()
            seen = self._take(check, words, seen, flag)
        if flag is None:
            return rows
        changed = np.flatnonzero((flag != rows.qc_flag) | (seen.usable != rows.usable))
        self._said.flags.append(
            Flags(
                g[changed],
                rows.channel[changed].astype(np.int64),
                flag[changed],
                seen.usable[changed],
            )
        )
        return replace(rows, qc_flag=flag, usable=seen.usable)

    def _take(self, check: Check, words: Words, seen: Rows, flag: NDArray[np.uint8]) -> Rows:
        """Note what a check says, and let the worst flag stand."""
        np.maximum.at(flag, words.row, words.flag)
        tracks = check.tracks
        at = seen.g[words.row]
        channel, rule = tracks.channel[words.track], tracks.rule[words.track]
        self._note(Marks(at, at, channel, rule, words.flag))
        if words.later is not None:
            self._note(words.later)
        if words.unusable is None:
            return seen
        usable = seen.usable.copy()
        usable[words.unusable] = False
        return replace(seen, usable=usable)

    def _note(self, m: Marks) -> None:
        self._said.marks.append(RuleMarks(m.at, m.g, m.channel, self._rule_ids[m.rule], m.flag))

    def flags(self) -> Flags:
        """Return the rows of the last fold whose flag is not the journal's."""
        held = self._said.flags
        return Flags(*(_column(held, f.name) for f in fields(Flags)))

    def marks(self) -> RuleMarks:
        """Return what each check said in the last fold, by (at, rule, channel, g)."""
        held = self._said.marks
        column = {f.name: _column(held, f.name) for f in fields(RuleMarks)}
        order = np.lexsort([column[name] for name in ("g", "channel", "rule", "at")])
        return RuleMarks(**{name: values[order] for name, values in column.items()})


_DTYPES = {"flag": np.uint8, "usable": np.bool_, "rule": np.str_}


def _column(parts: Sequence[Flags | RuleMarks], name: str) -> NDArray[Any]:
    """Return one column of several tables."""
    none: NDArray[Any] = np.zeros(0, _DTYPES.get(name, np.int64))
    return np.concatenate([none, *(getattr(part, name) for part in parts)])
