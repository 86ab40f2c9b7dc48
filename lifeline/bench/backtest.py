"""The back-test beside the engine alone: a month of a city of 3 500 channels, one reading a minute.

The archive is made once in a folder and used again. It stands as a running city leaves it: ticks of
a second, records of what came within one, files of about a million rows by channel and time.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.store import tables
from ingest.store.archive import ROW_GROUP
from ingest.store.manifest import TICK, ArchiveFile, Manifest
from ingest.store.past import Span
from lifeline.backtest.sources import opened
from lifeline.backtest.versions import rules_of
from lifeline.backtest.whole import Ask, back_test
from lifeline.bench.arrival import SEED, T0_NS
from lifeline.bench.city import INCIDENT_EVERY, SORTS, city_of
from lifeline.bench.workload import SECOND_NS
from rules.engine import Engine
from rules.language import compile_plan, rules_bytes
from rules.readings import MAX_ROWS, ROW_BITS, Control, Readings, Record
from rules.registry_codec import hashed, registry_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lifeline.bench.city import City
    from rules.registry import Registry

MINUTE_S = 60
FILE_MINUTES = 280  # about a million rows at 3 500 channels
MONTH_ROWS = 3_500 * 60 * 24 * 30
ALONE_ROWS = 5_000_000  # the engine alone runs over so many of the same batches, held in memory
_FIRST = 3  # offsets of the first tick, of registry and rules
_parquet: Any = pq


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTested:
    """Seconds are of the CPU, this process's; rows are readings without ticks."""

    channels: int
    days: float
    rows: int
    episodes: int
    reading_rows_per_s: int
    folding_rows_per_s: int
    reporting_s: float
    whole_rows_per_s: int
    engine_alone_rows_per_s: int
    engine_to_whole: float  # how many times as fast the engine alone is
    month_s: float  # 151 M readings at this speed
    wall_s: float


def measure(folder: Path, *, channels: int, days: float, tell: Callable[[str], None]) -> BackTested:
    """Make the archive where it is not there, and run the shipped rules over it."""
    made = folder / f"city-{channels}-{days:g}d"
    if not (made / "archive" / "manifest.json").exists():
        _make(made, channels, round(days * 24 * 60), tell)
    tell("reading alone")
    with opened(data=made) as source:
        with _timed() as reading_s:
            rows = sum(piece.rows for piece in source.read(Span()))
        tell("the engine alone")
        alone_rows, alone_s = _alone(source.read(Span()), source.texts, made)
        tell("the back-test")
        begun_s = time.monotonic()
        with _timed() as whole_s:
            report = back_test(source, Ask(rules=rules_of(None)))
        wall_s = time.monotonic() - begun_s
    folding_s = report.version.seconds
    alone = alone_rows / alone_s
    whole = rows / whole_s[0]
    return BackTested(
        channels=channels,
        days=days,
        rows=rows,
        episodes=len(report.version.episodes.held),
        reading_rows_per_s=round(rows / reading_s[0]),
        folding_rows_per_s=round(rows / folding_s),
        reporting_s=round(max(whole_s[0] - reading_s[0] - folding_s, 0.0), 3),
        whole_rows_per_s=round(whole),
        engine_alone_rows_per_s=round(alone),
        engine_to_whole=round(alone / whole, 2),
        month_s=round(MONTH_ROWS / whole, 1),
        wall_s=round(wall_s, 2),
    )


def as_json(found: BackTested) -> dict[str, Any]:
    """Return the figures as the bench writes them."""
    return {"bench": "backtest", **asdict(found)}


@contextmanager
def _timed() -> Iterator[list[float]]:
    held: list[float] = []
    begun_s = time.process_time()
    yield held
    held.append(time.process_time() - begun_s)


def _alone(
    pieces: Iterator[Any], texts: Callable[[str], Registry], folder: Path
) -> tuple[int, float]:
    """Return (rows, CPU seconds) of the bare engine over the first batches, read beforehand."""
    held, rows = [], 0
    for piece in pieces:
        if piece.columns is not None:
            held.append(piece.columns)
            rows += piece.rows
        if rows >= ALONE_ROWS:
            break
    registry = texts(next((folder / "registry").iterdir()).stem)
    engine = Engine(compile_plan(rules_of(None), registry)[0], registry)
    with _timed() as seconds:
        for columns in held:
            engine.fold_columns(columns)
    return rows, seconds[0]


# ---------------------------------------------------------------- the archive


def _make(folder: Path, channels: int, minutes: int, tell: Callable[[str], None]) -> None:
    """Write registry, rules and archive of a city; the manifest comes last."""
    made = city_of(channels)
    one_minute = np.full(channels, MINUTE_S * SECOND_NS)
    every = replace(made.registry.channels, interval_ns=one_minute)
    city = replace(made, registry=hashed(replace(made.registry, channels=every)))
    rules = rules_of(None)
    for name in ("archive", "journal", "registry", "rules"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "registry" / f"{city.registry.content_hash}.json").write_bytes(
        registry_bytes(city.registry)
    )
    (folder / "rules" / f"{rules.content_hash}.json").write_bytes(rules_bytes(rules))
    begin = [
        Record(1, Control("registry", {"hash": city.registry.content_hash})),
        Record(2, Control("rules", {"hash": rules.content_hash})),
    ]
    first = pa.concat_tables([_ticks(np.array([T0_NS]), 0), tables.of_marks(begin, time_ns=T0_NS)])
    files = [_written(folder, first, 0, _FIRST - 1)]
    for start in range(0, minutes, FILE_MINUTES):
        tell(f"making the archive: minute {start:,} of {minutes:,}")
        count = min(FILE_MINUTES, minutes - start)
        offset = _FIRST + 2 * start * MINUTE_S
        table = _minutes(city, start, count, minutes)
        files.append(_written(folder, table, offset, offset + 2 * count * MINUTE_S - 1))
    Manifest(next_offset=files[-1].last + 1, files=tuple(files)).save(folder / "archive")


def _minutes(city: City, start: int, count: int, of: int) -> Any:
    """Return readings and ticks of some minutes: each second one record and then its tick."""
    random = np.random.default_rng([SEED, start])
    n = len(city.sort)
    quiet, noise, incident = (
        np.array([getattr(s, name) for s in SORTS], np.float64)[city.sort]
        for name in ("quiet", "noise", "incident")
    )
    struck = np.random.default_rng(SEED).random(n) < max(1 / INCIDENT_EVERY, 2 / n)
    phase = np.random.default_rng(SEED + 1).permutation(n) * MINUTE_S // n  # second of the minute
    order = np.argsort(phase, kind="stable")
    channel = np.tile(order, count)
    minute = np.repeat(np.arange(start, start + count), n)
    second = minute * MINUTE_S + phase[channel]
    value = quiet[channel] + noise[channel] * random.standard_normal(len(channel))
    bad = struck[channel] & (minute % (24 * 60) < 60) & (minute < of)
    rows = Readings.of(
        {
            "channel": channel,
            "device": city.registry.channels.device[channel],
            "judged_ns": T0_NS + second * SECOND_NS,
            "receive_ns": T0_NS + second * SECOND_NS + SECOND_NS // 2,
            "value": np.round(np.where(bad, incident[channel], value), 3),
            "boot": np.ones(len(channel), np.int64),
            "sequence": minute,
        }
    )
    heads = np.flatnonzero(np.diff(second, prepend=-1))
    row = np.arange(len(second)) - np.repeat(heads, np.diff(heads, append=len(second)))
    g = ((_FIRST + 2 * second) << ROW_BITS) + row % MAX_ROWS
    ticks = np.arange(start * MINUTE_S, (start + count) * MINUTE_S)
    judged = tables.of_readings(rows, g, np.zeros(len(g), np.uint8))
    later = _ticks(T0_NS + (ticks + 1) * SECOND_NS, _FIRST + 1 + 2 * ticks)
    return tables.by_channel(pa.concat_tables([judged, later]))


def _ticks(tick_ns: NDArray[np.int64], offset: Any) -> Any:
    """Return the table of ticks at such offsets, by whole columns."""
    n = len(tick_ns)
    columns: dict[str, Any] = {name: np.zeros(n, dtype) for name, dtype in tables.NUMBERS.items()}
    columns |= dict.fromkeys(("event_ns", "judged_ns", "receive_ns"), tick_ns)
    columns |= {
        "offset": np.broadcast_to(np.asarray(offset, np.int64), n).copy(),
        "verdict": np.full(n, TICK, np.uint8),
        "channel": np.full(n, tables.MARK, np.int32),
        "value": np.full(n, np.nan),
    }
    arrays: list[Any] = [pa.array(columns[name]) for name in tables.NUMBERS]
    empty: list[Any] = [pa.nulls(n, pa.string()), pa.nulls(n, pa.binary())]
    return pa.Table.from_arrays([*arrays, *empty], schema=tables.SCHEMA)


def _written(folder: Path, table: Any, first: int, last: int) -> ArchiveFile:
    name = f"{first:020d}-{last:020d}.parquet"
    _parquet.write_table(
        table,
        folder / "archive" / name,
        compression="zstd",
        row_group_size=ROW_GROUP,
        write_statistics=tables.WITH_STATISTICS,
    )
    times = tables.column(table, "judged_ns")
    return ArchiveFile(
        name=name,
        first=first,
        last=last,
        rows=table.num_rows,
        from_ns=int(times.min()),
        to_ns=int(times.max()),
        tier=1,
        counts=tables.counts(table),
    )
