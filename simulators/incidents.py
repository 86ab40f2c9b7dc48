"""Incidents: one function a kind. Each says what changes where, and by when it must be alarmed.

The truth an incident carries is the test bench's: ``deadline_s`` counts from the onset and is the
sum of four parts: the time the physics takes to cross the limit of the level named (solved from
the model without noise), one report interval of the slowest device concerned, the hold (``for``)
of the limit, and how soon after that an alarm is due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.city.layout import metres
from simulators.noise import key_of, normal

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]
    Shape = Callable[[Rows, Floats, Floats], Floats]

SEVERITY = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When and where an incident begins, with the options its kind takes (SI units, seconds)."""

    id: str
    place: str  # asset id, or device id for a silence
    begin_ns: int
    lasts_s: float
    options: dict[str, float] = field(default_factory=dict)

    def option(self, name: str, default: float) -> float:
        """Return an option or its default."""
        return float(self.options.get(name, default))


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The ground truth of one incident, and how it changes the signals (signals.Change)."""

    id: str
    kind: str
    place: str
    name: str
    name_zh: str
    at: tuple[float, float]  # lon, lat
    begin_ns: int
    end_ns: int  # the cause is gone; values may take longer to recover
    fades_s: float  # after which nothing of it is left
    deadline_s: float  # city seconds from begin_ns to the alarm
    why: str  # the parts of the deadline in words
    severity: int  # of the alarm at least, 1 blue … 4 red
    channels: NDArray[np.int32]  # whose alarms belong to it
    silenced: NDArray[np.int32]  # devices that stop speaking
    shape: Shape = field(repr=False)  # (rows, seconds since begin, quiet) → values

    @property
    def begin_s(self) -> float:
        """Return the onset in Unix seconds."""
        return self.begin_ns / 1e9

    def active(self, begin_s: float, end_s: float) -> bool:
        """Return whether anything changes between two Unix times."""
        return end_s >= self.begin_s and begin_s <= self.end_ns / 1e9 + self.fades_s

    def apply(self, rows: Rows, t_s: Floats, quiet: Floats) -> Floats:
        """Return the values under the incident; before its onset they are the quiet ones."""
        since = t_s - self.begin_s
        return np.where(since >= 0, self.shape(rows, np.maximum(since, 0.0), quiet), quiet)

    def subjects(self, registry: Registry) -> list[str]:
        """Return the ids (channels, devices) whose alarms are expected from it."""
        held = [registry.channels.id[int(row)] for row in self.channels]
        return held + [registry.devices.id[int(row)] for row in self.silenced]


class Misplaced(ValueError):  # noqa: N818 - reads as what it says
    """An incident cannot happen where it was put; the text says why and where it can."""


def gas_leak(registry: Registry, onset: Onset) -> Incident:
    """G1: a leak into a manhole, a box model with its neighbours along the duct.

    ``dC/dt = q(1 − C)/V − nC`` from C = 0 has the solution ``C∞(1 − e^(−kt))``, ``k = n + q/V``,
    ``C∞ = (q/V)/k``; after the repair the opened cover airs it. Neighbours follow 5 min later per
    80 m with 0.45 of the amplitude. Options: ``leak_m3_h`` 0.5.
    """
    here = _asset(registry, onset, "gas", "manhole")
    attributes = registry.assets.attributes[here]
    volume = float(attributes.get("volume_m3", 3.0))
    n = float(attributes.get("air_changes_h", 0.2)) / 3600
    per_s = onset.option("leak_m3_h", 0.5) / 3600 / volume
    k, plateau = n + per_s, 100 * per_s / (n + per_s)
    rows, distance = _zone_rows(registry, here, ("ch4",), within_m=250)
    hops = np.round(distance / 80)
    lag = dict(zip(rows.tolist(), (300 * hops).tolist(), strict=True))
    ratio = dict(zip(rows.tolist(), (0.45**hops).tolist(), strict=True))

    def shape(at: Rows, since: Floats, quiet: Floats) -> Floats:
        t = np.maximum(since - np.array([lag[int(r)] for r in at]), 0)
        filled = plateau * (1 - np.exp(-k * np.minimum(t, onset.lasts_s)))
        aired: Floats = np.exp(-np.maximum(t - onset.lasts_s, 0) * 6 / 3600)
        held: Floats = np.array([ratio[int(r)] for r in at]) * filled * aired
        return quiet + held

    limit = 1.25  # %vol, orange
    if plateau <= limit:
        raise Misplaced(f"leak_m3_h {onset.option('leak_m3_h', 0.5):g} never reaches {limit} %vol")
    crossing = -np.log(1 - limit / plateau) / k
    if crossing > onset.lasts_s:
        raise Misplaced(f"crosses {limit} %vol after {crossing:.0f} s, but lasts {onset.lasts_s:g}")
    return _incident(
        registry,
        onset,
        here,
        kind="gas_leak",
        severity=SEVERITY["orange"],
        parts=(float(crossing), 60, 0, 120),
        channels=rows,
        fades_s=7200,
        shape=shape,
    )


def pipe_burst(registry: Registry, onset: Onset) -> Incident:
    """W1: a main bursts: inflow of the metered area up, pressure down, most near the burst.

    Options: ``drop_kpa`` 190 at the burst (decays over 800 m), ``flow_m3_h`` 320.
    """
    here = _asset(registry, onset, "water", "dma", "hydrant", "pressure_point")
    drop, flow = onset.option("drop_kpa", 190), onset.option("flow_m3_h", 320)
    rows, distance = _zone_rows(registry, here, ("pressure", "flow"), within_m=5000)
    decay = dict(zip(rows.tolist(), np.exp(-distance / 800).tolist(), strict=True))
    quantity = registry.channels.quantity

    def shape(at: Rows, since: Floats, quiet: Floats) -> Floats:
        on = np.where(
            since <= onset.lasts_s,
            1 - np.exp(-since / 20),
            np.exp(-np.maximum(since - onset.lasts_s, 0) / 300),
        )
        wet = np.array([quantity[int(r)] == "flow" for r in at])
        near = np.array([decay[int(r)] for r in at])
        return np.maximum(0, np.where(wet, quiet + flow * on, quiet - drop * near * on))

    return _incident(
        registry,
        onset,
        here,
        kind="pipe_burst",
        severity=SEVERITY["yellow"],
        parts=(60, 60, 300, 600),
        channels=rows,
        fades_s=2400,
        shape=shape,
    )


def bridge_overload(registry: Registry, onset: Onset) -> Incident:
    """B1, B2: a convoy of overloaded trucks crosses a bridge, one or more a minute.

    Options: ``weight_t`` 130 of each truck.
    """
    here = _asset(registry, onset, "bridge", "span", "bridge")
    weight = onset.option("weight_t", 130)
    quantities = ("strain", "deflection", "gvw", "accel")
    rows, _ = _zone_rows(registry, here, quantities, within_m=500)
    key = key_of(0, "convoy", onset.id)
    gain = np.array([_per_tonne(registry, int(r)) for r in rows])
    of = dict(zip(rows.tolist(), gain.tolist(), strict=True))
    thermal = {int(r) for r in rows if registry.channels.id[int(r)].endswith("/mean")}

    def shape(at: Rows, since: Floats, quiet: Floats) -> Floats:
        minute = np.floor(since / 60).astype(np.int64)
        heavy = weight * (1 + 0.02 * normal(key, minute))
        load = np.array([of[int(r)] for r in at]) * heavy
        peaks = np.maximum(quiet, load)
        means = quiet + 0.15 * load  # several on the span at once, for part of the minute
        kind = np.array([int(r) in thermal for r in at])
        return np.where(since <= onset.lasts_s, np.where(kind, means, peaks), quiet)

    return _incident(
        registry,
        onset,
        here,
        kind="bridge_overload",
        severity=SEVERITY["orange"],
        parts=(60, 60, 60, 60),
        channels=rows,
        fades_s=60,
        shape=shape,
    )


def underpass_flood(registry: Registry, onset: Onset) -> Incident:
    """D4: a cloudburst over an underpass whose pump has failed.

    ``dV/dt = 0.9 i A``, ``V = a d²``; after the storm the repaired pump empties it. Options:
    ``rain_mm_h`` 85, reached in five minutes.
    """
    here = _asset(registry, onset, "drain", "underpass")
    attributes = registry.assets.attributes[here]
    rain = onset.option("rain_mm_h", 85)
    inflow = 0.9 * rain / 3.6e6 * float(attributes.get("catchment_ha", 1.0)) * 1e4  # m3/s
    a = float(attributes.get("sag_m", 2000.0))
    pump = float(attributes.get("pump_m3_s", 0.12))
    ramp = 300.0
    rows, _ = _zone_rows(registry, here, ("ponding", "rain"), within_m=100)
    quantity = registry.channels.quantity

    def volume(t: Floats) -> Floats:
        held: Floats = np.where(t < ramp, inflow * t**2 / (2 * ramp), inflow * (t - ramp / 2))
        return held

    def shape(at: Rows, since: Floats, quiet: Floats) -> Floats:
        after = np.maximum(since - onset.lasts_s, 0)
        held = np.maximum(volume(np.minimum(since, onset.lasts_s)) - pump * after, 0)
        depth = 100 * np.sqrt(held / a)
        falls = rain * np.minimum(since / ramp, 1) * np.where(after > 0, 0.0, 1.0)
        dry = np.array([quantity[int(r)] == "rain" for r in at])
        return np.where(dry, np.maximum(quiet, falls), np.maximum(quiet, depth))

    limit_m = 0.15  # orange
    crossing = ramp / 2 + a * limit_m**2 / inflow
    return _incident(
        registry,
        onset,
        here,
        kind="underpass_flood",
        severity=SEVERITY["orange"],
        parts=(crossing, 60, 60, 60),
        channels=rows,
        fades_s=7200,
        shape=shape,
    )


def silent_gateway(registry: Registry, onset: Onset) -> Incident:
    """X1: a gateway loses power: nothing is sampled or sent until it starts again.

    Due two minutes after it has been silent for three of its intervals, at least five minutes.
    """
    device = registry.device_row.get(onset.place, -1)
    if device < 0:
        known = [i for i, k in zip(registry.devices.id, registry.devices.kind, strict=True)
                 if k == "gateway"]  # fmt: skip
        raise Misplaced(f"no such device; gateways are {', '.join(known[:12])}")
    interval_s = float(registry.devices.interval_ns[device]) / 1e9
    missing_s = max(3 * interval_s, 300.0)
    return _incident(
        registry,
        onset,
        int(registry.devices.asset[device]),
        kind="silent_gateway",
        severity=SEVERITY["orange"],
        parts=(0, 0, missing_s, 120),
        channels=np.zeros(0, np.int32),
        silenced=np.array([device], np.int32),
        fades_s=0,
        shape=lambda _rows, _since, quiet: quiet,
    )


KINDS: dict[str, Callable[[Registry, Onset], Incident]] = {
    "gas_leak": gas_leak,
    "pipe_burst": pipe_burst,
    "bridge_overload": bridge_overload,
    "underpass_flood": underpass_flood,
    "silent_gateway": silent_gateway,
}


def _incident(
    registry: Registry,
    onset: Onset,
    asset: int,
    *,
    parts: tuple[float, float, float, float],
    **truth: Any,
) -> Incident:
    a = registry.assets
    crossing, report, hold, within = parts
    why = (
        f"{crossing:.0f} s to the limit + {report:.0f} s to the next report"
        f" + {hold:.0f} s hold + {within:.0f} s to the alarm"
    )
    truth.setdefault("silenced", np.zeros(0, np.int32))
    return Incident(
        id=onset.id,
        place=onset.place,
        name=a.name[asset],
        name_zh=a.name_zh[asset],
        at=(float(a.lon[asset]), float(a.lat[asset])),
        begin_ns=onset.begin_ns,
        end_ns=onset.begin_ns + int(onset.lasts_s * SECOND_NS),
        deadline_s=sum(parts),
        why=why,
        **truth,
    )


def _asset(registry: Registry, onset: Onset, domain: str, *kinds: str) -> int:
    row = registry.asset_row.get(onset.place, -1)
    a = registry.assets
    if row < 0 or a.domain[row] != domain or a.asset_type[row] not in kinds:
        fit = [
            a.id[i] for i in range(len(a.id)) if a.domain[i] == domain and a.asset_type[i] in kinds
        ]
        what = "no such asset" if row < 0 else f"a {a.domain[row]} {a.asset_type[row]}"
        raise Misplaced(f"{what}; it can happen at a {domain} {' or '.join(kinds)}: "
                        f"{', '.join(fit[:8])}")  # fmt: skip
    return row


def _zone_rows(
    registry: Registry, asset: int, quantities: tuple[str, ...], *, within_m: float
) -> tuple[Rows, Floats]:
    """Return channels of some quantities in an asset's zone, and their distances from it, m."""
    a, c = registry.assets, registry.channels
    x, y = metres(a.lon[asset], a.lat[asset])
    held, distances = [], []
    for row, owner in enumerate(c.asset.tolist()):
        same = a.zone[owner] == a.zone[asset] and a.domain[owner] == a.domain[asset]
        if not same or c.quantity[row] not in quantities or not c.alive[row]:
            continue
        east, north = metres(a.lon[owner], a.lat[owner])
        distance = float(np.hypot(east - x, north - y))
        if distance <= within_m:
            held.append(row)
            distances.append(distance)
    return np.array(held, np.int32), np.array(distances, np.float64)


def _per_tonne(registry: Registry, row: int) -> float:
    """Return what one tonne does to a bridge channel: um/m, mm, t or m/s2."""
    attributes = registry.assets.attributes[int(registry.channels.asset[row])]
    quantity = registry.channels.quantity[row]
    if quantity == "strain":
        number = int(registry.channels.id[row].split("/")[1].rsplit("-", 1)[1])
        share = (1.0, 0.88, 0.74, 0.6)[(number - 1) % 4]
        return share * float(attributes.get("strain_per_t", 1.4))
    if quantity == "deflection":
        return float(attributes.get("deflection_per_t", 0.08))
    return {"gvw": 1.0, "accel": 0.0004}[quantity]
