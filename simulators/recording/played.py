"""How a recording is played: from an instant on, up to one, again and again.

Steps come in, steps go out; the same arguments give the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.frame import Frame
from rules.readings import NO_SEQUENCE, Block, Control, Readings, Tick
from simulators.recording.folder import refuse
from simulators.recording.steps import step_time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simulators.recording.steps import Step

BOOTS_A_TURN: Final = 1 << 20  # devices count on from here in each turn, as if they had restarted
BETWEEN_NS: Final = 1_000_000_000  # from a turn's last instant to the next turn's first


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """``begin_ns`` and ``end_ns`` are receive times; events before ``begin_ns`` are not told.

    ``warm_ns`` of the recording before ``begin_ns`` are played too, in which rules learn.
    """

    begin_ns: int = 0
    end_ns: int = (1 << 63) - 1
    warm_ns: int = 3_600_000_000_000
    loops: int = 1

    def __post_init__(self) -> None:
        if self.begin_ns >= self.end_ns:
            raise refuse("replay", "begins when it has ended: give a --to after --from")

    def of(self, steps: Callable[[], Iterable[Step]]) -> Iterator[Step]:
        """Yield the steps asked for; ``steps`` gives the recording's from its begin, each time."""
        first_ns = last_ns = 0
        for turn in range(self.loops):
            shift_ns = turn * (last_ns - first_ns + BETWEEN_NS) if turn else 0
            for step in self._window(steps()):
                at_ns = step_time_ns(step)
                if turn == 0 and at_ns:
                    first_ns = first_ns or at_ns
                    last_ns = max(last_ns, at_ns)
                yield _moved(step, turn, shift_ns) if turn else step

    def _window(self, steps: Iterable[Step]) -> Iterator[Step]:
        from_ns = self.begin_ns - self.warm_ns if self.begin_ns else 0
        for step in steps:
            at_ns = step_time_ns(step)
            if at_ns >= self.end_ns:
                return
            if at_ns >= from_ns or not at_ns:
                yield step


def _moved(step: Step, turn: int, shift_ns: int) -> Step:
    """Return a step of a later turn: the same, later, said by devices that have restarted."""
    boots = turn * BOOTS_A_TURN
    if isinstance(step, Tick):
        return Tick(step.tick_ns + shift_ns)
    if isinstance(step, Control):
        return step
    if isinstance(step, Block):
        return replace(
            step,
            event_ns=step.event_ns + shift_ns,
            judged_ns=step.judged_ns + shift_ns,
            receive_ns=step.receive_ns + shift_ns,
            boot=step.boot + boots,
        )
    if isinstance(step, Readings):
        timeless = (step.sequence == NO_SEQUENCE) & (step.boot == 0)
        return replace(
            step,
            event_ns=step.event_ns + shift_ns,
            judged_ns=step.judged_ns + shift_ns,
            receive_ns=step.receive_ns + shift_ns,
            boot=np.where(timeless, 0, (step.boot + boots) & ((1 << 63) - 1)),
        )
    if step and isinstance(step[0], Frame):
        said = "keeps frames as they came, whose times cannot be moved"
        raise refuse("--loops", f"the recording {said}: loop what `lifeline recording cut` makes")
    return step
