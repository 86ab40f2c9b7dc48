"""What the channels around last said, one reading at a time: docs/kinds/composites.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Around:
    """The last values of some channels, and when they are too old."""

    channels: list[int]
    max_age_ns: int
    last: dict[int, tuple[int, float]] = field(default_factory=dict)  # channel -> time, value

    @staticmethod
    def of(own: Mapping[str, Any], i: int) -> Around:
        near = [int(c) for c in own["neighbours"][i] if c >= 0]
        return Around(near, int(own["max_age_ns"][i]))

    def saw(self, channel: int, t: int, x: float) -> None:
        if channel in self.channels and not math.isnan(x):
            self.last[channel] = (t, x)

    def forget(self, channel: int) -> None:
        self.last.pop(channel, None)

    def fresh(self, t: int) -> dict[int, float]:
        """Finite values at most max_age away, by channel."""
        found = {}
        for channel in self.channels:
            then, value = self.last.get(channel, (0, math.nan))
            if math.isfinite(value) and abs(t - then) <= self.max_age_ns:
                found[channel] = value
        return found


@dataclass(kw_only=True)
class LooksAround:
    """What a score that needs the channels around hears of them, and says beside it."""

    around: Around
    said: dict[str, float] = field(default_factory=dict)

    def saw(self, channel: int, t: int, x: float) -> None:
        self.around.saw(channel, t, x)

    def forget(self, channel: int) -> None:
        self.around.forget(channel)

    def evidence(self) -> dict[str, float]:
        return self.said
