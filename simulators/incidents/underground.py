"""Incidents of utility tunnels and road tunnels: air, water, fire, people where none should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.city.layout import metres
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
from simulators.physics.tunnels import (
    MG_M3_PER_PPM,
    NATURAL_M3_S,
    SIGHT_PER_PPM,
    ULTRA_FAST,
    ceiling_rise,
    fire_kw,
    steady_co,
    time_constant_s,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]


def oxygen_loss(registry: Registry, onset: Onset) -> Incident:
    """U1: oxygen is displaced in a section. Options: ``floor`` 17 %vol, ``rise_s`` 1200."""
    here = asset_of(registry, onset, "gallery", "gallery_section")
    floor, rise = onset.option("floor", 17.0), onset.option("rise_s", 1200.0)
    rows = rows_of(registry, [here], "o2")
    level, limit = ("orange", 18.0) if floor < 17.9 else ("yellow", 19.5)

    def effect(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + (floor - quiet) * eased(since, onset.lasts_s, rise, 600)

    share = (20.9 - limit) / (20.9 - floor)
    after = -rise * np.log(1 - share) if share < 1 else np.inf
    return made(
        registry, onset, here,
        kind="oxygen_loss", severity=SEVERITY[level], told_by=("o2",),
        parts=(crosses(onset, float(after), f"{limit} %vol"), reported_s(registry, rows), 30, 60),
        channels=rows, fades_s=7200, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def gallery_flood(registry: Registry, onset: Onset) -> Incident:
    """U2: a water main breaks in a section: the floor fills, the pump runs in vain.

    Options: ``mm_min`` 8, ``most_mm`` 600.
    """
    here = asset_of(registry, onset, "gallery", "gallery_section")
    rate, most = onset.option("mm_min", 8.0), onset.option("most_mm", 600.0)
    rows = rows_of(registry, [here], "level")
    pump = rows_of(registry, [here], "state", word="pump")

    def fills(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + most / 1000 * grown(since, most / rate * 60, onset.lasts_s, 1800)

    def runs(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return np.where((since > 120) & (since < onset.lasts_s + 3600), 1.0, quiet)

    return made(
        registry, onset, here,
        kind="gallery_flood", severity=SEVERITY["orange"], told_by=("level",),
        parts=(crosses(onset, 200 / rate * 60, "200 mm"), reported_s(registry, rows), 60, 60),
        channels=np.sort(np.concatenate((rows, pump))), fades_s=4 * 3600,
        shape=laid([Part(rows, fills), Part(pump, runs)]),
    )  # fmt: skip


def gallery_fire(registry: Registry, onset: Onset) -> Incident:
    """U3: a cable joint burns: hot cable, then CO and warm air.

    Options: ``k_min`` 10 of the cable, ``most_cel`` 110, ``co_mg_m3`` 120.
    """
    here = asset_of(registry, onset, "gallery", "gallery_section")
    rate, most = onset.option("k_min", 10.0), onset.option("most_cel", 110.0)
    cable = rows_of(registry, [here], "temperature", word="cable")
    air = rows_of(registry, [here], "temperature", word="temp")
    co = rows_of(registry, [here], "co")
    begins = 37.0

    def heats(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        over = (most - begins) / rate * 60
        return quiet + (most - quiet) * grown(since, over, onset.lasts_s, 900)

    def by(size: float, rows: Rows, late: float) -> Part:
        return Part(
            rows,
            lambda _i, s, quiet: (
                quiet + size * eased(np.maximum(s - late, 0), onset.lasts_s, 240, 900)
            ),
        )

    parts = [Part(cable, heats), by(onset.option("co_mg_m3", 120.0), co, 120), by(25, air, 180)]
    crossing = crosses(onset, (80 - begins) / rate * 60, "80 Cel")
    return made(
        registry, onset, here,
        kind="gallery_fire", severity=SEVERITY["orange"], told_by=("temperature", "co"),
        parts=(crossing, reported_s(registry, cable), 60, 60),
        channels=np.sort(np.concatenate([p.rows for p in parts])), fades_s=7200,
        shape=laid(parts),
    )  # fmt: skip


def intrusion(registry: Registry, onset: Onset) -> Incident:
    """U4: a door opens without a work order."""
    here = asset_of(registry, onset, "gallery", "gallery_section")
    rows = rows_of(registry, [here], "state", word="door")
    if not len(rows):
        raise Misplaced(f"{onset.place} has no contact on its door")
    return made(
        registry, onset, here,
        kind="intrusion", severity=SEVERITY["yellow"], told_by=("state",),
        parts=(0, reported_s(registry, rows), 0, 60),
        channels=rows, fades_s=60,
        shape=laid([Part(rows, lambda _i, s, q: np.where(during(s, onset.lasts_s), 1.0, q))]),
    )  # fmt: skip


def _tunnel(registry: Registry, here: int) -> tuple[list[int], float]:
    """Return the sections of a tunnel and its length, km."""
    sections, _ = assets_near(registry, here, within_m=10_000, zone=True)
    sections = [i for i in sections if registry.assets.asset_type[i] == "tunnel_section"]
    return sections, sum(attribute(registry, i, "length_m", 100) for i in sections) / 1000


def tunnel_jam(registry: Registry, onset: Onset) -> Incident:
    """T1: traffic stands in the tunnel, the fans have failed: CO and haze gather.

    Options: ``vehicles_h`` 1500, ``speed_km_h`` 8, ``emission`` 4 times a recent fleet's.
    """
    here = asset_of(registry, onset, "tunnel", "tunnel_section")
    sections, km = _tunnel(registry, here)
    vehicles, speed = onset.option("vehicles_h", 1500), onset.option("speed_km_h", 8.0)
    one = steady_co(np.array([vehicles]), np.array([speed]), km)[0]
    ppm = onset.option("emission", 4.0) * float(one)
    tau = time_constant_s(vehicles, speed, km)
    co, sight = rows_of(registry, sections, "co"), rows_of(registry, sections, "visibility")
    wind = rows_of(registry, sections, "wind")

    def along(rows: Rows) -> Floats:
        order = [attribute(registry, int(registry.channels.asset[r]), "order", 0) for r in rows]
        held: Floats = (np.array(order, np.float64) + 0.5) / len(sections)
        return held

    co_along, sight_along = along(co), along(sight)

    def gathers(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + MG_M3_PER_PPM * ppm * co_along[i] * eased(since, onset.lasts_s, tau, 300)

    def hazes(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + SIGHT_PER_PPM * ppm * sight_along[i] * eased(since, onset.lasts_s, tau, 300)

    def stills(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        natural = NATURAL_M3_S / 60
        return quiet + (natural - quiet) * eased(since, onset.lasts_s, 120, 120)

    most = float(co_along.max(initial=0)) * ppm
    level, limit = next(
        ((n, x) for n, x in (("red", 150), ("orange", 100), ("yellow", 70), ("blue", 50))
         if most > 1.15 * x), ("", 0)
    )  # fmt: skip
    if not level:
        raise Misplaced(
            f"CO rises to {most:.0f} ppm only, below every limit: more vehicles, slower"
        )
    after = -tau * np.log(1 - limit / most)
    return made(
        registry, onset, here,
        kind="tunnel_jam", severity=SEVERITY[level], told_by=("co", "visibility"),
        parts=(crosses(onset, float(after), f"{limit} ppm"), reported_s(registry, co), 180, 60),
        channels=np.sort(np.concatenate((co, sight, wind))), fades_s=3600,
        shape=laid([Part(co, gathers), Part(sight, hazes), Part(wind, stills)]),
    )  # fmt: skip


def tunnel_fire(registry: Registry, onset: Onset) -> Incident:
    """T2: a vehicle burns: t-squared fire, hot ceiling, smoke and CO downwind.

    Options: ``growth`` 0.19 kW/s2, ``most_kw`` 20000, ``wind_m_s`` 2.
    """
    here = asset_of(registry, onset, "tunnel", "tunnel_section")
    sections, _ = _tunnel(registry, here)
    growth, most = onset.option("growth", ULTRA_FAST), onset.option("most_kw", 20_000)
    wind = onset.option("wind_m_s", 2.0)
    x, y = metres(registry.assets.lon[here], registry.assets.lat[here])

    def away(rows: Rows) -> Floats:
        owner = registry.channels.asset[rows]
        east, north = metres(registry.assets.lon[owner], registry.assets.lat[owner])
        side = np.where(registry.assets.lat[owner] >= registry.assets.lat[here], 1, -1)
        held: Floats = side * np.hypot(east - x, north - y)
        return held

    heat = rows_of(registry, sections, "temperature")
    co, sight = rows_of(registry, sections, "co"), rows_of(registry, sections, "visibility")
    heat_m, co_m, sight_m = away(heat), away(co), away(sight)

    def burning(since: Floats, metres_away: Floats) -> Floats:
        """Return heat release as it is felt there: later downwind, gone after the end."""
        t = since - np.abs(metres_away) / wind
        held: Floats = fire_kw(t, growth, most) * np.exp(-np.maximum(t - onset.lasts_s, 0) / 600)
        return held

    def hot(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        upwind = np.where(heat_m[i] < -30, 0.1, 1.0)
        return quiet + upwind * ceiling_rise(burning(since, heat_m[i]), np.abs(heat_m[i]) + 3)

    def smoke(size: float, far: Floats, rows: Rows) -> Part:
        return Part(
            rows,
            lambda i, s, quiet: (
                quiet + np.where(far[i] < -30, 0.02, 1.0) * size * burning(s, far[i]) / 1000
            ),
        )

    after = np.sqrt(1600 / growth)  # 1.6 MW: some 60 K above the detector
    return made(
        registry, onset, here,
        kind="tunnel_fire", severity=SEVERITY["red"], told_by=("temperature", "visibility", "co"),
        parts=(crosses(onset, float(after), "70 Cel"), reported_s(registry, heat), 30, 30),
        channels=np.sort(np.concatenate((heat, co, sight))), fades_s=7200,
        shape=laid([Part(heat, hot), smoke(25.0, co_m, co), smoke(0.006, sight_m, sight)]),
    )  # fmt: skip


def tunnel_flood(registry: Registry, onset: Onset) -> Incident:
    """T3: water stands at the tunnel's low point. Options: ``mm_min`` 10, ``most_mm`` 500."""
    here = asset_of(registry, onset, "tunnel", "tunnel_section")
    rate, most = onset.option("mm_min", 10.0), onset.option("most_mm", 500.0)
    rows = rows_of(registry, [here], "level")
    if not len(rows):
        raise Misplaced(f"{onset.place} is no low point: it measures no level")

    def fills(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + most / 1000 * grown(since, most / rate * 60, onset.lasts_s, 1200)

    return made(
        registry, onset, here,
        kind="tunnel_flood", severity=SEVERITY["orange"], told_by=("level",),
        parts=(crosses(onset, 200 / rate * 60, "200 mm"), reported_s(registry, rows), 60, 60),
        channels=rows, fades_s=2 * 3600, shape=laid([Part(rows, fills)]),
    )  # fmt: skip
