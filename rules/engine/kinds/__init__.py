"""Every kind there is. To add one: its file here, one line in SCORERS, its slow twin in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine.kinds.arrival import ClockAhead, Gap, Late
from rules.engine.kinds.count import Count
from rules.engine.kinds.cusum import Cusum
from rules.engine.kinds.ewma import Ewma
from rules.engine.kinds.expr import Expression
from rules.engine.kinds.forecast import Forecast
from rules.engine.kinds.joint import JOINTS
from rules.engine.kinds.least_squares import RateLeastSquares
from rules.engine.kinds.modal import Modal
from rules.engine.kinds.neighbour import NeighbourDifference, NeighbourSigma
from rules.engine.kinds.rate import RateDifference, RateTheilSen
from rules.engine.kinds.seasonal import Seasonal
from rules.engine.kinds.stat import STATS
from rules.engine.kinds.step import StepResampled, StepRows
from rules.engine.kinds.step_beyond import StepBeyond
from rules.engine.kinds.stuck import Stuck
from rules.engine.kinds.threshold import Threshold
from rules.engine.kinds.transient import Transient
from rules.engine.kinds.trend import Trend
from rules.engine.kinds.trend_compensated import TrendCompensated
from rules.engine.kinds.vote import Votes
from rules.engine.kinds.zscore import Zscore

if TYPE_CHECKING:
    from rules.engine.kinds.sampler import Sampler
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
    Seasonal,
    Count,
    StepRows,
    StepResampled,
    StepBeyond,
    Trend,
    TrendCompensated,
    Forecast,
    *STATS,
    NeighbourDifference,
    NeighbourSigma,
    Expression,
    Modal,
)
ACROSS = frozenset(
    scorer.kernel
    for scorer in (
        *(NeighbourDifference, NeighbourSigma, Expression, TrendCompensated),
        *(StepBeyond, Modal),
    )
)
"""Kernels that look at the last values of other channels."""
SAMPLERS: tuple[type[Sampler], ...] = (Transient,)
"""Kinds that judge the samples of blocks."""
FOLLOWING = (Votes.kernel, *(joint.kernel for joint in JOINTS))
"""Kernels of the second stage: they follow from what the others decided."""
_SCORED = (*(scorer.kernel for scorer in SCORERS), *(sampler.kernel for sampler in SAMPLERS))
KERNELS = (Threshold.kernel, *_SCORED, *FOLLOWING)
KINDS = (
    *("threshold", "rate", "ewma", "stuck", "gap", "late", "clock", "zscore", "cusum"),
    *("seasonal", "count", "step", "trend", "forecast", "neighbour", "expr", "stat"),
    *("vote", "all", "any", "sequence", "deadman", "transient", "modal"),
)
"""Every kind: contract, oracle and any-cut tests find them here."""
