"""What the bench says: rows as they stand in JSON, and as people read them, ratios first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar

    from lifeline.bench.arrival import Order


class Result(Protocol):
    """A frozen dataclass: its fields are the JSON, its cells the table."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def workload(self) -> str:
        """Name of the workload that gave it."""
        ...

    def cells(self) -> dict[str, str]:
        """Return it as text, a cell a column."""
        ...


Tell = Callable[[str, int, int], None]
"""Called with what runs, how many readings are done, and how many there will be."""


def _silent(what: str, done: int, total: int) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run is asked for; None means what suits the workload."""

    channels: int | None = None
    rounds: int | None = None
    trouble: float = 0.0
    orders: Sequence[Order] | None = None
    profile: bool = False
    tell: Tell = field(default=_silent)


Runner = Callable[[str, Ask], "list[Result]"]
"""Runs the workload of that name."""


@dataclass(frozen=True, slots=True)
class Row:
    """Readings by CPU second of the engine and of the programs beside it, None where not run."""

    workload: str
    batch: str
    channels: int
    readings_per_s: int
    loop_readings_per_s: int | None
    c_readings_per_s: int | None
    events: int
    events_equal: bool | None

    def cells(self) -> dict[str, str]:
        """Return it as text, ratios first; no ratio of programs that did not do the same work."""
        same = self.events_equal is not None
        loop, c = (self.loop_readings_per_s, self.c_readings_per_s) if same else (None, None)
        equal = {True: "yes", False: "NO", None: "–"}
        return {
            "batch": self.batch,
            "channels": f"{self.channels:,}",
            "engine ÷ loop": ratio(self.readings_per_s, loop),
            "C ÷ engine": ratio(c, self.readings_per_s),
            "engine": millions(self.readings_per_s),
            "loop": millions(self.loop_readings_per_s),
            "C": millions(self.c_readings_per_s),
            "events": f"{self.events:,}",
            "equal": equal[self.events_equal],
        }


@dataclass(frozen=True, slots=True)
class Flat:
    """One point of a comparison in which the figure should not move: ``ratio`` to the first."""

    workload: str
    batch: str
    channels: int
    rules: int
    readings_per_s: int
    ratio: float
    events: int

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        return {
            "batch": self.batch,
            "channels": f"{self.channels:,}",
            "rules": f"{self.rules:,}",
            "to the first": f"{self.ratio:.2f}",
            "engine": millions(self.readings_per_s),
            "ns a reading": f"{1e9 / self.readings_per_s:,.0f}",
            "events": f"{self.events:,}",
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """From a batch handed in to its events handed out, in ms of CPU and by the wall's clock."""

    workload: str
    batch: str
    channels: int
    batches: int
    cpu_p50_ms: float
    cpu_p99_ms: float
    wall_p50_ms: float
    wall_p99_ms: float

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        return {
            "batch": self.batch,
            "channels": f"{self.channels:,}",
            "batches": f"{self.batches:,}",
            "CPU p50": f"{self.cpu_p50_ms:.1f} ms",
            "CPU p99": f"{self.cpu_p99_ms:.1f} ms",
            "wall p50": f"{self.wall_p50_ms:.1f} ms",
            "wall p99": f"{self.wall_p99_ms:.1f} ms",
        }


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of state of one part of the engine, for ``count`` tracks, slots, devices, channels."""

    workload: str
    part: str
    of: str
    count: int
    nbytes: int

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        each = f"{self.nbytes / self.count:,.0f}" if self.count else "–"
        return {
            "part": self.part,
            "bytes each": each,
            "of": f"{self.count:,} {self.of}",
            "MB": f"{self.nbytes / 1e6:,.1f}",
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the start of an engine, in CPU seconds."""

    workload: str
    channels: int
    step: str
    seconds: float

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        return {"step": self.step, "channels": f"{self.channels:,}", "s": f"{self.seconds:.2f}"}


@dataclass(frozen=True, slots=True)
class Waves:
    """Samples of waveforms by CPU second, and how much faster than they come that is."""

    workload: str
    batch: str
    channels: int
    samples_per_s: int
    real_time: float
    scipy_samples_per_s: int
    events: int

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        return {
            "batch": self.batch,
            "channels": f"{self.channels:,}",
            "of real time": f"{self.real_time:,.0f} x",
            "engine ÷ scipy": ratio(self.samples_per_s, self.scipy_samples_per_s),
            "engine": millions(self.samples_per_s),
            "scipy": millions(self.scipy_samples_per_s),
            "events": f"{self.events:,}",
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the engine's time went in one run: a stage, its CPU seconds and its share."""

    workload: str
    batch: str
    stage: str
    seconds: float
    share: float
    ns_per_reading: float

    def cells(self) -> dict[str, str]:
        """Return it as text."""
        return {
            "batch": self.batch,
            "stage": self.stage,
            "share": f"{self.share:.0%}",
            "ns a reading": f"{self.ns_per_reading:,.1f}",
            "s": f"{self.seconds:.3f}",
        }


def ratio(numerator: float | None, denominator: float | None) -> str:
    """Return ``3.4 x``, or a dash where one of them was not measured."""
    return "–" if numerator is None or not denominator else f"{numerator / denominator:.1f} x"


def millions(per_s: float | None) -> str:
    """Return ``1.86 M``, or a dash."""
    return "–" if per_s is None else f"{per_s / 1e6:.2f} M"
