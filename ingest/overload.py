"""More comes than can be judged in time: what is given up, and when it is taken again.

Order of shedding: waveforms, then channels of class ``info``, then ``maintenance``; ``safety``
never, whatever its form. What is shed is counted by channel and acknowledged: sent again it would
only make it worse. Its device still counts as heard.

Two signs of overload: the intake's queue stays filled, or the engine is behind and falls further
behind. No overload is an engine that stands still or catches up after a stop: what waits in the
journal is not lost, and giving up what comes would not bring the rest sooner. Nor is a backlog that
a broker kept while we were away: its readings are old, and no more of them are made.
"""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from ingest import metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rules.readings import Readings

log = structlog.get_logger("ingest.overload")

STEPS: Final = ("nothing", "waveforms", "waveforms, info", "waveforms, info, maintenance")
SHED_FROM: Final = {"info": 2, "maintenance": 3}
"""The step from which readings of a class are shed; of any other class never."""
WAVEFORMS_FROM: Final = 1
NEVER: Final = len(STEPS)

PROGRESS_FILE: Final = "engine.at"
_OFFSET: Final = struct.Struct("<Q")


def shed_from(klass: str) -> int:
    """Return the step from which readings of a class are shed; an unknown class is safety."""
    return SHED_FROM.get(klass, NEVER)


class Progress:
    """How far the engine is, told to whoever asks now: not synced, gone with the machine."""

    def __init__(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._file = os.open(run / PROGRESS_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def tell(self, offset: int) -> None:
        """Say that all below ``offset`` is judged and its events are written."""
        os.pwrite(self._file, _OFFSET.pack(offset), 0)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def told(run: Path) -> int | None:
    """Return how far the engine is, None where it has never said."""
    try:
        raw = (run / PROGRESS_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return int(_OFFSET.unpack(raw)[0]) if len(raw) == _OFFSET.size else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadLimits:
    """When to give up a step more, and when one less. Wall seconds."""

    behind_s: float = 1.0  # the engine, and falling further behind
    queue_share: float = 0.25
    step_s: float = 0.25  # between two steps: the first needs time to help
    calm_s: float = 10.0  # without a sign of overload, until a step less
    calm_behind_s: float = 0.5
    backlog_s: float = 60.0  # readings that are older when they come are a backlog


UNLIMITED: Final = OverloadLimits(behind_s=float("inf"), queue_share=float("inf"))
"""Never: everything is kept, however late it is judged."""


class Overload:
    """Decides what is shed: ``step`` 0 to 3, see STEPS."""

    def __init__(
        self,
        run: Path,
        limits: OverloadLimits | None = None,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.step = 0
        self.limits = limits or OverloadLimits()
        self._run = run
        self._now_s = now_s
        self._commits: deque[tuple[int, float]] = deque()  # one each tenth of a second
        self._engine: int | None = told(run)
        self._behind_s = 0.0
        self._was_full = self._was_behind = False
        self._age_s = 0.0
        self._looked_s = self._trouble_s = self._stepped_s = now_s()

    def committed(self, end: int) -> None:
        """Take note that everything below ``end`` is in the journal since now."""
        now_s = self._now_s()
        if not self._commits or now_s - self._commits[-1][1] >= 0.1:
            self._commits.append((end, now_s))
            if len(self._commits) > 36_000:  # an hour; further behind is behind enough
                self._commits.popleft()

    def received(self, readings: Readings) -> None:
        """Take note how old the readings of a group were when they came."""
        if len(readings):
            some = slice(None, None, max(1, len(readings) // 64))
            ages_ns = readings.receive_ns[some] - readings.event_ns[some]
            self._age_s = float(np.median(ages_ns)) / 1e9

    def look(self, queue_share: float) -> None:
        """Look how things stand, at most every ``step_s``; ``queue_share`` is 0 to 1."""
        now_s = self._now_s()
        if now_s - self._looked_s < self.limits.step_s:
            return
        self._looked_s = now_s
        before_s, before = self._behind_s, self._engine
        self._engine = told(self._run)
        self._behind_s = self._behind(now_s)
        metrics.ENGINE_BEHIND.set(self._behind_s)
        moves = self._engine is not None and self._engine != before
        falls_behind = self._behind_s >= max(self.limits.behind_s, before_s)
        full = queue_share >= self.limits.queue_share
        stays_full, self._was_full = full and self._was_full, full
        behind = falls_behind and moves
        stays_behind, self._was_behind = behind and self._was_behind, behind
        fresh = self._age_s < self.limits.backlog_s
        if fresh and (stays_full or stays_behind):
            self._trouble_s = now_s
            self._change(min(self.step + 1, len(STEPS) - 1), now_s)
        elif self._behind_s >= self.limits.calm_behind_s and self.step:
            self._trouble_s = now_s  # it catches up; not yet the time to ask for more
        elif now_s - max(self._trouble_s, self._stepped_s) >= self.limits.calm_s:
            self._change(max(self.step - 1, 0), now_s)

    def _behind(self, now_s: float) -> float:
        """Return since when the engine owes us the oldest record it has not judged."""
        if self._engine is None:
            return 0.0
        while self._commits and self._commits[0][0] <= self._engine:
            self._commits.popleft()
        return now_s - self._commits[0][1] if self._commits else 0.0

    def _change(self, step: int, now_s: float) -> None:
        if step == self.step:
            return
        said = log.critical if step > self.step else log.warning
        said(
            "overload: given up" if step > self.step else "overload eases: given up",
            what=STEPS[step],
            engine_behind_s=round(self._behind_s, 1),
        )
        self.step, self._stepped_s = step, now_s
        metrics.SHED_STEP.set(step)
