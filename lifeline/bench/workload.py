"""The measured work: sine, noise and 0.1 % anomalies on many channels, in six orders of arrival.

T1 is a threshold with four levels (LL 10, L 14, H 26, HH 30) and a hysteresis of 0.5. T2 adds the
exponentially weighted z-score beyond ±6 and the rate of change beyond ±8 a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import ChannelRule, Level, Plan
from rules.readings import QC_GOOD, QC_MISSING, Readings, Record, Tick
from rules.registry import Assets, Channels, Devices, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
T0_NS = 1_760_000_000 * SECOND_NS
SEED = 42
CHUNK_ROWS = 100_000
RECORD_ROWS = 1_000  # what ingest's group commit writes at this load
GATEWAY_CHANNELS = 100
STORM_ROUNDS = 100
BACKFILL_ROWS = 10_000
MAX_GAP_NS = 60 * SECOND_NS

LEVELS = (Level("yellow", 2, "#d4a72c"), Level("red", 4, "#cf222e"))
HIGH, LOW, HYSTERESIS = (26.0, 30.0), (14.0, 10.0), 0.5
Z_LIMIT, ALPHA, WARMUP = 6.0, 0.05, 30
RATE_LIMIT, RATE_WINDOW_NS = 8.0, 2 * SECOND_NS

WORKLOADS = ("T1", "T2")


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
    """About 100 000 rows, once as the engine's batches and once as the loop's plain lists."""

    batches: list[list[Record]]
    lists: dict[str, list[Any]]
    rows: int


# -- rules and registry ------------------------------------------------------------------------


def plan_of(workload: str, channels: int) -> Plan:
    """Return the rules of T1 or T2 on every channel, compiled."""
    rules = [_rule("level", "threshold", side, channels) for side in (1, -1)]
    if workload == "T2":
        rules += [
            _rule(kind, kind, side, channels) for kind in ("ewma", "rate") for side in (1, -1)
        ]
    return Plan(content_hash=workload, levels=LEVELS, channel_rules=tuple(rules))


def _rule(name: str, kind: str, side: int, channels: int) -> ChannelRule:
    limits = {
        "threshold": HIGH if side > 0 else LOW,
        "ewma": (side * Z_LIMIT, np.nan),
        "rate": (side * RATE_LIMIT, np.nan),
    }[kind]
    raise_at = np.tile(np.asarray(limits), (channels, 1))
    band = HYSTERESIS if kind == "threshold" else 0.0
    return ChannelRule(
        rule_id=name,
        kind=kind,
        side=side,
        channel=np.arange(channels, dtype=np.int32),
        raise_at=raise_at,
        clear_at=raise_at - side * band,
        hold_ns=np.zeros((channels, len(LEVELS)), np.int64),
        hold_samples=np.zeros((channels, len(LEVELS)), np.int32),
        keep_ns=np.zeros((channels, len(LEVELS)), np.int64),
        max_gap_ns=np.full(channels, MAX_GAP_NS),
        own=_own(kind, channels),
        options={"method": "difference"} if kind == "rate" else {},
    )


def _own(kind: str, channels: int) -> dict[str, NDArray[Any]]:
    if kind == "ewma":
        warmup = np.full(channels, WARMUP, np.int64)
        return {"alpha": np.full(channels, ALPHA), "warmup": warmup, "floor": np.zeros(channels)}
    if kind == "rate":
        window_ns = np.full(channels, RATE_WINDOW_NS)
        least, per_ns = np.full(channels, 2, np.int64), np.full(channels, SECOND_NS)
        return {"window_ns": window_ns, "min_points": least, "per_ns": per_ns}
    return {}


def registry_of(channels: int) -> Registry:
    """Return a registry of gateways with 100 channels each, without a city around it."""
    gateways = -(-channels // GATEWAY_CHANNELS)
    return Registry(
        content_hash=f"bench-{channels}",
        simulation=True,
        assets=Assets(
            id=("000000-env-st-000001",),
            site=("000000-st-000001",),
            domain=("env",),
            asset_type=("station",),
            name=("bench",),
            name_zh=("测试",),
            district=("",),
            zone=("",),
            lon=np.zeros(1),
            lat=np.zeros(1),
            exposed_people=np.zeros(1, np.int64),
            attributes=({},),
            alive=np.ones(1, np.bool_),
        ),
        devices=Devices(
            id=tuple(f"000000-env-gw-{i:06d}" for i in range(gateways)),
            kind=("gateway",) * gateways,
            transport=("mqtt",) * gateways,
            codec=("compact",) * gateways,
            asset=np.zeros(gateways, np.int32),
            interval_ns=np.full(gateways, SECOND_NS),
            alive=np.ones(gateways, np.bool_),
        ),
        channels=_channels(channels),
    )


def _channels(n: int) -> Channels:
    rows = np.arange(n, dtype=np.int32)
    return Channels(
        id=tuple(f"000000-env-st-000001/s{i:06d}/v" for i in range(n)),
        asset=np.zeros(n, np.int32),
        device=rows // GATEWAY_CHANNELS,
        port=rows % GATEWAY_CHANNELS,
        key=("v",) * n,
        quantity=("temperature",) * n,
        unit=("Cel",) * n,
        klass=("info",) * n,
        range_lo=np.full(n, -100.0),
        range_hi=np.full(n, 100.0),
        resolution=np.full(n, 0.001),
        interval_ns=np.full(n, SECOND_NS),
        lel_basis=np.full(n, np.nan),
        fault_codes=((),) * n,
        tags=({},) * n,
        alive=np.ones(n, np.bool_),
    )


# -- readings ----------------------------------------------------------------------------------


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


def chunks(order: Order, channels: int, rounds: int, *, trouble: float = 0.0) -> Iterator[Chunk]:
    """Yield the readings of ``shape_of(order, …)`` in journal order.

    ``trouble`` is the fraction of rows sent twice, sent late, flagged, unusable or missing each.
    """
    values = values_of(channels, rounds)
    random = np.random.default_rng(SEED + 1)
    offset = 0
    for number, (channel, when) in enumerate(_places(order, channels, rounds, random)):
        picked = _troubled(channel, when, values[when, channel], random, trouble)
        readings = _readings(picked, number)
        batches, offset = _batches(readings, order.batch_rows, offset)
        columns = ("channel", "judged_ns", "value", "qc_flag", "usable", "boot", "sequence")
        lists = {name: getattr(readings, name).tolist() for name in columns}
        yield Chunk(batches, lists, len(readings))


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
    when: NDArray[np.int64]
    value: NDArray[np.float64]
    qc_flag: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    sequence: NDArray[np.int64]


def _troubled(
    channel: NDArray[np.int64],
    when: NDArray[np.int64],
    value: NDArray[np.float64],
    random: np.random.Generator,
    trouble: float,
) -> _Rows:
    n = len(channel)
    sequence = 2 * when + 2  # even numbers: a late row below takes the odd one after its own
    flags = np.full(n, QC_GOOD, np.uint8)
    usable = np.ones(n, np.bool_)
    if not trouble:
        return _Rows(channel, when, value, flags, usable, sequence)
    flags[random.random(n) < trouble] = QC_MISSING
    usable[random.random(n) < trouble] = False
    value = np.where(random.random(n) < trouble, np.nan, value)
    again = np.flatnonzero(random.random(n) < trouble)
    late = np.flatnonzero(random.random(n) < trouble)
    rows = np.concatenate([np.arange(n), again, late])
    rows_at = np.argsort(rows, kind="stable")
    is_late = np.concatenate([np.zeros(n + len(again), np.bool_), np.ones(len(late), np.bool_)])
    order, is_late = rows[rows_at], is_late[rows_at]
    return _Rows(
        channel[order],
        when[order] - 3 * is_late,
        value[order] + 7.0 * is_late,
        flags[order],
        usable[order],
        sequence[order] + is_late,
    )


def _readings(rows: _Rows, number: int) -> Readings:
    """Stamp the rows of chunk ``number``: 10 s of the Clock for each chunk."""
    n = len(rows.channel)
    clock = T0_NS + number * 10 * SECOND_NS + np.arange(n, dtype=np.int64) * (10 * SECOND_NS) // n
    return Readings.of(
        {
            "channel": rows.channel,
            "device": rows.channel // GATEWAY_CHANNELS,
            "judged_ns": T0_NS + rows.when * SECOND_NS,
            "receive_ns": clock,
            "value": rows.value,
            "qc_flag": rows.qc_flag,
            "usable": rows.usable,
            "boot": np.ones(n, np.int64),
            "sequence": rows.sequence,
        }
    )


def _batches(readings: Readings, batch_rows: int, offset: int) -> tuple[list[list[Record]], int]:
    """Cut a chunk into records and batches, with a Tick between records at every second."""
    batches: list[list[Record]] = []
    second = -1
    for start in range(0, len(readings), batch_rows):
        batch: list[Record] = []
        stop = min(start + batch_rows, len(readings))
        for first in range(start, stop, RECORD_ROWS):
            part = readings.take(slice(first, min(first + RECORD_ROWS, stop)))
            clock = int(part.receive_ns[0])
            if clock // SECOND_NS != second:
                second = clock // SECOND_NS
                batch.append(Record(offset, Tick(second * SECOND_NS)))
                offset += 1
            batch.append(Record(offset, part))
            offset += 1
        batches.append(batch)
    return batches, offset
