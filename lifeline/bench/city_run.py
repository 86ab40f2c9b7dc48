"""The city measured: how fast it runs, how much it remembers, how long an engine takes to start."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lifeline.bench.arrival import ORDERS, chunks
from lifeline.bench.city import city_of, live, shipped_plan
from lifeline.bench.loop import Loop
from lifeline.bench.results import Held, Row, Step
from lifeline.bench.stages import Stages
from lifeline.bench.timing import Stopwatch
from lifeline.bench.workload import plan_of, registry_of
from rules.engine import Engine
from rules.engine.snapshot import from_bytes, put_back, take, to_bytes
from rules.readings import Readings
from rules.registry_codec import registry_bytes, registry_from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifeline.bench.results import Ask, Result
    from rules.readings import Record

CHANNELS, STEPS = 100_000, 180
LOOP_CHANNELS, LOOP_ROUNDS = 10_000, 100
STATE_STEPS = 90
CATCHING_UP = 5  # steps a batch: about 100 000 rows
START_CHANNELS = 1_000_000


def run_city(workload: str, ask: Ask) -> list[Result]:
    """Measure the shipped rules on a city, a batch as it comes in 10 s and when catching up.

    The loop's figure is that of T3 on this machine, for scale: it is not the same work.
    """
    channels, steps = ask.channels or CHANNELS, ask.rounds or STEPS
    city = city_of(channels)
    plan = shipped_plan(city.registry)
    loop = _loop_rate(min(channels, LOOP_CHANNELS), min(steps, LOOP_ROUNDS))
    rows: list[Result] = []
    staged: list[Result] = []
    for name, together in (("10 s", 1), ("50 s", CATCHING_UP)):
        engine, watch, events = Engine(plan, city.registry, reads_out=True), Stopwatch(), 0
        stages = Stages() if ask.profile else None
        for done, batch in enumerate(live(city, steps, together=together), 1):
            count = readings_in(batch)
            with watch.lap(count):
                if stages is None:
                    events += len(engine.fold(batch))
                else:
                    with stages.watch(engine, count):
                        events += len(engine.fold(batch))
            engine.series()
            ask.tell(f"{workload} {name}", done * together, steps)
        rows.append(Row(workload, name, channels, watch.readings_per_s, loop, None, events, None))
        staged += stages.rows(workload, name) if stages is not None else []
    return rows + staged


def _loop_rate(channels: int, rounds: int) -> int:
    loop, watch = Loop("T3", channels), Stopwatch()
    for chunk in chunks(ORDERS[0], channels, rounds):
        with watch.lap(chunk.rows):
            loop.fold(chunk.lists)
    return watch.readings_per_s


def readings_in(batch: Sequence[Record]) -> int:
    """Return the rows of a batch."""
    return sum(len(record.body) for record in batch if isinstance(record.body, Readings))


# -- state -------------------------------------------------------------------------------------


def run_state(workload: str, ask: Ask) -> list[Result]:
    """Count the bytes of state after a while: of the city under the shipped rules, and of T3."""
    channels, rounds = ask.channels or CHANNELS, ask.rounds or STATE_STEPS
    city = city_of(channels)
    engine = Engine(shipped_plan(city.registry), city.registry)
    for done, batch in enumerate(live(city, rounds), 1):
        engine.fold(batch)
        ask.tell(f"{workload} city", done, rounds)
    held = _held(workload, "city", engine)
    few = min(channels, LOOP_CHANNELS)
    engine = Engine(plan_of("T3", few), registry_of(few))
    for chunk in chunks(ORDERS[0], few, rounds, listed=False):
        for batch in chunk.batches:
            engine.fold(batch)
    return [*held, *_held(workload, "T3", engine)]


def _held(workload: str, name: str, engine: Engine) -> list[Result]:
    """Return each part's bytes, and their sum over the channels."""
    parts: list[tuple[str, str, int, dict[str, Any]]] = [
        (f"score {kernel}", "tracks", len(engine.slots.tracks[kernel]), scorer.columns())
        for kernel, scorer in engine.scorers.items()
    ]
    channels = len(engine.registry.channels.id)
    parts += [
        ("lifecycle", "slots", len(engine.slots), engine.slots.state.columns()),
        ("last values", "channels", channels, {"": engine.threshold.last_value}),
        ("duplicates, late", "channels", channels, engine.judge.state()),
        ("silence", "devices", len(engine.deadman.keys), engine.deadman.columns()),
    ]
    rows = [
        Held(workload, f"{name}: {part}", of, count, sum(c.nbytes for c in columns.values()))
        for part, of, count, columns in parts
    ]
    whole = sum(row.nbytes for row in rows)
    return [*rows, Held(workload, f"{name}: all", "channels", channels, whole)]


# -- the start ---------------------------------------------------------------------------------


def run_start(workload: str, ask: Ask) -> list[Result]:
    """Time each step from stored bytes to an engine that goes on where a snapshot was taken."""
    channels = ask.channels or START_CHANNELS
    steps: list[Result] = []

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        spent = time.process_time() - begun
        steps.append(Step(workload, channels, name, round(spent, 3)))
        ask.tell(f"{workload}: {name}", len(steps), 7)

    stored = registry_bytes(city_of(channels).registry)
    with step("registry from its stored columns"):
        registry = registry_from_bytes(stored)
    with step("shipped rules compiled"):
        plan = shipped_plan(registry)
    with step("engine laid out"):
        engine = Engine(plan, registry)
    with step("snapshot taken"):
        state = take(engine)
    with step("snapshot to bytes"):
        data = to_bytes(state)
    with step("snapshot from bytes"):
        state = from_bytes(data)
    with step("snapshot put back"):
        put_back(engine, state)
    return steps
