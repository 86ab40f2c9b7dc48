"""Every kind there is. To add one: its file here, one line in SCORERS, its slow twin in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine.kinds.count import Count
from rules.engine.kinds.ewma import Ewma
from rules.engine.kinds.least_squares import RateLeastSquares
from rules.engine.kinds.rate import RateDifference, RateTheilSen
from rules.engine.kinds.step import StepResampled, StepRows
from rules.engine.kinds.threshold import Threshold
from rules.engine.kinds.trend import Trend

if TYPE_CHECKING:
    from rules.engine.kinds.scorer import Scorer

SCORERS: tuple[type[Scorer], ...] = (
    RateDifference,
    RateTheilSen,
    RateLeastSquares,
    Ewma,
    Count,
    StepRows,
    StepResampled,
    Trend,
)
KERNELS = (Threshold.kernel, *(scorer.kernel for scorer in SCORERS))
KINDS = ("threshold", "rate", "ewma", "count", "step", "trend", "deadman")
"""Every kind: contract, oracle and any-cut tests find them here."""
