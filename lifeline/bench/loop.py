"""The same work as a tight pure-Python loop: what the engine is measured against.

A third program beside the engine and its slow twin, written for speed: one pass, everything in
line, one small object a channel, nothing done for a reading that changes nothing. It has the same
meaning for this workload (each channel once in a message, no hold, no keep): duplicates by boot and
sequence, the time test with late rows, conflicts and clock epochs, flags, one latch a level with
hysteresis, the z-score before learning, the rate over the last second.
"""

from __future__ import annotations

from math import copysign, inf, isfinite, nan, sqrt
from typing import TYPE_CHECKING, Any

from lifeline.bench.workload import (
    ALPHA,
    HIGH,
    HYSTERESIS,
    LEVELS,
    LOW,
    RATE_LIMIT,
    RATE_WINDOW_NS,
    SECOND_NS,
    WARMUP,
    Z_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

H, HH = HIGH
L, LL = LOW
H_CLEAR, HH_CLEAR = H - HYSTERESIS, HH - HYSTERESIS
L_CLEAR, LL_CLEAR = L + HYSTERESIS, LL + HYSTERESIS
SEVERITY = (0, LEVELS[0].severity, LEVELS[1].severity, LEVELS[1].severity)  # of two latch bits
HORIZON = 64
SEEN = (1 << HORIZON) - 1
EPOCH_RUN = 3
ACCEPTED = 3
PER_NS = float(SECOND_NS)

Told = tuple[str, str, int, int, int, float]  # type, rule, side, channel, event_ns, score


class _State:
    """What is remembered of one channel."""

    __slots__ = (
        "boot",
        "count",
        "high",
        "judged_ns",
        "late_run",
        "low",
        "mean",
        "odd",
        "previous_boot",
        "rate_high",
        "rate_low",
        "rate_ns",
        "rate_value",
        "seen",
        "sent_boot",
        "top",
        "value",
        "variance",
        "z_high",
        "z_low",
    )

    def __init__(self) -> None:
        self.boot = self.previous_boot = self.sent_boot = -1
        self.top = -1
        self.seen = 0
        self.judged_ns = -1
        self.value = nan
        self.late_run = 0
        self.high = self.low = 0  # latch bits: 1 the first level, 2 the second
        self.odd = False  # whether any latch of z-score or rate is on
        self.mean = self.variance = 0.0
        self.count = 0
        self.z_high = self.z_low = self.rate_high = self.rate_low = 0
        self.rate_ns = -RATE_WINDOW_NS
        self.rate_value = 0.0


class Loop:
    """The loop with its state, for T1 or T2."""

    def __init__(self, workload: str, channels: int) -> None:
        self.states = [_State() for _ in range(channels)]
        self.fold: Callable[[Mapping[str, list[Any]]], list[Told]] = (
            self._fold_t1 if workload == "T1" else self._fold_t2
        )

    def _fold_t1(self, lists: Mapping[str, list[Any]]) -> list[Told]:
        """Judge the rows of these columns by the levels alone."""
        told: list[Told] = []
        states = self.states
        columns = [lists[k] for k in ("channel", "judged_ns", "value", "qc_flag", "usable")]
        for channel, t, x, flag, usable, boot, sequence in zip(
            *columns, lists["boot"], lists["sequence"], strict=True
        ):
            s = states[channel]
            if boot == s.boot and sequence > s.top and t > s.judged_ns:
                s.seen = (s.seen << (sequence - s.top) | 1) & SEEN
                s.top = sequence
                s.sent_boot = boot
                s.late_run = 0
            else:
                verdict = _odd(s, boot, sequence, t, x)
                if verdict == "epoch":
                    told.append(("CLOCK_EPOCH", "", 1, channel, t, 0.0))
                elif verdict != "judged":
                    if verdict == "late" and usable and flag <= ACCEPTED:
                        _late(told, channel, t, x)
                    continue
            s.judged_ns = t
            s.value = x
            if not usable or flag > ACCEPTED or x != x:  # noqa: PLR0124 - NaN, the fast way
                continue
            if s.high or s.low or x >= H or x <= L:
                _levels(told, s, channel, t, x)
        return told

    def _fold_t2(  # noqa: C901, PLR0912 - a tight loop calls nothing
        self, lists: Mapping[str, list[Any]]
    ) -> list[Told]:
        """Judge the rows of these columns by levels, z-score and rate."""
        told: list[Told] = []
        states = self.states
        columns = [lists[k] for k in ("channel", "judged_ns", "value", "qc_flag", "usable")]
        a, b = ALPHA, 1 - ALPHA
        for channel, t, x, flag, usable, boot, sequence in zip(
            *columns, lists["boot"], lists["sequence"], strict=True
        ):
            s = states[channel]
            if boot == s.boot and sequence > s.top and t > s.judged_ns:
                s.seen = (s.seen << (sequence - s.top) | 1) & SEEN
                s.top = sequence
                s.sent_boot = boot
                s.late_run = 0
            else:
                verdict = _odd(s, boot, sequence, t, x)
                if verdict == "epoch":
                    told.append(("CLOCK_EPOCH", "", 1, channel, t, 0.0))
                    s.rate_ns = -RATE_WINDOW_NS
                elif verdict != "judged":
                    if verdict == "late" and usable and flag <= ACCEPTED:
                        _late(told, channel, t, x)
                    continue
            s.judged_ns = t
            s.value = x
            if not usable or flag > ACCEPTED or x != x:  # noqa: PLR0124 - NaN, the fast way
                continue
            if s.high or s.low or x >= H or x <= L:
                _levels(told, s, channel, t, x)
            if not isfinite(x):
                continue
            count = s.count
            if count:
                d = x - s.mean
                if count >= WARMUP:
                    sigma = sqrt(s.variance)
                    z = d / sigma if sigma else (copysign(inf, d) if d else 0.0)
                    if s.odd or z >= Z_LIMIT or z <= -Z_LIMIT:
                        _edge(told, s, "ewma", channel, t, z)
                s.mean = a * x + b * s.mean
                s.variance = a * (b * (d * d)) + b * s.variance
            else:
                s.mean = x
            s.count = count + 1
            gap_ns = t - s.rate_ns
            if gap_ns < RATE_WINDOW_NS:
                rate = (x - s.rate_value) / gap_ns * PER_NS
                if s.odd or rate >= RATE_LIMIT or rate <= -RATE_LIMIT:
                    _edge(told, s, "rate", channel, t, rate)
            s.rate_ns = t
            s.rate_value = x
        return told


# -- what is rare stands apart -----------------------------------------------------------------


def _odd(s: _State, boot: int, sequence: int, t: int, x: float) -> str:
    """Judge a row that does not simply rise: "judged", "epoch", "late", "same" or "conflict"."""
    if boot not in (s.boot, s.previous_boot):
        s.previous_boot, s.boot = s.boot, boot
        s.top, s.seen = -1, 0
    rising = False
    if boot == s.boot:
        back = s.top - sequence
        if back < 0:
            s.seen = (s.seen << -back | 1) & SEEN if s.top >= 0 else 1
            s.top = sequence
            rising = boot == s.sent_boot
        elif back < HORIZON:
            if s.seen >> back & 1:
                return "same"
            s.seen |= 1 << back
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


def _late(told: list[Told], channel: int, t: int, x: float) -> None:
    if x >= H:
        told.append(("LATE_FINDING", "level", 1, channel, t, x))
    if x <= L:
        told.append(("LATE_FINDING", "level", -1, channel, t, x))


def _levels(told: list[Told], s: _State, channel: int, t: int, x: float) -> None:
    before = s.high
    first = x >= H or (before & 1 and x >= H_CLEAR)
    second = x >= HH or (before & 2 and x >= HH_CLEAR)
    s.high = (1 if first else 0) | (2 if second else 0)
    if s.high != before:
        _tell(told, "level", 1, channel, t, x, SEVERITY[before], SEVERITY[s.high])
    before = s.low
    first = x <= L or (before & 1 and x <= L_CLEAR)
    second = x <= LL or (before & 2 and x <= LL_CLEAR)
    s.low = (1 if first else 0) | (2 if second else 0)
    if s.low != before:
        _tell(told, "level", -1, channel, t, x, SEVERITY[before], SEVERITY[s.low])


def _edge(told: list[Told], s: _State, rule: str, channel: int, t: int, score: float) -> None:
    limit = Z_LIMIT if rule == "ewma" else RATE_LIMIT
    was = (s.z_high, s.z_low) if rule == "ewma" else (s.rate_high, s.rate_low)
    high = int(score >= limit or (was[0] and not score < limit))
    low = int(score <= -limit or (was[1] and not score > -limit))
    if rule == "ewma":
        s.z_high, s.z_low = high, low
    else:
        s.rate_high, s.rate_low = high, low
    s.odd = bool(s.z_high or s.z_low or s.rate_high or s.rate_low)
    if high != was[0]:
        _tell(told, rule, 1, channel, t, score, was[0], high)
    if low != was[1]:
        _tell(told, rule, -1, channel, t, score, was[1], low)


def _tell(
    told: list[Told],
    rule: str,
    side: int,
    channel: int,
    t: int,
    score: float,
    before: int,
    after: int,
) -> None:
    if after > before:
        kind = "ESCALATED" if before else "RAISED"
    elif after < before:
        kind = "LOWERED" if after else "CLEARED"
    else:
        return
    told.append((kind, rule, side, channel, t, score))
