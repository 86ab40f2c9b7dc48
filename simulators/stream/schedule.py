"""When each channel is sampled and each device reports: fixed by the registry and the seed.

Devices wake on a step of their own (the greatest common divisor of what they have to do) at a phase
drawn from their name, as ``simulators.devices`` does, so that the fast path and the real clients
sample at the same instants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.noise import key_of, uniform
from simulators.wakes import WAKE_AT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Rows = NDArray[np.int32]
    Times = NDArray[np.int64]

MS_NS: Final = 1_000_000
ALARMED_NS: Final = 60_000_000_000  # a module that found something samples so often


class Schedule:
    """Columns over channels [C] and devices [D] of a registry."""

    def __init__(self, registry: Registry, seed: int) -> None:
        c, d = registry.channels, registry.devices
        self.sampled = np.flatnonzero(c.alive).astype(np.int32)
        self.every_ns = np.maximum(c.interval_ns, 1)
        self.device = c.device
        self.coap = np.array([t == "coap" for t in d.transport], np.bool_)
        self.step_ns = _steps(registry, self.sampled)
        shares = uniform(np.array([key_of(seed, "phase", name) for name in d.id], np.int64), 0)
        self.phase_ns = (shares * self.step_ns).astype(np.int64) // MS_NS * MS_NS
        self.report_ns = np.maximum(d.interval_ns, self.step_ns) // self.step_ns * self.step_ns
        late = uniform(np.array([key_of(seed, "report", name) for name in d.id], np.int64), 0)
        turn = (late * (self.report_ns // self.step_ns)).astype(np.int64)
        self.report_phase_ns = self.phase_ns + turn * self.step_ns
        self.unit_ns = np.minimum(self.step_ns, ALARMED_NS)  # messages lie so far apart at least
        self.wake = _wakes(registry, self.coap)

    def due(self, begin_ns: int, end_ns: int, channels: Rows | None = None) -> tuple[Rows, Times]:
        """Return (rows, times) of all regular samples in [begin, end), channel by channel."""
        rows = self.sampled if channels is None else channels
        every, phase = self.every_ns[rows], self.phase_ns[self.device[rows]]
        first = -(-(begin_ns - phase) // every)
        counts = np.maximum(0, -(-(end_ns - phase) // every) - first)
        held = np.repeat(rows, counts)
        within = np.arange(len(held)) - np.repeat(np.cumsum(counts) - counts, counts)
        t_ns = np.repeat(phase + first * every, counts) + within * np.repeat(every, counts)
        return held, t_ns

    def woken(self, rows: Rows, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which values a module finds worth an early report."""
        side, limit = self.wake[0][rows], self.wake[1][rows]
        found: NDArray[np.bool_] = side * values >= limit
        return found

    def closer(self, rows: Rows, t_ns: Times) -> tuple[Rows, Times]:
        """Return the samples after those that woke their module, until the next regular one."""
        counts = np.maximum(0, self.every_ns[rows] // ALARMED_NS - 1)
        held = np.repeat(rows, counts)
        within = np.arange(len(held)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        return held, np.repeat(t_ns, counts) + within * ALARMED_NS

    def reports_at(self, rows: Rows, t_ns: Times) -> Times:
        """Return when the regular report is that carries each sample."""
        device = self.device[rows]
        every, phase = self.report_ns[device], self.report_phase_ns[device]
        at: Times = -(-(t_ns - phase) // every) * every + phase
        return at


def _steps(registry: Registry, sampled: Rows) -> NDArray[np.int64]:
    """Return each device's step, ns: the greatest common divisor of all its intervals."""
    c, d = registry.channels, registry.devices
    step = np.maximum(d.interval_ns, 1).copy()
    order = sampled[np.argsort(c.device[sampled], kind="stable")]
    owner = c.device[order]
    if len(order):
        begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
        least = np.gcd.reduceat(np.maximum(c.interval_ns[order], 1), begins)
        at = owner[begins]
        step[at] = np.gcd(step[at], least)
    return step


def _wakes(registry: Registry, coap: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Return (side, side × limit) of each channel; infinite where nothing wakes the device."""
    c = registry.channels
    side, limit = np.ones(len(c.id)), np.full(len(c.id), np.inf)
    for quantity, (sign, at) in WAKE_AT.items():
        these = np.array([q == quantity for q in c.quantity], np.bool_) & coap[c.device]
        side[these], limit[these] = sign, sign * at
    return side, limit
