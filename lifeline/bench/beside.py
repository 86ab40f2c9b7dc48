"""T1, T2 and T3: the engine, the tight loop and the C reference on the same readings, in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeline.bench.arrival import ORDERS, chunks, shape_of
from lifeline.bench.loop import Loop
from lifeline.bench.reference import Reference, compiler
from lifeline.bench.results import Row
from lifeline.bench.stages import Stages
from lifeline.bench.timing import Stopwatch
from lifeline.bench.told import as_told, same
from lifeline.bench.workload import plan_of, registry_of
from rules.engine import Engine

if TYPE_CHECKING:
    from lifeline.bench.arrival import Chunk, Order
    from lifeline.bench.results import Ask, Result
    from rules.events import Event
    from rules.readings import Record

CHANNELS, ROUNDS = 10_000, 500


def run_beside(workload: str, ask: Ask) -> list[Result]:
    """Measure one of T1, T2, T3 in every order."""
    channels, rounds = ask.channels or CHANNELS, ask.rounds or ROUNDS
    results: list[Result] = []
    for order in ORDERS if ask.orders is None else ask.orders:
        done = 0
        contest = Contest(workload, order, channels, rounds, profile=ask.profile)
        for chunk in chunks(order, contest.channels, contest.rounds, trouble=ask.trouble):
            contest.take(chunk)
            done += chunk.rows
            ask.tell(f"{workload} {order.name}", done, channels * rounds)
        results += contest.results()
        contest.close()
    return results


@dataclass(slots=True)
class _Tally:
    events: int = 0
    equal: bool = True


class Contest:
    """The programs with their states and stopwatches, for one order of arrival."""

    def __init__(
        self, workload: str, order: Order, channels: int, rounds: int, *, profile: bool = False
    ) -> None:
        self.channels, self.rounds = shape_of(order, channels, rounds)
        self.workload, self.order = workload, order
        self.registry = registry_of(self.channels)
        self.engine = Engine(plan_of(workload, self.channels), self.registry)
        self.loop = Loop(workload, self.channels)
        self.c = Reference(workload, self.channels) if compiler() else None
        self.watches = [Stopwatch(), Stopwatch(), Stopwatch()]
        self.stages = Stages() if profile else None
        self.tally = _Tally()

    def take(self, chunk: Chunk) -> None:
        """Give a chunk to every program in turn, and compare what they tell."""
        engine, loop, c = self.watches
        said: list[Event] = []
        with engine.lap(chunk.rows):
            if self.stages is None:
                said = self._fold(chunk.batches)
            else:
                with self.stages.watch(self.engine, chunk.rows):
                    said = self._fold(chunk.batches)
        with loop.lap(chunk.rows):
            told = self.loop.fold(chunk.lists)
        mine = as_told(said, self.registry)
        self.tally.events += len(said)
        self.tally.equal &= same(mine, told)
        if self.c is not None:
            with c.lap(chunk.rows):
                count = self.c.fold(chunk.readings)
            self.tally.equal &= same(mine, self.c.told(count))

    def _fold(self, batches: list[list[Record]]) -> list[Event]:
        said: list[Event] = []
        for batch in batches:
            said += self.engine.fold(batch)
        return said

    def results(self) -> list[Result]:
        """Return the row of this order, and its stages where they were asked for."""
        engine, loop, c = self.watches
        row = Row(
            workload=self.workload,
            batch=self.order.name,
            channels=self.channels,
            readings_per_s=engine.readings_per_s,
            loop_readings_per_s=loop.readings_per_s,
            c_readings_per_s=c.readings_per_s if self.c is not None else None,
            events=self.tally.events,
            events_equal=self.tally.equal,
        )
        found: list[Result] = [row]
        if self.stages is not None:
            found += self.stages.rows(self.workload, self.order.name)
        return found

    def close(self) -> None:
        """Give the C program's memory back."""
        if self.c is not None:
            self.c.close()
