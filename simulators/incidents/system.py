"""Incidents of what measures: a gateway without power, lightning into its wires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.incidents.truth import SEVERITY, Incident, Misplaced, Onset, Part, laid, made
from simulators.noise import key_of, normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]


def _device(registry: Registry, onset: Onset) -> int:
    device = registry.device_row.get(onset.place, -1)
    if device < 0:
        known = [i for i, k in zip(registry.devices.id, registry.devices.kind, strict=True)
                 if k == "gateway"]  # fmt: skip
        raise Misplaced(f"no such device; gateways are {', '.join(known[:12])}")
    return device


def silent_gateway(registry: Registry, onset: Onset) -> Incident:
    """X1: a gateway loses power: nothing is sampled or sent until it starts again.

    Due two minutes after it has been silent for three of its intervals, at least five minutes.
    """
    device = _device(registry, onset)
    interval_s = float(registry.devices.interval_ns[device]) / 1e9
    missing_s = max(3 * interval_s, 300.0)
    return made(
        registry, onset, int(registry.devices.asset[device]),
        kind="silent_gateway", severity=SEVERITY["orange"], parts=(0, 0, missing_s, 120),
        channels=np.zeros(0, np.int32), silenced=np.array([device], np.int32), fades_s=0,
        shape=lambda _rows, _since, quiet: quiet,
    )  # fmt: skip


def lightning(registry: Registry, onset: Onset) -> Incident:
    """X1: a stroke nearby: all sensors of a gateway jump in one second, once.

    Options: ``size`` 0.3 of each range; lasts as long as said, a sample of each channel at least.
    """
    device = _device(registry, onset)
    c = registry.channels
    rows = np.flatnonzero((c.device == device) & c.alive).astype(np.int32)
    known = np.isfinite(c.range_hi[rows]) & np.isfinite(c.range_lo[rows])
    span = np.where(known, c.range_hi[rows] - c.range_lo[rows], 1.0)
    jump = onset.option("size", 0.3) * span
    turn = np.sign(normal(key_of(0, "lightning", onset.id), rows.astype(np.int64)))

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return np.where(since <= onset.lasts_s, quiet + turn[i] * jump[i], quiet)

    return made(
        registry, onset, int(registry.devices.asset[device]),
        kind="lightning", severity=SEVERITY["blue"], parts=(0, 60, 120, 60),
        channels=rows, fades_s=1, shape=laid([Part(rows, effect)]),
    )  # fmt: skip
