"""Every kind there is. To add one: its file here, one line in SCORERS, its slow twin in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine.kinds.ewma import Ewma
from rules.engine.kinds.least_squares import RateLeastSquares
from rules.engine.kinds.rate import RateDifference, RateTheilSen
from rules.engine.kinds.threshold import Threshold
from rules.engine.kinds.transient import Transient

if TYPE_CHECKING:
    from rules.engine.kinds.sampler import Sampler
    from rules.engine.kinds.scorer import Scorer

SCORERS: tuple[type[Scorer], ...] = (
    RateDifference,
    RateTheilSen,
    RateLeastSquares,
    Ewma,
)
SAMPLERS: tuple[type[Sampler], ...] = (Transient,)
"""Kinds that judge the samples of blocks."""
_SCORED = (scorer.kernel for scorer in SCORERS)
KERNELS = (Threshold.kernel, *_SCORED, *(sampler.kernel for sampler in SAMPLERS))
KINDS = ("threshold", "rate", "ewma", "deadman", "transient")
"""Every kind: contract, oracle and any-cut tests find them here."""
