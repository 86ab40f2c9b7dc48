"""A recording on its way: steps in journal order, from any source to one sink.

A step is a group of frames that arrived together (they go through admission), or a journal body
that was admitted before: Readings, a Block, a Tick, an operator's Control. Receive times and ticks
never decrease along the steps.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ingest.admission import Admission, Admitted
from ingest.frame import Frame
from ingest.journal import JournalWriter
from ingest.quarantine import quarantine_record, raw_record
from rules.readings import Block, Body, Control, Readings, Tick

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rules.registry import Registry

Step = list[Frame] | Body

MAX_GROUP = 5_000  # frames admitted together, and steps between two commits at full speed


def step_time_ns(step: Step) -> int:
    """Return the time a step is over: its newest receive time or tick; 0 where it has none."""
    if isinstance(step, Tick):
        return step.tick_ns
    if isinstance(step, list):
        return step[-1].receive_ns
    if isinstance(step, Block):
        return step.receive_ns
    if isinstance(step, Control):
        return 0
    return int(step.receive_ns[-1]) if len(step) else 0


class Sink:
    """Writes steps as ingest does: journal, raw side log and quarantine in one folder.

    Frames of many steps are admitted together, which costs a tenth, and laid down step by step, so
    that the records are those of the steps.
    """

    def __init__(self, folder: Path, registry: Registry, *, keep_raw: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        self.begin_ns = 0
        self.end_ns = 0
        self._admission = Admission(registry)
        self.journal = JournalWriter(folder / "journal")
        self._raw = JournalWriter(folder / "raw") if keep_raw else None
        self._quarantine = JournalWriter(folder / "quarantine")
        self._waiting: list[Step] = []
        self._frames = 0

    def take(self, step: Step) -> None:
        """Append one step; commit makes it durable."""
        at_ns = step_time_ns(step)
        self.begin_ns = self.begin_ns or at_ns
        self.end_ns = max(self.end_ns, at_ns)
        self._waiting.append(step)
        if isinstance(step, list):
            self._frames += len(step)
        if self._frames >= MAX_GROUP or len(self._waiting) >= MAX_GROUP:
            self.commit()

    def _lay_down(self) -> None:
        """Admit all frames that wait, and append every step in its order."""
        steps, self._waiting, self._frames = self._waiting, [], 0
        frames = [frame for step in steps if isinstance(step, list) for frame in step]
        admitted = self._admission.admit(frames)
        if admitted.quarantined:
            self._quarantine.append(quarantine_record(admitted.quarantined))
        self.counts["frames"] += len(frames)
        self.counts["quarantined"] += len(admitted.quarantined)
        refused = {id(q.frame) for q in admitted.quarantined if q.whole}
        # a message's first row has index 0; a message without rows has one that it was heard
        starts = np.flatnonzero(admitted.readings.index == 0)
        ends = np.append(starts, len(admitted.readings))
        message = 0
        for step in steps:
            if not isinstance(step, list):
                self.journal.append(step)
                self.counts["readings"] += len(step) if isinstance(step, Readings) else 0
                continue
            if self._raw is not None:
                self._raw.append(raw_record(step))
            begin = int(ends[message])
            message += sum(id(frame) not in refused for frame in step)
            self._append(admitted, begin, int(ends[message]))

    def _append(self, admitted: Admitted, begin: int, end: int) -> None:
        """Append the rows of one step, and the blocks that stand before or after them."""
        blocks = tuple((row - begin, b) for row, b in admitted.blocks if begin < row <= end)
        part = Admitted(admitted.readings.take(slice(begin, end)), blocks, ())
        for body in part.bodies():
            self.journal.append(body)
        self.counts["readings"] += end - begin

    def commit(self) -> int:
        """Make everything durable; return the journal's durable end."""
        self._lay_down()
        if self._raw is not None:
            self._raw.commit()
        self._quarantine.commit()
        return self.journal.commit()

    def close(self) -> None:
        """Commit and close the files."""
        self.commit()
        for writer in (self.journal, self._raw, self._quarantine):
            if writer is not None:
                writer.close()


def with_ticks(
    frames: Iterable[Frame], tick_ns: int, *, max_group: int = MAX_GROUP
) -> Iterator[Step]:
    """Yield frames in groups, a Tick before the first and one every ``tick_ns`` of receive time.

    A group is closed before the Tick at or after its last frame.
    """
    group: list[Frame] = []
    due = -1
    for frame in frames:
        if due < 0:
            due = frame.receive_ns // tick_ns * tick_ns
            yield Tick(due)
            due += tick_ns
        if group and (frame.receive_ns > due or len(group) >= max_group):
            yield group
            group = []
        while frame.receive_ns > due:
            yield Tick(due)
            due += tick_ns
        group.append(frame)
    if group:
        yield group
        yield Tick(due)
