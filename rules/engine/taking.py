"""Records of the journal as columns: rows with their positions, ticks, and who spoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.engine.deadman import Heard
from rules.engine.lifecycle import Ticks
from rules.readings import Block, Readings, Tick, position
from rules.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.judge import Verdicts
    from rules.readings import Record


def rows_of(records: Sequence[Record]) -> tuple[Readings, NDArray[np.int64]]:
    """Return all scalar rows of records and their positions."""
    held = [(r.offset, r.body) for r in records if isinstance(r.body, Readings)]
    parts = [position(offset) + np.arange(len(body)) for offset, body in held]
    g = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return Readings.concatenate([body for _, body in held]), g


def ticks_of(records: Sequence[Record]) -> Ticks:
    """Return the ticks of records."""
    held = [(r.body.tick_ns, position(r.offset)) for r in records if isinstance(r.body, Tick)]
    both = np.array(held, np.int64).reshape(-1, 2)
    return Ticks(np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]))


def heard_of(records: Sequence[Record], rows: Readings, g: NDArray[np.int64]) -> Heard:
    """Return who spoke: the device of every row, and of every block."""
    heard = Heard(rows.device.astype(np.int64), rows.receive_ns, g)
    blocks = [
        (r.body.device, r.body.receive_ns, position(r.offset))
        for r in records
        if isinstance(r.body, Block)
    ]
    if not blocks:
        return heard
    extra = np.array(blocks, np.int64)
    merged = np.concatenate([np.stack([heard.device, heard.receive_ns, heard.g], axis=1), extra])
    merged = merged[np.argsort(merged[:, 2], kind="stable")]
    return Heard(merged[:, 0], merged[:, 1], merged[:, 2])


def kept_segments(verdicts: Verdicts, chosen: NDArray[np.bool_]) -> Segments:
    """Return the segments with only the chosen rows."""
    segments = verdicts.segments
    keep = chosen[segments.order]
    if keep.all():
        return segments
    kept = np.concatenate(([0], np.cumsum(keep)))
    start, stop = kept[segments.start], kept[segments.stop]
    some = stop > start
    return Segments(
        segments.order[keep], start[some], stop[some], segments.key[some], segments.single
    )
