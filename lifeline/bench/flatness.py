"""What should matter little: how many rules there are, how many channels; and how long it takes.

Few rules beside many on the same channels, 10 k channels beside a million, a batch's latency.
"""

from __future__ import annotations

import time
from statistics import quantiles
from typing import TYPE_CHECKING

import numpy as np

from lifeline.bench.arrival import ORDERS, Order, chunks
from lifeline.bench.results import Flat, Latency
from lifeline.bench.timing import Stopwatch
from lifeline.bench.workload import LEVELS, plan_of, registry_of, rule_on
from rules.engine import Engine
from rules.plan import Plan

if TYPE_CHECKING:
    from lifeline.bench.results import Ask, Result

FEW = 10
SCALE = (10_000, 30_000, 100_000, 300_000, 1_000_000)
SCALE_READINGS = 1_000_000
LEAST_ROUNDS = 5  # the first is slower: it touches all memory for the first time
SHUFFLED, SHUFFLED_10K = ORDERS[0], ORDERS[1]
DENSE = next(order for order in ORDERS if order.arrangement == "dense")


def run_rules(workload: str, ask: Ask) -> list[Result]:
    """Measure 10 rules that share the channels beside a rule for each channel, in turns."""
    channels, rounds = ask.channels or 10_000, ask.rounds or 100
    counts = (min(FEW, channels), channels)
    engines = [Engine(_plan(channels, count), registry_of(channels)) for count in counts]
    watches, events = [Stopwatch() for _ in counts], [0, 0]
    done = 0
    for chunk in chunks(SHUFFLED, channels, rounds, trouble=ask.trouble, listed=False):
        for i, engine in enumerate(engines):
            with watches[i].lap(chunk.rows):
                said = [event for batch in chunk.batches for event in engine.fold(batch)]
            events[i] += len(said)
        done += chunk.rows
        ask.tell(workload, done, channels * rounds)
    rates = [watch.readings_per_s for watch in watches]
    return [
        Flat(workload, SHUFFLED.name, channels, count, rate, round(rate / rates[0], 3), told)
        for count, rate, told in zip(counts, rates, events, strict=True)
    ]


def _plan(channels: int, count: int) -> Plan:
    """Return ``count`` rules that share the channels out, by turns level and ewma, both sides.

    Even channels have a level rule and odd ones an ewma rule, whatever the count.
    """
    every = np.arange(channels, dtype=np.int32)
    shares = {
        "level": np.array_split(every[::2], (count + 1) // 2),
        "ewma": np.array_split(every[1::2], count // 2) if count > 1 else [],
    }
    rules = [
        rule_on(own, name, side, f"{name}-{number:05d}")
        for name, owns in shares.items()
        for number, own in enumerate(owns)
        for side in (1, -1)
    ]
    return Plan(content_hash=f"rules-{count}", levels=LEVELS, channel_rules=tuple(rules))


def run_scale(workload: str, ask: Ask) -> list[Result]:
    """Measure T2 from 10 k to a million channels, dense and shuffled."""
    sizes = SCALE if ask.channels is None else (ask.channels, 2 * ask.channels)
    results: list[Result] = []
    for order in (DENSE, SHUFFLED):
        first = 0
        for size in sizes:
            rounds = ask.rounds or max(LEAST_ROUNDS, SCALE_READINGS // size)
            rate, events = _rate(order, size, rounds, ask)
            first = first or rate
            results.append(
                Flat(workload, order.name, size, 3, rate, round(rate / first, 3), events)
            )
    return results


def _rate(order: Order, channels: int, rounds: int, ask: Ask) -> tuple[int, int]:
    """Return readings a CPU second by the median of batches, and the events."""
    engine = Engine(plan_of("T2", channels), registry_of(channels))
    watch, events, done = Stopwatch(), 0, 0
    for chunk in chunks(order, channels, rounds, trouble=ask.trouble, listed=False):
        with watch.lap(chunk.rows):
            for batch in chunk.batches:
                events += len(engine.fold(batch))
        done += chunk.rows
        ask.tell(f"scale {channels:,} {order.name}", done, channels * rounds)
    return watch.readings_per_s, events


def run_latency(workload: str, ask: Ask) -> list[Result]:
    """Measure T3 from a batch of 10 k readings handed in to its events handed out."""
    channels, rounds = ask.channels or 10_000, ask.rounds or 300
    engine = Engine(plan_of("T3", channels), registry_of(channels))
    cpu_ms, wall_ms, done = [], [], 0
    for chunk in chunks(SHUFFLED_10K, channels, rounds, trouble=ask.trouble, listed=False):
        for batch in chunk.batches:
            cpu, wall = time.process_time(), time.perf_counter()
            engine.fold(batch)
            cpu_ms.append((time.process_time() - cpu) * 1e3)
            wall_ms.append((time.perf_counter() - wall) * 1e3)
        done += chunk.rows
        ask.tell(workload, done, channels * rounds)
    return [
        Latency(
            workload=workload,
            batch="T3 shuffled 10k",
            channels=channels,
            batches=len(cpu_ms),
            cpu_p50_ms=_percentile(cpu_ms, 50),
            cpu_p99_ms=_percentile(cpu_ms, 99),
            wall_p50_ms=_percentile(wall_ms, 50),
            wall_p99_ms=_percentile(wall_ms, 99),
        )
    ]


def _percentile(values: list[float], percent: int) -> float:
    if len(values) == 1:
        return round(values[0], 3)
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)
