"""A registry of a few channels, rules in seconds, and messages: what tests of the engine need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import NEVER_NS, ChannelRule, DeadmanRule, Level, Plan
from rules.readings import Readings
from rules.registry import Assets, Channels, Devices, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
T0_NS = 1_760_000_000 * SECOND_NS
LEVELS = (
    Level("blue", 1, "#1f6feb"),
    Level("yellow", 2, "#d4a72c"),
    Level("orange", 3, "#e16f24"),
    Level("red", 4, "#cf222e"),
)
NAN = math.nan


def seconds(t: float) -> int:
    """Whole nanoseconds of a time in seconds after T0."""
    return T0_NS + round(t * SECOND_NS)


def registry_of(
    devices: Sequence[int],
    *,
    range_lo: float = 0.0,
    range_hi: float = 100.0,
    name: str = "small",
    derived: Callable[[Sequence[str]], Sequence[dict[str, Any]]] | None = None,
) -> Registry:
    """A registry whose channel i belongs to device ``devices[i]``; ids sort unlike their rows.

    ``derived`` tells of the channels' ids what each is computed from.
    """
    ids = [f"a-gas-mh-1/s{(i * 7) % 10}/{i}" for i in range(len(devices))]
    n, m = len(devices), max(devices) + 2  # one device more, without channels
    return Registry(
        content_hash=name,
        assets=Assets(
            id=("a-gas-mh-1",),
            site=("a",),
            domain=("gas",),
            asset_type=("manhole",),
            name=("hole",),
            name_zh=("井",),
            district=("d",),
            zone=("z",),
            lon=np.zeros(1),
            lat=np.zeros(1),
            exposed_people=np.zeros(1, np.int64),
            attributes=({},),
            alive=np.ones(1, np.bool_),
        ),
        devices=Devices(
            id=tuple(f"dev-{(i * 7) % 10}{i}" for i in range(m)),
            kind=("gateway",) * m,
            transport=("mqtt",) * m,
            codec=("compact",) * m,
            asset=np.zeros(m, np.int32),
            interval_ns=np.full(m, 60 * SECOND_NS),
            alive=np.ones(m, np.bool_),
        ),
        channels=Channels(
            id=tuple(ids),
            asset=np.zeros(n, np.int32),
            device=np.asarray(devices, np.int32),
            port=np.arange(n, dtype=np.int32),
            key=tuple(f"k{i}" for i in range(n)),
            quantity=("ch4",) * n,
            unit=("%{vol}",) * n,
            klass=("safety",) * n,
            range_lo=np.full(n, range_lo),
            range_hi=np.full(n, range_hi),
            resolution=np.full(n, 0.01),
            interval_ns=np.full(n, 60 * SECOND_NS),
            lel_basis=np.full(n, NAN),
            fault_codes=((),) * n,
            tags=({},) * n,
            alive=np.ones(n, np.bool_),
            derived=tuple(derived(ids)) if derived else (),
        ),
    )


OWN: dict[str, dict[str, Any]] = {
    "rate": {"window_ns": 120 * SECOND_NS, "min_points": 2, "per_ns": SECOND_NS},
    "count": {"window_ns": 600 * SECOND_NS, "at": 2.0, "direction": 1},
    "step": {
        "window_ns": 600 * SECOND_NS,
        "min_points": 3,
        "relative": 0,
        "before_ns": 600 * SECOND_NS,
        "resample_ns": 60 * SECOND_NS,
        "neighbours": [[1, 2, 3, -1]],
        "max_age_ns": 600 * SECOND_NS,
        "min_members": 1,
    },
    "trend": {
        "window_ns": 7200 * SECOND_NS,
        "resample_ns": 60 * SECOND_NS,
        "min_points": 10,
        "min_duration_ns": 600 * SECOND_NS,
        "per_ns": 3600 * SECOND_NS,
        "p_value": 0.01,
        "companion": 1,
        "max_age_ns": 600 * SECOND_NS,
        "lag_first": 0,
        "lag_last": 2,
    },
    "forecast": {
        "window_ns": 3600 * SECOND_NS,
        "resample_ns": 60 * SECOND_NS,
        "min_points": 6,
        "limit": 10.0,
        "direction": 1,
        "confidence": 0.9,
    },
    "stat": {"window_ns": 120 * SECOND_NS},
    "ewma": {"alpha": 0.25, "warmup": 3, "floor": 0.5},
    "modal": {
        "slot_ns": 600 * SECOND_NS,
        "least": 3,
        "spread": 5.0,
        "companion": -1,
        "max_age_ns": 600 * SECOND_NS,
        "k": 1,
        "of": 1,
        "direction": -1,
        "exclude": NAN,
    },
    "transient": {
        "front_ns": SECOND_NS // 5,
        "hop_ns": SECOND_NS,
        "hops": 10,
        "gate": 8.0,
        "hold_off_ns": 30 * SECOND_NS,
    },
    "zscore": {
        "window_ns": 300 * SECOND_NS,
        "warmup_ns": 20 * SECOND_NS,
        "robust": 1.0,
        "floor": 0.5,
        "exclude": 4.0,
    },
    "cusum": {
        "window_ns": 300 * SECOND_NS,
        "warmup_ns": 20 * SECOND_NS,
        "robust": 1.0,
        "floor": 0.5,
        "exclude": NAN,
        "target": NAN,
        "slack": 0.5,
        "freeze": 2.5,
        "cap": 20.0,
        "direction": 1.0,
        "by_ack": 1.0,
    },
    "seasonal": {
        "slot_ns": 600 * SECOND_NS,
        "period_ns": [[86_400 * SECOND_NS, 3600 * SECOND_NS]],
        "keep": [[4, 4]],
        "least": 3,
        "floor": 0.5,
        "exclude": 4.0,
    },
    "stuck": {"tolerance": 0.0},
    "neighbour": {
        "neighbours": [[1, 2, 3, -1]],
        "max_age_ns": 120 * SECOND_NS,
        "min_members": 2,
        "floor": 0.5,
    },
}
"""What rule_of takes for a kind's own parameters where a test says nothing."""

COMPOSITES = ("expr", "vote", "all", "any", "sequence")
METHODS = {
    "stat": (
        *("last", "rise", "drop", "rise_share", "drop_share"),
        *("min", "max", "range", "median"),
    ),
    "rate": ("difference", "theil_sen", "least_squares"),
    "step": ("rows", "resampled", "beyond"),
    "trend": ("", "compensated"),
    "neighbour": ("difference", "sigma"),
}
METHOD = {kind: methods[0] for kind, methods in METHODS.items()}
"""The method rule_of takes of a kind that has several, where a test says nothing."""


def rule_of(
    rule_id: str = "r",
    *,
    channels: Sequence[int] = (0,),
    raise_at: Sequence[float] = (NAN, NAN, NAN, 10.0),
    clear_at: Sequence[float] | None = None,
    hold_s: float = 60,
    hold_samples: int = 0,
    keep_s: float = 60,
    max_gap_s: float = 180,
    kind: str = "threshold",
    side: int = 1,
    own: dict[str, Any] | None = None,
    method: str = "",
    options: dict[str, Any] | None = None,
    **more: Any,
) -> ChannelRule:
    """One rule with the same parameters on all its channels; ``hold_s`` inf = by samples only.

    ``own`` are the kind's parameters, one number for all channels or an array of them.
    """
    parameters = OWN.get(kind, {}) | (own or {})
    n, levels = len(channels), len(LEVELS)
    clear_at = raise_at if clear_at is None else clear_at
    hold_ns = NEVER_NS if math.isinf(hold_s) else np.int64(round(hold_s * SECOND_NS))
    return ChannelRule(
        rule_id=rule_id,
        kind=kind,
        side=side,
        channel=np.asarray(channels, np.int32),
        raise_at=np.tile(np.asarray(raise_at, np.float64), (n, 1)),
        clear_at=np.tile(np.asarray(clear_at, np.float64), (n, 1)),
        hold_ns=np.full((n, levels), hold_ns, np.int64),
        hold_samples=np.full((n, levels), hold_samples, np.int32),
        keep_ns=np.full((n, levels), round(keep_s * SECOND_NS), np.int64),
        max_gap_ns=np.full(n, round(max_gap_s * SECOND_NS), np.int64),
        own={name: _for_all(n, np.asarray(value)) for name, value in parameters.items()},
        options=options or ({"method": method or METHOD[kind]} if kind in METHOD else {}),
        **more,
    )


def _for_all(n: int, value: NDArray[Any]) -> NDArray[Any]:
    """One number, one row of numbers, or a row for each of n channels: for each."""
    return np.broadcast_to(value, (n, *value.shape[1:])).copy()


def deadman_of(rule_id: str, devices: Sequence[int], missing_s: Sequence[float]) -> DeadmanRule:
    """Silence of ``devices``; ``missing_s`` by level, inf = not declared."""
    missing = [NEVER_NS if math.isinf(s) else round(s * SECOND_NS) for s in missing_s]
    return DeadmanRule(
        rule_id=rule_id,
        device=np.asarray(devices, np.int32),
        missing_ns=np.tile(np.asarray(missing, np.int64), (len(devices), 1)),
    )


def plan_of(*rules: ChannelRule | DeadmanRule, probes: Sequence[int] = (), **more: Any) -> Plan:
    channel_rules = [r for r in rules if isinstance(r, ChannelRule)]
    own = [r for r in channel_rules if r.kind not in COMPOSITES]
    return Plan(
        content_hash="plan",
        levels=LEVELS,
        channel_rules=tuple(r for r in own if "/" not in r.rule_id),
        input_rules=tuple(r for r in own if "/" in r.rule_id),
        composite_rules=tuple(r for r in channel_rules if r.kind in COMPOSITES),
        deadman_rules=tuple(r for r in rules if isinstance(r, DeadmanRule)),
        probe_channels=np.asarray(probes, np.int32),
        **more,
    )


def readings_of(rows: Sequence[dict[str, Any]]) -> Readings:
    """Readings from one dict a row; every row has the same keys."""
    if not rows:
        return Readings.empty()
    return Readings.of({key: [row[key] for row in rows] for key in rows[0]})
