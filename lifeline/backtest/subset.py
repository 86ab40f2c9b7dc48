"""All records of a few channels, held in memory, to run rules over again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ingest.store.past import Span
    from lifeline.backtest.sources import Source
    from rules.engine.taking import Columns
    from rules.plan import ChannelRule, Plan

MOST_CHANNELS = 200


@dataclass(frozen=True, slots=True)
class Subset:
    """Readings and ticks of some channels in journal order; waveforms are left out."""

    channels: NDArray[np.int32]
    columns: list[Columns]

    @classmethod
    def of(cls, source: Source, channels: Iterable[int], span: Span) -> Subset:
        """Read them; at most MOST_CHANNELS, the first ones named."""
        chosen = np.array(sorted(list(dict.fromkeys(channels))[:MOST_CHANNELS]), np.int32)
        pieces = source.read(replace(span, channels=chosen)) if len(chosen) else ()
        return cls(chosen, [piece.columns for piece in pieces if piece.columns is not None])

    def values(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return receive time and value of a channel's usable readings."""
        times, values = [np.zeros(0, np.int64)], [np.zeros(0)]
        for columns in self.columns:
            chosen = (columns.rows.channel == row) & columns.rows.usable
            times.append(columns.rows.receive_ns[chosen])
            values.append(columns.rows.value[chosen])
        return np.concatenate(times), np.concatenate(values)

    def cut(self, plan: Plan) -> Plan:
        """Return the plan's rules and checks on these channels, without those across channels."""
        return cut_plan(plan, self.channels)


def cut_plan(plan: Plan, channels: NDArray[np.int32]) -> Plan:
    """Return a plan's rules and checks on some channels, without those across channels."""
    kept = [cut_rule(rule, channels) for rule in plan.channel_rules]
    checks = []
    for check in plan.quality_rules:
        at = np.flatnonzero(np.isin(check.channel, channels))
        own = {name: column[at] for name, column in check.own.items()}
        gaps = check.max_gap_ns[at]
        checks.append(replace(check, channel=check.channel[at], max_gap_ns=gaps, own=own))
    return replace(
        plan,
        channel_rules=tuple(rule for rule in kept if len(rule.channel)),
        quality_rules=tuple(check for check in checks if len(check.channel)),
        composite_rules=(),
        input_rules=(),
        deadman_rules=(),
        subjects=(),
        probe_channels=np.zeros(0, np.int32),
    )


def cut_rule(rule: ChannelRule, channels: NDArray[np.int32]) -> ChannelRule:
    """Return a rule on those of its channels that are among ``channels``."""
    return rule.taken(np.flatnonzero(np.isin(rule.channel, channels)))
