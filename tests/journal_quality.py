"""Random rules of the quality stage for tests/journals.py: parameters its journals run into."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import NEVER_NS, QualityRule
from tests.small_city import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

INF = math.inf
OWN: dict[str, dict[str, Sequence[Any]]] = {
    "range": {
        "suspect_lo": (-INF, -4.0, 0.0),
        "suspect_hi": (INF, 4.0, 8.0),
        "fail_lo": (-INF, -8.0),
        "fail_hi": (INF, 9.0, 12.0),
        "corrupt": ((math.nan, math.nan), (-8.0, math.nan), (2.0**53, 5.0)),
    },
    "clock": {
        "future_ns": (0, 7, 300 * SECOND_NS, NEVER_NS),
        "past_ns": (0, 20 * SECOND_NS, 99 * SECOND_NS, NEVER_NS),
    },
    "gap": {},
    "spike": {
        "window": (3, 5, 9),
        "suspect": (0.5, 2.0, 4.0),
        "fail": (5.0, 8.0, INF),
        "floor": (0.0, 0.25, 1.0),
        "max_width": (1, 1, 1, 2, 3),
    },
    "dropout": {
        "low": (-8.0, 0.0),
        "high": (0.0, 1.0),
        "max_width_ns": [s * SECOND_NS for s in (0, 4, 30, 200)],
    },
    "stuck": {
        "tolerance": (0.0, 0.5, 1.0, 3.0),
        "suspect_ns": (0, 5 * SECOND_NS, 20 * SECOND_NS, NEVER_NS),
        "fail_ns": (10 * SECOND_NS, 40 * SECOND_NS, NEVER_NS),
        "quiet_lo": (INF, 0.0),
        "quiet_hi": (-INF, 0.0),
    },
}
"""What each channel's parameters of a check are drawn from."""


def quality_of(
    rule_id: str,
    kind: str,
    channels: Sequence[int] = (0,),
    *,
    max_gap_s: float = 180,
    **own: Any,
) -> QualityRule:
    """One check with the same parameters on all its channels."""
    n = len(channels)
    return QualityRule(
        rule_id=rule_id,
        kind=kind,
        channel=np.asarray(channels, np.int32),
        max_gap_ns=np.full(n, round(max_gap_s * SECOND_NS), np.int64),
        own={
            name: np.broadcast_to(np.asarray(value), (n, *np.shape(value))).copy()
            for name, value in own.items()
        },
    )


def quality_rules(random: Random, channels: int) -> tuple[QualityRule, ...]:
    """None, or a few checks, each with other parameters from channel to channel."""
    rules = []
    for i in range(random.choice((0, 2, 5))):
        kind = random.choice(tuple(OWN))
        chosen = sorted(random.sample(range(channels), random.randint(1, channels)))
        own = {name: choices[0] for name, choices in OWN[kind].items()}
        rule = quality_of(f"check-{(i * 7 + 3) % 10}", kind, chosen, **own)
        for row in range(len(chosen)):
            rule.max_gap_ns[row] = random.choice((3, 15, 40, 180)) * SECOND_NS
            for name, choices in OWN[kind].items():
                rule.own[name][row] = random.choice(choices)
            if kind == "spike":
                most = (int(rule.own["window"][row]) - 1) // 2
                rule.own["max_width"][row] = min(most, rule.own["max_width"][row])
        rules.append(rule)
    return tuple(rules)
