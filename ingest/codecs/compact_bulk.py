"""Compact frames, many at once: frames of one layout are rows of one table of bytes.

A gateway sends the same blocks again and again: the same encodings with as many samples, at the
same places. So the layout of one frame is walked block by block, all frames of its size are held
against it at once, and what agrees is cut into columns without looking at frames or blocks one by
one. Everything else, what is wrong included, is left to ``compact``, which says what is wrong with
it: what is read here gives the same rows there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import google_crc32c
import numpy as np

from ingest.codecs.compact import (
    BLOCK,
    CHECKSUM,
    DEVICE,
    HEADER,
    MAGIC,
    MAX_FRAME_BYTES,
    SCALED,
    SIMULATION,
    STORED,
    VALUES,
    VERSION,
)
from ingest.frame import MAX_EVENT_MS, ms_to_ns
from ingest.message_times import FAR_NS, LOWEST_NS
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WHOLE: Final = 0x48674BC7
"""The CRC-32C of any bytes that end with their own, lowest byte first."""
_LAYOUTS: Final = 8  # tried among frames of one size; inventions must not cost a walk each
_SCALE_BYTES: Final = 4
_MAX_INVERSE: Final = 1e15


class Bulk(NamedTuple):
    """The frames that were read, in order, and their rows as columns of length n.

    ``number[m]`` says which of the payloads each is. ``message[n]`` counts 0, 1, … through them.
    Rows of a message stand by time, those of one time as in the frame.
    """

    number: NDArray[np.int64]
    device: list[str]
    boot: NDArray[np.int64]
    sequence: NDArray[np.int64]
    simulation: NDArray[np.bool_]
    message: NDArray[np.int64]
    port: NDArray[np.int32]
    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    status: NDArray[np.uint8]

    def only(self, good: NDArray[np.bool_], number: NDArray[np.int64]) -> Bulk:
        """Return the messages that are ``good``, by other numbers."""
        if good.all():
            return self._replace(number=number)
        rows = good[self.message]
        heads: list[Any] = [each[good] for each in (self.boot, self.sequence, self.simulation)]
        columns: list[Any] = [
            column[rows] for column in (self.port, self.event_ns, self.value, self.status)
        ]
        names = [name for name, fine in zip(self.device, good.tolist(), strict=True) if fine]
        message = (np.cumsum(good) - 1)[self.message[rows]]
        return Bulk(number[good], names, heads[0], heads[1], heads[2], message, *columns)


class _Run(NamedTuple):
    """``blocks`` blocks one after another, of one encoding and ``n`` samples each."""

    at: int  # of the first, from the begin of the frame
    encoding: int
    blocks: int
    n: int
    row: int  # the first row

    @property
    def offsets_at(self) -> int:
        """Return where the time offsets begin in a block."""
        return BLOCK.size + (_SCALE_BYTES if self.encoding == SCALED else 0)

    @property
    def size(self) -> int:
        """Return the bytes of a block."""
        return self.offsets_at + self.n * (4 + VALUES[self.encoding].itemsize)

    @property
    def rows(self) -> slice:
        """Return which rows of the frame these are."""
        return slice(self.row, self.row + self.blocks * self.n)

    def of(self, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return its bytes as [frames, blocks, bytes], a view."""
        size = self.size
        return table[:, self.at : self.at + self.blocks * size].reshape(-1, self.blocks, size)


def read(payloads: Sequence[bytes], *, least: int) -> Bulk:
    """Return what can be read of these payloads; never raises, whatever the bytes.

    Of each layout only where it has so many blocks in all frames for each run of like ones.
    """
    alike: dict[tuple[int, bytes], list[int]] = {}
    for number, payload in enumerate(payloads):
        if HEADER.size + CHECKSUM.size < len(payload) <= MAX_FRAME_BYTES:
            alike.setdefault((len(payload), payload[6:8]), []).append(number)
    parts = [
        part
        for (_, head), numbers in alike.items()
        if len(numbers) * head[1] >= least
        for part in _of_one_size(np.array(numbers), payloads, least)
    ]
    return _joined(parts)


def _of_one_size(number: NDArray[np.int64], payloads: Sequence[bytes], least: int) -> list[Bulk]:
    """Read frames of one size that name as many blocks."""
    whole = [google_crc32c.value(payloads[each]) == _WHOLE for each in number.tolist()]
    number = number[whole]
    parts: list[Bulk] = []
    for _ in range(_LAYOUTS):
        if not len(number):
            break
        runs = _layout(payloads[number[0]])
        some = [payloads[each] for each in number.tolist()]
        table = np.frombuffer(b"".join(some), np.uint8).reshape(len(some), -1)
        agrees = _agrees(table, runs)
        agrees[0] = True  # with itself, or it is not to be read here
        blocks = int(np.count_nonzero(agrees)) * int(table[0, 7])
        if runs and blocks >= least * len(runs):
            parts.append(_columns(number[agrees], table[agrees], runs))
        number = number[~agrees]
    return parts


def _layout(payload: bytes) -> list[_Run]:
    """Return the runs of a frame; none where it is not one of series to its very end."""
    at, end = HEADER.size + payload[6], len(payload) - CHECKSUM.size
    runs: list[_Run] = []
    row = 0
    for _ in range(payload[7]):
        if at + BLOCK.size > end:
            return []
        _, encoding, _, n = BLOCK.unpack_from(payload, at)
        if n == 0 or encoding not in VALUES:
            return []
        if runs and (runs[-1].encoding, runs[-1].n) == (encoding, n):
            runs[-1] = runs[-1]._replace(blocks=runs[-1].blocks + 1)
        else:
            runs.append(_Run(at, encoding, 1, n, row))
        at += runs[-1].size
        row += n
    return runs if at == end else []


def _agrees(table: NDArray[np.uint8], runs: list[_Run]) -> NDArray[np.bool_]:
    """Say of each frame whether its blocks are these; [m]."""
    good: NDArray[np.bool_] = np.full(len(table), bool(runs))
    for run in runs:
        heads = run.of(table)
        good &= (heads[:, :, 2] == run.encoding).all(axis=1)
        good &= (heads[:, :, 4] == (run.n & 0xFF)).all(axis=1)
        good &= (heads[:, :, 5] == run.n >> 8).all(axis=1)
    return good


def _columns(number: NDArray[np.int64], table: NDArray[np.uint8], runs: list[_Run]) -> Bulk:
    """Read frames that have these runs, leaving out those that have more to be said of."""
    m, rows = len(table), runs[-1].rows.stop
    good = (table[:, :3] == (*MAGIC, VERSION)).all(axis=1)
    good &= (table[:, 3] & ~np.uint8(SIMULATION | STORED)) == 0  # an unset clock is the codec's
    good &= ~table[:, 4:6].any(axis=1)  # signed
    device_end = HEADER.size + int(table[0, 6])
    names = [row.tobytes() for row in table[:, HEADER.size : device_end]]
    good &= np.array([DEVICE.fullmatch(name) is not None for name in names], np.bool_)
    value, event_ns = np.empty((m, rows)), np.empty((m, rows), np.int64)
    port, status = np.empty((m, rows), np.int32), np.empty((m, rows), np.uint8)
    for run in runs:
        part = run.of(table)
        shape, at = (m, run.blocks, run.n), run.offsets_at
        values_at = at + 4 * run.n
        event_ns[:, run.rows].reshape(shape)[:] = part[:, :, at:values_at].view("<i4")
        raw = part[:, :, values_at:].view(VALUES[run.encoding])
        if run.encoding == SCALED:
            scale = part[:, :, BLOCK.size : at].view("<f4").astype(np.float64)
            good &= ((scale > 0) & (scale < np.inf)).all(axis=(1, 2))
            raw = _unscaled(raw, scale)
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            value[:, run.rows].reshape(shape)[:] = raw
        port[:, run.rows].reshape(shape)[:] = part[:, :, :2].view("<u2")
        status[:, run.rows].reshape(shape)[:] = part[:, :, 3:4]
    event_ns += np.clip(_number(table, 16, "<i8"), -MAX_EVENT_MS, MAX_EVENT_MS)[:, None]
    event_ns = ms_to_ns(event_ns)
    # further away two times may be clipped to one, and then the frame's order counts
    good &= ((event_ns >= LOWEST_NS) & (event_ns <= FAR_NS)).all(axis=1)
    columns: list[Any] = [port, event_ns, value, status]
    if not good.all():
        number, table, names = number[good], table[good], [names[i] for i in np.flatnonzero(good)]
        columns = [column[good] for column in columns]
    return Bulk(
        number,
        [name.decode() for name in names],
        _number(table, 8, "<u4"),
        _number(table, 12, "<u4"),
        (table[:, 3] & SIMULATION).astype(np.bool_),
        np.repeat(np.arange(len(number)), rows),
        *(column.reshape(-1) for column in _by_time(columns)),
    )


def _number(table: NDArray[np.uint8], at: int, dtype: str) -> NDArray[np.int64]:
    """Return a number of every frame's header."""
    size = np.dtype(dtype).itemsize
    return table[:, at : at + size].view(dtype).reshape(-1).astype(np.int64)


def _unscaled(integers: NDArray[np.int32], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Do what ``compact.unscale`` does, with a scale a block."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inverse = 1.0 / scale
        nearest = np.rint(inverse)
        decimal = (inverse >= 1) & (inverse <= _MAX_INVERSE)
        decimal &= np.abs(inverse - nearest) <= 1e-6 * nearest
        return np.where(decimal, integers / nearest, integers * scale)


def _by_time(columns: list[Any]) -> list[Any]:
    """Bring the rows of each frame into order of time: mostly one order is that of all.

    ``columns`` are port, event_ns, value and status, [frames, rows] each.
    """
    event_ns = columns[1]
    if (event_ns[:, 1:] >= event_ns[:, :-1]).all():
        return columns
    order = np.argsort(event_ns[0], kind="stable")
    step = np.diff(event_ns[:, order], axis=1)
    if ((step > 0) | ((step == 0) & (np.diff(order) > 0))).all():
        return [column[:, order] for column in columns]
    each = np.argsort(event_ns, axis=1, kind="stable")
    return [np.take_along_axis(column, each, 1) for column in columns]


_NOTHING: Final = Bulk(
    np.empty(0, np.int64), [], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_),
    np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0),
    np.empty(0, np.uint8),
)  # fmt: skip


def _joined(parts: list[Bulk]) -> Bulk:
    """Return all parts as one, in order of the payloads."""
    if len(parts) < 2:
        return parts[0] if parts else _NOTHING
    number = np.concatenate([part.number for part in parts])
    order = np.argsort(number, kind="stable")
    length = np.concatenate([np.bincount(p.message, minlength=len(p.number)) for p in parts])
    start = np.cumsum(length) - length
    rows = ranges(start[order], length[order])
    names = [name for part in parts for name in part.device]
    heads: list[Any] = [np.concatenate([p[k] for p in parts])[order] for k in (2, 3, 4)]
    columns: list[Any] = [np.concatenate([p[k] for p in parts])[rows] for k in (6, 7, 8, 9)]
    message = np.repeat(np.arange(len(number)), length[order])
    return Bulk(
        number[order],
        [names[i] for i in order.tolist()],
        heads[0],
        heads[1],
        heads[2],
        message,
        *columns,
    )
