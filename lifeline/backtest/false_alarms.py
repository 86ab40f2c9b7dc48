"""How many false alarms a day statistical rules are to be expected to raise.

With a history: the channel's own good samples, resampled in blocks into a long history nothing
happened in, go through the live engine; alarms per scored sample, times the samples all matched
channels send in a day. Without: the textbook's value, which assumes independent samples.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.backtest import bootstrap
from lifeline.backtest.good import gathered
from lifeline.backtest.subset import cut_rule
from lifeline.backtest.tails import Track
from lifeline.backtest.textbook import ASSUMED, DAY_NS, alarms_per_day
from rules.engine import Engine
from rules.engine.kinds import ACROSS
from rules.engine.taking import columns_of
from rules.events import EventType
from rules.language import compile_plan
from rules.readings import Readings, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.store.past import Span
    from lifeline.backtest.good import Good
    from lifeline.backtest.sources import Source
    from rules.language import Rule, RuleSet
    from rules.plan import ChannelRule, Plan
    from rules.problems import Problem
    from rules.registry import Registry

KINDS: Final = ("zscore", "ewma", "cusum", "seasonal", "rate", "step")
BUDGET: Final = 1.0  # false alarms a rule and day from which on it is warned of
MOST_CHANNELS: Final = 4  # of a rule that are tried, evenly among those with history
SAMPLES: Final = 50_000  # made for each, after the warm-up
BATCH: Final = 50_000
SEED: Final = 20_260_701
SURE: Final = 3.0  # alarms that 95 of 100 would have shown (the rule of three)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a rule is expected to raise in a day on all its channels together."""

    rule: str
    kind: str
    channels: int
    samples_per_day: float  # of all of them
    per_day: float | None  # None: nothing can be said
    at_most: bool = False  # no alarm was seen: it is this or fewer
    run_length: float = 0.0  # samples an alarm
    tried: int = 0  # channels
    alarms: int = 0
    scored: int = 0
    block: int = 0  # samples
    why: str = ""  # textbook, or what is missing

    def text(self) -> str:
        """Return it as a sentence."""
        if self.per_day is None:
            return f"expected false alarms unknown: {self.why}"
        said = f"expected {'at most ' if self.at_most else ''}{self.per_day:.3g} false alarms a day"
        said += f" on {self.channels} channels"
        if self.why:
            return f"{said} ({self.why})"
        return (
            f"{said} ({self.samples_per_day:,.0f} samples a day, one alarm in "
            f"{self.run_length:,.0f}: {self.alarms} in {self.scored:,} made of blocks of "
            f"{self.block} from {self.tried} channels)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def expected_alarms(
    rules: RuleSet, registry: Registry, source: Source | None = None, span: Span | None = None
) -> list[Expected]:
    """Return what every statistical rule on channels is expected to raise, in the rules' order."""
    plan, _ = compile_plan(rules, registry)
    by_rule: dict[str, list[ChannelRule]] = {}
    for side in plan.channel_rules:
        if side.kind in KINDS and side.kernel not in ACROSS:  # of one channel at a time
            by_rule.setdefault(side.rule_id, []).append(side)
    if source is None or span is None:
        return [_by_the_book(sides, registry) for sides in by_rule.values()]
    return [
        _from_history(rules.rule(name), sides, plan, registry, good)
        for (name, sides), good in _with_history(by_rule, plan, registry, source, span)
    ]


def warnings(rules: RuleSet, found: Sequence[Expected], budget: float) -> Iterator[Problem]:
    """Yield a warning for each rule expected to raise more than ``budget`` a day."""
    for each in found:
        rule = rules.rule(each.rule)
        if rule is None or each.per_day is None or each.at_most or each.per_day <= budget:
            continue
        said = f"{each.text()}: more than {budget:g}; raise the limit, or lengthen for"
        yield rule.problem(("kind",), said, "warning")


def _base(sides: Sequence[ChannelRule], registry: Registry) -> dict[str, Any]:
    rows = np.unique(np.concatenate([side.channel for side in sides]))
    a_day = float((DAY_NS / registry.channels.interval_ns[rows]).sum())
    return {
        "rule": sides[0].rule_id,
        "kind": sides[0].kind,
        "channels": len(rows),
        "samples_per_day": a_day,
    }


def _by_the_book(sides: Sequence[ChannelRule], registry: Registry) -> Expected:
    base = _base(sides, registry)
    each = [alarms_per_day(side, registry.channels.interval_ns[side.channel]) for side in sides]
    told = [number for number in each if number is not None]
    if not told:
        why = f"no textbook value for kind {base['kind']}; give --history"
        return Expected(**base, per_day=None, why=why)
    per_day = sum(told)
    length = base["samples_per_day"] / per_day if per_day else np.inf
    why = f"textbook value, {ASSUMED}; give --history"
    return Expected(**base, per_day=per_day, run_length=float(length), why=why)


# ------------------------------------------------------------------- from history


def _with_history(
    by_rule: dict[str, list[ChannelRule]],
    plan: Plan,
    registry: Registry,
    source: Source,
    span: Span,
) -> Iterator[tuple[tuple[str, list[ChannelRule]], Good]]:
    """Yield each rule with what was good on some of its channels: one reading for all rules."""
    if not by_rule:
        return
    chosen = [_evenly(_rows(sides)) for sides in by_rule.values()]
    good = gathered(
        source, plan, registry, [side for sides in by_rule.values() for side in sides],
        np.unique(np.concatenate(chosen)), span=span, from_ns=span.from_ns, truth=None,
    )  # fmt: skip
    for item in by_rule.items():
        yield item, good


def _rows(sides: Sequence[ChannelRule]) -> NDArray[np.int32]:
    return np.unique(np.concatenate([side.channel for side in sides]))


def _evenly(rows: NDArray[np.int32], most: int = 4 * MOST_CHANNELS) -> NDArray[np.int32]:
    """Return at most so many: more than are tried, since some may have no history."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))]


def _from_history(
    rule: Rule | None,
    sides: Sequence[ChannelRule],
    plan: Plan,
    registry: Registry,
    good: Good,
) -> Expected:
    base = _base(sides, registry)
    periods = sorted(getattr(rule.body, "periods", ())) if rule is not None else []
    made: dict[int, NDArray[np.float64]] = {}
    blocks, best = [], 0.0
    for row in _evenly(_rows(sides)).tolist():
        t_ns, x = good.values.get((base["rule"], row), (np.zeros(0, np.int64), np.zeros(0)))
        track = Track(t_ns, x, int(registry.channels.interval_ns[row]))
        length = bootstrap.block_length(track) if len(x) else 0
        seen_ns = int(np.ptp(t_ns)) if len(x) else 0
        # the longest rhythm it knows that the history holds, else the shortest
        period_ns = next((p for p in periods[::-1] if 3 * p <= seen_ns), (periods or [0])[0])
        if period_ns:
            length = max(period_ns // track.interval_ns, 1)
        starts = bootstrap.starts_of(track, length)
        best = max(best, len(x) / (length * 3) if length else 0.0)
        if len(starts) < bootstrap.LEAST_STARTS or len(x) < 3 * length:
            continue
        random = np.random.default_rng([SEED, row])
        wanted = SAMPLES + _warm_up(sides, row, track.interval_ns)
        made[row] = bootstrap.resampled(track, wanted, random, length=length, period_ns=period_ns)
        blocks.append(length)
        if len(made) == MOST_CHANNELS:
            break
    if not made:
        why = f"too little good history: {best:.0%} of three blocks on the best channel"
        return Expected(**base, per_day=None, why=why)
    alarms, scored = simulated(sides, plan, registry, made)
    if not scored:
        return Expected(**base, per_day=None, why="the made history never warmed it up")
    rate = max(alarms, SURE if not alarms else 0.0) / scored
    return Expected(
        **base, per_day=rate * base["samples_per_day"], at_most=not alarms, run_length=1 / rate,
        tried=len(made), alarms=alarms, scored=scored, block=round(float(np.median(blocks))),
    )  # fmt: skip


def _warm_up(sides: Sequence[ChannelRule], row: int, interval_ns: int) -> int:
    """Return how many samples a rule takes before it says anything, at most 4 x SAMPLES."""
    longest = 0
    for side in sides:
        at = int(np.flatnonzero(side.channel == row)[0])
        own = {name: np.asarray(column)[at] for name, column in side.own.items()}
        if "warmup_ns" in own:
            longest = max(longest, int(own["warmup_ns"]) // interval_ns)
        if "warmup" in own:  # in samples
            longest = max(longest, int(own["warmup"]))
        if "period_ns" in own:
            longest = max(longest, int((own["period_ns"] * own["least"]).min()) // interval_ns)
    return min(longest, 4 * SAMPLES)


def simulated(
    sides: Sequence[ChannelRule],
    plan: Plan,
    registry: Registry,
    made: dict[int, NDArray[np.float64]],
) -> tuple[int, int]:
    """Return (alarms raised, samples scored) of the live engine over made values by channel row."""
    rows = np.array(sorted(made), np.int32)
    alone = replace(
        plan, channel_rules=tuple(cut_rule(side, rows) for side in sides), quality_rules=(),
        composite_rules=(), input_rules=(), deadman_rules=(), subjects=(),
        probe_channels=np.zeros(0, np.int32),
    )  # fmt: skip
    engine = Engine(alone, registry, reads_out=True)
    if engine.readout is not None:
        engine.readout.every_ns = 1
    times = {row: np.arange(len(made[row])) * registry.channels.interval_ns[row] for row in made}
    t_ns = np.concatenate([times[row] for row in rows.tolist()])
    order = np.argsort(t_ns, kind="stable")
    columns = {
        "channel": np.concatenate([np.full(len(made[r]), r) for r in rows.tolist()])[order],
        "judged_ns": t_ns[order] + int(DAY_NS),
        "value": np.concatenate([made[row] for row in rows.tolist()])[order],
        "sequence": np.concatenate([np.arange(len(made[r])) for r in rows.tolist()])[order],
        "device": registry.channels.device[
            np.concatenate([np.full(len(made[r]), r) for r in rows.tolist()])[order]
        ],
    }
    counts: Counter[EventType] = Counter()
    scored = 0
    for offset, begin in enumerate(range(0, len(order), BATCH)):
        part = {name: column[begin : begin + BATCH] for name, column in columns.items()}
        events = engine.fold_columns(columns_of([Record(offset, Readings.of(part))]))
        counts.update(event.type for event in events)
        for series in engine.series():  # both sides of a cusum score each sample
            scored += len(np.unique(np.stack([series.subject, series.g]), axis=1).T)
    return counts[EventType.RAISED], scored
