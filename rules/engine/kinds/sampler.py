"""What a kind that judges waveforms is to the engine: something that scores samples of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rules.engine.tracks import Tracks
    from rules.waveforms.samples import Samples


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows a sampler made of samples, sorted by track and within one by time; rising times."""

    own: NDArray[np.int64]  # [r] track
    g: NDArray[np.int64]  # [r] position of the record that completed the row
    judged_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    score: NDArray[np.float64]  # natural sign; NaN = no row
    aux: NDArray[np.float64]  # [r, len(aux_names)]


class Sampler(Protocol):
    """One kernel's statistics over blocks, an array slot per track; made from ``Tracks``.

    As a Scorer it never decides, scores before it learns, and gives the same bytes however the
    journal is cut. Blocks carry no quality flags: every finite sample that is new counts.
    """

    kernel: ClassVar[str]
    aux_names: ClassVar[tuple[str, ...]]

    def __init__(self, tracks: Tracks, pointer: NDArray[np.int64]) -> None:
        """``pointer`` [sources + 1] names the first track of each source of blocks."""
        ...

    def take(self, samples: Samples) -> Scored | None:
        """Return the rows that the samples complete; learn."""
        ...

    def forget(self, own: NDArray[np.int64]) -> None:
        """Drop what must not go on across a new clock epoch of these tracks' blocks."""
        ...

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name, first axis the tracks, not copied; for snapshots."""
        ...

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array of ``columns`` in place of the present one: it may be wider."""
        ...
