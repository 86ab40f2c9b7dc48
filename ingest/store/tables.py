"""Journal records as Arrow tables and back: what stands in an archive file.

Every record can be made again exactly, so a back-test over the archive gives the same events as
one over the journal: readings are rows; a tick, a control or a waveform is one row of its own with
channel MARK and a verdict that names its kind, the rest of it in ``note`` and ``samples``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ingest.store.manifest import BLOCK, CONTROL, COUNTED, TICK
from rules.readings import (
    NO_SEQUENCE,
    READINGS_DTYPES,
    ROW_BITS,
    Block,
    Control,
    Readings,
    Record,
    Tick,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MARK = -2  # the channel of rows that are no readings

NUMBERS: dict[str, Any] = {
    "offset": np.int64,
    "row": np.int32,
    "verdict": np.uint8,
    **READINGS_DTYPES,
}
SCHEMA: Any = pa.schema(
    [pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in NUMBERS.items()]
    + [pa.field("note", pa.string()), pa.field("samples", pa.binary())]
)

WITH_STATISTICS = [name for name in NUMBERS if name != "value"]
"""Parquet's lowest and highest leave NaN out, and DuckDB 2.0 concludes from them that a column
holds none (``isnan`` is false for a NaN). So the values carry no statistics."""


def of_readings(rows: Readings, g: NDArray[np.int64], verdict: NDArray[np.uint8]) -> Any:
    """Return the table of judged rows; copies, so that nothing of the journal stays held."""
    columns: dict[str, NDArray[Any]] = {name: getattr(rows, name) for name in READINGS_DTYPES}
    columns["offset"] = g >> ROW_BITS
    columns["row"] = (g & ((1 << ROW_BITS) - 1)).astype(np.int32)
    columns["verdict"] = verdict
    arrays = [pa.array(columns[name].copy()) for name in NUMBERS]
    return pa.Table.from_arrays(
        [*arrays, pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.binary())],
        schema=SCHEMA,
    )


def of_marks(records: list[Record], *, time_ns: int) -> Any:
    """Return the table of ticks, controls and blocks; ``time_ns`` stands in a control's times."""
    lines = []
    for record in records:
        body = record.body
        line: dict[str, Any] = dict.fromkeys(NUMBERS, 0) | {
            "offset": record.offset, "channel": MARK, "value": np.nan, "sequence": NO_SEQUENCE,
            "usable": False, "note": None, "samples": None,
        }  # fmt: skip
        times = dict.fromkeys(("event_ns", "judged_ns", "receive_ns"), time_ns)
        if isinstance(body, Tick):
            line |= {"verdict": TICK} | dict.fromkeys(times, body.tick_ns)
            time_ns = body.tick_ns
        elif isinstance(body, Control):
            note = json.dumps({"type": body.type, "data": body.data}, ensure_ascii=False)
            line |= {"verdict": CONTROL, "note": note} | times
        elif isinstance(body, Block):
            line |= _of_block(body)
            time_ns = body.receive_ns
        lines.append(line)
    columns = {f.name: pa.array([line[f.name] for line in lines], f.type) for f in SCHEMA}
    return pa.table(columns, schema=SCHEMA)


def _of_block(block: Block) -> dict[str, Any]:
    note = {
        "channel": block.channel.tolist(),
        "rate_hz": block.rate_hz,
        "shape": list(block.samples.shape),
    }
    return {
        "verdict": BLOCK,
        "device": block.device,
        "event_ns": block.event_ns,
        "judged_ns": block.judged_ns,
        "receive_ns": block.receive_ns,
        "boot": block.boot,
        "sequence": block.sequence,
        "note": json.dumps(note),
        "samples": np.ascontiguousarray(block.samples, "<f4").tobytes(),
    }


def joined(tables: list[Any]) -> Any:
    """Return the rows of all tables in journal order."""
    whole = pa.concat_tables(tables)
    g = (column(whole, "offset") << ROW_BITS) | column(whole, "row")
    if (g[1:] > g[:-1]).all():
        return whole
    order: Any = np.argsort(g, kind="stable")
    return whole.take(order)


def by_channel(table: Any) -> Any:
    """Return the rows by channel and judged time, as a query of one channel wants them."""
    order: Any = np.lexsort((column(table, "judged_ns"), column(table, "channel")))
    return table.take(order)


def column(table: Any, name: str) -> NDArray[Any]:
    """Return a column of numbers."""
    array: NDArray[Any] = table[name].to_numpy()
    return array


def counts(table: Any) -> dict[str, int]:
    """Return the rows by verdict, named as in COUNTED."""
    found = np.bincount(column(table, "verdict"), minlength=max(COUNTED.values()) + 1)
    return {name: int(found[code]) for name, code in COUNTED.items()}


def records(table: Any) -> Iterator[Record]:
    """Yield the journal records a file's table was made from, in order; rows in any order."""
    table = joined([table])
    offset, verdict = column(table, "offset"), column(table, "verdict")
    starts = np.flatnonzero(np.diff(offset, prepend=-1))
    columns = {name: column(table, name) for name in READINGS_DTYPES}
    for start, stop in zip(starts, [*starts[1:], len(offset)], strict=True):
        code = int(verdict[start])
        if code < TICK:
            cut = {name: columns[name][start:stop] for name in READINGS_DTYPES}
            yield Record(int(offset[start]), Readings.of(cut))
        elif code == TICK:
            yield Record(int(offset[start]), Tick(int(columns["receive_ns"][start])))
        else:
            yield Record(int(offset[start]), _mark(table.slice(start, 1).to_pylist()[0], code))


def _mark(line: dict[str, Any], code: int) -> Control | Block:
    note = json.loads(line["note"])
    if code == CONTROL:
        return Control(note["type"], note["data"])
    return Block(
        channel=np.array(note["channel"], np.int32),
        device=line["device"],
        event_ns=line["event_ns"],
        judged_ns=line["judged_ns"],
        receive_ns=line["receive_ns"],
        rate_hz=note["rate_hz"],
        samples=np.frombuffer(line["samples"], "<f4").reshape(note["shape"]),
        boot=line["boot"],
        sequence=line["sequence"],
    )
