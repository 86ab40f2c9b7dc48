"""Kinds ``gap``, ``late`` and ``clock``: when rows come, in seconds (docs/kinds/statistics.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.slots import NO_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks

SECOND_NS = 1e9


class Gap:
    """Time since the previous row of the track."""

    kernel: ClassVar[str] = "gap"
    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:
        self.last_ns = np.full(len(tracks), NO_NS)
        self.aux: NDArray[np.float64] | None = None

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the time between each row and the one before it; NaN where there is none."""
        place, first = runs.place, runs.start
        last = self.last_ns[place]
        before = np.empty_like(runs.t)
        before[1:] = runs.t[:-1]
        none = last == NO_NS
        before[first] = np.where(none, 0, last)
        score: NDArray[np.float64] = (runs.t - before).astype(np.float64) / SECOND_NS
        score[first[none]] = np.nan
        self.last_ns[place] = runs.t[runs.last]
        return score

    def forget(self, own: NDArray[np.int64]) -> None:
        """Forget the last row: times of two clocks have nothing between them."""
        self.last_ns[own] = NO_NS

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"last_ns": self.last_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place."""
        setattr(self, name, column)


class _OfRow:
    """A score that the row alone gives."""

    finite: ClassVar[bool] = True
    aux_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks: Tracks) -> None:  # noqa: ARG002 - nothing to remember
        self.aux: NDArray[np.float64] | None = None

    def forget(self, own: NDArray[np.int64]) -> None:
        """Do nothing: nothing is remembered."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return no state."""
        return {}

    def restore(self, name: str, column: NDArray[Any]) -> None:  # noqa: ARG002
        """Refuse: there is nothing to put back."""
        raise KeyError(name)


class Late(_OfRow):
    """How old a row was when it came."""

    kernel: ClassVar[str] = "late"

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return receive time less judged time."""
        age: NDArray[np.int64] = part.rows.receive_ns[runs.at] - runs.t
        return age.astype(np.float64) / SECOND_NS


class ClockAhead(_OfRow):
    """How far the device's own stamp lies in the future."""

    kernel: ClassVar[str] = "clock"

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return event time as stamped less receive time."""
        rows = part.rows
        event_ns, receive_ns = rows.event_ns[runs.at], rows.receive_ns[runs.at]
        # a stamp may be any number: the distance of two may need 64 bits, and a sign beside them
        ahead = event_ns >= receive_ns
        distance = np.where(ahead, event_ns - receive_ns, receive_ns - event_ns).view(np.uint64)
        return np.where(ahead, 1.0, -1.0) * distance.astype(np.float64) / SECOND_NS
