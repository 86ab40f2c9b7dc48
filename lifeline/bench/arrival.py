"""In which order the measured readings come: six arrangements of the same values.

Sine, noise and 0.1 % anomalies on many channels, one value a second and channel; as the engine's
records and batches, and as the plain lists and columns of the programs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lifeline.bench.workload import COLUMNS, GATEWAY_CHANNELS, SECOND_NS
from rules.readings import QC_GOOD, QC_MISSING, Readings, Record, Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

T0_NS = 1_760_000_000 * SECOND_NS
SEED = 42
CHUNK_ROWS = 100_000
RECORD_ROWS = 1_000  # what ingest's group commit writes at this load
STORM_ROUNDS = 100
BACKFILL_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """In which order the readings come, and how many rows the engine is given at once."""

    name: str
    batch_rows: int
    arrangement: str  # "shuffled", "dense", "storm" or "backfill"


ORDERS = (
    Order("shuffled 100k", 100_000, "shuffled"),
    Order("shuffled 10k", 10_000, "shuffled"),
    Order("small 1k", 1_000, "shuffled"),
    Order("dense", 10_000, "dense"),
    Order("storm", 100_000, "storm"),
    Order("back-fill", 10_000, "backfill"),
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """About 100 000 rows: the engine's batches, the loop's plain lists, the columns of both."""

    batches: list[list[Record]]
    lists: dict[str, list[Any]]
    readings: Readings

    @property
    def rows(self) -> int:
        """Return the number of readings."""
        return len(self.readings)


def values_of(channels: int, rounds: int) -> NDArray[np.float64]:
    """Return float64[rounds, channels]: one value a second and channel, seed 42."""
    random = np.random.default_rng(SEED)
    t = np.arange(rounds, dtype=np.float64)[:, None]
    c = np.arange(channels, dtype=np.float64)[None, :]
    values = 20.0 + 5.0 * np.sin(2.0 * np.pi * (t / 300.0 + c / channels))
    values += random.normal(0.0, 0.5, values.shape)
    odd = random.random(values.shape) < 0.001
    values[odd] += 12.0 * random.choice((-1.0, 1.0), int(odd.sum()))
    return np.round(values, 3)


def shape_of(order: Order, channels: int, rounds: int) -> tuple[int, int]:
    """Return (channels, rounds) as this order uses them; the number of readings stays."""
    if order.arrangement != "backfill":
        return channels, rounds
    total = channels * rounds
    long = min(BACKFILL_ROWS, total)
    return max(1, total // long), long


def chunks(
    order: Order, channels: int, rounds: int, *, trouble: float = 0.0, listed: bool = True
) -> Iterator[Chunk]:
    """Yield the readings of ``shape_of(order, …)`` in journal order.

    ``trouble`` is the fraction of rows sent twice, sent late, contradicted, flagged, unusable or
    missing each. With any, each channel also reads too high for 5 s of a minute, the clock of
    every fifth is set back once, and the device of another fifth starts anew.
    ``listed``: with the loop's lists.
    """
    values = values_of(channels, rounds)
    random = np.random.default_rng(SEED + 1)
    change = random.integers(rounds, size=channels) if trouble else None
    journal = Journal()
    for number, (channel, when) in enumerate(_places(order, channels, rounds, random)):
        picked = _sent(channel, when, values[when, channel])
        if change is not None:
            picked = _troubled(picked, change, random, trouble)
        readings = _readings(picked, number)
        cuts = range(0, len(readings), order.batch_rows)
        parts = [readings.take(slice(cut, cut + order.batch_rows)) for cut in cuts]
        batches = [journal.batch(part) for part in parts]
        lists = {name: getattr(readings, name).tolist() for name in COLUMNS if listed}
        yield Chunk(batches, lists, readings)


def _places(
    order: Order, channels: int, rounds: int, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (channel, round) of each chunk's rows; a channel's rounds always rise."""
    span, group = {
        "shuffled": (max(1, CHUNK_ROWS // channels), channels),
        "dense": (max(1, CHUNK_ROWS // channels), channels),
        "storm": (STORM_ROUNDS, CHUNK_ROWS // STORM_ROUNDS),
        "backfill": (rounds, max(1, CHUNK_ROWS // rounds)),
    }[order.arrangement]
    for first in range(0, rounds, span):
        when = np.arange(first, min(first + span, rounds))
        for start in range(0, channels, group):
            own = np.arange(start, min(start + group, channels))
            if order.arrangement == "dense":
                yield np.tile(own, len(when)), np.repeat(when, len(own))
                continue
            channel = np.repeat(own, len(when))
            if order.arrangement != "backfill":
                random.shuffle(channel)
            turn = np.empty(len(channel), np.int64)
            turn[np.argsort(channel, kind="stable")] = np.tile(when, len(own))
            yield channel, turn


@dataclass(frozen=True, slots=True)
class _Rows:
    channel: NDArray[np.int64]
    second: NDArray[np.int64]
    value: NDArray[np.float64]
    qc_flag: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    boot: NDArray[np.int64]
    sequence: NDArray[np.int64]


def _sent(channel: NDArray[np.int64], when: NDArray[np.int64], value: NDArray[np.float64]) -> _Rows:
    """Return rows as they were sent; sequences are multiples of 4, the next three stay free."""
    n = len(channel)
    return _Rows(
        channel=channel,
        second=when,
        value=value,
        qc_flag=np.full(n, QC_GOOD, np.uint8),
        usable=np.ones(n, np.bool_),
        boot=np.ones(n, np.int64),
        sequence=4 * when + 4,
    )


def _troubled(
    rows: _Rows, change: NDArray[np.int64], random: np.random.Generator, trouble: float
) -> _Rows:
    """Flag some rows, send some twice, late or contradicted; at ``change`` clocks and boots move.

    A repetition follows its row at once, with a sequence of its own unless it is the same message.
    """
    n = len(rows.channel)
    some = [np.flatnonzero(random.random(n) < trouble) for _ in range(3)]
    kind = np.repeat(np.arange(4), [n, *(len(s) for s in some)])  # 1 again, 2 late, 3 contradicted
    row = np.concatenate([np.arange(n), *some])
    at = np.argsort(row, kind="stable")
    row, kind = row[at], kind[at]
    channel, when = rows.channel[row], rows.second[row]
    after = np.maximum(when - change[channel], -1) + 1  # samples since the change, 0 before it
    back, anew = (after > 0) & (channel % 5 == 0), (after > 0) & (channel % 5 == 1)
    swollen = rows.value + 7.0 * ((rows.second // 5 + rows.channel) % 12 == 0)
    value = np.where(random.random(n) < trouble, np.nan, swollen)
    return _Rows(
        channel=channel,
        second=when - 3 * (kind == 2) - 1_000 * back,
        value=value[row] + 7.0 * (kind >= 2),
        qc_flag=np.where(random.random(n) < trouble, QC_MISSING, rows.qc_flag)[row],
        usable=(random.random(n) >= trouble)[row],
        boot=np.where(anew, 2, 1),
        sequence=np.where(anew, 4 * after, rows.sequence[row]) + np.maximum(kind - 1, 0),
    )


def _readings(rows: _Rows, number: int) -> Readings:
    """Stamp the rows of chunk ``number``: 10 s of the Clock for each chunk."""
    n = len(rows.channel)
    clock = T0_NS + number * 10 * SECOND_NS + np.arange(n, dtype=np.int64) * (10 * SECOND_NS) // n
    return Readings.of(
        {
            "channel": rows.channel,
            "device": rows.channel // GATEWAY_CHANNELS,
            "judged_ns": T0_NS + rows.second * SECOND_NS,
            "receive_ns": clock,
            "value": rows.value,
            "qc_flag": rows.qc_flag,
            "usable": rows.usable,
            "boot": rows.boot,
            "sequence": rows.sequence,
        }
    )


class Journal:
    """Cuts readings into records as ingest does, with a Tick before the first of each second."""

    def __init__(self) -> None:
        self._offset = 0
        self._second = -1

    def batch(self, readings: Readings) -> list[Record]:
        """Return the records of these readings."""
        records: list[Record] = []
        for first in range(0, len(readings), RECORD_ROWS):
            part = readings.take(slice(first, min(first + RECORD_ROWS, len(readings))))
            clock = int(part.receive_ns[0])
            if clock // SECOND_NS != self._second:
                self._second = clock // SECOND_NS
                records.append(Record(self._offset, Tick(self._second * SECOND_NS)))
                self._offset += 1
            records.append(Record(self._offset, part))
            self._offset += 1
        return records
