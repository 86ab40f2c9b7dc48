"""Columns as Arrow IPC record-batch messages: the only file that knows pyarrow's journal side.

The schema is fixed per format version and not repeated in a record. No column has nulls.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from rules.readings import READINGS_DTYPES, Block, Readings
from rules.series import Series, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_pa: Any = pa  # its stubs do not know half of what is used here


@dataclass(frozen=True, slots=True)
class Frames:
    """Bytes as they came, for the raw side log (``reason`` empty) and for quarantine.

    All columns have length n. ``content_format`` is CoAP's number, −1 where there is none.
    """

    receive_ns: NDArray[np.int64]
    content_format: NDArray[np.int32]
    transport: tuple[str, ...]
    path: tuple[str, ...]
    reason: tuple[str, ...]
    detail: tuple[str, ...]
    payload: tuple[bytes, ...]

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int | None, str, str, str, str, bytes]]) -> Frames:
        """Build from rows in the order of the fields; a content format may be None."""
        held = list(rows)
        receive, formats, transport, path, reason, detail, payload = (
            zip(*held, strict=True) if held else ((),) * 7
        )
        return cls(
            np.array(receive, np.int64),
            np.array([-1 if f is None else f for f in formats], np.int32),
            tuple(transport),
            tuple(path),
            tuple(reason),
            tuple(detail),
            tuple(payload),
        )

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.payload)


# A bool column would be packed into bits and have to be unpacked again; as uint8 it is viewed.
_WIRE: dict[str, Any] = {k: np.uint8 if d is np.bool_ else d for k, d in READINGS_DTYPES.items()}
_TYPES = {name: _pa.from_numpy_dtype(dtype) for name, dtype in _WIRE.items()}
_BLOCK_NUMBERS = {
    "device": _pa.int32(),
    "event_ns": _pa.int64(),
    "judged_ns": _pa.int64(),
    "receive_ns": _pa.int64(),
    "rate_hz": _pa.float64(),
    "boot": _pa.int64(),
    "sequence": _pa.int64(),
}
_SAMPLES = _pa.list_(_pa.field("item", _pa.float32(), nullable=False))


def _schema(**types: Any) -> Any:
    return _pa.schema([_pa.field(name, kind, nullable=False) for name, kind in types.items()])


READINGS_SCHEMA = _schema(**_TYPES)
BLOCK_SCHEMA = _schema(channel=_pa.int32(), samples=_SAMPLES, **_BLOCK_NUMBERS)
FRAMES_SCHEMA = _schema(
    receive_ns=_pa.int64(),
    content_format=_pa.int32(),
    transport=_pa.string(),
    path=_pa.string(),
    reason=_pa.string(),
    detail=_pa.string(),
    payload=_pa.binary(),
)


def _numbers(column: NDArray[Any]) -> Any:
    """Return a column that views numbers; pyarrow's own way loads pandas where it is installed."""
    held = np.ascontiguousarray(column)
    kind = _pa.from_numpy_dtype(held.dtype)
    return _pa.Array.from_buffers(kind, len(held), [None, _pa.py_buffer(held)])


def _message(columns: list[Any], schema: Any) -> memoryview:
    batch = _pa.RecordBatch.from_arrays(columns, schema=schema)
    return memoryview(batch.serialize())


def _batch(data: bytes, at: int, length: int, schema: Any) -> Any:
    """Return the batch whose message stands in ``data``; it views ``data`` and keeps it alive."""
    return _pa.ipc.read_record_batch(_pa.py_buffer(data).slice(at, length), schema)


class Layout(NamedTuple):
    """Where a Readings message of n rows has what; the head depends on n alone."""

    head: bytes
    column_at: tuple[int, ...]  # from the message's begin, in the order of the schema
    length: int


@lru_cache(maxsize=4096)
def readings_layout(n: int) -> Layout:
    """Ask Arrow once how it lays out n rows: making each message by it costs ten times more.

    Every buffer begins on a multiple of 8 bytes and there are no others, since nothing is null.
    """
    empty = [_numbers(np.zeros(n, dtype)) for dtype in _WIRE.values()]
    message = bytes(_message(empty, READINGS_SCHEMA))
    sizes = [-(-n * np.dtype(d).itemsize // 8) * 8 for d in _WIRE.values()]
    head = len(message) - sum(sizes)
    starts = accumulate(sizes, initial=head)
    return Layout(message[:head], tuple(starts)[:-1], len(message))


def readings_behind(room: int, body: Readings) -> bytearray:
    """Return the message of ``body`` behind so many zeros; the same bytes as pyarrow's own.

    ``room`` is a multiple of 8.
    """
    n = len(body)
    layout = readings_layout(n)
    message = bytearray(room + layout.length)
    message[room : room + len(layout.head)] = layout.head
    for (name, dtype), at in zip(READINGS_DTYPES.items(), layout.column_at, strict=True):
        np.frombuffer(message, dtype, n, room + at)[:] = getattr(body, name)
    return message


def readings(data: bytes, at: int, length: int, rows: int) -> Readings:
    """Return the Readings at ``at``: read-only views of ``data``."""
    layout = readings_layout(rows)
    if length != layout.length or not data.startswith(layout.head, at):  # another Arrow wrote it
        columns = _batch(data, at, length, READINGS_SCHEMA).columns
        named = zip(READINGS_DTYPES.items(), columns, strict=True)
        return Readings(**{k: column.to_numpy().view(dtype) for (k, dtype), column in named})
    views = [
        np.frombuffer(data, dtype, rows, at + start)
        for dtype, start in zip(READINGS_DTYPES.values(), layout.column_at, strict=True)
    ]
    return Readings(*views)


def block_message(body: Block) -> memoryview:
    """Return the message of ``body``: one row a channel, the block's numbers repeated in each.

    Raises
    ------
    ValueError
        Not one channel a row of samples, or none at all.
    """
    if body.samples.ndim != 2 or body.samples.size == 0:
        raise ValueError(f"a Block needs samples [rows, n], not {body.samples.shape}")
    rows, n = body.samples.shape
    if len(body.channel) != rows:
        raise ValueError(f"a Block needs one channel a row: {len(body.channel)} for {rows} rows")
    starts = _numbers(np.arange(rows + 1, dtype=np.int32) * np.int32(n))
    values = _numbers(np.ascontiguousarray(body.samples, np.float32).reshape(-1))
    numbers = [
        _pa.repeat(_pa.scalar(getattr(body, name), kind), rows)
        for name, kind in _BLOCK_NUMBERS.items()
    ]
    samples = _pa.ListArray.from_arrays(starts, values, type=_SAMPLES)
    channel = _numbers(np.ascontiguousarray(body.channel, np.int32))
    return _message([channel, samples, *numbers], BLOCK_SCHEMA)


def block(data: bytes, at: int, length: int, _rows: int) -> Block:
    """Return the Block at ``at``; its samples are a read-only view of ``data``."""
    batch = _batch(data, at, length, BLOCK_SCHEMA)
    samples = batch.column(1).values.to_numpy().reshape(batch.num_rows, -1)
    first = {name: batch.column(2 + i)[0].as_py() for i, name in enumerate(_BLOCK_NUMBERS)}
    return Block(channel=batch.column(0).to_numpy(), samples=samples, **first)


# ---- series: a JSON head of names, then a batch whose width the head tells --------------------

_SERIES_NUMBERS: dict[str, Any] = {
    "g": np.int64, "source": np.int32, "subject": np.int32, "judged_ns": np.int64,
    "value": np.float64, "score": np.float64,
}  # fmt: skip


def _series_schema(extra: int) -> Any:
    types = {name: _pa.from_numpy_dtype(dtype) for name, dtype in _SERIES_NUMBERS.items()}
    return _schema(**types, **{f"extra{i}": _pa.float64() for i in range(extra)})


def series_message(through: int, body: Series) -> bytes:
    """Return the message of ``body``, which holds what journal records below ``through`` gave."""
    extra = body.extra.shape[1]
    named = {
        "through": through,
        "sources": body.sources,
        "subjects": body.subjects,
        "extra": extra,
    }
    head = json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    columns = [np.ascontiguousarray(getattr(body, n), d) for n, d in _SERIES_NUMBERS.items()]
    columns += [np.ascontiguousarray(body.extra[:, i], np.float64) for i in range(extra)]
    batch = _message([_numbers(column) for column in columns], _series_schema(extra))
    return b"".join((struct.pack("<Q", len(head)), head, batch))


def series(data: bytes, at: int, length: int) -> tuple[int, Series]:
    """Return (through, Series) at ``at``."""
    (size,) = struct.unpack_from("<Q", data, at)
    begin = at + 8 + size
    head = json.loads(data[at + 8 : begin])
    batch = _batch(data, begin, length - 8 - size, _series_schema(head["extra"]))
    columns = [column.to_numpy() for column in batch.columns]
    count = len(_SERIES_NUMBERS)
    extra = np.stack(columns[count:], axis=1) if head["extra"] else np.empty((batch.num_rows, 0))
    sources = tuple(Source(rule, kind, tuple(names)) for rule, kind, names in head["sources"])
    named = dict(zip(_SERIES_NUMBERS, columns[:count], strict=True))
    return head["through"], Series(sources, tuple(head["subjects"]), extra=extra, **named)


def frames_message(body: Frames) -> memoryview:
    """Return the message of ``body``."""
    numbers = [_numbers(getattr(body, name)) for name in ("receive_ns", "content_format")]
    texts = (body.transport, body.path, body.reason, body.detail)
    columns = [_texts(_pa.string(), [text.encode() for text in column]) for column in texts]
    columns.append(_texts(_pa.binary(), body.payload))
    return _message([*numbers, *columns], FRAMES_SCHEMA)


def _texts(kind: Any, texts: Sequence[bytes]) -> Any:
    """Return a column of texts; payloads of megabytes are copied once."""
    ends = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{len(texts)} texts of {ends[-1]} bytes in one record; cut the batch")
    ends = ends.astype(np.int32)
    buffers = [None, _pa.py_buffer(ends), _pa.py_buffer(b"".join(texts))]
    return _pa.Array.from_buffers(kind, len(texts), buffers)


def frames(data: bytes, at: int, length: int, _rows: int) -> Frames:
    """Return the Frames at ``at``."""
    columns = _batch(data, at, length, FRAMES_SCHEMA).columns
    texts: list[Any] = [tuple(column.to_pylist()) for column in columns[2:]]
    return Frames(columns[0].to_numpy(), columns[1].to_numpy(), *texts)
