"""What the engine makes of readings beside alarms: scores by the minute, and computed channels.

They are for charts. Like events they follow from the journal alone, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURE: Final = "feature"
"""Kind of the source of rows of computed channels: ``score`` is the value, ``extra`` its flag."""
QUALITY: Final = "quality"


class Source(NamedTuple):
    """Who scored: a rule of a kind, and the names of what it says beside the score."""

    rule: str  # "" of computed channels
    kind: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """n scored rows in order of (g, rule, subject)."""

    sources: tuple[Source, ...]
    subjects: tuple[str, ...]  # channel ids, and whatever else rules are about
    g: NDArray[np.int64]
    source: NDArray[np.int32]
    subject: NDArray[np.int32]
    judged_ns: NDArray[np.int64]
    value: NDArray[np.float64]  # NaN where a rule joins several channels
    score: NDArray[np.float64]
    extra: NDArray[np.float64]  # [n, widest source]; NaN where there is none

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.g)

    @classmethod
    def empty(cls) -> Series:
        """Return no rows."""
        long, short, real = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0)
        return cls((), (), long, short, short, long, real, real, np.zeros((0, 0)))

    def since(self, g: int) -> Series:
        """Return the rows at or after a position."""
        if not len(self) or self.g[0] >= g:
            return self
        first = int(np.searchsorted(self.g, g))
        names = ("g", "source", "subject", "judged_ns", "value", "score", "extra")
        cut = {name: getattr(self, name)[first:] for name in names}
        return Series(self.sources, self.subjects, **cut)
