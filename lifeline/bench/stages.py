"""Where the engine's time goes: its stages timed from outside, by taking their place meanwhile."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from lifeline.bench.results import Stage
from rules.engine import fold, part
from rules.engine.deadman import Deadman
from rules.engine.kinds import threshold
from rules.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rules.engine import Engine

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("read", fold, "columns_of"),
    ("judge", Judge, "mark"),
    ("silence", Deadman, "advance"),
    ("accept", fold, "acceptance"),
    ("late", fold, "late_findings"),
    ("lay out", part, "runs_of"),
    ("lay out", threshold, "runs_of"),
    ("hot filter", threshold.Threshold, "_hot"),
    ("hot filter", threshold.Threshold, "remember"),
    ("pick slots", part, "moving_rows"),
    ("pick slots", threshold, "moving_rows"),
    ("lifecycle", fold, "advance"),
    ("events", fold, "to_events"),
)
"""What is timed: a stage, where its function is looked up, and under which name."""


class Stages:
    """Seconds of each stage of one engine; what no stage claims is "the rest"."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.readings = 0

    @contextmanager
    def watch(self, engine: Engine, readings: int) -> Iterator[None]:
        """Time the stages of what the body folds, ``readings`` rows."""
        places = [*STAGES]
        places += [(f"score {name}", scorer, "score") for name, scorer in engine.scorers.items()]
        kept = [(owner, name, vars(owner).get(name)) for _, owner, name in places]
        for stage, owner, name in places:
            setattr(owner, name, self._timed(stage, getattr(owner, name)))
        before, begun = sum(self.seconds.values()), time.process_time()
        try:
            yield
        finally:
            whole = time.process_time() - begun
            self.seconds["the rest"] += whole - (sum(self.seconds.values()) - before)
            self.readings += readings
            for owner, name, was in kept:
                if was is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, was)

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*given, **named)
            finally:
                self.seconds[stage] += time.process_time() - begun

        return timed

    def rows(self, workload: str, batch: str) -> list[Stage]:
        """Return the stages, dearest first."""
        whole = sum(self.seconds.values())
        return [
            Stage(
                workload=workload,
                batch=batch,
                stage=stage,
                seconds=round(seconds, 4),
                share=round(seconds / whole, 4) if whole else 0.0,
                ns_per_reading=round(seconds / self.readings * 1e9, 2),
            )
            for stage, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])
        ]
