"""New, duplicate, late or conflict: docs/semantics.md section 2, one delivery at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

JUDGED, DUPLICATE, LATE, CONFLICT, HEARD = "judged", "duplicate", "late", "conflict", "heard"
BLOCK, BLOCKS = 64, 8  # told apart: the highest one's block of 64 and the seven before
RING = 8
EPOCH_RUN = 3


@dataclass
class Row:
    """One row of a Readings as plain numbers, with its place in the journal."""

    offset: int
    row: int
    channel: int
    device: int
    event_ns: int
    judged_ns: int
    receive_ns: int
    value: float
    qc_flag: int
    usable: bool
    boot: int
    sequence: int
    index: int
    verdict: str = HEARD
    opens_epoch: bool = False


@dataclass
class ChannelMemory:
    boot: int | None = None
    previous_boot: int | None = None
    seen: set[int] = field(default_factory=set)  # sequences of the current boot
    hashes: list[int] = field(default_factory=list)
    judged_ns: int | None = None
    value: float = math.nan
    late_run: int = 0
    last_boot: int | None = None  # of the previous not-duplicate delivery
    device: int | None = None
    unnumbered_ns: int | None = None  # receive time of the previous one without sequence


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


class NaiveJudge:
    def __init__(self) -> None:
        self.memory: dict[int, ChannelMemory] = {}

    def mark(self, rows: list[Row]) -> None:
        """Write the verdicts into the rows of one record."""
        by_channel: dict[int, list[Row]] = {}
        for row in rows:
            if row.channel >= 0:
                by_channel.setdefault(row.channel, []).append(row)
        for channel, own in by_channel.items():
            memory = self.memory.setdefault(channel, ChannelMemory())
            for delivery in deliveries(own):
                speaker = delivery[0].device
                if memory.device not in (None, speaker):  # the sensor was replaced
                    kept = ChannelMemory(judged_ns=memory.judged_ns, value=memory.value)
                    memory = self.memory[channel] = kept
                memory.device = speaker
                judge(memory, delivery)


def deliveries(rows: list[Row]) -> list[list[Row]]:
    parts: list[list[Row]] = []
    for row in rows:
        if parts:
            last = parts[-1][-1]
            mine, theirs = ((r.device, r.boot, r.sequence) for r in (row, last))
            if mine == theirs and row.index > last.index:
                parts[-1].append(row)
                continue
        parts.append([row])
    return parts


def judge(memory: ChannelMemory, delivery: list[Row]) -> None:
    first = delivery[0]
    seen = seen_by_sequence if first.sequence >= 0 else seen_by_payload
    top = max(memory.seen, default=-1) if first.boot == memory.boot else -1
    if seen(memory, first):
        for row in delivery:
            row.verdict = DUPLICATE
        return
    new_top = first.sequence > top and first.boot == memory.boot
    count_late(memory, delivery, new_top=new_top)
    memory.last_boot = first.boot
    if first.sequence < 0:
        memory.unnumbered_ns = first.receive_ns
    if memory.late_run == EPOCH_RUN:
        memory.late_run = 0
        memory.judged_ns = None
        first.opens_epoch = True
    for row in delivery:
        row.verdict = time_test(memory, row)
        if row.verdict == JUDGED:
            memory.judged_ns = row.judged_ns
            memory.value = row.value


def seen_by_sequence(memory: ChannelMemory, first: Row) -> bool:
    if first.boot != memory.boot:
        if first.boot == memory.previous_boot:
            return False
        memory.previous_boot = memory.boot
        memory.boot = first.boot
        memory.seen = set()
    if memory.seen and max(memory.seen) // BLOCK - first.sequence // BLOCK >= BLOCKS:
        return False
    if first.sequence in memory.seen:
        return True
    memory.seen.add(first.sequence)
    return False


def seen_by_payload(memory: ChannelMemory, first: Row) -> bool:
    if first.boot == 0:
        return False
    if first.boot in memory.hashes:
        return True
    memory.hashes = [*memory.hashes, first.boot][-RING:]
    return False


def count_late(memory: ChannelMemory, delivery: list[Row], *, new_top: bool) -> None:
    newest = max(row.judged_ns for row in delivery)
    if memory.judged_ns is None or newest > memory.judged_ns:
        memory.late_run = 0
    elif rises(memory, delivery[0], new_top=new_top):
        memory.late_run += 1
    else:
        memory.late_run = 1


def rises(memory: ChannelMemory, first: Row, *, new_top: bool) -> bool:
    if first.sequence >= 0:
        return new_top and first.boot == memory.last_boot
    return memory.unnumbered_ns is None or first.receive_ns > memory.unnumbered_ns


def time_test(memory: ChannelMemory, row: Row) -> str:
    if memory.judged_ns is None or row.judged_ns > memory.judged_ns:
        return JUDGED
    if row.judged_ns < memory.judged_ns:
        return LATE
    return DUPLICATE if same(row.value, memory.value) else CONFLICT
