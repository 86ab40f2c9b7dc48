"""Records of the journal as columns: rows with their positions, ticks, and who spoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rules.engine.deadman import Heard
from rules.engine.lifecycle import Ticks
from rules.judge import HEARD, JUDGED, LATE
from rules.readings import QC_FAIL, Block, Readings, Tick, position
from rules.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.judge import Verdicts
    from rules.readings import Record


@dataclass(frozen=True, slots=True)
class Columns:
    """Whole records side by side: rows, their positions, ticks, who spoke; all in order of g."""

    rows: Readings
    g: NDArray[np.int64]
    ticks: Ticks
    heard: Heard
    next_offset: int

    def between(self, g_from: int, g_to: int) -> Columns:
        """Return what stands at g_from ≤ g < g_to."""
        a, b = np.searchsorted(self.g, [g_from, g_to])
        c, d = np.searchsorted(self.ticks.g, [g_from, g_to])
        ticks = Ticks(self.ticks.tick_ns[c:d], self.ticks.g[c:d])
        heard = self.heard.between(g_from, g_to)
        return Columns(self.rows.take(slice(a, b)), self.g[a:b], ticks, heard, self.next_offset)


class Tally:
    """How many rows were judged, duplicate, late, conflicting, or said only that a device spoke.

    ``masked`` are the judged and late ones no rule accepts unless it asks: unusable by the device's
    own word, or failed or missing by their flag.
    """

    def __init__(self) -> None:
        self.verdicts = np.zeros(HEARD + 1, np.int64)
        self.masked = 0

    def take(self, rows: Readings, verdict: NDArray[np.uint8]) -> None:
        """Count rows after the quality stage."""
        self.verdicts += np.bincount(verdict, minlength=len(self.verdicts))
        if rows.usable.all() and not (rows.qc_flag >= QC_FAIL).any():
            return
        masked = ~rows.usable | (rows.qc_flag >= QC_FAIL)
        self.masked += int((masked & ((verdict == JUDGED) | (verdict == LATE))).sum())


def columns_of(records: Sequence[Record]) -> Columns:
    """Return records side by side."""
    rows, g = rows_of(records)
    heard = heard_of(records, rows, g)
    return Columns(rows, g, ticks_of(records), heard, records[-1].offset + 1)


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
