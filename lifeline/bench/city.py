"""A whole city under the shipped rules: channels in the proportions of a city of 85 000 devices.

Every channel has a quiet value with its daily noise; one in 5 000 has an incident that takes it
beyond its limits for a while. Readings come when they are due: gas detectors of a station each
second in life, here each 10 s like all that is quicker, battery modules each 5 or 15 minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import rules as rules_room
from lifeline.bench.arrival import SEED, T0_NS, Journal
from lifeline.bench.workload import GATEWAY_CHANNELS, SECOND_NS
from rules.language import compile_plan, load_rules
from rules.readings import Readings
from rules.registry import Assets, Channels, Devices, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.plan import Plan
    from rules.readings import Record

AREA = "410100"
STEP_NS = 10 * SECOND_NS
PER_ASSET = 4
INCIDENT_EVERY = 5_000


@dataclass(frozen=True, slots=True)
class Sort:
    """Channels of one sort; ``quiet``, ``noise``, ``incident`` and range in its canonical unit."""

    code: str  # of the asset
    asset_type: str
    sensor: str
    channel: str
    quantity: str
    range: tuple[float, float]
    quiet: float
    noise: float
    incident: float
    every_s: int
    count: int  # in a city of 85 000 devices
    wireless: bool = False  # a battery module of its own, not a gateway

    @property
    def domain(self) -> str:
        """Return the lifeline it belongs to."""
        return self.code.split("-")[0]


SORTS = (
    Sort("gas-mh", "manhole", "ch4", "vol", "ch4", (0, 5), 0.02, 0.01, 1.1, 300, 21_000, True),
    Sort("gas-vw", "valve_well", "ch4", "vol", "ch4", (0, 5), 0.02, 0.01, 1.3, 300, 5_000, True),
    Sort("gas-rg", "regulator", "ch4", "lel", "ch4", (0, 5), 0.03, 0.01, 1.3, 10, 3_000),
    Sort("gas-rg", "regulator", "pmp", "mean", "pressure", (0, 600), 200, 1.5, 245, 60, 1_500),
    Sort("gas-rg", "regulator", "plp", "mean", "pressure", (0, 10), 2.2, 0.1, 5.5, 60, 2_000),
    Sort("gas-rg", "regulator", "flow", "mean", "flow", (0, 5_000), 300, 20, 900, 60, 300),
    Sort("bridge-sp", "span", "st", "peak", "strain", (-1_500, 1_500), 40, 9, 130, 60, 3_400),
    Sort("bridge-sp", "span", "df", "peak", "deflection", (-500, 500), 2, 0.5, 9, 60, 900),
    Sort("bridge-sp", "span", "ac", "rms", "accel", (0, 20), 0.02, 0.005, 0.4, 60, 1_600),
    Sort("bridge-br", "bridge", "jt", "mean", "displacement", (0, 300), 150, 0.1, 155, 60, 700),
    Sort("bridge-br", "bridge", "tl", "mean", "tilt", (-15, 15), 0, 0.001, 0.1, 60, 900),
    Sort("bridge-br", "bridge", "cf", "mean", "cable_force", (0, 1e4), 3_000, 15, 3_900, 600, 400),
    Sort("bridge-br", "bridge", "cr", "mean", "crack", (-5, 5), 0.2, 0.01, 0.9, 600, 400),
    Sort("bridge-br", "bridge", "at", "mean", "temperature", (-40, 80), 18, 0.2, 35, 60, 1_300),
    Sort("bridge-br", "bridge", "wd", "mean", "wind", (0, 60), 3, 1, 22, 60, 200),
    Sort("bridge-br", "bridge", "wim", "max", "gvw", (0, 200), 30, 6, 80, 60, 150),
    Sort("tunnel-ts", "tunnel_section", "co", "value", "co", (0, 349), 9, 1, 90, 10, 500),
    Sort("tunnel-ts", "tunnel_section", "vis", "k", "visibility", (0, 0.015), 0.001, 1e-4, 0.008,
         10, 200),
    Sort("tunnel-ts", "tunnel_section", "ft", "max", "temperature", (-20, 120), 22, 0.1, 62, 10,
         900),
    Sort("tunnel-ts", "tunnel_section", "lvl", "level", "level", (0, 5), 0.02, 0.002, 0.15, 60,
         500),
    Sort("water-pp", "pressure_point", "p", "mean", "pressure", (0, 1_600), 300, 4, 130, 300, 3_000,
         True),
    Sort("water-pp", "pressure_point", "fl", "mean", "flow", (0, 2_000), 120, 6, 600, 60, 1_600),
    Sort("water-pp", "pressure_point", "ln", "min", "leak_noise", (0, 120), 12, 1, 60, 900, 6_000,
         True),
    Sort("water-wq", "quality_point", "cl", "value", "chlorine", (0, 5), 0.4, 0.02, 0.04, 300, 200),
    Sort("water-wq", "quality_point", "tu", "value", "turbidity", (0, 20), 0.2, 0.02, 2, 300, 200),
    Sort("drain-mh", "manhole", "lvl", "level", "level", (0, 10), 0.3, 0.02, 3.2, 300, 4_500, True),
    Sort("drain-ps", "pump_station", "lvl", "level", "level", (0, 10), 0.8, 0.05, 7, 60, 500),
    Sort("drain-mh", "manhole", "fl", "mean", "flow", (0, 5_000), 90, 8, 900, 300, 700),
    Sort("drain-up", "underpass", "rain", "rate", "rain", (0, 240), 0, 0, 35, 60, 120),
    Sort("drain-up", "underpass", "pond", "depth", "ponding", (0, 200), 0, 0, 16, 60, 450),
    Sort("drain-mh", "manhole", "ch4", "vol", "ch4", (0, 5), 0.1, 0.02, 1.1, 300, 750, True),
    Sort("drain-mh", "manhole", "h2s", "value", "h2s", (0, 150), 1, 0.3, 12, 300, 750, True),
    Sort("drain-mh", "manhole", "tilt", "value", "tilt", (0, 180), 1, 0.1, 30, 900, 3_000, True),
    Sort("heat-hs", "heat_station", "ts", "supply", "temperature", (0, 150), 85, 0.5, 60, 60,
         2_400),
    Sort("heat-hs", "heat_station", "pr", "return", "pressure", (0, 2_500), 400, 1, 250, 60, 1_000),
    Sort("heat-hs", "heat_station", "mu", "mean", "makeup", (0, 10), 0.25, 0.03, 1.5, 60, 400),
    Sort("heat-mh", "manhole", "temp", "air", "temperature", (-20, 120), 20, 0.5, 60, 300, 2_000,
         True),
    Sort("gallery-gs", "gallery_section", "o2", "vol", "o2", (0, 25), 20.9, 0.05, 18.5, 10, 1_000),
    Sort("gallery-gs", "gallery_section", "ch4", "vol", "ch4", (0, 5), 0.02, 0.005, 1.1, 10, 1_000),
    Sort("gallery-gs", "gallery_section", "h2s", "value", "h2s", (0, 150), 1, 0.2, 12, 10, 1_000),
    Sort("gallery-gs", "gallery_section", "co", "value", "co", (0, 230), 2, 0.3, 40, 10, 1_000),
    Sort("gallery-gs", "gallery_section", "temp", "air", "temperature", (-40, 85), 18, 0.1, 45, 10,
         1_500),
    Sort("gallery-gs", "gallery_section", "rh", "air", "humidity", (0, 100), 60, 1, 96, 10, 1_500),
    Sort("gallery-gs", "gallery_section", "lvl", "level", "level", (0, 3), 0.02, 0.002, 0.4, 10,
         1_000),
    Sort("gallery-gs", "gallery_section", "cable", "max", "temperature", (-20, 120), 35, 0.2, 80,
         10, 1_000),
    Sort("env-st", "station", "pm", "value", "pm25", (0, 1_000), 40, 3, 200, 60, 150),
    Sort("env-st", "station", "no", "value", "noise", (30, 130), 55, 2, 90, 60, 150),
    Sort("gas-mh", "manhole", "bat", "level", "battery", (0, 100), 80, 0.2, 10, 900, 8_000, True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class City:
    """A registry and what is usual on its channels."""

    registry: Registry
    sort: NDArray[np.int64]  # [C] row of SORTS


def city_of(channels: int) -> City:
    """Return a city with that many channels, in the proportions of SORTS."""
    shares = np.array([sort.count for sort in SORTS], np.float64)
    edges = np.round(np.cumsum(shares) / shares.sum() * channels).astype(np.int64)
    sort = np.searchsorted(edges, np.arange(channels), side="right")
    within = np.arange(channels) - np.append(0, edges)[sort]
    asset_ids, asset = _assets_of(sort, within)
    wireless = np.array([s.wireless for s in SORTS])[sort]
    module = np.cumsum(wireless) - 1
    gateway = (np.cumsum(~wireless) - 1) // GATEWAY_CHANNELS
    modules, gateways = int(wireless.sum()), int(-(-(~wireless).sum() // GATEWAY_CHANNELS))
    every_ns = np.array([s.every_s for s in SORTS], np.int64)[sort] * SECOND_NS
    registry = Registry(
        content_hash=f"bench-city-{channels}",
        simulation=True,
        assets=_assets(asset_ids),
        devices=_devices(modules, gateways, every_ns[wireless], asset[wireless]),
        channels=_channels(
            sort,
            within,
            asset_ids,
            asset,
            np.where(wireless, module, modules + gateway).astype(np.int32),
        ),
    )
    return City(registry, sort)


def shipped_plan(registry: Registry) -> Plan:
    """Return the shipped rules compiled for a registry."""
    return compile_plan(load_rules(Path(rules_room.__path__[0]) / "packs"), registry)[0]


# -- the registry ------------------------------------------------------------------------------


def _assets_of(
    sort: NDArray[np.int64], within: NDArray[np.int64]
) -> tuple[list[tuple[str, int]], NDArray[np.int32]]:
    """Return each asset's id and sort, and the asset of each channel; four of a sort on each."""
    codes = list(dict.fromkeys(s.code for s in SORTS))
    code = np.array([codes.index(s.code) for s in SORTS])[sort]
    number = within // PER_ASSET
    _, first, asset = np.unique(
        code * (int(number.max()) + 1) + number, return_index=True, return_inverse=True
    )
    held = zip(sort[first].tolist(), number[first].tolist(), strict=True)
    return [(f"{AREA}-{SORTS[s].code}-{i + 1:07d}", s) for s, i in held], asset.astype(np.int32)


def _assets(ids: list[tuple[str, int]]) -> Assets:
    n = len(ids)
    sorts = [SORTS[s] for _, s in ids]
    return Assets(
        id=tuple(name for name, _ in ids),
        site=(f"{AREA}-st-000001",) * n,
        domain=tuple(sort.domain for sort in sorts),
        asset_type=tuple(sort.asset_type for sort in sorts),
        name=tuple(name for name, _ in ids),
        name_zh=tuple(name for name, _ in ids),
        district=tuple(("Zhongyuan", "Erqi", "Jinshui", "Guancheng")[i % 4] for i in range(n)),
        zone=tuple(f"z{i // 100:04d}" for i in range(n)),
        lon=np.full(n, 113.6),
        lat=np.full(n, 34.7),
        exposed_people=np.zeros(n, np.int64),
        attributes=({},) * n,
        alive=np.ones(n, np.bool_),
    )


def _devices(
    modules: int, gateways: int, every_ns: NDArray[np.int64], asset: NDArray[np.int32]
) -> Devices:
    """Return the modules, one a wireless channel, and after them the gateways."""
    n = modules + gateways
    return Devices(
        id=tuple(f"{AREA}-nb-{i:07d}" for i in range(modules))
        + tuple(f"{AREA}-gw-{i:07d}" for i in range(gateways)),
        kind=("module",) * modules + ("gateway",) * gateways,
        transport=("coap",) * modules + ("mqtt",) * gateways,
        codec=("compact",) * n,
        asset=np.append(asset, np.zeros(gateways, np.int32)),
        interval_ns=np.append(every_ns, np.full(gateways, STEP_NS)),
        alive=np.ones(n, np.bool_),
    )


def _channels(
    sort: NDArray[np.int64],
    within: NDArray[np.int64],
    asset_ids: list[tuple[str, int]],
    asset: NDArray[np.int32],
    device: NDArray[np.int32],
) -> Channels:
    n = len(sort)
    sorts = [SORTS[s] for s in sort.tolist()]
    places = zip(asset.tolist(), sorts, (within % PER_ASSET + 1).tolist(), strict=True)
    ranges = np.array([s.range for s in SORTS])[sort]
    return Channels(
        id=tuple(f"{asset_ids[a][0]}/{s.sensor}-{k:02d}/{s.channel}" for a, s, k in places),
        asset=asset,
        device=device,
        port=np.arange(n, dtype=np.int32) % GATEWAY_CHANNELS,
        key=tuple(s.channel for s in sorts),
        quantity=tuple(s.quantity for s in sorts),
        unit=("",) * n,
        klass=("safety",) * n,
        range_lo=np.ascontiguousarray(ranges[:, 0]),
        range_hi=np.ascontiguousarray(ranges[:, 1]),
        resolution=np.full(n, 0.001),
        interval_ns=np.array([s.every_s for s in SORTS], np.int64)[sort] * SECOND_NS,
        lel_basis=np.full(n, np.nan),
        fault_codes=((),) * n,
        tags=tuple(
            {"near_sewer": True} if s.quantity == "ch4" and k == 1 else {}
            for s, k in zip(sorts, (within % PER_ASSET).tolist(), strict=True)
        ),
        alive=np.ones(n, np.bool_),
    )


# -- the readings ------------------------------------------------------------------------------


def live(city: City, steps: int, *, together: int = 1) -> Iterator[list[Record]]:
    """Yield batches: what was sent in ``together`` steps of 10 s, in the order it came.

    An incident takes the middle third of the time.
    """
    random = np.random.default_rng(SEED)
    quiet, noise, incident = (
        np.array([getattr(s, name) for s in SORTS], np.float64)[city.sort]
        for name in ("quiet", "noise", "incident")
    )
    n = len(city.sort)
    every = city.registry.channels.interval_ns // STEP_NS
    phase = random.integers(every)
    struck = random.random(n) < 1 / INCIDENT_EVERY
    device = city.registry.channels.device
    parts: list[Readings] = []
    journal = Journal()
    for step in range(steps):
        channel = np.flatnonzero((step + phase) % every == 0)
        random.shuffle(channel)
        bad = struck[channel] & (steps // 3 <= step < 2 * steps // 3)
        value = quiet[channel] + noise[channel] * random.standard_normal(len(channel))
        now_ns = T0_NS + step * STEP_NS
        parts.append(
            Readings.of(
                {
                    "channel": channel,
                    "device": device[channel],
                    "judged_ns": np.full(len(channel), now_ns),
                    "receive_ns": now_ns + np.arange(len(channel)) * STEP_NS // (len(channel) + 1),
                    "value": np.round(np.where(bad, incident[channel], value), 3),
                    "boot": np.ones(len(channel), np.int64),
                    "sequence": (step + phase[channel]) // every[channel],
                }
            )
        )
        if len(parts) == together or step == steps - 1:
            yield journal.batch(Readings.concatenate(parts))
            parts = []
