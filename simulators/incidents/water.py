"""Incidents of the water network: bursts, slow leaks, ground washed out, bad water."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.hydraulics.tables import net3
from simulators.incidents.truth import (
    DAY_S,
    SEVERITY,
    Incident,
    Onset,
    Part,
    asset_of,
    assets_near,
    attribute,
    design,
    eased,
    grown,
    laid,
    made,
    reported_s,
    rows_of,
)
from simulators.physics.water import heard_db

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]

POINTS = ("dma", "hydrant", "pressure_point", "noise_logger")
BEGINS_DB = 30.0  # of a leak, at the pipe


def _network(registry: Registry, here: int) -> list[int]:
    """Return all assets that feel what happens at one: of its solved network, or of its zone."""
    a = registry.assets
    if attribute(registry, here, "node", -1) < 0:
        return assets_near(registry, here, within_m=5000, zone=True)[0]
    network = attribute(registry, here, "network", -1)
    return [
        i
        for i in range(len(a.id))
        if a.domain[i] == "water" and attribute(registry, i, "network", -2) == network
    ]


def _own_zone(registry: Registry, here: int, assets: Sequence[int]) -> list[int]:
    return [i for i in assets if registry.assets.zone[i] == registry.assets.zone[here]]


def _drops(registry: Registry, here: int, rows: Rows, onset: Onset, flow: float) -> Floats:
    """Return what the burst takes from each channel's pressure, kPa, at the mean demand."""
    node = int(attribute(registry, here, "node", -1))
    if node >= 0:
        at = design(registry, rows, "node", 0).astype(np.int64)
        return net3().drop(node, flow, at, np.ones(len(rows)))
    near, away = assets_near(registry, here, within_m=5000, zone=True)
    distance = dict(zip(near, away.tolist(), strict=True))
    metres = np.array([distance[int(registry.channels.asset[r])] for r in rows])
    held: Floats = onset.option("drop_kpa", 190) * np.exp(-metres / 800)
    return held


def pipe_burst(registry: Registry, onset: Onset) -> Incident:
    """W1: a main bursts: inflow of the metered area up, pressure down, most near the burst.

    In a solved network the drops are those of EPANET for ``flow_m3_h``; elsewhere ``drop_kpa`` 190
    at the burst, less over 800 m. Options: ``flow_m3_h`` 320.
    """
    here = asset_of(registry, onset, "water", *POINTS)
    flow = onset.option("flow_m3_h", 320)
    whole = _network(registry, here)
    pressure = rows_of(registry, whole, "pressure")
    flows = rows_of(registry, _own_zone(registry, here, whole), "flow")
    drop = _drops(registry, here, pressure, onset, flow)

    def falls(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return np.maximum(0, quiet - drop[i] * eased(since, onset.lasts_s, 20, 300))

    def jumps(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + flow * eased(since, onset.lasts_s, 20, 300)

    near = np.append(pressure[drop >= 0.5 * drop.max(initial=0)], flows)
    return made(
        registry, onset, here,
        kind="pipe_burst", severity=SEVERITY["yellow"], told_by=("pressure", "flow"),
        parts=(60, min(reported_s(registry, near), 900), 300, 600),
        channels=np.sort(np.concatenate((pressure, flows))), fades_s=2400,
        shape=laid([Part(pressure, falls), Part(flows, jumps)]),
    )  # fmt: skip


def slow_leak(registry: Registry, onset: Onset) -> Incident:
    """W2: a joint weeps more from week to week: night flow up, loggers near it hear it.

    Options: ``flow_m3_h`` 12 at last, ``growth_s`` 5 days, ``hum_db`` 30 at the pipe.
    """
    here = asset_of(registry, onset, "water", *POINTS)
    return _leaking(registry, onset, here, "slow_leak", onset.option("growth_s", 5 * DAY_S))


def washed_out(registry: Registry, onset: Onset) -> Incident:
    """W3: a leak of weeks washes the ground into a sewer: a cavity; the road may fall in.

    As ``slow_leak`` over ``growth_s`` 21 days, and sewers within 300 m carry the water:
    ``sewer_m`` 0.08 deeper at last.
    """
    here = asset_of(registry, onset, "water", *POINTS)
    growth = onset.option("growth_s", 21 * DAY_S)
    near, _ = assets_near(registry, here, within_m=300, domain="drain")
    sewers = rows_of(registry, near, "level")
    deeper = onset.option("sewer_m", 0.08)

    def effect(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + deeper * grown(since, growth, onset.lasts_s, DAY_S)

    return _leaking(registry, onset, here, "washed_out", growth, (Part(sewers, effect),))


def _leaking(
    registry: Registry,
    onset: Onset,
    here: int,
    kind: str,
    growth: float,
    more: tuple[Part, ...] = (),
) -> Incident:
    flow, hum = onset.option("flow_m3_h", 12.0), onset.option("hum_db", BEGINS_DB)
    whole = _network(registry, here)
    flows = rows_of(registry, _own_zone(registry, here, whole), "flow")
    near, away = assets_near(registry, here, within_m=200)
    distance = dict(zip(near, away.tolist(), strict=True))
    noise = rows_of(registry, near, "leak_noise")
    heard = np.array(
        [heard_db(hum, distance[int(registry.channels.asset[r])]) for r in noise], np.float64
    )

    def drains(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + flow * grown(since, growth, onset.lasts_s, DAY_S)

    def hums(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        # a leak is as loud as its square root grows; the louder of street and leak is heard
        leak = 15.0 + heard[i] * np.sqrt(grown(since, growth, onset.lasts_s, DAY_S))
        return np.where(heard[i] > 0, np.maximum(quiet, leak), quiet)

    parts = [Part(flows, drains), Part(noise, hums), *more]
    return made(
        registry, onset, here,
        kind=kind, severity=SEVERITY["blue"], told_by=("flow", "leak_noise"),
        parts=(0.5 * growth, DAY_S, 3 * DAY_S, 3600),
        channels=np.sort(np.concatenate([p.rows for p in parts])), fades_s=5 * DAY_S,
        shape=laid(parts),
    )  # fmt: skip


def water_quality(registry: Registry, onset: Onset) -> Incident:
    """W4: dirty water gets in: chlorine is used up, turbidity and conductivity jump.

    Options: ``chlorine_mg_l`` 0.02, ``turbidity`` 2.5, ``conductivity`` 250 more, ``rise_s`` 300.
    """
    here = asset_of(registry, onset, "water", "quality_point")
    rise = onset.option("rise_s", 300.0)
    left = onset.option("chlorine_mg_l", 0.02)
    chlorine = rows_of(registry, [here], "chlorine")
    turbid = rows_of(registry, [here], "turbidity")
    salt = rows_of(registry, [here], "conductivity")

    def used(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + (left - quiet) * eased(since, onset.lasts_s, rise, 1800)

    def more(size: float, rows: Rows) -> Part:
        return Part(rows, lambda _i, s, quiet: quiet + size * eased(s, onset.lasts_s, rise, 1800))

    parts = [
        Part(chlorine, used),
        more(onset.option("turbidity", 2.5), turbid),
        more(onset.option("conductivity", 250.0), salt),
    ]
    rows = np.sort(np.concatenate([p.rows for p in parts]))
    return made(
        registry, onset, here,
        kind="water_quality", severity=SEVERITY["yellow"], told_by=("chlorine", "turbidity"),
        parts=(3 * rise, reported_s(registry, rows), 900, 120),
        channels=rows, fades_s=4 * 3600, shape=laid(parts),
    )  # fmt: skip
