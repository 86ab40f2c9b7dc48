"""The engine: ``events = fold(engine, journal)``. No clock, no I/O; any cut, the same events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.acks import acknowledge, reset
from rules.engine.asof import AsOf
from rules.engine.block_rules import BlockRules, between, block_epoch
from rules.engine.deadman import Deadman
from rules.engine.holds import Holds, standing_alarms
from rules.engine.kinds import ACROSS, FOLLOWING, KERNELS, SAMPLERS, SCORERS
from rules.engine.kinds.scorer import gathers
from rules.engine.kinds.threshold import Threshold
from rules.engine.late import Batch, late_findings
from rules.engine.lifecycle import SlotRows, Ticks
from rules.engine.outcome import advance, announced, to_events, with_lives
from rules.engine.part import Part, acceptance, joined, scored_rows, with_late
from rules.engine.quality import Quality
from rules.engine.readout import Readout
from rules.engine.row_events import row_events
from rules.engine.second import SecondStage, waiting_rows
from rules.engine.slots import INF_NS, Slots, build_slots
from rules.engine.taking import columns_of, kept_segments
from rules.judge import JUDGED, LATE, Judge, Verdicts
from rules.readings import (
    HEARD_ONLY,
    Block,
    Control,
    Readings,
    position,
    texts_named,
)
from rules.segments import ranges, segments_of
from rules.standing import StandingWarnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rules.engine.kinds.sampler import Sampler
    from rules.engine.kinds.scorer import Scorer
    from rules.engine.kinds.vote import Votes
    from rules.engine.outcome import SlotEvents
    from rules.engine.taking import Columns, Tally
    from rules.events import Event
    from rules.plan import Plan
    from rules.readings import Record
    from rules.registry import Registry
    from rules.series import Series
    from rules.waveforms.samples import Samples

    Resolve = Callable[[Control], tuple[Plan, Registry] | None]

AUX_NAMES = {scorer.kernel: scorer.aux_names for scorer in SCORERS}
AUX_NAMES |= {sampler.kernel: sampler.aux_names for sampler in SAMPLERS}


class Engine:
    """All rules of a plan over all channels of a registry.

    ``resolve`` gives the plan and registry that a Control's ``texts_named`` mean, or None to
    go on as before; without it those records change nothing. With ``reads_out`` it also keeps
    what charts want, until ``series`` takes it.
    """

    def __init__(
        self,
        plan: Plan,
        registry: Registry,
        resolve: Resolve | None = None,
        *,
        reads_out: bool = False,
    ) -> None:
        self.plan, self.registry = plan, registry
        self._resolve = resolve
        self._reads_out = reads_out
        self._told_before: list[Series] = []  # under earlier plans
        self.judge = Judge(len(registry.channels.id))
        self.next_offset = 0
        self.unknown_rows = 0  # of channels no registry record named
        self.warnings = StandingWarnings(registry)  # official ones, as far as they are known
        self.tally: Tally | None = None  # counts what was taken up, where somebody puts one here
        self._lay_out()

    def _lay_out(self) -> None:
        """Build all tables for the plan and registry, fresh."""
        channels = self.registry.channels
        count = len(channels.id)
        aux = max(len(names) for names in AUX_NAMES.values())  # at least the one of a vote
        used = {rule.kernel for rule in self.plan.slot_rules if len(rule.channel)}
        says = any(AUX_NAMES.get(kernel) for kernel in used)
        if not says and used.isdisjoint(FOLLOWING):
            aux = 0
        self.slots: Slots = build_slots(
            self.plan, channels.id, channels.range_lo, channels.range_hi, KERNELS, aux
        )
        of_slots = self.slots.parameters.channel
        self.slots.hours = self.slots.hours.under(self.warnings, self.registry, of_slots)
        self.scorers: dict[str, Scorer] = {
            scorer.kernel: scorer(self.slots.tracks[scorer.kernel])
            for scorer in SCORERS
            if scorer.kernel in used
        }
        classes = len(self.slots.accept_flags)
        self.threshold = Threshold(self.slots.tracks[Threshold.kernel], classes)
        self.blocks = BlockRules(channels, self.slots, used)
        self.second = SecondStage(self.slots)
        looks = not used.isdisjoint(ACROSS)
        self.asof = AsOf(count, self.slots.accept_flags) if looks else None
        self.deadman = Deadman(self.plan, self.registry.devices.id)
        self.holds = Holds(self.plan, self.registry)
        self.quality = Quality(self.plan, count)
        self._probe = np.zeros(count, np.bool_)
        self._probe[self.plan.probe_channels] = True
        self._probes = self.plan.probe_channels.size > 0
        self._scratch = np.zeros(count, np.int64)
        read = Readout(self.slots, self.scorers, channels) if self._reads_out else None
        self.readout: Readout | None = read

    def series(self) -> list[Series]:
        """Return the scores and features since the last call, in order of the journal."""
        told, self._told_before = self._told_before, []
        if self.readout is not None and len(now := self.readout.drain()):
            told.append(now)
        return told

    @property
    def keepers(self) -> dict[str, Scorer | Sampler | Votes]:
        """Return what keeps state by track, by kernel."""
        return {**self.scorers, **self.blocks.samplers, **self.second.joins}

    # ---- the fold -----------------------------------------------------------------------------

    def fold(self, records: Sequence[Record]) -> list[Event]:
        """Take up records in journal order and return their events in log order."""
        events: list[Event] = []
        self.quality.begin()
        begin = 0
        for i, record in enumerate(records):
            if isinstance(record.body, Control):
                events += self._advance(records[begin:i])
                events += self._control(record.offset, record.body)
                begin = i + 1
        events += self._advance(records[begin:])
        if records:
            self.next_offset = records[-1].offset + 1
        return events

    def _advance(self, records: Sequence[Record]) -> list[Event]:
        """Take up Readings, Blocks and Ticks."""
        if not records:
            return []
        return self._take_up(columns_of(records), [r for r in records if isinstance(r.body, Block)])

    def fold_columns(self, columns: Columns, blocks: Sequence[Record] = ()) -> list[Event]:
        """Take up whole records that lie side by side already: what an archive is read as.

        ``blocks`` are the records of waveforms among them, whose devices stand in ``columns.heard``
        too. The events are those ``fold`` gives of the same records.
        """
        self.quality.begin()
        events = self._take_up(columns, blocks)
        self.next_offset = columns.next_offset
        return events

    def _take_up(self, columns: Columns, blocks: Sequence[Record]) -> list[Event]:
        """Take up columns, cut where new epochs of a block's clock open."""
        events = self.holds.woven(self._judge(columns, blocks), columns.ticks)
        return with_lives(events, self.plan)

    def _judge(self, columns: Columns, blocks: Sequence[Record]) -> list[Event]:
        samples, epochs = self.blocks.mark(blocks)
        if not epochs:
            return self._take(columns, samples)
        events: list[Event] = []
        begin, g_from = 0, -1
        for at, channel in [*epochs, (len(blocks), -1)]:
            g_to = position(blocks[at].offset) if channel >= 0 else int(INF_NS)
            if g_to > g_from:
                held = None if samples is None else samples.between(begin, at)
                events += self._take(columns.between(g_from, g_to), held)
            if channel >= 0:
                self.blocks.forget(channel)
                events.append(block_epoch(blocks[at], self.registry.channels.id[channel]))
            begin, g_from = at, g_to
        events.sort(key=log_order)
        return events

    def _take(self, columns: Columns, samples: Samples | None) -> list[Event]:
        """Take up columns among which no new epoch of a block's clock opens."""
        rows, g, ticks = self._known(columns.rows), columns.g, columns.ticks
        events = self.deadman.advance(columns.heard, ticks)
        rows, g = self.blocks.join(rows, g, samples)
        verdicts = self.judge.mark(rows, g)
        judged = verdicts.verdict == JUDGED
        segments = kept_segments(verdicts, judged)
        rows = self.quality.mark(rows, g, verdicts, segments)
        if self.tally is not None:
            self.tally.take(rows, verdicts.verdict)
        if self.readout is not None and samples is not None:
            self.readout.features(rows, g, judged)
        waves = self.blocks.rows(samples)
        accepted = acceptance(rows, self.slots)
        if self._probes or len(verdicts.epoch_rows):
            events += row_events(rows, g, verdicts, self._probe, self.registry.channels.id)
        cuts = [0, *verdicts.epoch_rows.tolist()]
        if len(cuts) == 1:
            late = verdicts.verdict == LATE
            part = Part(rows, g, segments, accepted, ticks, self.asof)
            if late.any():
                batch = Batch(rows, g, verdicts.verdict, accepted)
                events += self._late(batch)
                with_late(part, kept_segments(verdicts, judged | late), late)
            told = self._run(part, waves)
            if not events:
                return told  # in order already
            events += told
        else:
            events += self._run_cut((rows, g, verdicts, waves), ticks, cuts)
        events.sort(key=log_order)
        return events

    def _known(self, rows: Readings) -> Readings:
        """Keep of rows of channels the registry does not have only that their device spoke.

        This happens only where a Control record was destroyed; ``unknown_rows`` counts it.
        """
        if not len(rows) or int(rows.channel.max()) < len(self._scratch):
            return rows
        unknown = rows.channel >= len(self._scratch)
        self.unknown_rows += int(unknown.sum())
        return replace(rows, channel=np.where(unknown, HEARD_ONLY, rows.channel).astype(np.int32))

    def _run_cut(
        self,
        batch: tuple[Readings, NDArray[np.int64], Verdicts, list[SlotRows]],
        ticks: Ticks,
        cuts: list[int],
    ) -> list[Event]:
        """Run the pieces between clock epochs; a piece begins with the row that opens one."""
        rows, g, verdicts, waves = batch
        events: list[Event] = []
        for number, begin in enumerate(cuts):
            stop = cuts[number + 1] if number + 1 < len(cuts) else len(rows)
            if number > 0:
                self._restart(int(rows.channel[begin]))
            piece = rows.take(slice(begin, stop))
            g_from = int(g[begin]) if number > 0 else -1
            g_to = int(g[stop]) if stop < len(g) else int(INF_NS)
            a, b = np.searchsorted(ticks.g, [g_from, g_to])
            verdict = verdicts.verdict[begin:stop]
            accepted = acceptance(piece, self.slots)
            judged, late = verdict == JUDGED, verdict == LATE
            segments = segments_of(piece.channel, np.flatnonzero(judged), self._scratch)
            part_ticks = Ticks(ticks.tick_ns[a:b], ticks.g[a:b])
            part = Part(piece, g[begin:stop], segments, accepted, part_ticks, self.asof)
            if late.any():
                events += self._late(Batch(piece, g[begin:stop], verdict, accepted))
                both = np.flatnonzero(judged | late)
                with_late(part, segments_of(piece.channel, both, self._scratch), late)
            events += self._run(part, between(waves, g_from, g_to))
        return events

    def _late(self, batch: Batch) -> list[Event]:
        return late_findings(batch, self.slots, self.threshold)

    def _run(self, part: Part, waves: list[SlotRows]) -> list[Event]:
        """Run the rules of channels and assets, then those that follow from what they decided."""
        overdue = len(part.ticks.g) > 0 and part.ticks.tick_ns[-1] >= self.slots.next_due_ns
        columns = self._score(part, waves, overdue=overdue)
        events = self._told(columns)
        if self.second.joins:
            more = self.second.decide(part, columns, overdue=overdue)
            events = sorted([*events, *more], key=log_order) if more else events
        if overdue:
            self.slots.next_due_ns = self.slots.state.due_ns.min(initial=INF_NS)
        return events

    def _told(self, columns: SlotEvents | None) -> list[Event]:
        if columns is None:
            return []
        return to_events(self.slots, announced(self.slots, columns), AUX_NAMES)

    def _score(self, part: Part, waves: list[SlotRows], *, overdue: bool) -> SlotEvents | None:
        """Score every kind, then let one lifecycle decide over all of them."""
        found: list[SlotRows] = []
        if len(part.segments.order) or part.wide is not None:
            several = [
                scored_rows(part, self.slots, each, self.readout) for each in self.scorers.values()
            ]
            if len(part.segments.order):
                several.insert(0, self.threshold.rows(part, self.slots))
                self.threshold.remember(part)
            found = [rows for rows in several if rows is not None]
            if len(part.segments.order) and self.asof is not None:
                self.asof.remember(part)
        found += waves
        if overdue:
            first = slice(0, self.second.span.start)
            found.append(waiting_rows(self.slots, found, part.ticks, first))
        return advance(self.slots, joined(found), part.ticks) if found else None

    def _restart(self, channel: int) -> None:
        """Let every slot of a channel restart as after a gap: its clock began a new epoch."""
        if self.asof is not None:
            self.asof.forget(channel)
        for kernel, tracks in self.slots.tracks.items():
            if kernel in FOLLOWING:
                continue  # they go by the Clock, which did not jump
            scorer = self.scorers.get(kernel)
            if scorer is not None and gathers(scorer):
                own = scorer.tracks_of(channel)
            else:
                own = np.arange(tracks.pointer[channel], tracks.pointer[channel + 1])
            each = tracks.slot[own + 1] - tracks.slot[own]
            self.slots.state.gap[ranges(tracks.slot[own], each)] = True
            if len(own) and scorer is not None:
                scorer.forget(own)

    # ---- controls -----------------------------------------------------------------------------

    def _control(self, offset: int, control: Control) -> list[Event]:
        """Take up an operator's reset, or a change of registry or rules."""
        if control.type == "reset":
            return sorted(reset(self.slots, offset, control.data), key=log_order)
        if control.type == "ack":
            acknowledge(self.slots, self.scorers, control.data)
        if control.type == "warning":
            self.warnings.take(control.data, int(self.deadman.tick_ns))
        if control.type == "window":
            told = (standing_alarms(self.slots, self.deadman), int(self.deadman.tick_ns))
            return self.holds.order(control.data, offset, *told)
        if self._resolve is not None and texts_named(control):
            resolved = self._resolve(control)
            if resolved is not None:
                return self.change(*resolved, offset=offset)
        return []

    def change(self, plan: Plan, registry: Registry, *, offset: int) -> list[Event]:
        """Go on with another plan and registry; slots of unchanged meaning keep their state.

        Returns a RULE_CHANGED for every latched slot whose rule is gone or means something else.
        """
        from rules.engine.snapshot import carry_over  # noqa: PLC0415 - it needs this class

        before = self.snapshot()
        self._told_before = self.series()
        old_levels, quality, holds = self.plan.levels, self.quality, self.holds
        self.plan, self.registry = plan, registry
        self.warnings = self.warnings.on(registry)
        self.judge.grow(len(registry.channels.id))
        self._lay_out()
        self.quality.follow(quality)
        events = carry_over(self, before, old_levels, offset)
        events += self.holds.changed(holds, offset)
        events.sort(key=log_order)
        return with_lives(events, plan)

    def snapshot(self) -> dict[str, Any]:
        """Return all state at the current record boundary, as named arrays and keys."""
        from rules.engine.snapshot import take  # noqa: PLC0415 - it needs this class

        return take(self)

    def restore(self, state: dict[str, Any]) -> list[Event]:
        """Take up a snapshot; slots are found by rule, side, channel and meaning, not by number."""
        from rules.engine.snapshot import put_back  # noqa: PLC0415 - it needs this class

        return with_lives(put_back(self, state), self.plan)


def log_order(event: Event) -> tuple[int, int, str, str, int, int]:
    """Return the key that orders the log."""
    g = position(event.offset, event.row)
    return (g, event.stage, event.rule, event.subject, event.side, event.ordinal)
