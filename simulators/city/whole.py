"""The cities by plan, ``bozhou`` and ``hefei``: one function a lifeline, each laid along its mains.

Relations that incidents and rules need stand in attributes: ``neighbours`` (gas manholes on one
duct, gallery sections side by side), ``downstream`` (sewers), ``node`` and ``area`` (junction and
metered area of the solved water network), ``order`` (sections of a tunnel or gallery).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulators.city import senses as s
from simulators.city.gas_network import street_at
from simulators.city.layout import TUNNEL_COLUMN
from simulators.hydraulics.tables import AREAS, net3

if TYPE_CHECKING:
    from random import Random

    from simulators.city.builder import Builder, Sense
    from simulators.city.layout import Layout, Point
    from simulators.city.plans import Plan


def bridges(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add bridges: over the river first, then viaducts at crossings; each on its own gateway."""
    over = layout.bridges
    for i in range(plan.bridges):
        street = layout.ns[over[i % len(over)]]
        x = layout.columns_m[over[i % len(over)]]
        y = layout.river_y(x) if i < len(over) else layout.rows_m[i % len(layout.rows_m)]
        label = (f"{street.name} Bridge {i + 1}", f"{street.name_zh}{i + 1}号桥")
        gw = b.gateway("bridge", (x + 25, y - 90), (f"{label[0]} cabinet", f"{label[1]}机柜"),
                       codec="compact")  # fmt: skip
        length = random.choice((25.0, 30.0, 30.0, 40.0, 60.0))
        stayed = i % 10 == 9
        shared = {
            "aadt": float(random.randrange(15_000, 40_000, 1000)),
            "steel": stayed,
            "limit_t": 49.0,
        }
        zone = f"z-bridge-{i + 1:03d}"
        for k in range(plan.spans):
            b.place(
                "bridge", "span", b.new_id("bridge", "sp"), (x, y + (length + 2) * k),
                (f"{label[0]} span {k + 1}", f"{label[1]}第{k + 1}跨"),
                zone=zone,
                sensors=[(gw, x_) for x_ in s.SPAN],
                attributes={
                    **shared,
                    "length_m": length,
                    "order": float(k),
                    "strain_per_t": round(1.4 * (30 / length) ** 0.5, 3),
                    "deflection_per_t": round(0.08 * min(length / 30, 1.3), 3),
                    "f1_hz": round(95 * length**-0.93, 3),
                    "design_strain": 150.0,
                    "design_deflection": 10.0,
                },
                exposed_people=120,
            )  # fmt: skip
        cables = [s.CABLE_FORCE.numbered(n + 1) for n in range(plan.cables)] if stayed else []
        b.place(
            "bridge", "bridge", b.new_id("bridge", "br"), (x, y - 40), label,
            zone=zone,
            sensors=[(gw, x_) for x_ in (*s.BRIDGE, *cables)],
            attributes={**shared, "length_m": length * min(plan.spans, 3)},
        )  # fmt: skip


def tunnels(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add road tunnels of sections 100 m long, each tunnel on its own gateway."""
    for i in range(plan.tunnels):
        column = (TUNNEL_COLUMN + 2 * i) % len(layout.columns_m)
        x = layout.columns_m[column]
        y = layout.river_y(x) if i == 0 else layout.rows_m[(7 * i) % len(layout.rows_m)]
        label = (f"Tunnel {i + 1}", f"{i + 1}号隧道")
        gw = b.gateway("tunnel", (x + 20, y - 80), (f"{label[0]} gateway", f"{label[1]}网关"),
                       codec="compact", every="30s")  # fmt: skip
        aadt = float(random.randrange(25_000, 60_000, 1000))
        for k in range(plan.sections):
            sensors = [*s.TUNNEL, *([s.SUMP] if k == plan.sections // 2 else [])]
            b.place(
                "tunnel", "tunnel_section", b.new_id("tunnel", "ts"), (x, y + 100.0 * k),
                (f"{label[0]} section {k + 1}", f"{label[1]}第{k + 1}段"),
                zone=f"z-tunnel-{i + 1:02d}",
                sensors=[(gw, x_) for x_ in sensors],
                attributes={
                    "length_m": 100.0, "order": float(k), "sections": float(plan.sections),
                    "aadt": aadt,
                },
                exposed_people=60,
            )  # fmt: skip


def water(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add metered areas on copies of the solved network; loggers on modules."""
    network = net3()
    side = max(1, round((plan.areas / AREAS) ** 0.5))
    patch = 2 * layout.half_m / side
    for i in range(plan.areas):
        copy, area = divmod(i, AREAS)
        corner = (-layout.half_m + patch * (copy % side), -layout.half_m + patch * (copy // side))
        label = (f"Metered area {i + 1}", f"计量区{i + 1}")
        zone = f"z-water-{i + 1:03d}"

        def at(node: int, corner: Point = corner) -> Point:
            east, north = network.share_at(node)
            return (corner[0] + 0.9 * patch * east, corner[1] + 0.9 * patch * north)

        nodes = network.lived_in(area).tolist()
        inlet = nodes[0]
        gw = b.gateway("water", at(inlet), (f"{label[0]} RTU", f"{label[1]}终端"), codec="json")
        shared = {
            "area": float(area),
            "network": float(copy),
            "inflow_m3_h": round(network.inflow(area), 1),
        }
        _water_point(b, "dma", "dm", inlet, at(inlet), label, zone, shared,
                     [(gw, s.DMA_Q), (gw, s.WATER_P), (gw, s.VOLUME)], people=4000)  # fmt: skip
        for k in range(1, min(plan.points, len(nodes))):
            node = nodes[k * len(nodes) // max(plan.points, 1) % len(nodes)]
            hydrant = k % 8 == 1
            code = "hy" if hydrant else "pp"
            label_k = (f"{label[0]} logger {k}", f"{label[1]}测压点{k}")
            place = b.new_id("water", code)
            device = gw if hydrant else b.module(place, every="15m")
            held = [(device, s.WATER_P if hydrant else s.WATER_P_SLOW)]
            if not hydrant:
                held.append((device, s.BATTERY_SLOW))
            _water_point(b, "hydrant" if hydrant else "pressure_point", place, node, at(node),
                         label_k, zone, shared, held)  # fmt: skip
        for k in range(plan.noise):
            node = nodes[k % len(nodes)]
            spot = (at(node)[0] + random.uniform(40, 80) * (1 + k // len(nodes)), at(node)[1])
            place = b.new_id("water", "nl")
            nb = b.module(place, every="1d")
            _water_point(b, "noise_logger", place, node, spot,
                         (f"{label[0]} leak logger {k + 1}", f"{label[1]}噪声记录仪{k + 1}"),
                         zone, shared, [(nb, s.LEAK_NOISE), (nb, s.BATTERY_DAILY)])  # fmt: skip
        if i % 4 == 0:
            _water_point(b, "quality_point", "wq", inlet, (at(inlet)[0] + 40, at(inlet)[1]),
                         (f"{label[0]} quality", f"{label[1]}水质点"), zone, shared,
                         [(gw, x) for x in s.QUALITY])  # fmt: skip


def _water_point(
    b: Builder, kind: str, code: str, node: int, at: Point, name: tuple[str, str], zone: str,
    shared: dict[str, Any], sensors: list[tuple[str, Sense]], people: int = 0,
) -> None:  # fmt: skip
    """Add a water asset; ``code`` is its type code, or its whole id where it has one already."""
    identifier = code if "-" in code else b.new_id("water", code)
    attributes = {**shared, "node": float(node)}
    b.place("water", kind, identifier, at, name, zone=zone, sensors=sensors,
            attributes=attributes, exposed_people=people)  # fmt: skip


def drains(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add sewers in lines of ten falling to pump stations, underpasses on modules."""
    line = 10
    for i in range(plan.sewers):
        street, start = street_at(layout, i // line, 400.0)
        k = i % line
        identifier = b.new_id("drain", "mh")
        nb = b.module(identifier, every="15m")
        held: list[Sense] = [s.LEVEL_SLOW, s.BATTERY_SLOW]
        if i % max(1, plan.sewers // max(plan.sewer_gas, 1)) == 0:
            held += [s.CH4_SLOW, s.H2S_SLOW]
        if i % max(1, plan.sewers // max(plan.sewer_flow, 1)) == 1:
            held.append(s.VELOCITY_Q)
        if i < plan.covers:
            held.append(s.COVER)
        below = f"{b.area}-drain-mh-{i + 2:06d}" if k < line - 1 and i + 1 < plan.sewers else ""
        b.place(
            "drain", "manhole", identifier, (start[0] + 60.0 * k, start[1] - 6),
            (f"{street.name} sewer {i + 1}", f"{street.name_zh}污水{i + 1}号井"),
            zone=f"z-drain-{i // line + 1:03d}",
            sensors=[(nb, x) for x in held],
            attributes={
                "diameter_m": (0.6, 0.8, 0.8, 1.0, 1.0, 1.2)[min(k, 5)],
                "depth": round(random.uniform(3.5, 5.5), 1),
                "slope": 0.002,
                "peak_min": round(15 + 2.5 * k, 1),
                **({"downstream": below} if below else {}),
            },
            tags={"sewer": True},
        )  # fmt: skip
    for i in range(plan.pump_stations):
        street, at = street_at(layout, 3 * i, 900.0)
        label = (f"Pump station {i + 1}", f"排水泵站{i + 1}")
        gw = b.gateway("drain", at, (f"{label[0]} RTU", f"{label[1]}终端"), codec="compact")
        b.place("drain", "pump_station", b.new_id("drain", "ps"), at, label,
                zone=f"z-drain-{i + 1:03d}",
                sensors=[(gw, x) for x in (s.LEVEL, s.H2S, s.CH4, s.RAIN,
                                           *(s.SEWAGE if i % 2 == 0 else ()))],
                attributes={"diameter_m": 2.0, "depth": 8.0, "peak_min": 35.0})  # fmt: skip
    for i in range(plan.underpasses):
        row = i % len(layout.rows_m)
        y = layout.rows_m[row]
        x = layout.railway_x(y) + BLOCK_STEP * (i // len(layout.rows_m))
        identifier = b.new_id("drain", "up")
        nb = b.module(identifier, every="10m")
        b.place("drain", "underpass", identifier, (x, y),
                (f"{layout.ew[row].name} underpass {i + 1}",
                 f"{layout.ew[row].name_zh}下穿{i + 1}"),
                zone=f"z-drain-up-{i + 1:03d}",
                sensors=[(nb, x_) for x_ in (s.PONDING, s.RAIN, s.BATTERY)],
                attributes={"catchment_ha": round(random.uniform(0.5, 1.5), 2),
                            "sag_m": float(random.choice((500, 1000, 2000))),
                            "pump_m3_s": 0.25}, exposed_people=80)  # fmt: skip


BLOCK_STEP = 650.0


def heating(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add heat stations on their own gateways along the heat mains, and manholes on modules."""
    for i in range(plan.heat_stations):
        street, at = street_at(layout, i, 300.0)
        label = (f"{street.name} heat station {i + 1}", f"{street.name_zh}换热站{i + 1}")
        gw = b.gateway("heat", at, (f"{label[0]} RTU", f"{label[1]}终端"), codec="senml")
        b.place("heat", "heat_station", b.new_id("heat", "hs"), at, label,
                zone=f"z-heat-{i // 8 + 1:03d}", sensors=[(gw, x) for x in s.HEAT_STATION],
                attributes={"base_flow": float(random.randrange(300, 700, 50)),
                            "from_plant_m": 400.0 * (i % 8 + 1)}, exposed_people=1500)  # fmt: skip
    for i in range(plan.heat_manholes):
        street, at = street_at(layout, i, 200.0)
        identifier = b.new_id("heat", "mh")
        nb = b.module(identifier, every="30m")
        b.place("heat", "manhole", identifier, (at[0], at[1] - 12),
                (f"{street.name} heat manhole {i + 1}", f"{street.name_zh}热力{i + 1}号井"),
                zone=f"z-heat-{i // 16 + 1:03d}",
                sensors=[(nb, x) for x in (s.HEAT_AIR, s.HEAT_RH, s.BATTERY_SLOW)])  # fmt: skip


def galleries(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add utility tunnels of sections 200 m long, one gateway each."""
    for i in range(plan.galleries):
        _, at = street_at(layout, 5 * i + 2, 500.0)
        label = (f"Utility tunnel {i + 1}", f"{i + 1}号综合管廊")
        gw = b.gateway("gallery", at, (f"{label[0]} gateway", f"{label[1]}网关"), codec="compact")
        for k in range(plan.gallery_sections):
            b.place("gallery", "gallery_section", b.new_id("gallery", "gs"),
                    (at[0] + 200.0 * k, at[1] + 14),
                    (f"{label[0]} section {k + 1}", f"{label[1]}第{k + 1}段"),
                    zone=f"z-gallery-{i + 1:02d}", sensors=[(gw, x) for x in s.GALLERY],
                    attributes={"length_m": 200.0, "order": float(k), "volume_m3": 1600.0},
                    tags={"compartment": random.choice(("gas", "power", "water"))})  # fmt: skip


def environment(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add air and noise stations; a third beside a main road, where it may be louder."""
    for i in range(plan.env):
        street, at = street_at(layout, 2 * i, 700.0)
        label = (f"{street.name} environment station {i + 1}", f"{street.name_zh}环境站{i + 1}")
        roadside = random.random() < 0.33
        gw = b.gateway("env", at, (f"{label[0]} RTU", f"{label[1]}终端"), codec="compact")
        b.place("env", "station", b.new_id("env", "es"), at, label,
                zone=f"z-env-{i + 1:03d}", sensors=[(gw, x) for x in s.ENV],
                attributes={"roadside": roadside},
                tags={"noise_class": "4a" if roadside else "2"})  # fmt: skip
