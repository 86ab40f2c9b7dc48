"""Incidents of drainage: storms, sewers that back up, floods, discharges, gas, covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.incidents.truth import (
    DAY_S,
    SEVERITY,
    Incident,
    Misplaced,
    Onset,
    Part,
    asset_of,
    assets_near,
    attribute,
    crosses,
    design,
    during,
    eased,
    grown,
    laid,
    made,
    reported_s,
    rows_of,
)
from simulators.physics.drainage import chicago, rational, routed, sag_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]

STEP_S = 60.0
REACH_M = 300.0  # of a surcharged sewer to its outfall
YELLOW_SHARE, ORANGE_CM = 0.75, 15.0
SLOPE = 0.002


def storm(registry: Registry, onset: Onset) -> Incident:
    """D1, D4: a design storm: gauges, sewers that surcharge, underpasses that fill.

    Rain is Chicago's hyetograph of ``period_a`` 20 years over ``rain_s`` 2 h, within ``radius_m``
    4000; sewers carry ``overload`` 1.6 times what they can when it is felt most; the head above a
    full pipe grows with the square of the flow. Pumps work unless ``pump_share`` 1 says less.
    """
    here = asset_of(registry, onset, "drain", "manhole", "pump_station", "underpass")
    near, _ = assets_near(registry, here, within_m=onset.option("radius_m", 4000))
    period, minutes = onset.option("period_a", 20), onset.option("rain_s", 7200) / 60
    t_min = np.arange(0, minutes + 12 * 60, STEP_S / 60)
    rain = chicago(period, minutes, t_min)
    gauges = rows_of(registry, near, "rain")
    sewers = rows_of(registry, near, "level")
    ponds = rows_of(registry, near, "ponding")

    def falls(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return np.maximum(quiet, np.interp(since / 60, t_min, rain, right=0.0))

    parts = [
        Part(gauges, falls),
        _surcharging(registry, sewers, routed(rain, 20.0), t_min, onset.option("overload", 1.6)),
        _ponding(registry, ponds, rain, t_min, onset.option("pump_share", 1.0)),
    ]
    rows = np.sort(np.concatenate([p.rows for p in parts]))
    level, limit = next(
        ((name, mm) for name, mm in (("red", 80), ("orange", 50), ("yellow", 30), ("blue", 20))
         if rain.max() >= mm and (rain >= mm).sum() * STEP_S > 300), ("", 0)
    )  # fmt: skip
    if not level or not len(gauges):
        raise Misplaced("this storm reaches no limit of rain here, or no gauge is near")
    crossing = float(t_min[np.flatnonzero(rain >= limit)[0]] * 60)
    return made(
        registry, onset, here,
        kind="storm", severity=SEVERITY[level], told_by=("rain", "level", "ponding"),
        parts=(crossing, reported_s(registry, gauges), 300, 60),
        channels=rows, fades_s=12 * 3600, shape=laid(parts),
    )  # fmt: skip


def _surcharging(
    registry: Registry, rows: Rows, felt: Floats, t_min: Floats, overload: float
) -> Part:
    """Return levels under a flow that is ``overload`` of the full pipe's where it is most."""
    share = overload * felt / felt.max()
    d = design(registry, rows, "diameter_m", 1.0)
    ground = design(registry, rows, "depth", 4.0)

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        flow = np.interp(since / 60, t_min, share, right=0.0)
        head = d[i] * np.minimum(flow, 0.94) + np.maximum(flow**2 - 1, 0) * SLOPE * REACH_M
        held: Floats = np.minimum(np.maximum(quiet, head), ground[i])
        return held

    return Part(rows, effect)


def _ponding(
    registry: Registry, rows: Rows, rain: Floats, t_min: Floats, pump_share: float
) -> Part:
    """Return ponding of each underpass, cm."""
    area = design(registry, rows, "catchment_ha", 1.0)
    sag = design(registry, rows, "sag_m", 2000.0)
    pump = design(registry, rows, "pump_m3_s", 0.12) * pump_share
    depth = np.array(
        [
            100 * sag_depth(rational(0.9, rain, a), np.full(len(rain), p), s, STEP_S)
            for a, p, s in zip(area, pump, sag, strict=True)
        ]
    ).reshape(len(rows), len(rain))

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        held = quiet.copy()
        for k in np.unique(i):
            mine = i == k
            held[mine] = np.maximum(quiet[mine], np.interp(since[mine] / 60, t_min, depth[k]))
        return held

    return Part(rows, effect)


def sewer_surcharge(registry: Registry, onset: Onset) -> Incident:
    """D1: one line of sewers backs up to the ground. Option ``head_m``: depth to ground less 0.3.

    Options: ``rise_s`` 1200.
    """
    here = asset_of(registry, onset, "drain", "manhole", "pump_station")
    rise = onset.option("rise_s", 1200.0)
    near, _ = assets_near(registry, here, within_m=250, zone=True)
    rows = rows_of(registry, near, "level")
    ground = design(registry, rows, "depth", 4.0)
    top = np.minimum(ground, onset.option("head_m", 0.0) or ground - 0.3)

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + (top[i] - quiet) * grown(since, rise, onset.lasts_s, 1800)

    return made(
        registry, onset, here,
        kind="sewer_surcharge", severity=SEVERITY["yellow"], told_by=("level",),
        parts=(rise, reported_s(registry, rows_of(registry, [here], "level")), 300, 60),
        channels=rows, fades_s=3 * 3600, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def _line(registry: Registry, here: int) -> tuple[list[int], list[int]]:
    """Return (upstream, downstream) manholes of one within its line, by their ids' order."""
    near, _ = assets_near(registry, here, within_m=700, zone=True)
    before = [i for i in near if registry.assets.id[i] <= registry.assets.id[here]]
    return before, [i for i in near if i not in before]


def blockage(registry: Registry, onset: Onset) -> Incident:
    """D2: a pipe is blocked: it stands above and runs dry below, in dry weather, over days.

    Options: ``rise_m`` 0.9, ``growth_s`` 2 days.
    """
    here = asset_of(registry, onset, "drain", "manhole")
    above, below = _line(registry, here)
    rise, growth = onset.option("rise_m", 0.9), onset.option("growth_s", 2 * DAY_S)
    up, down = rows_of(registry, above, "level"), rows_of(registry, below, "level")

    def stands(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + rise * grown(since, growth, onset.lasts_s, 1800)

    def dries(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet * (1 - 0.7 * grown(since, growth, onset.lasts_s, 1800))

    return made(
        registry, onset, here,
        kind="blockage", severity=SEVERITY["blue"], told_by=("level",),
        parts=(growth, reported_s(registry, up), 6 * 3600, 600),
        channels=np.sort(np.concatenate((up, down))), fades_s=3 * 3600,
        shape=laid([Part(up, stands), Part(down, dries)]),
    )  # fmt: skip


def backwater(registry: Registry, onset: Onset) -> Incident:
    """D3: the river stands in the outfall: level up along the line, hardly any flow.

    Options: ``rise_m`` 1.2, ``rise_s`` 2 h.
    """
    here = asset_of(registry, onset, "drain", "manhole", "pump_station")
    near, _ = assets_near(registry, here, within_m=700, zone=True)
    rise, over = onset.option("rise_m", 1.2), onset.option("rise_s", 7200.0)
    levels, flows = rows_of(registry, near, "level"), rows_of(registry, near, "flow")

    def stands(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + rise * grown(since, over, onset.lasts_s, 3600)

    def stops(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet * (1 - 0.95 * grown(since, over, onset.lasts_s, 3600))

    return made(
        registry, onset, here,
        kind="backwater", severity=SEVERITY["blue"], told_by=("level", "flow"),
        parts=(over, reported_s(registry, levels), 900, 60),
        channels=np.sort(np.concatenate((levels, flows))), fades_s=6 * 3600,
        shape=laid([Part(levels, stands), Part(flows, stops)]),
    )  # fmt: skip


def underpass_flood(registry: Registry, onset: Onset) -> Incident:
    """D4: a cloudburst over an underpass whose pump has failed.

    ``dV/dt = 0.9 i A``, ``V = a d²``; after the storm the repaired pump empties it. Options:
    ``rain_mm_h`` 85, reached in five minutes.
    """
    here = asset_of(registry, onset, "drain", "underpass")
    rain = onset.option("rain_mm_h", 85)
    inflow = float(rational(0.9, rain, attribute(registry, here, "catchment_ha", 1.0)))
    a = attribute(registry, here, "sag_m", 2000.0)
    pump = attribute(registry, here, "pump_m3_s", 0.12)
    ramp = 300.0
    ponds, gauges = rows_of(registry, [here], "ponding"), rows_of(registry, [here], "rain")

    def fills(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        t = np.minimum(since, onset.lasts_s)
        volume = np.where(t < ramp, inflow * t**2 / (2 * ramp), inflow * (t - ramp / 2))
        held = np.maximum(volume - pump * np.maximum(since - onset.lasts_s, 0), 0)
        depth: Floats = np.maximum(quiet, 100 * np.sqrt(held / a))
        return depth

    def falls(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        mm_h = rain * np.minimum(since / ramp, 1) * during(since, onset.lasts_s)
        return np.maximum(quiet, mm_h)

    crossing = crosses(onset, ramp / 2 + a * (ORANGE_CM / 100) ** 2 / inflow, f"{ORANGE_CM:g} cm")
    return made(
        registry, onset, here,
        kind="underpass_flood", severity=SEVERITY["orange"], told_by=("ponding",),
        parts=(crossing, reported_s(registry, ponds), 60, 60),
        channels=np.sort(np.concatenate((ponds, gauges))), fades_s=7200,
        shape=laid([Part(ponds, fills), Part(gauges, falls)]),
    )  # fmt: skip


def illegal_discharge(registry: Registry, onset: Onset) -> Incident:
    """D5: somebody empties a tank into the sewer: conductivity and acidity step for a while.

    Options: ``conductivity`` 1800 uS/cm more, ``ph`` 3 less.
    """
    here = asset_of(registry, onset, "drain", "pump_station", "manhole")
    salt, acid = rows_of(registry, [here], "conductivity"), rows_of(registry, [here], "ph")
    if not len(salt):
        raise Misplaced(f"{onset.place} measures no conductivity")

    def by(size: float, rows: Rows) -> Part:
        return Part(rows, lambda _i, s, quiet: quiet + size * eased(s, onset.lasts_s, 120, 600))

    parts = [by(onset.option("conductivity", 1800), salt), by(-onset.option("ph", 3.0), acid)]
    return made(
        registry, onset, here,
        kind="illegal_discharge", severity=SEVERITY["blue"], told_by=("conductivity", "ph"),
        parts=(300, reported_s(registry, salt), 1200, 600),
        channels=np.sort(np.concatenate((salt, acid))), fades_s=3600, shape=laid(parts),
    )  # fmt: skip


def sewer_gas(registry: Registry, onset: Onset) -> Incident:
    """D6: a pump starts and stirs up what lay there: hydrogen sulphide, then methane.

    Options: ``h2s`` 35 mg/m3, ``ch4`` 0.6 %vol, ``rise_s`` 120.
    """
    here = asset_of(registry, onset, "drain", "pump_station", "manhole")
    h2s, ch4 = rows_of(registry, [here], "h2s"), rows_of(registry, [here], "ch4")
    if not len(h2s):
        raise Misplaced(f"{onset.place} measures no hydrogen sulphide")
    peak, rise = onset.option("h2s", 35.0), onset.option("rise_s", 120.0)

    def by(size: float, rows: Rows) -> Part:
        return Part(rows, lambda _i, s, quiet: quiet + size * eased(s, onset.lasts_s, rise, 600))

    after = -rise * np.log(1 - 20 / peak) if peak > 20 else np.inf
    return made(
        registry, onset, here,
        kind="sewer_gas", severity=SEVERITY["orange"], told_by=("h2s",),
        parts=(crosses(onset, float(after), "20 mg/m3"), reported_s(registry, h2s), 0, 60),
        channels=np.sort(np.concatenate((h2s, ch4))), fades_s=7200,
        shape=laid([by(peak, h2s), by(onset.option("ch4", 0.6), ch4)]),
    )  # fmt: skip


def cover_moved(registry: Registry, onset: Onset) -> Incident:
    """D7: a cover is lifted or stolen. Options: ``tilt_deg`` 95."""
    here = asset_of(registry, onset, "drain", "manhole")
    rows = rows_of(registry, [here], "tilt")
    if not len(rows):
        raise Misplaced(f"{onset.place} has no tilt sensor on its cover")
    tilt = onset.option("tilt_deg", 95)
    return made(
        registry, onset, here,
        kind="cover_moved", severity=SEVERITY["red" if tilt >= 90 else "orange"],
        told_by=("tilt",), parts=(0, reported_s(registry, rows), 5, 60),
        channels=rows, fades_s=60,
        shape=laid([Part(rows, lambda _i, s, q: np.where(during(s, onset.lasts_s), tilt, q))]),
    )  # fmt: skip
