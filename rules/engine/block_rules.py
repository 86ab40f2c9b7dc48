"""Rules on waveforms: their rows take the same lifecycle as those of any other kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.kinds import SAMPLERS
from rules.engine.lifecycle import SlotRows, Ticks
from rules.engine.part import Part, Runs, moving_rows
from rules.events import Event, EventType
from rules.readings import Block, Readings
from rules.segments import Segments
from rules.waveforms.stage import Waveforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.kinds.sampler import Sampler, Scored
    from rules.engine.slots import Slots
    from rules.readings import Record
    from rules.registry import Channels
    from rules.waveforms.samples import Samples

NO_TICKS = Ticks(np.zeros(0, np.int64), np.zeros(0, np.int64))


class BlockRules:
    """The waveform stage and the kinds that judge its samples."""

    def __init__(self, channels: Channels, slots: Slots, used: set[str]) -> None:
        self._slots = slots
        kinds = [sampler for sampler in SAMPLERS if sampler.kernel in used]
        ruled = np.zeros(len(channels.id), np.bool_)
        for kind in kinds:
            ruled[slots.tracks[kind.kernel].channel] = True
        self.stage = Waveforms(channels, ruled)
        self.samplers: dict[str, Sampler] = {}
        for kind in kinds:
            tracks = slots.tracks[kind.kernel]
            pointer = np.append(tracks.pointer[self.stage.sources], len(tracks))
            self.samplers[kind.kernel] = kind(tracks, pointer)

    def mark(self, records: Sequence[Record]) -> tuple[Samples | None, list[tuple[int, int]]]:
        """Return the new samples of records, and (record, channel) where new epochs open."""
        return self.stage.mark(records)

    def join(
        self, rows: Readings, g: NDArray[np.int64], samples: Samples | None
    ) -> tuple[Readings, NDArray[np.int64]]:
        """Return the rows with those of feature channels among them, in journal order."""
        came = None if samples is None else self.stage.features(samples)
        if came is None:
            return rows, g
        features, positions = came
        if not len(rows):
            return features, positions
        both = np.concatenate((g, positions))
        order = np.argsort(both, kind="stable")
        return Readings.concatenate([rows, features]).take(order), both[order]

    def rows(self, samples: Samples | None) -> list[SlotRows]:
        """Return the rows of slots of block rules that have something to do."""
        found = []
        if samples is not None:
            for kernel, sampler in self.samplers.items():
                scored = sampler.take(samples)
                if scored is not None and len(scored.own):
                    found.append(self._laid(kernel, scored))
        return [laid for laid in found if laid is not None]

    def _laid(self, kernel: str, scored: Scored) -> SlotRows | None:
        """Lay scored rows out by slot; the n-th row of a track in a record is its row n."""
        keep = scored.score == scored.score  # a NaN score is no row
        own, g = scored.own[keep], scored.g[keep]
        if not len(own):
            return None
        head = np.ones(len(own), np.bool_)
        head[1:] = own[1:] != own[:-1]
        first = np.flatnonzero(head)
        new = head.copy()
        new[1:] |= g[1:] != g[:-1]
        count = np.arange(len(own))
        row = count - np.maximum.accumulate(np.where(new, count, 0))
        tracks = self._slots.tracks[kernel]
        rows = Readings.of(
            {
                "channel": tracks.channel[own],
                "judged_ns": scored.judged_ns[keep],
                "receive_ns": scored.receive_ns[keep],
                "value": scored.value[keep],
            }
        )
        length = np.append(first[1:], len(own)) - first
        each = Segments(count, count, count + 1, count, True)
        part = Part(rows, g + row, each, [], NO_TICKS)
        runs = Runs(own[first], first, length, (count, rows.judged_ns, rows.value))
        aux = scored.aux[keep] if scored.aux.shape[1] else None
        return moving_rows(part, self._slots, tracks, runs, scored.score[keep], aux)

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return copies of what is known of blocks; samplers give their own."""
        return self.stage.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what a snapshot says of blocks; samplers restore their own."""
        self.stage.restore(state, state["subjects"])

    def forget(self, channel: int) -> None:
        """Let features and block rules of a channel begin anew: its blocks' clock did."""
        self.stage.forget(channel)
        for kernel, sampler in self.samplers.items():
            pointer = self._slots.pointer[kernel]
            self._slots.state.gap[pointer[channel] : pointer[channel + 1]] = True
            tracks = self._slots.tracks[kernel]
            sampler.forget(np.arange(tracks.pointer[channel], tracks.pointer[channel + 1]))


def block_epoch(record: Record, channel: str) -> Event:
    """Say that a new epoch of a channel's blocks opens before this record."""
    block = record.body
    assert isinstance(block, Block)  # noqa: S101 - only blocks have such a clock
    return Event(
        type=EventType.CLOCK_EPOCH,
        offset=record.offset,
        row=0,
        subject=channel,
        event_ns=block.judged_ns,
        receive_ns=block.receive_ns,
    )


def between(found: list[SlotRows], g_from: int, g_to: int) -> list[SlotRows]:
    """Return the rows with ``g_from <= g < g_to``."""
    cut = []
    for rows in found:
        keep = (rows.g >= g_from) & (rows.g < g_to)
        if keep.all():
            cut.append(rows)
            continue
        if not keep.any():
            continue
        owner = np.repeat(np.arange(len(rows.slot)), rows.length)[keep]
        length = np.bincount(owner, minlength=len(rows.slot))
        some = length > 0
        names = ("g", "judged_ns", "receive_ns", "value", "score", "over")
        chosen = {name: getattr(rows, name)[keep] for name in names}
        aux = None if rows.aux is None else rows.aux[keep]
        cut.append(replace(rows, slot=rows.slot[some], length=length[some], aux=aux, **chosen))
    return cut
