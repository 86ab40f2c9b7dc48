"""Incidents of the gas lifeline: leaks, biogas, regulators, mains, diggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.incidents.truth import (
    SEVERITY,
    Incident,
    Misplaced,
    Onset,
    Part,
    asset_of,
    assets_near,
    attribute,
    crosses,
    during,
    eased,
    grown,
    laid,
    made,
    reported_s,
    rows_of,
)
from simulators.noise import key_of, normal, uniform
from simulators.physics.gas import box_series, hole_flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]

STEP_S = 15.0  # of the box solved ahead
HOP_M, HOP_S, HOP_SHARE = 80.0, 300.0, 0.45  # along a duct
ORANGE_VOL = 1.25
OPENED_CHANGES_H = 6.0  # of an opened cover
STRIKES, STRIKE_MM_S = 5, 2.0  # so many in ten minutes: somebody digs


def gas_leak(registry: Registry, onset: Onset) -> Incident:
    """G1: a leak into a chamber, a box model with its neighbours along the duct.

    ``dC/dt = q(1 − C)/V − nC``; after the repair the opened cover airs it. Neighbours follow 5 min
    later per 80 m with 0.45 of the amplitude. Options: ``leak_m3_h`` 0.5 that reaches the chamber,
    or ``hole_mm`` in a pipe of ``pressure_kpa`` 200 of which ``share`` 0.01 does; ``soil_s`` 0 for
    which the soil holds it back; ``growth_s`` 0 over which the hole grows.
    """
    here = asset_of(registry, onset, "gas", "manhole", "valve_well", "duct", "culvert",
                    "user_point")  # fmt: skip
    hole = onset.option("hole_mm", 0.0)
    leak = onset.option("leak_m3_h", 0.5)
    if hole:
        leak = hole_flow(hole, onset.option("pressure_kpa", 200)) * onset.option("share", 0.01)
    near, away = assets_near(registry, here, within_m=250, zone=True)
    rows = rows_of(registry, near, "ch4")
    distance = dict(zip(near, away.tolist(), strict=True))
    hops = np.round(np.array([distance[int(registry.channels.asset[r])] for r in rows]) / HOP_M)
    held = _filling(registry, here, onset, leak)
    grid = np.arange(len(held)) * STEP_S

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        t = np.maximum(since - HOP_S * hops[i], 0)
        filled = np.interp(np.minimum(t, onset.lasts_s), grid, held)
        aired = np.exp(-np.maximum(t - onset.lasts_s, 0) * OPENED_CHANGES_H / 3600)
        return quiet + HOP_SHARE ** hops[i] * filled * aired

    over = np.flatnonzero(held >= ORANGE_VOL)
    if not len(over):
        raise Misplaced(
            f"a leak of {leak:g} m3/h never reaches {ORANGE_VOL} %vol in {onset.lasts_s:g} s"
        )
    crossing = crosses(onset, float(grid[over[0]]), f"{ORANGE_VOL} %vol")
    report = reported_s(registry, rows_of(registry, [here], "ch4"))
    return made(
        registry, onset, here,
        kind="gas_leak", severity=SEVERITY["orange"], told_by=("ch4",),
        parts=(crossing, report, 0, 120),
        channels=rows, fades_s=7200, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def _filling(registry: Registry, asset: int, onset: Onset, leak: float) -> Floats:
    """Return methane of the chamber, %vol, each STEP_S until the end."""
    t = np.arange(0, onset.lasts_s + STEP_S, STEP_S)
    volume = attribute(registry, asset, "volume_m3", 3.0)
    n = np.full(len(t), attribute(registry, asset, "air_changes_h", 0.2))
    soil, growth = onset.option("soil_s", 0.0), onset.option("growth_s", 0.0)
    q = np.full(len(t), leak)
    if growth:
        q *= np.minimum(t / growth, 1.0)
    if soil:
        q *= 1 - np.exp(-t / soil)
    return box_series(q, volume, n, STEP_S / 3600)


def biogas(registry: Registry, onset: Onset) -> Incident:
    """G2: a sewer's own gas gathers over hours: methane with hydrogen sulphide, less oxygen.

    Options: ``peak_vol`` 0.9, ``peak_h2s`` 12 mg/m3, ``growth_s`` half the time it lasts.
    """
    here = asset_of(registry, onset, "drain", "manhole", "pump_station")
    peak, growth = onset.option("peak_vol", 0.9), onset.option("growth_s", onset.lasts_s / 2)
    ch4, h2s = rows_of(registry, [here], "ch4"), rows_of(registry, [here], "h2s")
    o2 = rows_of(registry, [here], "o2")
    if not len(ch4):
        raise Misplaced(f"{onset.place} has no methane sensor; choose a sewer that has one")

    def more(size: float) -> Part:
        rows = ch4 if size == peak else h2s
        return Part(rows, lambda _i, s, quiet: quiet + size * grown(s, growth, onset.lasts_s, 3600))

    less = Part(o2, lambda _i, s, quiet: quiet - 0.2 * peak * grown(s, growth, onset.lasts_s, 3600))
    shape = laid([more(peak), more(onset.option("peak_h2s", 12.0)), less])
    crossing = crosses(onset, growth * 0.5 / peak if peak > 0.5 else np.inf, "0.5 %vol")
    rows = np.sort(np.concatenate((ch4, h2s, o2)))
    return made(
        registry, onset, here,
        kind="biogas", severity=SEVERITY["blue"], told_by=("ch4", "h2s"),
        parts=(crossing, reported_s(registry, ch4), 900, 3600),
        channels=rows, fades_s=6 * 3600, shape=shape,
    )  # fmt: skip


def regulator_overpressure(registry: Registry, onset: Onset) -> Incident:
    """G3: a regulator fails open: the outlet rises within a minute.

    Options: ``peak_kpa`` 6, ``rise_s`` 20; slow lock-up creep by a long ``rise_s``.
    """
    here = asset_of(registry, onset, "gas", "regulator")
    peak, rise = onset.option("peak_kpa", 6.0), onset.option("rise_s", 20.0)
    rows = rows_of(registry, [here], "pressure", word="plp")
    level, limit, hold = ("red", 10.0, 0.0) if peak >= 10 else ("orange", 5.0, 120.0)

    def effect(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + (peak - quiet) * eased(since, onset.lasts_s, rise, 60)

    start = attribute(registry, here, "set_lp_kpa", 2.2)
    share = (limit - start) / (peak - start) if peak > start else 2.0
    after = -rise * np.log(1 - share) if share < 1 else np.inf
    return made(
        registry, onset, here,
        kind="regulator_overpressure", severity=SEVERITY[level], told_by=("pressure",),
        parts=(crosses(onset, float(after), f"{limit} kPa"), reported_s(registry, rows), hold, 60),
        channels=rows, fades_s=600, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def main_rupture(registry: Registry, onset: Onset) -> Incident:
    """G4: a medium-pressure main breaks: pressure falls at every station near, flow jumps.

    Options: ``drop_share`` 0.4 of the set pressure at the break, less by distance over ``reach_m``
    1500; ``flow_m3_h`` 1500.
    """
    here = asset_of(registry, onset, "gas", "regulator")
    drop, flow = onset.option("drop_share", 0.4), onset.option("flow_m3_h", 1500.0)
    reach = onset.option("reach_m", 1500.0)
    near, away = assets_near(registry, here, within_m=2 * reach)
    distance = dict(zip(near, away.tolist(), strict=True))
    pressure = rows_of(registry, near, "pressure", word="pmp")
    flows = rows_of(registry, [here], "flow")
    share = drop * np.exp(
        -np.array([distance[int(registry.channels.asset[r])] for r in pressure]) / reach
    )

    def falls(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet * (1 - share[i] * eased(since, onset.lasts_s, 60, 300))

    def jumps(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + flow * eased(since, onset.lasts_s, 20, 60)

    level, limit = ("red", 0.2) if drop >= 0.25 else ("orange", 0.15)
    after = -60 * np.log(1 - limit / drop) if drop > limit else np.inf
    parts = (crosses(onset, float(after), f"{limit:.0%} below"), reported_s(registry, pressure),
             120.0, 60.0)  # fmt: skip
    return made(
        registry, onset, here,
        kind="main_rupture", severity=SEVERITY[level], told_by=("pressure",), parts=parts,
        channels=np.sort(np.concatenate((pressure, flows))), fades_s=2400,
        shape=laid([Part(pressure, falls), Part(flows, jumps)]),
    )  # fmt: skip


def digging(registry: Registry, onset: Onset) -> Incident:
    """G5: somebody digs by the main: bucket strikes in most minutes, 2…30 mm/s.

    Options: ``peak_mm_s`` 8 of a usual strike (spread 0.5 in its logarithm), ``busy`` 0.7 share
    of minutes with one. It can be known when six of ten minutes had a strike of
    2 mm/s: five are asked for, and a report of one may be lost.
    """
    here = asset_of(registry, onset, "gas", "pipe", "regulator")
    peak, busy = onset.option("peak_mm_s", 8.0), onset.option("busy", 0.7)
    rows = rows_of(registry, [here], "vibration")
    if not len(rows):
        raise Misplaced(f"{onset.place} has no geophone; choose a gas pipe that has one")
    key = key_of(0, "digging", onset.id, onset.place)

    def struck(minute: NDArray[np.int64]) -> Floats:
        strikes = peak * np.exp(0.5 * normal(key, minute))
        return np.where(uniform(key + 1, minute) < busy, strikes, 0.0)

    def effect(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        strikes = struck(np.floor(since / 60).astype(np.int64))
        return np.where(during(since, onset.lasts_s), np.maximum(quiet, strikes), quiet)

    minutes = struck(np.arange(int(onset.lasts_s // 60)))
    known_s = 60.0 * _minutes_until_digging(minutes >= STRIKE_MM_S)
    if np.isinf(known_s):
        said = f"not more than {STRIKES} strikes of {STRIKE_MM_S:g} mm/s in any ten minutes"
        raise Misplaced(f"{onset.place}: {said}: let it last longer, or be busier")
    return made(
        registry, onset, here,
        kind="digging", severity=SEVERITY["yellow"], told_by=("vibration",),
        parts=(known_s, reported_s(registry, rows), 0, 60),
        channels=rows, fades_s=60, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def _minutes_until_digging(struck: NDArray[np.bool_]) -> float:
    """Return how many minutes it takes until enough of the last ten had a strike; inf: never."""
    total = np.cumsum(struck)
    lately: NDArray[np.int64] = total - np.concatenate(
        (np.zeros(min(10, len(total)), np.int64), total[:-10])
    )
    enough = np.flatnonzero(lately > STRIKES)  # one may be lost on its way
    return float(enough[0] + 1) if len(enough) else np.inf
