"""What is told of single rows before any rule judges them: new clock epochs, and heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.events import Event, EventType
from rules.judge import JUDGED
from rules.readings import offset_of, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.judge import Verdicts
    from rules.readings import Readings


def row_events(
    rows: Readings,
    g: NDArray[np.int64],
    verdicts: Verdicts,
    probe: NDArray[np.bool_],
    ids: Sequence[str],
) -> list[Event]:
    """Say where a clock epoch opened, and that a probe came through; ``probe`` [channels]."""
    opened = verdicts.epoch_rows.tolist()
    events = [_event(EventType.CLOCK_EPOCH, rows, g, row, ids) for row in opened]
    if probe.any():
        known = rows.channel >= 0
        mine = known & probe[np.where(known, rows.channel, 0)]
        came = np.flatnonzero(mine & (verdicts.verdict == JUDGED)).tolist()
        events += [_event(EventType.HEARTBEAT, rows, g, row, ids) for row in came]
    return events


def _event(
    kind: EventType, rows: Readings, g: NDArray[np.int64], row: int, ids: Sequence[str]
) -> Event:
    """Build a stage 0 event of one row."""
    at = int(g[row])
    heartbeat = kind is EventType.HEARTBEAT
    return Event(
        type=kind,
        offset=offset_of(at),
        row=row_of(at),
        subject=ids[int(rows.channel[row])],
        ordinal=1 if heartbeat else 0,
        event_ns=int(rows.judged_ns[row]),
        receive_ns=int(rows.receive_ns[row]),
        value=float(rows.value[row]) if heartbeat else None,
    )
