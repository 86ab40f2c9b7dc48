"""Recordings as files others read: CSV and Parquet (admitted readings), JSONL (frames as sent).

All three carry the ticks, so that what is imported again gives the same events; the registry stands
in Parquet's own metadata, and beside a CSV or JSONL as ``<name>.registry.json``.

JSONL, one object a line: ``{"tick_ns": …}``, or a frame: ``record`` (frames of one record arrived
together), ``receive_ns``, ``transport``, ``topic``, ``content_format`` (CoAP) and ``payload``, or
``payload_base64`` where it is not UTF-8 text.
"""

from __future__ import annotations

import base64
import binascii
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from ingest.frame import Frame
from rules.problems import Invalid, Problem
from rules.readings import READINGS_DTYPES, Block, Control, Readings, Tick
from rules.registry_file import registry_bytes, registry_from_bytes
from simulators.recording.folder import open_recording, refuse, write_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rules.registry import Registry
    from simulators.recording.folder import Recording
    from simulators.recording.steps import Step

REGISTRY_KEY: Final = b"lifeline.registry"
BATCH_ROWS: Final = 100_000
_COLUMNS: Final = ("kind", "record", "channel_id", "device_id", "unit", *READINGS_DTYPES)
_pa: Any = pa
_csv: Any = arrow_csv
_pq: Any = pq

_TYPES: Final[dict[str, Any]] = {
    "kind": _pa.string(),  # reading, or tick (then only receive_ns counts)
    "record": _pa.int64(),  # rows of one record arrived together
    "channel_id": _pa.string(),
    "device_id": _pa.string(),
    "unit": _pa.string(),  # canonical, of ``value``
} | {
    name: _pa.from_numpy_dtype(np.uint8 if dtype is np.bool_ else dtype)
    for name, dtype in READINGS_DTYPES.items()
}
SCHEMA: Final = _pa.schema(list(_TYPES.items()))


def export(source: Path, out: Path) -> dict[str, int]:
    """Write a recording as ``.csv``, ``.parquet`` or ``.jsonl`` by ``out``'s suffix; return counts.

    Waveforms and operators' commands have no place in CSV and Parquet; they are counted.

    Raises
    ------
    rules.problems.Invalid
        The source is no recording, keeps no frames (JSONL), or the suffix is none of the three.
    """
    writers: dict[str, Callable[[Recording, Path], dict[str, int]]] = {
        ".csv": _to_table,
        ".parquet": _to_table,
        ".jsonl": _to_jsonl,
    }
    if out.suffix not in writers:
        raise refuse(out, f"suffix {out.suffix!r}: choose {', '.join(writers)}")
    with open_recording(source) as recording:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = out.with_name(f".{out.name}.part")
        # CSV and Parquet are written aside under the final suffix's rules, then renamed
        counts = writers[out.suffix](recording, aside)
        aside.replace(out)
        if out.suffix != ".parquet":
            _beside(out).write_bytes(registry_bytes(recording.registry))
    return counts


def import_(source: Path, out: Path, *, registry: Registry | None = None) -> dict[str, Any]:
    """Make a recording of an exported file; return its meta. ``registry`` where the file has none.

    Raises
    ------
    rules.problems.Invalid
        The file cannot be read as what its suffix says, or no registry is known.
    """
    held, steps = exported_steps(source, registry=registry)
    return write_recording(out, held, steps, {"imported_from": source.name})


def exported_steps(
    source: Path, *, registry: Registry | None = None
) -> tuple[Registry, Iterator[Step]]:
    """Return an exported file's registry and steps; errors as of ``import_``."""
    readers: dict[str, Callable[[Path, Registry], Iterator[Step]]] = {
        ".csv": lambda path, held: _from_table(_csv_batches(path), held, path),
        ".parquet": lambda path, held: _from_table(_parquet_batches(path), held, path),
        ".jsonl": lambda path, _: _from_jsonl(path),
    }
    if source.suffix not in readers:
        raise refuse(source, f"suffix {source.suffix!r}: it must be {', '.join(readers)}")
    held = registry or _registry_of(source)
    return held, readers[source.suffix](source, held)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.registry.json")


def _registry_of(source: Path) -> Registry:
    try:
        if source.suffix == ".parquet":
            text = (_pq.read_schema(source).metadata or {}).get(REGISTRY_KEY)
        else:
            text = _beside(source).read_bytes() if _beside(source).exists() else None
        if text is None:
            raise refuse(source, f"names no registry: give one, or put {_beside(source).name} by")
        return registry_from_bytes(text)
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise refuse(source, f"cannot be read: {error}") from error


# -------------------------------------------------------------------- tables


def _to_table(recording: Recording, aside: Path) -> dict[str, int]:
    text = registry_bytes(recording.registry)
    schema = SCHEMA.with_metadata({REGISTRY_KEY: text})
    counts = {"readings": 0, "ticks": 0, "blocks_left_out": 0, "commands_left_out": 0}
    final = aside.name.removeprefix(".").removesuffix(".part")
    if final.endswith(".parquet"):
        writer = _pq.ParquetWriter(aside, schema, compression="zstd")
    else:
        writer = _csv.CSVWriter(aside, SCHEMA)
    with writer:
        waiting: list[Any] = []
        for table in _tables(recording, counts):
            waiting.append(table)
            if sum(map(len, waiting)) >= BATCH_ROWS:
                writer.write_table(_pa.concat_tables(waiting).combine_chunks().cast(SCHEMA))
                waiting = []
        if waiting:
            writer.write_table(_pa.concat_tables(waiting).combine_chunks().cast(SCHEMA))
    return counts


def _tables(recording: Recording, counts: dict[str, int]) -> Iterator[Any]:
    registry = recording.registry
    for number, body in enumerate(recording.admitted()):
        if isinstance(body, Block):
            counts["blocks_left_out"] += 1
        elif isinstance(body, Control):
            counts["commands_left_out"] += 1
        elif isinstance(body, Tick):
            counts["ticks"] += 1
            tick = Readings.of({"channel": [-1], "judged_ns": [0], "value": [np.nan]})
            columns = {name: getattr(tick, name) for name in READINGS_DTYPES}
            columns |= {"receive_ns": np.array([body.tick_ns])}
            yield _table("tick", number, [""], [""], [""], columns)
        else:
            counts["readings"] += len(body)
            c = registry.channels
            channels = [c.id[i] if i >= 0 else "" for i in body.channel.tolist()]
            devices = [registry.devices.id[i] for i in body.device.tolist()]
            units = [recording.unit(i) for i in body.channel.tolist()]
            columns = {name: getattr(body, name) for name in READINGS_DTYPES}
            yield _table("reading", number, channels, devices, units, columns)


def _table(
    kind: str,
    number: int,
    channels: list[str],
    devices: list[str],
    units: list[str],
    columns: dict[str, Any],
) -> Any:
    n = len(channels)
    held: list[Any] = [[kind] * n, np.full(n, number, np.int64), channels, devices, units]
    held += [columns[name] for name in READINGS_DTYPES]
    # in place of "kind", …: what the schema says, whatever numpy's own type was
    arrays = [
        _pa.array(values, type=_TYPES[name])
        if not isinstance(values, np.ndarray) or values.dtype != np.bool_
        else _pa.array(values.view(np.uint8), type=_TYPES[name])
        for name, values in zip(_COLUMNS, held, strict=True)
    ]
    return _pa.Table.from_arrays(arrays, schema=SCHEMA)


def _parquet_batches(path: Path) -> Iterator[Any]:
    with _pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield batch.cast(SCHEMA)


def _csv_batches(path: Path) -> Iterator[Any]:
    options = _csv.ConvertOptions(
        column_types=SCHEMA, strings_can_be_null=False, include_columns=list(_COLUMNS)
    )
    with _csv.open_csv(path, convert_options=options) as reader:
        yield from reader


def _from_table(batches: Iterator[Any], registry: Registry, path: Path) -> Iterator[Step]:
    """Yield records; a record may be cut by a batch, so its rows are joined first."""
    try:
        kept: list[Any] = []
        for batch in batches:
            kept.append(_pa.Table.from_batches([batch]))
            table = _pa.concat_tables(kept)
            record = table["record"].to_numpy()
            whole = int(np.searchsorted(record, record[-1])) if len(record) else 0
            yield from _records(table.slice(0, whole), registry, path)
            kept = [table.slice(whole)]
        if kept:
            yield from _records(_pa.concat_tables(kept), registry, path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as error:
        raise refuse(path, f"is no exported recording: {error}") from error


def _records(table: Any, registry: Registry, path: Path) -> Iterator[Step]:
    if not len(table):
        return
    columns = {name: table[name].to_numpy() for name in READINGS_DTYPES}
    columns["value"] = table["value"].to_numpy(zero_copy_only=False).astype(np.float64)
    columns["usable"] = columns["usable"].astype(np.bool_)
    # rows of the registry in hand, which may not be the one the file was written with
    columns["channel"] = _rows(table["channel_id"].to_pylist(), registry.channel_row, path)
    columns["device"] = _rows(table["device_id"].to_pylist(), registry.device_row, path)
    record = table["record"].to_numpy()
    kinds = table["kind"].to_pylist()
    cuts = np.flatnonzero(np.diff(record)) + 1
    starts, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(record)]
    for start, end in zip(starts, ends, strict=True):
        if kinds[start] == "tick":
            yield Tick(int(columns["receive_ns"][start]))
        else:
            yield Readings.of({name: held[start:end] for name, held in columns.items()})


def _rows(names: list[str], known: dict[str, int], path: Path) -> Any:
    try:
        return np.array([known[name] if name else -1 for name in names], np.int32)
    except KeyError as error:
        raise refuse(path, f"{error.args[0]!r} is not in the registry") from error


# --------------------------------------------------------------------- JSONL


def _to_jsonl(recording: Recording, aside: Path) -> dict[str, int]:
    counts = {"frames": 0, "ticks": 0}
    if not recording.has_frames:
        raise refuse(recording.folder, "keeps no frames as they came; export .csv or .parquet")
    with aside.open("wb") as out:
        for number, step in enumerate(recording.arrivals()):
            if isinstance(step, Tick):
                counts["ticks"] += 1
                out.write(orjson.dumps({"tick_ns": step.tick_ns}) + b"\n")
            elif isinstance(step, list):
                counts["frames"] += len(step)
                out.writelines(orjson.dumps(_line(number, frame)) + b"\n" for frame in step)
    return counts


def _line(number: int, frame: Frame) -> dict[str, Any]:
    line: dict[str, Any] = {
        "record": number,
        "receive_ns": frame.receive_ns,
        "transport": frame.transport,
        "topic": frame.path,
    }
    if frame.content_format is not None:
        line["content_format"] = frame.content_format
    try:
        return line | {"payload": frame.payload.decode("utf-8")}
    except UnicodeDecodeError:
        return line | {"payload_base64": base64.b64encode(frame.payload).decode("ascii")}


def _from_jsonl(path: Path) -> Iterator[Step]:
    with path.open("rb") as file:
        lines = (_parsed(path, number, line) for number, line in enumerate(file, start=1) if line)
        for number, group in groupby(lines, key=lambda pair: pair[0]):
            held = [entry for _, entry in group]
            if number < 0:
                yield from held  # ticks
            else:
                yield [entry for entry in held if isinstance(entry, Frame)]


def _parsed(path: Path, number: int, line: bytes) -> tuple[int, Any]:
    """Return (record, frame), or (−1, tick)."""
    try:
        raw = orjson.loads(line)
        if "tick_ns" in raw:
            return -1, Tick(int(raw["tick_ns"]))
        payload = (
            base64.b64decode(raw["payload_base64"], validate=True)
            if "payload_base64" in raw
            else raw["payload"].encode("utf-8")
        )
        frame = Frame(
            payload,
            str(raw.get("transport", "mqtt")),
            str(raw["topic"]),
            int(raw["receive_ns"]),
            raw.get("content_format"),
        )
        return int(raw.get("record", number)), frame
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        said = f"not a frame or a tick ({error!r}): needs topic, receive_ns and payload"
        raise Invalid([Problem(path.name, number, 1, "", said)]) from error
