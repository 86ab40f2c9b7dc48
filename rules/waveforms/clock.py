"""Which samples of a waveform are new: the time test of blocks, source by source.

A source is a channel whose samples somebody listens to. A sample is taken if it is newer than the
last one taken of its source, so a block that comes twice, or late, or overlaps, adds nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.judge import NEVER, NO_BOOT
from rules.readings import Block, position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.readings import Record

EPOCH_BLOCKS = 3  # blocks in a row without a newer sample that open a new epoch
EPOCH_NS = 60_000_000_000  # and, where blocks have no sequence, how long they must go on
SHORTEST_NS = 50_000  # between samples
LONGEST_NS = 2**60  # of one block
LATEST_NS = 2**62  # of its start, from 1970

_STATE: dict[str, tuple[Any, Any]] = {
    "last_ns": (np.int64, NEVER),  # time of the last sample taken
    "period_ns": (np.int64, 0),  # of the last block taken
    "broken": (np.bool_, False),  # the last sample taken was not finite
    "boot": (np.int64, NO_BOOT),
    "previous_boot": (np.int64, NO_BOOT),
    "top": (np.int64, -1),  # highest sequence of the boot
    "late_run": (np.int64, 0),  # blocks in a row without a newer sample
    "late_since_ns": (np.int64, 0),  # receive time of the first of them
}


@dataclass(frozen=True, slots=True)
class Pieces:
    """Rows of blocks, P pieces sorted by source, then as they came."""

    source: NDArray[np.int64]  # [P]
    record: NDArray[np.int64]  # [P] place of the record in the batch
    g: NDArray[np.int64]  # [P] position of the record
    receive_ns: NDArray[np.int64]
    begin: NDArray[np.int64]  # [P] place of the first sample in the flat samples of all blocks
    length: NDArray[np.int64]  # [P]
    start_ns: NDArray[np.int64]  # [P] time of the first sample
    period_ns: NDArray[np.int64]
    boot: NDArray[np.int64]
    sequence: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.source)

    def take(self, chosen: NDArray[Any]) -> Pieces:
        """Return the chosen pieces."""
        return Pieces(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @property
    def end_ns(self) -> NDArray[np.int64]:
        """Return the time of each piece's last sample."""
        return self.start_ns + (self.length - 1) * self.period_ns

    @property
    def head(self) -> NDArray[np.bool_]:
        """Tell the first piece of each source."""
        head = np.ones(len(self.source), np.bool_)
        head[1:] = self.source[1:] != self.source[:-1]
        return head


@dataclass(frozen=True, slots=True)
class Marked:
    """Pieces with the samples that are new; ``joined`` ones go on where the one before ended."""

    pieces: Pieces
    joined: NDArray[np.bool_]  # [P]
    epochs: list[tuple[int, int]]  # (record, source) at which a new epoch opens


def pieces_of(records: Sequence[Record], source_of: NDArray[np.int64]) -> Pieces | None:
    """Return the pieces of sources; ``source_of`` [channels] names a channel's, −1 = none."""
    held = [(i, r.offset, r.body) for i, r in enumerate(records) if isinstance(r.body, Block)]
    if not held:
        return None
    whole = np.array(
        [
            (i, position(o), b.receive_ns, b.judged_ns, b.boot, b.sequence, *b.samples.shape)
            for i, o, b in held
        ],
        np.int64,
    )
    rate = np.array([b.rate_hz for _, _, b in held], np.float64)
    rows, n = whole[:, 6], whole[:, 7]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        period = np.round(1e9 / rate)
        sound = (period >= SHORTEST_NS) & (period * n < LONGEST_NS) & (n > 0)
    sound &= np.abs(whole[:, 3]) < LATEST_NS
    period_ns = np.where(sound, period, 1).astype(np.int64)
    block = np.repeat(np.arange(len(held)), rows)
    first = np.cumsum(rows * n) - rows * n
    row = np.arange(len(block)) - np.repeat(np.cumsum(rows) - rows, rows)
    channel = np.concatenate([b.channel for _, _, b in held]).astype(np.int64)
    known = (channel >= 0) & (channel < len(source_of)) & sound[block]
    source = np.where(known, source_of[np.where(known, channel, 0)], -1)
    order = np.flatnonzero(source >= 0)
    if not len(order):
        return None
    if (source[order][1:] < source[order][:-1]).any():
        order = order[np.argsort(source[order], kind="stable")]
    of = block[order]
    return Pieces(
        source=source[order],
        record=whole[of, 0],
        g=whole[of, 1],
        receive_ns=whole[of, 2],
        begin=first[of] + row[order] * n[of],
        length=n[of],
        start_ns=whole[of, 3],
        period_ns=period_ns[of],
        boot=whole[of, 4],
        sequence=whole[of, 5],
    )


class BlockClock:
    """The time test's small state: 57 bytes a source."""

    def __init__(self, sources: int) -> None:
        self.state: dict[str, NDArray[Any]] = {
            name: np.full(sources, fill, dtype) for name, (dtype, fill) in _STATE.items()
        }

    def mark(self, pieces: Pieces) -> Marked:
        """Take up the pieces: which samples are new, what goes on without a gap, what is late."""
        state, head = self.state, pieces.head
        source, end = pieces.source, pieces.end_ns
        before = np.empty(len(pieces), np.int64)
        before[1:] = end[:-1]
        before[head] = state["last_ns"][source[head]]
        period = np.empty(len(pieces), np.int64)
        period[1:] = pieces.period_ns[:-1]
        period[head] = state["period_ns"][source[head]]
        odd = pieces.start_ns <= before
        odd |= (pieces.boot != state["boot"][source]) & (pieces.sequence >= 0)
        if odd.any():
            return self._mark_odd(pieces, odd, before, period)
        self._take_up(pieces, head, end)
        return Marked(pieces, _joined(pieces.start_ns, before, pieces.period_ns, period), [])

    def _take_up(self, pieces: Pieces, head: NDArray[np.bool_], end: NDArray[np.int64]) -> None:
        """Move the state of sources all of whose pieces are simply new to the last piece."""
        state = self.state
        begin = np.flatnonzero(head)
        last = np.append(begin[1:], len(pieces)) - 1
        at = pieces.source[last]
        state["last_ns"][at] = end[last]
        state["period_ns"][at] = pieces.period_ns[last]
        highest = np.maximum.reduceat(pieces.sequence, begin)
        state["top"][at] = np.maximum(state["top"][at], highest)
        state["late_run"][at] = 0

    def _mark_odd(
        self,
        pieces: Pieces,
        odd: NDArray[np.bool_],
        before: NDArray[np.int64],
        period: NDArray[np.int64],
    ) -> Marked:
        """Judge the pieces of sources with anything odd one by one, the others as always."""
        strange = np.zeros(len(self.state["boot"]), np.bool_)
        strange[pieces.source[odd]] = True
        slow = strange[pieces.source]
        if not slow.all():
            plain = pieces.take(~slow)
            self._take_up(plain, plain.head, plain.end_ns)
        skip = np.zeros(len(pieces), np.int64)
        joined = _joined(pieces.start_ns, before, pieces.period_ns, period)
        epochs: list[tuple[int, int]] = []
        for p in np.flatnonzero(slow).tolist():
            skip[p], joined[p], opens = self._step(pieces, p)
            if opens:
                epochs.append((int(pieces.record[p]), int(pieces.source[p])))
        keep = skip < pieces.length
        left = Pieces(
            source=pieces.source,
            record=pieces.record,
            g=pieces.g,
            receive_ns=pieces.receive_ns,
            begin=pieces.begin + skip,
            length=pieces.length - skip,
            start_ns=pieces.start_ns + skip * pieces.period_ns,
            period_ns=pieces.period_ns,
            boot=pieces.boot,
            sequence=pieces.sequence,
        )
        return Marked(left.take(keep), joined[keep], sorted(epochs))

    def _step(self, pieces: Pieces, p: int) -> tuple[int, bool, bool]:
        """Judge one piece: (samples to skip, joined, opens an epoch)."""
        state, s = self.state, int(pieces.source[p])
        start, length = int(pieces.start_ns[p]), int(pieces.length[p])
        period, receive_ns = int(pieces.period_ns[p]), int(pieces.receive_ns[p])
        rising = self._rises(s, int(pieces.boot[p]), int(pieces.sequence[p]))
        end, last = start + (length - 1) * period, int(state["last_ns"][s])
        opens = False
        if end <= last:
            if not rising:
                return length, False, False
            if state["late_run"][s] == 0:
                state["late_since_ns"][s] = receive_ns
            state["late_run"][s] += 1
            told = pieces.sequence[p] >= 0 or receive_ns - state["late_since_ns"][s] >= EPOCH_NS
            if state["late_run"][s] < EPOCH_BLOCKS or not told:
                return length, False, False
            opens = True
        skip = 0 if opens or start > last else (last - start) // period + 1
        before = int(NEVER) if opens else last
        joined = period == state["period_ns"][s] and before != NEVER
        joined = joined and start + skip * period - before <= period + period // 2
        state["last_ns"][s], state["period_ns"][s] = end, period
        state["late_run"][s] = 0
        return skip, bool(joined), opens

    def _rises(self, s: int, boot: int, sequence: int) -> bool:
        """Tell whether a block may be newly sent, by its sequence; note it."""
        state = self.state
        if sequence < 0:
            return True
        if boot == state["boot"][s]:
            rises = bool(sequence > state["top"][s])
            state["top"][s] = max(sequence, int(state["top"][s]))
            return rises
        if boot == state["previous_boot"][s]:
            return False
        state["previous_boot"][s], state["boot"][s] = state["boot"][s], boot
        state["top"][s], state["late_run"][s] = sequence, 0
        return True


def _joined(
    start: NDArray[np.int64],
    before: NDArray[np.int64],
    period: NDArray[np.int64],
    period_before: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell pieces whose first sample comes at most one and a half periods after the one before."""
    near: NDArray[np.bool_] = (before != NEVER) & (period == period_before)
    near[near] = start[near] - before[near] <= period[near] + period[near] // 2
    return near
