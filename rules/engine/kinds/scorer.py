"""What every kind of per-channel rule is to the engine: something that scores rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeGuard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs
    from rules.engine.tracks import Tracks


class Scorer(Protocol):
    """One kernel's statistics, an array slot per track; made from ``Tracks``.

    A scorer never decides: limits, holds and latches are the lifecycle's. It scores before it
    learns, uses only + - * / sqrt and tables, and no reduction whose rounding depends on how the
    journal was cut: the same rows in other batches must give the same bytes.
    """

    kernel: ClassVar[str]
    """The kind, with ``_method`` where the kind has methods."""
    finite: ClassVar[bool]
    """Whether rows with an infinite value are no rows for it."""
    aux_names: ClassVar[tuple[str, ...]]
    """What else it says of a row, shown as evidence of an event; at most AUX of them."""
    aux: NDArray[np.float64] | None
    """[r, len(aux_names)] of the rows scored last; None where the kernel has no names."""

    def __init__(self, tracks: Tracks) -> None: ...

    def score(self, runs: Runs, part: Part) -> NDArray[np.float64]:
        """Return the score of every row, natural sign, NaN while too little is known; learn.

        ``part`` serves the few kernels that look at other channels, at g or at receive times.
        """
        ...

    def forget(self, own: NDArray[np.int64]) -> None:
        """Empty what must not go on across a new clock epoch of these tracks."""
        ...

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name, first axis the tracks, not copied; for snapshots.

        A second axis may be as wide as any track has needed so far.
        """
        ...

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array of ``columns`` in place of the present one: it may be wider."""
        ...


class TakesLate(Protocol):
    """A scorer whose runs hold late rows too: ``part.late[runs.at]`` tells them.

    Their score must be NaN.
    """

    takes_late: ClassVar[bool]


class Gatherer(Scorer, Protocol):
    """A scorer whose tracks are about something else than one channel, and take rows of several."""

    def gather(self, part: Part) -> Runs | None:
        """Return the rows of the part that concern each track, accepted ones, none NaN."""
        ...

    def tracks_of(self, channel: int) -> NDArray[np.int64]:
        """Return the tracks that take rows of a channel."""
        ...


def takes_late(scorer: Scorer) -> TypeGuard[TakesLate]:
    """Tell whether runs for it hold late rows; an isinstance of a protocol costs 20 times more."""
    return hasattr(scorer, "takes_late")


def gathers(scorer: Scorer) -> TypeGuard[Gatherer]:
    """Tell whether it finds its rows by itself."""
    return hasattr(scorer, "gather")
