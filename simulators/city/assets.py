"""What stands where in the demo city: one function a lifeline, each adding assets and channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.city.layout import TUNNEL_COLUMN
from simulators.city.senses import (
    BATTERY,
    CH4,
    CH4_LEL,
    CO,
    GALLERY_SECTION,
    H2S,
    LEVEL,
    PONDING,
    RAIN,
    RSSI,
    T_AIR,
    WATER_P,
    WATER_Q,
    sense,
)

if TYPE_CHECKING:
    from random import Random

    from simulators.city.builder import Builder
    from simulators.city.layout import Layout, Point

GALLERY_ROW = 4
PROBE_CODE = ("env", "gw")  # the id syntax knows lifelines and environment only


SPAN_SENSORS = (
    *(sense("st", "peak", "strain", "um/m", -1500, 1500, 0.1).numbered(n) for n in (1, 2, 3, 4)),
    *(
        sense("st", "mean", "strain", "um/m", -1500, 1500, 0.1, klass="info").numbered(n)
        for n in (1, 3)
    ),
    sense("df", "peak", "deflection", "mm", -500, 500, 0.01),
    sense("ac", "rms", "accel", "m/s2", 0, 20, 0.0001),
    sense("ts", "struct", "temperature", "Cel", -40, 80, 0.1, klass="info"),
    sense("fq", "f1", "frequency", "Hz", 0.5, 20, 0.001, every="2m"),
)


def gas(b: Builder, layout: Layout, random: Random) -> None:
    """Add regulator stations on a gateway and manholes along the gas mains on modules."""
    home = (layout.columns_m[3] + 20, layout.rows_m[3] + 20)
    gw = b.gateway("gas", home, ("Gas gateway 1", "燃气网关1"), codec="compact")
    for i, (row, column) in enumerate(((1, 1), (3, 5), (5, 3), (7, 7), (7, 1))):
        at = (layout.columns_m[column] + 30, layout.rows_m[row] + 30)
        sensors = (
            sense("pmp", "mean", "pressure", "MPa", 0, 0.6, 0.0001),
            sense("plp", "mean", "pressure", "kPa", 0, 10, 0.01),
            sense("q", "mean", "flow", "m3/h", 0, 5000, 1),
            CH4_LEL,
            T_AIR,
        )
        b.place(
            "gas",
            "regulator",
            b.new_id("gas", "rg"),
            at,
            (f"{layout.ew[row].name} regulator {i + 1}", f"{layout.ew[row].name_zh}调压站{i + 1}"),
            zone=f"z-gas-{i + 1:02d}",
            sensors=[(gw, s) for s in sensors],
            attributes={"set_mp_kpa": 200.0, "set_lp_kpa": 2.2},
        )
    ducts = [(1, 2), (3, 2), (3, 4), (5, 2), (5, 5), (7, 4), (7, 6)]
    number = 0
    for duct, (row, column) in enumerate(ducts):
        street = layout.ew[row]
        start = layout.columns_m[column] + random.uniform(40, 80)
        for k in range(4):
            number += 1
            at = (start + 80.0 * k, layout.rows_m[row] + 6)
            identifier = b.new_id("gas", "mh")
            nb = b.module(identifier, every="10m")
            b.place(
                "gas",
                "manhole",
                identifier,
                at,
                (f"{street.name} gas manhole {number}", f"{street.name_zh}燃气{number}号井"),
                zone=f"z-gas-duct-{duct + 1:02d}",
                sensors=[(nb, s) for s in (CH4, T_AIR, BATTERY)],
                attributes={
                    "volume_m3": round(random.uniform(2.5, 4.0), 2),
                    "air_changes_h": round(random.uniform(0.15, 0.3), 3),
                    "chainage_m": 80.0 * k,
                    "depth": round(random.uniform(1.6, 3.2), 1),
                },
                tags={"near_sewer": k == 3},
                exposed_people=random.choice((0, 0, 40, 200)),
            )


def bridge(b: Builder, layout: Layout, random: Random) -> None:
    """Add four river bridges of two spans each, two bridges a gateway."""
    for i, column in enumerate(layout.bridges):
        street = layout.ns[column]
        x = layout.columns_m[column]
        y = layout.river_y(x)
        name = (f"{street.name} Bridge", f"{street.name_zh}桥")
        if i % 2 == 0:
            cabinet = (x + 25, y - 90)
            label = (f"Bridge gateway {i // 2 + 1}", f"桥梁网关{i // 2 + 1}")
            gw = b.gateway("bridge", cabinet, label, codec="compact")
        zone = f"z-bridge-{i + 1:02d}"
        aadt = float(random.randrange(22_000, 32_000, 1000))
        for k in (0, 1):
            b.place(
                "bridge",
                "span",
                b.new_id("bridge", "sp"),
                (x, y - 15 + 30 * k),
                (f"{name[0]} span {k + 1}", f"{name[1]}第{k + 1}跨"),
                zone=zone,
                sensors=[(gw, s) for s in SPAN_SENSORS],
                attributes={
                    "length_m": 30.0,
                    "aadt": aadt,
                    "strain_per_t": 1.4,  # um/m per tonne, 30 m girder
                    "deflection_per_t": 0.08,  # mm per tonne
                    "design_strain": 150.0,  # um/m, live load
                    "design_deflection": 10.0,  # mm, live load
                },
                exposed_people=120,
            )
        sensors = (
            sense("jt", "mean", "displacement", "mm", 0, 300, 0.1),
            sense("jt", "mean", "displacement", "mm", 0, 300, 0.1).numbered(2),
            sense("tl", "mean", "tilt", "deg", -15, 15, 0.001),
            sense("tl", "mean", "tilt", "deg", -15, 15, 0.001).numbered(2),
            sense("wim", "max", "gvw", "t", 0, 200, 0.1),
            sense("wd", "mean", "wind", "m/s", 0, 60, 0.1),
            T_AIR,
        )
        b.place(
            "bridge",
            "bridge",
            b.new_id("bridge", "br"),
            (x, y + 55),
            name,
            zone=zone,
            sensors=[(gw, s) for s in sensors],
            attributes={"length_m": 60.0, "aadt": aadt},
        )


def tunnel(b: Builder, layout: Layout, random: Random) -> None:
    """Add the river tunnel in four sections on its own gateway."""
    x = layout.columns_m[TUNNEL_COLUMN]
    y = layout.river_y(x)
    gw = b.gateway("tunnel", (x + 20, y - 380), ("Tunnel gateway", "隧道网关"), codec="compact")
    for k in range(4):
        sensors = [
            CO,
            sense("vis", "k", "visibility", "1/m", 0, 0.015, 0.00001),
            sense("wd", "mean", "wind", "m/s", -20, 20, 0.1, klass="info"),
            sense("ft", "max", "temperature", "Cel", -20, 120, 0.1),
        ]
        if k in (1, 2):
            sensors.append(sense("lvl", "level", "level", "m", 0, 5, 0.01))
        b.place(
            "tunnel",
            "tunnel_section",
            b.new_id("tunnel", "ts"),
            (x, y - 260 + 175 * k),
            (f"River tunnel section {k + 1}", f"过河隧道第{k + 1}段"),
            zone="z-tunnel-01",
            sensors=[(gw, s) for s in sensors],
            attributes={"length_m": 175.0, "order": float(k), "aadt": 40_000.0},
            exposed_people=random.randrange(60, 120),
        )


def water(b: Builder, layout: Layout, random: Random) -> None:
    """Add three metered areas: inlets and hydrants on a JSON gateway, loggers on modules."""
    home = (layout.columns_m[4] - 30, layout.rows_m[2] + 25)
    gw = b.gateway("water", home, ("Water gateway", "供水网关"), codec="json")
    for i, (row, column) in enumerate(((2, 2), (4, 6), (0, 4))):
        zone = f"z-water-{i + 1:02d}"
        at = (layout.columns_m[column] - 8, layout.rows_m[row] + 6)
        label = (f"Metered area {i + 1}", f"计量区{i + 1}")
        base = float(random.randrange(220, 320, 10))
        attributes = {"base_flow": base, "source_kpa": 340.0, "chainage_m": 0.0}
        b.place(
            "water",
            "dma",
            b.new_id("water", "dm"),
            at,
            (f"{label[0]} inlet", f"{label[1]}进水口"),
            zone=zone,
            sensors=[(gw, s) for s in (WATER_Q, WATER_P)],
            attributes=attributes,
            exposed_people=4000,
        )
        for k in range(4):
            distance = 250.0 * (k + 1)
            spot: Point = (at[0] + distance, at[1]) if k % 2 else (at[0], at[1] + distance)
            place = "hydrant" if k < 2 else "pressure_point"
            identifier = b.new_id("water", "hy" if k < 2 else "pp")
            device = gw if k < 2 else b.module(identifier, every="5m")
            b.place(
                "water",
                place,
                identifier,
                spot,
                (
                    f"{label[0]} {'hydrant' if k < 2 else 'logger'} {k % 2 + 1}",
                    f"{label[1]}{'消火栓' if k < 2 else '测压点'}{k % 2 + 1}",
                ),
                zone=zone,
                sensors=[(device, s) for s in ((WATER_P,) if k < 2 else (WATER_P, BATTERY, RSSI))],
                attributes={**attributes, "chainage_m": distance},
            )
    quality = (
        sense("tu", "value", "turbidity", "{NTU}", 0, 20, 0.01),
        sense("cl", "value", "chlorine", "mg/L", 0, 5, 0.01),
        sense("ph", "value", "ph", "[pH]", 0, 14, 0.01, klass="info"),
        sense("ec", "value", "conductivity", "uS/cm", 0, 5000, 1, klass="info"),
    )
    for i in (0, 1):
        b.place(
            "water",
            "quality_point",
            b.new_id("water", "wq"),
            (layout.columns_m[2 + 4 * i] + 40, layout.rows_m[2] - 120),
            (f"Water quality point {i + 1}", f"水质监测点{i + 1}"),
            zone=f"z-water-{i + 1:02d}",
            sensors=[(gw, s) for s in quality],
        )


def drain(b: Builder, layout: Layout, random: Random) -> None:
    """Add pump stations and rain gauges on a gateway, sewers and underpasses on modules."""
    home = (layout.columns_m[5] + 40, layout.rows_m[4] - 60)
    gw = b.gateway("drain", home, ("Drainage gateway", "排水网关"), codec="compact")
    for i, (row, column) in enumerate(((4, 5), (6, 2))):
        b.place(
            "drain",
            "pump_station",
            b.new_id("drain", "ps"),
            (layout.columns_m[column] + 60, layout.rows_m[row] - 60),
            (f"Pump station {i + 1}", f"排水泵站{i + 1}"),
            zone=f"z-drain-{i + 1:02d}",
            sensors=[(gw, s) for s in (LEVEL, H2S, CH4, RAIN)],
            attributes={"diameter_m": 2.0, "depth": 8.0},
        )
    for i in range(10):
        row, column = (1, 2, 3, 5, 7)[i % 5], 2 + 4 * (i // 5)
        identifier = b.new_id("drain", "mh")
        nb = b.module(identifier, every="10m")
        street = layout.ew[row]
        b.place(
            "drain",
            "manhole",
            identifier,
            (layout.columns_m[column] + random.uniform(90, 200), layout.rows_m[row] - 6),
            (f"{street.name} sewer {i + 1}", f"{street.name_zh}污水{i + 1}号井"),
            zone=f"z-drain-{1 + i // 5:02d}",
            sensors=[(nb, s) for s in (LEVEL, CH4, H2S, BATTERY)],
            attributes={
                "diameter_m": random.choice((0.8, 1.0, 1.2)),
                "depth": round(random.uniform(3.5, 5.5), 1),
            },
            tags={"sewer": True},
        )
    for i, row in enumerate((1, 3, 5, 7)):
        y = layout.rows_m[row]
        street = layout.ew[row]
        identifier = b.new_id("drain", "up")
        nb = b.module(identifier, every="10m")
        b.place(
            "drain",
            "underpass",
            identifier,
            (layout.railway_x(y), y),
            (f"{street.name} railway underpass", f"{street.name_zh}铁路立交"),
            zone=f"z-drain-up-{i + 1:02d}",
            sensors=[(nb, s) for s in (PONDING, RAIN, BATTERY)],
            attributes={"catchment_ha": 1.0, "sag_m": 2000.0, "pump_m3_s": 0.12},
            exposed_people=80,
        )


def heat(b: Builder, layout: Layout, random: Random) -> None:
    """Add heat stations on a SenML gateway and manholes along the heat mains on modules."""
    home = (layout.columns_m[1] + 30, layout.rows_m[1] - 30)
    gw = b.gateway("heat", home, ("Heating gateway", "供热网关"), codec="senml")
    sensors = (
        sense("ts", "supply", "temperature", "Cel", 0, 150, 0.1),
        sense("tr", "return", "temperature", "Cel", 0, 150, 0.1),
        sense("ps", "supply", "pressure", "kPa", 0, 2500, 1),
        sense("pr", "return", "pressure", "kPa", 0, 2500, 1),
        sense("q", "mean", "flow", "m3/h", 0, 5000, 1),
        sense("mu", "mean", "makeup", "%", 0, 10, 0.01),
    )
    for i in range(5):
        row, column = 1 + i % 3, 2 + i
        street = layout.ew[row]
        b.place(
            "heat",
            "heat_station",
            b.new_id("heat", "hs"),
            (layout.columns_m[column] + 50, layout.rows_m[row] - 40),
            (f"{street.name} heat station {i + 1}", f"{street.name_zh}换热站{i + 1}"),
            zone=f"z-heat-{row:02d}",
            sensors=[(gw, s) for s in sensors],
            attributes={"base_flow": float(random.randrange(300, 700, 50))},
            exposed_people=1500,
        )
    for i in range(6):
        row = 1 + i % 3
        street = layout.ew[row]
        identifier = b.new_id("heat", "mh")
        nb = b.module(identifier, every="30m")
        b.place(
            "heat",
            "manhole",
            identifier,
            (layout.columns_m[3 + i // 3] + 120, layout.rows_m[row] - 12),
            (f"{street.name} heat manhole {i + 1}", f"{street.name_zh}热力{i + 1}号井"),
            zone=f"z-heat-{row:02d}",
            sensors=[
                (nb, sense("temp", "air", "temperature", "Cel", -20, 120, 0.1, every="5m")),
                (
                    nb,
                    sense(
                        "rh", "value", "humidity", "%{RH}", 0, 100, 0.1, klass="info", every="5m"
                    ),
                ),
                (nb, BATTERY),
            ],
        )


def gallery(b: Builder, layout: Layout, random: Random) -> None:
    """Add the utility tunnel below the middle street: eight sections on a gateway."""
    y = layout.rows_m[GALLERY_ROW] + 14
    gw = b.gateway("gallery", (-1480.0, y + 20), ("Gallery gateway", "管廊网关"), codec="compact")
    for k in range(8):
        b.place(
            "gallery",
            "gallery_section",
            b.new_id("gallery", "gs"),
            (-1400.0 + 400.0 * k, y),
            (f"Utility tunnel section {k + 1}", f"综合管廊第{k + 1}段"),
            zone="z-gallery-01",
            sensors=[(gw, s) for s in GALLERY_SECTION],
            attributes={"length_m": 400.0, "order": float(k)},
            tags={"compartment": random.choice(("gas", "power", "water"))},
        )


def probe(b: Builder) -> None:
    """Add the channel of the synthetic reading that ingest sends: the watcher is watched."""
    domain, code = PROBE_CODE
    identifier = b.new_id(domain, code)
    b.devices.append(
        {
            "id": identifier,
            "kind": "gateway",
            "transport": "mqtt",
            "codec": "compact",
            "asset": identifier,
            "every": "30s",
        }
    )
    b.place(
        domain,
        "gateway",
        identifier,
        (0.0, 0.0),
        ("Heartbeat probe", "心跳探针"),
        zone="z-env-01",
        sensors=[
            (
                identifier,
                sense("probe", "beat", "heartbeat", "1", 0, 1e12, 1, klass="info", every="30s"),
            )
        ],
    )
