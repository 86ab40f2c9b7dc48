"""A city of one asset of each kind, with what its channels say on a quiet day."""

from __future__ import annotations

import numpy as np

from rules.registry_file import registry_of

# asset code, type: sensor/channel quantity unit low high quiet (canonical) [interval [class]]
CITY = {
    ("gas-mh", "manhole"): ["ch4-01/vol ch4 %{vol} 0 5 0.02"],
    ("gas-vw", "valve_well"): ["ch4-01/vol ch4 %{vol} 0 5 0.02"],
    ("gas-rg", "regulator"): [
        "ch4-01/lel ch4 %{LEL} 0 100 0.03",
        "plp-01/mean pressure kPa 0 10 2.2",
        "pmp-01/mean pressure MPa 0 0.6 200",
    ],
    ("gas-vb", "pipe"): ["vib-01/peak vibration mm/s 0 100 0.3"],
    ("bridge-sp", "span"): [
        "st-01/peak strain um/m -1500 1500 40",
        "df-01/peak deflection mm -500 500 2",
        "ac-01/rms accel m/s2 0 20 0.02",
        "ts-01/struct temperature Cel -40 80 16 1m info",
        "fq-01/f1 frequency Hz 0.5 20 3.2 10m",
        "cr-01/width crack mm 0 10 0.2 10m",
    ],
    ("bridge-br", "bridge"): [
        "wim-01/max gvw t 0 200 30",
        "wd-01/mean wind m/s 0 60 3",
        "jt-01/mean displacement mm 0 300 150",
        "jt-02/mean displacement mm 0 300 150",
        "tl-01/mean tilt deg -15 15 0",
        "tl-02/mean tilt deg -15 15 0",
        "cf-01/mean cable_force kN 0 10000 2500 10m",
    ],
    ("tunnel-ts", "tunnel_section"): [
        "co-01/value co [ppm] 0 300 9",
        "vis-01/k visibility 1/m 0 0.015 0.001",
        "ft-01/max temperature Cel -20 120 22",
        "lvl-01/level level m 0 5 0.02",
    ],
    ("water-dm", "dma"): ["q-01/mean flow m3/h 0 4000 120"],
    ("water-pp", "pressure_point"): ["p-01/mean pressure kPa 0 1600 300"],
    ("water-nl", "noise_logger"): ["ln-01/min leak_noise dB 0 120 20 1d"],
    ("water-wq", "quality_point"): [
        "cl-01/value chlorine mg/L 0 5 0.4",
        "tu-01/value turbidity {NTU} 0 20 0.2",
    ],
    ("drain-up", "underpass"): [
        "pond-01/depth ponding cm 0 200 0",
        "rain-01/rate rain mm/h 0 240 0",
    ],
    ("drain-mh", "manhole"): [
        "lvl-01/level level m 0 10 0.3",
        "ch4-01/vol ch4 %{vol} 0 5 0.1",
        "h2s-01/value h2s mg/m3 0 150 1",
        "cover-01/tilt tilt deg 0 180 1",
    ],
    ("drain-ps", "pump_station"): [
        "lvl-01/level level m 0 10 0.8",
        "ec-01/value conductivity uS/cm 0 5000 1000 5m",
    ],
    ("heat-hs", "heat_station"): [
        "mu-01/mean makeup % 0 10 0.25",
        "pr-01/return pressure kPa 0 2500 400",
        "ts-01/supply temperature Cel 0 150 75",
    ],
    ("heat-mh", "manhole"): ["temp-01/air temperature Cel -20 120 20 5m"],
    ("gallery-gs", "gallery_section"): [
        "o2-01/vol o2 %{vol} 0 25 20.9",
        "ch4-01/vol ch4 %{vol} 0 5 0.02",
        "h2s-01/value h2s mg/m3 0 150 1",
        "co-01/value co mg/m3 0 230 2",
        "temp-01/air temperature Cel -40 85 18",
        "rh-01/value humidity %{RH} 0 100 60",
        "lvl-01/level level m 0 3 0.02",
        "cable-01/max temperature Cel -20 120 35",
        "bat-01/level battery % 0 100 80 10m",
        "door-01/open state 1 0 1 0",
    ],
    ("env-st", "station"): [
        "pm-01/h pm25 ug/m3 0 1000 40 1m info",
        "pm-02/h pm10 ug/m3 0 2000 80 1m info",
        "so2-01/h so2 [ppb] 0 2000 20 1m info",
        "no2-01/h no2 [ppb] 0 2000 50 1m info",
        "o3-01/h o3 ug/m3 0 2000 90 1m info",
        "co-01/h co [ppm] 0 100 1 1m info",
        "no-01/laeq noise_laeq dB(A) 30 130 45 1m info",
        "ra-01/mean dose_rate nSv/h 0 100000 0.1",
    ],
    ("env-na", "noise_point"): ["no-01/laeq noise_laeq dB(A) 30 130 45 1m info"],
    ("env-nb", "noise_point"): ["no-01/laeq noise_laeq dB(A) 30 130 55 1m info"],
    ("env-nc", "noise_point"): ["no-01/laeq noise_laeq dB(A) 30 130 60 1m info"],
    ("env-bs", "building_site"): [
        "tsp-01/mean tsp mg/m3 0 10 200 1m info",
        "no-01/laeq noise_laeq dB(A) 30 130 50 1m info",
    ],
    ("env-so", "soil_point"): [
        "sm-01/value soil_moisture %{vol} 0 60 25 10m info",
        "ec-01/value conductivity uS/cm 0 20000 400 10m info",
        "ph-01/value ph [pH] 0 14 7 10m info",
        "pb-01/value soil_lead mg/kg 0 5000 60 10m info",
        "cd-01/value soil_cadmium mg/kg 0 500 1 10m info",
        "as-01/value soil_arsenic mg/kg 0 500 9 10m info",
    ],
    ("env-ku", "key_user"): [
        "el-01/power power kW 0 5000 500 1m info",
        "el-01/meter energy kW.h 0 100000000 5000 10m info",
        "gas-01/flow flow m3/h 0 500 20 10m info",
        "water-01/flow flow m3/h 0 500 5 10m info",
    ],
}

TAGS = {
    "gas-vw": "near_sewer: true",
    "env-na": 'noise_class: "1"',
    "env-nb": 'noise_class: "3"',
    "env-nc": "noise_class: 4a",
}


def city():
    device = "kind: gateway, transport: mqtt, codec: compact, every: 60s"
    module = "kind: module, transport: coap, codec: compact, every: 5m"
    quiet, lines = {}, ["version: 1", "devices:"]
    lines += [f"- {{id: 410100-gas-gw-000001, {device}, asset: 410100-gas-gw-000001}}"]
    lines += [f"- {{id: 410100-gas-nb-000001, {module}, asset: 410100-gas-mh-000001}}"]
    lines += ["assets:", "- {id: 410100-gas-gw-000001, type: gateway}"]
    for (code, asset_type), channels in CITY.items():
        asset = f"410100-{code}-000001"
        lines.append(f"- id: {asset}\n  type: {asset_type}")
        lines.append(f"  tags: {{{TAGS.get(code, '')}}}\n  attributes: {{contracted_power: 800}}")
        lines.append("  sensors:")
        for text in channels:
            name, quantity, unit, low, high, value, *rest = text.split()
            every, klass = (*rest, *("1m", "safety")[len(rest) :])
            sensor, channel = name.split("/")
            quiet[f"{asset}/{name}"] = float(value)
            lines.append(f"  - id: {sensor}\n    device: 410100-gas-gw-000001\n    channels:")
            lines.append(
                f'    - {{id: {channel}, quantity: {quantity}, unit: "{unit}", key: {asset}/{name},'
                f" range: [{low}, {high}], every: {every}, class: {klass}}}"
            )
    registry = registry_of({"city.yaml": "\n".join(lines) + "\n"})
    return registry, np.array([quiet[name] for name in registry.channels.id])
