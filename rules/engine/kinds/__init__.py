"""Every kind there is. To add one: its file here, one line in SCORERS, its slow twin in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine.kinds.arrival import ClockAhead, Gap, Late
from rules.engine.kinds.cusum import Cusum
from rules.engine.kinds.ewma import Ewma
from rules.engine.kinds.least_squares import RateLeastSquares
from rules.engine.kinds.rate import RateDifference, RateTheilSen
from rules.engine.kinds.stuck import Stuck
from rules.engine.kinds.threshold import Threshold
from rules.engine.kinds.zscore import Zscore

if TYPE_CHECKING:
    from rules.engine.kinds.scorer import Scorer

SCORERS: tuple[type[Scorer], ...] = (
    RateDifference,
    RateTheilSen,
    RateLeastSquares,
    Ewma,
    Stuck,
    Gap,
    Late,
    ClockAhead,
    Zscore,
    Cusum,
)
KERNELS = (Threshold.kernel, *(scorer.kernel for scorer in SCORERS))
KINDS = ("threshold", "rate", "ewma", "stuck", "gap", "late", "clock", "zscore", "cusum", "deadman")
"""Every kind: contract, oracle and any-cut tests find them here."""
