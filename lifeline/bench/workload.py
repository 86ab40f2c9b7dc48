"""The measured rules T1, T2 and T3 on every channel, and a registry without a city around it.

T1 is a threshold with four levels (LL 10, L 14, H 26, HH 30) and a hysteresis of 0.5. T2 adds the
exponentially weighted z-score beyond ±6 and the rate of change beyond ±8 a second. T3 adds the
slope of the last 60 s by least squares in true time, beyond ±0.1 a second, once 60 rows are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import ChannelRule, Level, Plan
from rules.registry import Assets, Channels, Devices, Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
GATEWAY_CHANNELS = 100
STATION = "000000-env-st-000001"
MAX_GAP_NS = 60 * SECOND_NS

LEVELS = (Level("yellow", 2, "#d4a72c"), Level("red", 4, "#cf222e"))
HIGH, LOW, HYSTERESIS = (26.0, 30.0), (14.0, 10.0), 0.5
Z_LIMIT, ALPHA, WARMUP = 6.0, 0.05, 30
RATE_LIMIT, RATE_WINDOW_NS = 8.0, 2 * SECOND_NS

SLOPE_WINDOW_NS, SLOPE_ROWS, SLOPE_POINTS = 60 * SECOND_NS, 64, 60
SLOPE_LIMIT = 0.1 + 1e-8
"""Strictly beyond 0.1: slopes of 60 values in steps of 0.001 a second apart are multiples of
2.8e-8, so no slope is within the rounding of another program's sums of this limit."""

WORKLOADS = ("T1", "T2", "T3")
COLUMNS = ("channel", "judged_ns", "value", "qc_flag", "usable", "boot", "sequence")
"""What loop and C read of a reading; the engine reads its receive time and device as well."""
RULES = {
    "T1": ("level",),
    "T2": ("level", "ewma", "rate"),
    "T3": ("level", "ewma", "rate", "slope"),
}


def plan_of(workload: str, channels: int) -> Plan:
    """Return the rules of T1, T2 or T3 on every channel, compiled."""
    every = np.arange(channels, dtype=np.int32)
    rules = [rule_on(every, name, side) for name in RULES[workload] for side in (1, -1)]
    return Plan(content_hash=workload, levels=LEVELS, channel_rules=tuple(rules))


def rule_on(
    channel: NDArray[np.int32], name: str, side: int, rule_id: str | None = None
) -> ChannelRule:
    """Return one side of one of the measured rules on these channels."""
    n = len(channel)
    limits, kind = {
        "level": (HIGH if side > 0 else LOW, "threshold"),
        "ewma": ((side * Z_LIMIT, np.nan), "ewma"),
        "rate": ((side * RATE_LIMIT, np.nan), "rate"),
        "slope": ((side * SLOPE_LIMIT, np.nan), "rate"),
    }[name]
    raise_at = np.tile(np.asarray(limits), (n, 1))
    band = HYSTERESIS if kind == "threshold" else 0.0
    method = {"rate": "difference", "slope": "least_squares"}.get(name)
    return ChannelRule(
        rule_id=rule_id or name,
        kind=kind,
        side=side,
        channel=channel,
        raise_at=raise_at,
        clear_at=raise_at - side * band,
        hold_ns=np.zeros((n, len(LEVELS)), np.int64),
        hold_samples=np.zeros((n, len(LEVELS)), np.int32),
        keep_ns=np.zeros((n, len(LEVELS)), np.int64),
        max_gap_ns=np.full(n, MAX_GAP_NS),
        own={key: np.full(n, value) for key, value in _OWN.get(name, {}).items()},
        options={"method": method} if method else {},
    )


_OWN: dict[str, dict[str, int | float]] = {
    "ewma": {"alpha": ALPHA, "warmup": WARMUP, "floor": 0.0},
    "rate": {"window_ns": RATE_WINDOW_NS, "min_points": 2, "per_ns": SECOND_NS},
    "slope": {"window_ns": SLOPE_WINDOW_NS, "min_points": SLOPE_POINTS, "per_ns": SECOND_NS},
}


def registry_of(channels: int) -> Registry:
    """Return a registry of gateways with 100 channels each, without a city around it."""
    device = np.arange(channels, dtype=np.int32) // GATEWAY_CHANNELS
    names = tuple(f"{STATION}/s{i:06d}/v" for i in range(channels))
    return registry_with(f"bench-{channels}", channels_with(names, device, SECOND_NS))


def registry_with(name: str, channels: Channels) -> Registry:
    """Return a registry of one station, and of the gateways that its channels name."""
    gateways = int(channels.device.max(initial=-1)) + 1
    return Registry(
        content_hash=name,
        simulation=True,
        assets=Assets(
            id=(STATION,),
            site=("000000-st-000001",),
            domain=("env",),
            asset_type=("station",),
            name=("bench",),
            name_zh=("测试",),
            district=("",),
            zone=("",),
            lon=np.zeros(1),
            lat=np.zeros(1),
            exposed_people=np.zeros(1, np.int64),
            attributes=({},),
            alive=np.ones(1, np.bool_),
        ),
        devices=Devices(
            id=tuple(f"000000-env-gw-{i:06d}" for i in range(gateways)),
            kind=("gateway",) * gateways,
            transport=("mqtt",) * gateways,
            codec=("compact",) * gateways,
            asset=np.zeros(gateways, np.int32),
            interval_ns=np.full(gateways, SECOND_NS),
            alive=np.ones(gateways, np.bool_),
        ),
        channels=channels,
    )


def channels_with(
    names: tuple[str, ...],
    device: NDArray[np.int32],
    interval_ns: int,
    derived: tuple[dict[str, Any], ...] = (),
) -> Channels:
    """Return channels of the station without a range, numbered one by one within their device."""
    n = len(names)
    return Channels(
        id=names,
        asset=np.zeros(n, np.int32),
        device=device,
        port=np.arange(n, dtype=np.int32) % GATEWAY_CHANNELS,
        key=("v",) * n,
        quantity=("temperature",) * n,
        unit=("Cel",) * n,
        klass=("info",) * n,
        range_lo=np.full(n, -np.inf),
        range_hi=np.full(n, np.inf),
        resolution=np.full(n, 0.001),
        interval_ns=np.full(n, interval_ns),
        lel_basis=np.full(n, np.nan),
        fault_codes=((),) * n,
        tags=({},) * n,
        alive=np.ones(n, np.bool_),
        derived=derived,
    )
