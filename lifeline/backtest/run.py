"""One reading of the past by one or more versions of the rules, each with an engine of its own."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ingest.store.past import END_NS, Span
from lifeline.backtest.episodes import Episodes
from rules.engine import Engine
from rules.engine.taking import Tally
from rules.events import encode
from rules.judge import CONFLICT, DUPLICATE, JUDGED, LATE
from rules.language import compile_plan
from rules.plan import Plan
from rules.readings import texts_named
from rules.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.store.past import Piece
    from lifeline.backtest.episodes import Episode
    from lifeline.backtest.sources import Source
    from rules.events import Event
    from rules.language import RuleSet
    from rules.problems import Problem
    from rules.readings import Control


@dataclass(slots=True)
class Version:
    """One version of the rules on its way through the past; afterwards what it said.

    ``digest`` is over the lines of the event log, each with its newline, so that two runs over the
    same records can be compared; ``lines`` takes them if somebody wants them.
    """

    rules: RuleSet
    source: Source
    from_ns: int = 0
    lines: BinaryIO | None = None
    engine: Engine = field(init=False)
    episodes: Episodes = field(init=False)
    warnings: list[Problem] = field(init=False, default_factory=list)
    events: int = 0
    seconds: float = 0.0
    _digest: hashlib._Hash = field(init=False, default_factory=hashlib.sha256)
    _named: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        plan, registry = Plan(content_hash="", levels=()), Registry.empty()
        if self.source.registry is not None:
            plan, registry = self._compiled(self.source.registry), self.source.registry
        self.engine = Engine(plan, registry, resolve=self._resolve)
        self.engine.tally = Tally()
        self.episodes = Episodes(self.from_ns)

    def _compiled(self, registry: Registry) -> Plan:
        plan, self.warnings = compile_plan(self.rules, registry)
        # ticks that were put in by interval are no sign that anything of ours stood still
        return replace(plan, blind_after_ns=max(plan.blind_after_ns, 2 * self.source.tick_ns))

    def _resolve(self, control: Control) -> tuple[Plan, Registry] | None:
        """Follow the registry as it was; the rules are ours from where the first ones held."""
        begun = self.engine.plan.content_hash != ""
        named = texts_named(control)
        if begun and "registry" not in named:
            return None
        self._named |= named
        if not begun and set(self._named) < {"registry", "rules"}:
            return None
        registry = self.source.texts(self._named["registry"])
        if registry.content_hash == self.engine.registry.content_hash:
            return None
        return self._compiled(registry), registry

    def take(self, piece: Piece) -> None:
        """Fold whole records, and note what the engine says of them."""
        begun_s = time.perf_counter()
        if piece.columns is not None:
            events = self.engine.fold_columns(piece.columns, piece.blocks)
        elif piece.control is not None:
            events = self.engine.fold([piece.control])
        else:
            events = []
        self.seconds += time.perf_counter() - begun_s
        if events:
            self._note(events)

    def _note(self, events: list[Event]) -> None:
        self.events += len(events)
        text = b"".join(encode(event) + b"\n" for event in events)
        self._digest.update(text)
        if self.lines is not None:
            self.lines.write(text)
        self.episodes.take(events)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the event log so far."""
        return self._digest.hexdigest()

    @property
    def alarming(self) -> list[Episode]:
        """Return the episodes somebody would have heard of: those of rules on trial left out."""
        trial = {rule.rule_id for rule in self.plan.told_rules if rule.shadow}
        return [episode for episode in self.episodes.held if episode.rule not in trial]

    @property
    def plan(self) -> Plan:
        """Return the plan that held at the end."""
        return self.engine.plan

    @property
    def registry(self) -> Registry:
        """Return the registry that held at the end."""
        return self.engine.registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read: counts of rows, the span of receive times, and where the time went."""

    rows: int
    judged: int
    masked: int
    late: int
    duplicates: int
    conflicts: int
    begin_ns: int
    end_ns: int
    reading_s: float
    folding_s: float
    wall_s: float


def run(
    source: Source,
    versions: Sequence[Version],
    span: Span,
    *,
    tell: Callable[[int, int], None] = lambda _done, _time_ns: None,
) -> Reading:
    """Let every version take the same records in; ``tell`` hears of rows done and city time."""
    begun_s = time.monotonic()
    done, begin_ns, end_ns = 0, END_NS, 0
    for piece in source.read(span):
        for version in versions:
            version.take(piece)
        if piece.columns is None:
            continue
        done += piece.rows + len(piece.columns.ticks.g)
        times = [
            column[[0, -1]]
            for column in (piece.columns.rows.receive_ns, piece.columns.ticks.tick_ns)
            if len(column)
        ]
        if times:
            edges = np.concatenate(times)
            begin_ns, end_ns = min(begin_ns, int(edges.min())), max(end_ns, int(edges.max()))
        tell(done, end_ns)
    wall_s = time.monotonic() - begun_s
    tally = versions[0].engine.tally or Tally()
    folding_s = sum(version.seconds for version in versions)
    return Reading(
        rows=int(tally.verdicts.sum()),
        judged=int(tally.verdicts[JUDGED]),
        masked=tally.masked,
        late=int(tally.verdicts[LATE]),
        duplicates=int(tally.verdicts[DUPLICATE]),
        conflicts=int(tally.verdicts[CONFLICT]),
        begin_ns=0 if begin_ns == END_NS else begin_ns,
        end_ns=end_ns,
        reading_s=max(wall_s - folding_s, 0.0),
        folding_s=folding_s,
        wall_s=wall_s,
    )
