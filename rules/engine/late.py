"""Late findings: rows older than the last judged one are judged without state, and never lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rules.engine.parameters import DANGEROUS
from rules.events import NOTHING, Event, EventType
from rules.judge import JUDGED, LATE
from rules.readings import offset_of, row_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.kinds.threshold import Threshold
    from rules.engine.slots import Slots
    from rules.readings import Readings


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows with their verdicts and acceptance, before anything of them is remembered."""

    rows: Readings
    g: NDArray[np.int64]
    verdict: NDArray[np.uint8]
    accepted: list[NDArray[np.bool_] | None]


def late_findings(batch: Batch, slots: Slots, threshold: Threshold) -> list[Event]:
    """Return a LATE_FINDING for every late row and threshold slot it breaches."""
    rows = batch.rows
    at = np.flatnonzero(batch.verdict == LATE)
    channel, value = rows.channel[at], rows.value[at]
    hot = (value >= threshold.quiet_above[channel]) | (value <= threshold.quiet_below[channel])
    events = []
    pointer = slots.pointer["threshold"]
    for row in at[hot].tolist():
        key = int(rows.channel[row])
        for slot in range(int(pointer[key]), int(pointer[key + 1])):
            event = _finding(batch, row, slot, slots, threshold)
            if event is not None:
                events.append(event)
    return events


def _finding(batch: Batch, row: int, slot: int, slots: Slots, threshold: Threshold) -> Event | None:
    """Judge one late row by one slot, without state."""
    p, rows = slots.parameters, batch.rows
    accept = int(p.accept[slot])
    mask = batch.accepted[accept]
    if mask is not None and not mask[row]:
        return None
    value, sign = float(rows.value[row]), float(p.sign[slot])
    over = value * sign > p.range_at[slot]
    score = np.inf if over else value * sign
    one = slice(row, row + 1)
    own, judged_ns = np.array([slot]), rows.judged_ns[one]
    hour = slots.hours.at(own, judged_ns)
    told = int(slots.hours.rows(own, hour)[0])
    breached = np.flatnonzero(score >= p.raise_at[told, :-1])
    if not len(breached):
        return None
    level = int(breached[-1])
    rule = slots.rules[int(p.rule[slot])]
    before = _last_before(batch, row, accept, threshold) * sign
    if before > p.range_at[slot]:
        before = np.inf
    contradicted = bool(before < p.clear_at[told, level])
    severity = int(slots.severity[level])
    top = severity == int(slots.severity.max())
    announce = severity >= DANGEROUS and not contradicted
    g = int(batch.g[row])
    under = slots.hours.cited(slot, int(hour[0]), int(judged_ns[0]))
    return Event(
        type=EventType.LATE_FINDING,
        offset=offset_of(g),
        row=row_of(g),
        stage=1,
        rule=rule.rule_id,
        subject=slots.subjects[int(p.channel[slot])],
        side=rule.side,
        severity=severity,
        klass=rule.klass,
        onset_ns=int(rows.judged_ns[row]),
        event_ns=int(rows.judged_ns[row]),
        receive_ns=int(rows.receive_ns[row]),
        value=value,
        score=float(score * sign),
        limit=float(p.raise_at[told, level] * sign),
        announce=(announce or (rule.fail_loud and top)) and not rule.shadow,
        over_range=bool(over),
        evidence=NOTHING if under is None else {"warning": under.said()},
        shadow=rule.shadow,
    )


def _last_before(batch: Batch, row: int, accept: int, threshold: Threshold) -> float:
    """Return the value the slot judged last before this row, in journal order; NaN = none."""
    rows = batch.rows
    channel = rows.channel[row]
    earlier = np.flatnonzero((rows.channel[:row] == channel) & (batch.verdict[:row] == JUDGED))
    mask = batch.accepted[accept]
    if mask is not None:
        earlier = earlier[mask[earlier]]
    values = rows.value[earlier]
    values = values[~np.isnan(values)]
    return float(values[-1]) if len(values) else float(threshold.last_value[accept, channel])
