"""What one rule decided on one channel, sample by sample, by the engine run again over the past."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.store.past import Span
from lifeline.backtest.subset import Subset
from rules.engine import Engine
from rules.engine.slots import NO_NS
from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.store.past import Piece
    from lifeline.backtest.sources import Source
    from rules.engine.taking import Columns
    from rules.events import Event
    from rules.plan import Plan
    from rules.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reading, or the ticks after it if they decided something. Times are Unix ns."""

    at_ns: int  # received, or the tick
    measured_ns: int
    sample: bool  # False: ticks
    value: float | None
    score: float | None  # what limits are compared with; None while the rule is quiet
    flag: int
    pending: str  # level whose breach lasts and is not yet held, "" if none
    since_ns: int  # of that breach
    held_s: float
    needed_s: float | None  # None: a number of samples decides
    stands: str  # highest level that stands
    clearing_s: float | None  # so long below the clear of the level that stands
    decided: tuple[str, ...]  # RAISED yellow, …

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """The steps round an alarm, and the events the whole run gave."""

    steps: list[Step]
    events: list[Event]


def rerun(
    source: Source,
    site: tuple[Plan, Registry],
    alarm: tuple[str, int, str],
    *,
    from_ns: int,
    to_ns: int,
) -> Rerun:
    """Run a rule on its channel over all records, and look closely from ``from_ns`` on.

    ``alarm`` is rule, side and channel. The rules are those of the alarm's time throughout.
    """
    work = _Stepper(site, alarm)
    channels = np.array([work.row], np.int32)
    for piece in source.read(Span(to_ns=to_ns, channels=channels)):
        work.take(piece, from_ns)
    return Rerun(steps=work.steps, events=work.events)


class _Stepper:
    def __init__(self, site: tuple[Plan, Registry], alarm: tuple[str, int, str]) -> None:
        plan, registry = site
        rule, self._side, channel = alarm
        self.row = registry.channel_row[channel]
        alone = Subset(np.array([self.row], np.int32), []).cut(plan)
        kept = tuple(r for r in alone.channel_rules if r.rule_id == rule)
        self._engine = Engine(replace(alone, channel_rules=kept), registry)
        self._plan = plan
        slots = self._engine.slots
        self._slot = next(
            s for s in slots.named(rule, channel) if slots.parameters.sign[s] == self._side
        )
        self._threshold = any(r.kind == "threshold" for r in kept)
        self.steps: list[Step] = []
        self.events: list[Event] = []

    def take(self, piece: Piece, from_ns: int) -> None:
        """Fold a piece: whole before the time of interest, row by row within it."""
        if piece.control is not None:
            self._keep(self._engine.fold([piece.control]))
        if piece.columns is None:
            return
        columns = piece.columns
        end_ns = max(
            (int(t[-1]) for t in (columns.rows.receive_ns, columns.ticks.tick_ns) if len(t)),
            default=0,
        )
        if end_ns < from_ns:
            self._keep(self._engine.fold_columns(columns))
            return
        for part in _row_by_row(columns):
            self._step(part, from_ns)

    def _keep(self, events: list[Event]) -> list[Event]:
        own = [e for e in events if e.rule and e.side == self._side]
        self.events += own
        return own

    def _step(self, part: Columns, from_ns: int) -> None:
        events = self._keep(self._engine.fold_columns(part))
        sample = len(part.rows) > 0
        at_ns = int(part.rows.receive_ns[0]) if sample else int(part.ticks.tick_ns[-1])
        if at_ns < from_ns or not (sample or events):
            return
        if events and not sample:
            at_ns = events[-1].receive_ns
        names = {level.severity: level.name for level in self._plan.levels}
        decided = tuple(f"{e.type} {names.get(e.severity, '')}".strip() for e in events)
        self.steps.append(self._now(part, at_ns, decided))

    def _now(self, part: Columns, at_ns: int, decided: tuple[str, ...]) -> Step:
        """Return what the slot remembers after a step."""
        slots, s = self._engine.slots, self._slot
        state, p = slots.state, slots.parameters
        sample, busy = len(part.rows) > 0, bool(state.busy[s])
        last_ns = int(state.last_ns[s])
        value = float(part.rows.value[0]) if sample else None
        score = float(state.score[s] * p.sign[s]) if busy else None
        if score is None and self._threshold:
            score = value
        latched = [c for c in range(len(slots.levels)) if state.mask[s] >> c & 1]
        running = [
            c
            for c in range(len(slots.levels))
            if busy and state.onset_ns[s, c] != NO_NS and c not in latched
        ]
        top = running[-1] if running else -1
        clear_ns = int(state.clear_ns[s, latched[-1]]) if latched else int(NO_NS)
        told = int(slots.hours.rows(np.array([s]), state.hour[[s]])[0])
        hold_ns = int(p.hold_ns[told, top]) if running else 0
        return Step(
            at_ns=at_ns,
            measured_ns=int(part.rows.judged_ns[0]) if sample else last_ns,
            sample=sample,
            value=value,
            score=score,
            flag=int(part.rows.qc_flag[0]) if sample else 0,
            pending=slots.levels[top].name if running else "",
            since_ns=int(state.onset_ns[s, top]) if running else 0,
            held_s=(last_ns - int(state.onset_ns[s, top])) / 1e9 if running else 0.0,
            needed_s=None if hold_ns == NEVER_NS else hold_ns / 1e9,
            stands=slots.levels[latched[-1]].name if latched else "",
            clearing_s=None if clear_ns == NO_NS else (last_ns - clear_ns) / 1e9,
            decided=decided,
        )


def _row_by_row(columns: Columns) -> Iterator[Columns]:
    """Yield each row by itself, and the ticks between two rows together."""
    begin = -1
    edges = [*columns.g.tolist(), 2**63 - 1]
    for g in edges:
        if len(columns.ticks.g) and g > begin:
            between = columns.between(begin, g)
            if len(between.ticks.g):
                yield between
        if g != edges[-1]:
            yield columns.between(g, g + 1)
            begin = g + 1
