"""Every kind of the rule language. To add one: its file here and one line in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.language.kinds.arrival import CLOCK, GAP, LATE
from rules.language.kinds.count import COUNT
from rules.language.kinds.cusum import CUSUM
from rules.language.kinds.deadman import DEADMAN
from rules.language.kinds.ewma import EWMA
from rules.language.kinds.expr import EXPR
from rules.language.kinds.forecast import FORECAST
from rules.language.kinds.modal import MODAL
from rules.language.kinds.neighbour import NEIGHBOUR
from rules.language.kinds.rate import RATE
from rules.language.kinds.step import STEP
from rules.language.kinds.stuck import STUCK
from rules.language.kinds.threshold import THRESHOLD
from rules.language.kinds.transient import TRANSIENT
from rules.language.kinds.trend import TREND
from rules.language.kinds.vote import VOTE
from rules.language.kinds.zscore import ZSCORE

if TYPE_CHECKING:
    from rules.language.kinds.kind import Kind

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        *(THRESHOLD, RATE, EWMA, ZSCORE, CUSUM, STEP, TREND, FORECAST),
        *(STUCK, GAP, LATE, CLOCK, COUNT, NEIGHBOUR, EXPR, VOTE),
        *(TRANSIENT, MODAL, DEADMAN),
    )
}

DEFAULT_MESSAGES: Final = {kind.name: kind.message for kind in KINDS.values()}
"""What an alarm says where its rule does not: English and Chinese, by kind."""

SETTABLE: Final = tuple(
    dict.fromkeys(
        (
            *("above", "below", "clear", "hysteresis", "for", "keep_firing_for", "max_gap"),
            *(key for kind in KINDS.values() for key in kind.settable),
        )
    )
)
"""Keys an override may set, where the kind has them."""
