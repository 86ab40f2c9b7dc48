"""What each kind's own parameters are drawn from in the random journals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.across import ACROSS
from tests.small_city import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN: dict[str, dict[str, Sequence[Any]]] = {
    "rate": {
        "window_ns": [s * SECOND_NS for s in (8, 30, 120)],
        "min_points": (1, 2, 3, 4),
        "per_ns": (SECOND_NS, 60 * SECOND_NS),
    },
    "count": {
        "window_ns": [s * SECOND_NS for s in (5, 20, 60, 600)],
        "at": (0.0, 1.0, 4.0, -2.0),
        "direction": (1, -1),
    },
    "step": {
        "window_ns": [s * SECOND_NS for s in (10, 30, 120)],
        "min_points": (1, 2, 3),
        "before_ns": [s * SECOND_NS for s in (10, 40, 120)],
        "relative": (0, 0, 1),
        "resample_ns": [s * SECOND_NS for s in (2, 5, 10, 100, 400)],
        "neighbours": ([1, 2, 3, -1], [4, 2, 0, 3], [3, -1, -1, -1], [0, 1, 2, 4]),
        "max_age_ns": [s * SECOND_NS for s in (5, 60, 600)],
        "min_members": (1, 1, 2),
    },
    "trend": {
        "window_ns": [s * SECOND_NS for s in (40, 120, 600)],
        "resample_ns": [s * SECOND_NS for s in (1, 2, 5, 10)],
        "min_points": (2, 3, 5),
        "min_duration_ns": [s * SECOND_NS for s in (0, 5, 20)],
        "per_ns": (SECOND_NS, 20 * SECOND_NS),
        "p_value": (0.9, 0.5, 0.2, 0.05),
        "companion": (0, 1, 2, 3, 4, 4, -1),
        "max_age_ns": [s * SECOND_NS for s in (30, 600)],
        "lag_first": (0, 0, 0, 1),
        "lag_last": (1, 1, 1, 2),
    },
    "forecast": {
        "window_ns": [s * SECOND_NS for s in (40, 120, 600)],
        "resample_ns": [s * SECOND_NS for s in (1, 2, 5, 10)],
        "min_points": (3, 4, 6),
        "limit": (2.0, 4.0, 8.0, 30.0),
        "direction": (1, 1, -1),
        "confidence": (0.6, 0.9, 0.99),
    },
    "stat": {"window_ns": [s * SECOND_NS for s in (3, 10, 60, 600)]},
    "ewma": {"alpha": (0.05, 0.25, 1.0), "warmup": (0, 1, 3, 6), "floor": (0.0, 0.25)},
    "modal": {
        "slot_ns": [s * SECOND_NS for s in (2, 5, 10)],
        "least": (1, 2, 3),
        "spread": (0.0, 0.5, 2.0),
        "companion": (-1, -1, 0, 1, 2, 3, 4),
        "max_age_ns": [s * SECOND_NS for s in (3, 30, 120)],
        "k": (1, 2, 3),
        "of": (3, 4, 5),
        "direction": (1, -1),
        "exclude": (math.nan, 3.0),
    },
    "transient": {
        "front_ns": [ms * SECOND_NS // 1000 for ms in (100, 200, 500)],
        "hop_ns": [ms * SECOND_NS // 1000 for ms in (1000, 2000, 2500)],
        "hops": (1, 3, 4),
        "gate": (0.0, 4.0, 8.0),
        "hold_off_ns": [s * SECOND_NS for s in (0, 2, 10)],
    },
    "zscore": {
        "window_ns": [s * SECOND_NS for s in (30, 120, 600)],
        "warmup_ns": [s * SECOND_NS for s in (0, 0, 20)],
        "robust": (1.0, 1.0, 0.0),
        "floor": (0.0, 0.25, 1.0),
        "exclude": (math.nan, 2.0, 4.0),
    },
    "cusum": {
        "window_ns": [s * SECOND_NS for s in (30, 120, 600)],
        "warmup_ns": [s * SECOND_NS for s in (0, 0, 20)],
        "robust": (1.0,),
        "floor": (0.0, 0.5, 2.0),
        "exclude": (math.nan,),
        "target": (math.nan, math.nan, 0.0, 2.0),
        "slack": (0.0, 0.5, 1.0),
        "freeze": (1.0, 4.0, math.inf),
        "cap": (8.0, 20.0),
        "direction": (1.0, -1.0),
        "by_ack": (0.0, 1.0),
    },
    "seasonal": {
        "slot_ns": [s * SECOND_NS for s in (2, 5, 5, 10)],
        "period_ns": [
            tuple(s * SECOND_NS for s in periods)
            for periods in ((20, 0), (10, 0), (60, 20), (40, 10), (33, 0), (120, 15))
        ],
        "keep": ((1, 1), (2, 3), (4, 2), (6, 4), (3, 32)),
        "least": (0, 1, 2, 3),
        "floor": (0.25, 0.5, 1.0, 0.0),
        "exclude": (math.nan, 2.0, 4.0, 8.0),
    },
    "stuck": {"tolerance": (0.0, 0.0, 1.0, 5.0)},
    **ACROSS,
}
"""What each channel's own parameters of a kind are drawn from."""
