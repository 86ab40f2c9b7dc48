"""What a channel's loop remembers, and the part of the tight loop that is rarely reached."""

from __future__ import annotations

from array import array
from math import nan

from lifeline.bench.workload import (
    HIGH,
    HYSTERESIS,
    LEVELS,
    LOW,
    RATE_LIMIT,
    RATE_WINDOW_NS,
    SLOPE_LIMIT,
    SLOPE_ROWS,
    SLOPE_WINDOW_NS,
    Z_LIMIT,
)

H, HH = HIGH
L, LL = LOW
H_CLEAR, HH_CLEAR = H - HYSTERESIS, HH - HYSTERESIS
L_CLEAR, LL_CLEAR = L + HYSTERESIS, LL + HYSTERESIS
SEVERITY = (0, LEVELS[0].severity, LEVELS[1].severity, LEVELS[1].severity)  # of two latch bits
LIMIT = {"ewma": Z_LIMIT, "rate": RATE_LIMIT, "slope": SLOPE_LIMIT}
BLOCKS = 8  # of 64 sequences each are told apart: the highest one's and those before
EPOCH_RUN = 3

Told = tuple[str, str, int, int, int, float]  # type, rule, side, channel, event_ns, score


class State:
    """What is remembered of one channel."""

    __slots__ = (
        "block",
        "boot",
        "count",
        "end",
        "ewma_on",
        "head",
        "high",
        "judged_ns",
        "late_run",
        "low",
        "mean",
        "older",
        "origin_ns",
        "points",
        "previous_boot",
        "rate_ns",
        "rate_on",
        "rate_value",
        "ring",
        "seen",
        "sent_boot",
        "slope_on",
        "su",
        "suu",
        "suv",
        "sv",
        "top",
        "value",
        "variance",
    )

    def __init__(self) -> None:
        self.boot = self.previous_boot = self.sent_boot = -1
        self.top = self.block = self.end = -1  # the highest, its block, and where that ends
        self.seen = 0  # bits of the highest one's block
        self.older: dict[int, int] = {}  # of the blocks before
        self.judged_ns = -1
        self.value = nan
        self.late_run = 0
        self.high = self.low = 0  # latch bits: 1 the first level, 2 the second
        self.ewma_on = self.rate_on = self.slope_on = 0  # +1 the high side's latch, -1 the low's
        self.mean = self.variance = 0.0
        self.count = 0
        self.rate_ns = -RATE_WINDOW_NS
        self.rate_value = 0.0
        self.ring = array("d", bytes(16 * SLOPE_ROWS))  # ns after the origin, then as many values
        self.head = self.points = 0  # where the ring's oldest row lies, and how many it holds
        self.origin_ns = 0
        self.su = self.suu = self.sv = self.suv = 0.0  # running sums over the ring


def move(s: State, block: int) -> None:
    """Begin a new block of sequences."""
    s.older[s.block] = s.seen
    s.older = {b: bits for b, bits in s.older.items() if block - b < BLOCKS}
    s.block, s.end, s.seen = block, block + 1 << 6, 0


def _heard(s: State, sequence: int) -> bool:
    """Tell whether it was heard before; take it up."""
    block, bit = sequence >> 6, 1 << (sequence & 63)
    if block > s.block:
        move(s, block)
    s.top = max(s.top, sequence)
    if block == s.block:
        known = s.seen & bit
        s.seen |= bit
        return bool(known)
    if s.block - block >= BLOCKS:
        return False
    known = s.older.get(block, 0) & bit
    s.older[block] = s.older.get(block, 0) | bit
    return bool(known)


def again(told: list[Told], s: State, row: tuple[int, int, float, int, int, bool]) -> bool:
    """Take up a row that does not simply rise; tell whether it is judged after all.

    ``row`` is channel, time, value, boot, sequence and whether its flags are accepted.
    """
    channel, t, x, boot, sequence, good = row
    verdict = _verdict(s, boot, sequence, t, x)
    if verdict == "epoch":
        told.append(("CLOCK_EPOCH", "", 1, channel, t, 0.0))
        s.rate_ns = -RATE_WINDOW_NS
        s.points = 0
    elif verdict == "late" and good:
        if x >= H:
            told.append(("LATE_FINDING", "level", 1, channel, t, x))
        if x <= L:
            told.append(("LATE_FINDING", "level", -1, channel, t, x))
    return verdict in {"epoch", "judged"}


def _verdict(s: State, boot: int, sequence: int, t: int, x: float) -> str:
    """Judge it: "judged", "epoch", "late", "same" or "conflict"."""
    if boot not in (s.boot, s.previous_boot):
        s.previous_boot, s.boot = s.boot, boot
        s.top = s.block = s.end = -1
        s.seen, s.older = 0, {}
    rising = False
    if boot == s.boot:
        if sequence > s.top:
            rising = boot == s.sent_boot
        if _heard(s, sequence):
            return "same"
    epoch = False
    if t > s.judged_ns:
        s.late_run = 0
    else:
        s.late_run = s.late_run + 1 if rising else 1
        epoch = s.late_run == EPOCH_RUN
    s.sent_boot = boot
    if epoch:
        s.late_run = 0
        return "epoch"
    if t > s.judged_ns:
        return "judged"
    if t < s.judged_ns:
        return "late"
    return "same" if x == s.value or (x != x and s.value != s.value) else "conflict"  # noqa: PLR0124


def move_origin(s: State, t: int) -> float:
    """Count times from the ring's first row, or from t, with fresh sums; return t so counted."""
    ring = s.ring
    newest = ring[(s.head + s.points - 1) % SLOPE_ROWS]
    if not s.points or t - s.origin_ns - int(newest) >= SLOPE_WINDOW_NS:
        s.points, s.origin_ns = 0, t
    first = ring[s.head] if s.points else 0.0
    s.origin_ns += int(first)
    s.su = s.suu = s.sv = s.suv = 0.0
    for at in range(s.head, s.head + s.points):
        u = ring[at % SLOPE_ROWS] = ring[at % SLOPE_ROWS] - first
        v = ring[at % SLOPE_ROWS + SLOPE_ROWS]
        s.su += u
        s.suu += u * u
        s.sv += v
        s.suv += u * v
    return float(t - s.origin_ns)


def levels(told: list[Told], s: State, channel: int, t: int, x: float) -> None:
    """Set and reset the latches of the four levels."""
    before = s.high
    first = x >= H or (before & 1 and x >= H_CLEAR)
    second = x >= HH or (before & 2 and x >= HH_CLEAR)
    s.high = (1 if first else 0) | (2 if second else 0)
    if s.high != before:
        _tell(told, ("level", 1, channel, t, x), SEVERITY[before], SEVERITY[s.high])
    before = s.low
    first = x <= L or (before & 1 and x <= L_CLEAR)
    second = x <= LL or (before & 2 and x <= LL_CLEAR)
    s.low = (1 if first else 0) | (2 if second else 0)
    if s.low != before:
        _tell(told, ("level", -1, channel, t, x), SEVERITY[before], SEVERITY[s.low])


def edge(told: list[Told], was: int, rule: str, channel: int, t: int, score: float) -> int:
    """Set and reset the latches of a rule with one level a side and no hysteresis.

    ``was`` and what is returned: +1 the high side's latch, −1 the low side's, 0 none.
    """
    limit = LIMIT[rule]
    now = 1 if score >= limit else -1 if score <= -limit else 0
    if now != was:
        for side in (1, -1):
            _tell(told, (rule, side, channel, t, score), int(was == side), int(now == side))
    return now


def _tell(
    told: list[Told], what: tuple[str, int, int, int, float], before: int, after: int
) -> None:
    if after > before:
        told.append(("ESCALATED" if before else "RAISED", *what))
    elif after < before:
        told.append(("LOWERED" if after else "CLEARED", *what))
