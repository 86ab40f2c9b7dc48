"""The shipped rules: their limits are those of the domain, and they raise what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rules
from rules.engine import Engine
from rules.language import check, compile_plan, load_rules
from rules.plan import NEVER_NS
from rules.readings import Readings, Record, Tick
from rules.registry_file import TEST_SUFFIXES, registry_of

PACKS = Path(rules.__file__).parent / "packs"
FILES = sorted(p.name for p in PACKS.glob("*.yaml") if not p.name.endswith(TEST_SUFFIXES))
S = 1_000_000_000
START = 1_800_000_000 * S
LEVELS = ("blue", "yellow", "orange", "red")

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

PPM_CO = 28.010 / 24.0550  # mg/m3, at 20 Cel
# rule, side: blue, yellow, orange, red in the canonical unit (None: no such level)
DOMAIN = {
    ("gas-ch4-space", 1): (0.5, 1.0, 1.25, 2.5),
    ("gas-ch4-forecast", -1): (5400, 2700, None, None),  # s
    ("gas-ch4-station", 1): (0.5, 1.0, 1.25, 2.5),  # 10, 20, 25, 50 %LEL
    ("gas-pressure-low-side-high", 1): (3.0, 3.5, 5, 10),
    ("gas-pressure-low-side-low", -1): (1.6, 1.4, 1.0, 0.6),
    ("gas-pressure-medium", 1): (210, 220, 230, 240),  # 5, 10, 15, 20 % of 200 kPa
    ("gas-pressure-medium", -1): (190, 180, 170, 160),
    ("gas-digging", 1): (3, 5, None, None),  # minutes of ten
    ("bridge-cable-force", -1): (-3, -5, -10, -15),  # %
    ("bridge-tilt-drift", 1): (0.0045, None, None, None),
    ("bridge-tilt-drift", -1): (-0.0045, None, None, None),
    ("bridge-joint-jumps", 1): (3, None, None, None),
    ("bridge-joint-jumps", -1): (-3, None, None, None),
    ("drain-cover-moved", 1): (None, 10, 30, 90),
    ("drain-discharge", 1): (400, 800, None, None),
    ("drain-level-stands", 1): (0.5, None, None, None),
    ("drain-level-creeps", 1): (0.35, None, None, None),
    ("gallery-intrusion", 1): (None, 0.5, None, None),
    ("water-leak-noise", 1): (32, 40, None, None),
    ("bridge-strain", 1): (90, 120, 150, 180),  # 60, 80, 100, 120 % of 150
    ("bridge-deflection", 1): (6, 8, 10, 12),  # … of 10
    ("bridge-vibration", 1): (0.10, 0.20, 0.315, 0.5),
    ("bridge-overload", 1): (55, 75, 100, 130),
    ("bridge-crack-grows", 1): (0.005, 0.01, 0.02, None),  # mm a day
    ("bridge-wind", 1): (10.8, 17.2, 20.8, 25),
    ("bridge-movement", 1): (6, None, None, None),
    ("bridge-movement", -1): (-6, None, None, None),
    ("bridge-tilt", 1): (6, None, None, None),
    ("bridge-tilt", -1): (-6, None, None, None),
    ("bridge-frequency", -1): (-3, -5, -10, -15),  # %
    ("tunnel-co", 1): tuple(x * PPM_CO for x in (50, 70, 100, 150)),
    ("tunnel-visibility", 1): (0.005, 0.0065, 0.009, 0.012),
    ("tunnel-fire", 1): (45, 55, 60, 70),
    ("tunnel-fire-rise", 1): (3, 5, 8, 10),
    ("tunnel-water", 1): (0.06, 0.1, 0.2, 0.3),
    ("water-pressure-low", -1): (180, 160, 140, 100),
    ("water-pressure-drop", -1): (-8, -12, None, None),
    ("water-pressure-apart", 1): (80, None, None, None),
    ("water-pressure-apart", -1): (-80, None, None, None),
    ("water-inflow-jump", 1): (12, 20, None, None),  # % within five minutes
    ("water-night-flow", 1): (5, None, None, None),  # sigma
    ("water-chlorine-low", -1): (0.1, 0.05, 0.03, None),
    ("water-turbidity", 1): (0.5, 1, 3, 5),
    ("drain-ponding", 1): (3, 10, 15, 25),
    ("drain-ponding-forecast", -1): (3600, 1800, 600, None),  # s
    ("drain-sewer-forecast", -1): (7200, 3600, 1200, None),
    ("drain-rain", 1): (20, 30, 50, 80),
    ("drain-sewer-level", 1): (2.1, 2.6, 3.15, 3.5),
    ("drain-pump-level", 1): (4.8, 6, 7.2, 8),
    ("drain-ch4", 1): (0.5, 1.0, 1.25, 2.5),
    ("drain-h2s", 1): (5, 10, 20, 100),
    ("heat-makeup", 1): (0.7, 1, 2, 4),
    ("heat-under-supply", -1): (-5, -8, -12, -20),
    ("heat-return-pressure-drop", -1): (-2, -5, -10, -15),  # 20 … 150 kPa in 10 min
    ("heat-manhole", 1): (45, 55, 65, 85),
    ("gallery-ch4", 1): (0.5, 1.0, 1.25, 2.0),
    ("gallery-o2-low", -1): (20.0, 19.5, 18.0, 16.0),
    ("gallery-o2-high", 1): (None, 23.5, None, None),
    ("gallery-h2s", 1): (5, 10, 20, 100),
    ("gallery-co", 1): (20, 30, 60, 200),
    ("gallery-water", 1): (0.06, 0.1, 0.2, 0.3),
    ("gallery-air-temperature", 1): (35, 40, 50, 60),
    ("gallery-humidity", 1): (85, 90, None, None),
    ("gallery-cable", 1): (60, 70, 80, 90),
    ("battery-low", -1): (20, 15, 10, 5),
    ("env-pm25", 1): (75, 115, 150, 250),
    ("env-pm10", 1): (150, 250, 350, 420),
    ("env-so2", 1): (500, 650, 800, None),
    ("env-no2", 1): (200, 700, 1200, 2340),
    ("env-o3", 1): (200, 300, 400, 800),
    ("env-co", 1): (10, 35, 60, 90),
    ("env-dust", 1): (500, 1000, 2000, None),
    ("env-noise", 1): (63, 65, 70, 75),
    ("env-noise-site", 1): (70, 75, 85, None),
    ("env-radiation", 1): (0.3, 0.5, 1, 10),
    ("env-soil-wet", 1): (40, 45, None, None),
    ("env-soil-salty", 1): (2000, 4000, None, None),
    ("env-soil-ph", 1): (9, 10, None, None),
    ("env-soil-ph", -1): (5, 4, None, None),
    ("env-soil-lead", 1): (None, 800, 2500, None),
    ("env-soil-cadmium", 1): (None, 65, 172, None),
    ("env-soil-arsenic", 1): (None, 60, 140, None),
    ("env-user-energy", 1): (1000, None, None, None),
    ("env-user-gas", 1): (6, 12, None, None),
    ("env-user-water", 1): (6, 12, None, None),
}
LOUD = {
    "gas-ch4-space", "gas-ch4-station", "tunnel-co", "tunnel-fire", "tunnel-fire-rise",
    "drain-ponding", "drain-ch4", "drain-h2s", "gallery-ch4", "gallery-o2-low", "gallery-h2s",
    "gallery-co", "gallery-cable",
}  # fmt: skip
COMPANIONS = {  # a step to the red limit is also a fast change
    "tunnel-fire": {"tunnel-fire-rise"},
    "gas-ch4-space": {"gas-ch4-forecast"},
    "water-pressure-low": {"water-pressure-drop"},
    "drain-ponding": {"drain-ponding-forecast"},  # at the limit the time to it is 0
    "drain-sewer-level": {"drain-sewer-forecast"},
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


REGISTRY, QUIET = city()
PLAN, WARNINGS = compile_plan(load_rules(PACKS), REGISTRY)
RULES = {(r.rule_id, r.side): r for r in PLAN.channel_rules}


def feed(channel, value, *, step_ns, count):
    """Return the events after ``count`` rounds of all channels, one of them at ``value``.

    Three quiet rounds come first; ``value`` may be an array of ``count``.
    """
    n = len(QUIET)
    values = np.tile(QUIET, (count + 3, 1))
    values[3:, channel] = value
    times = START + step_ns * np.arange(count + 3)
    rows = Readings.of(
        {
            "channel": np.tile(np.arange(n), count + 3),
            "judged_ns": np.repeat(times, n),
            "value": values.ravel(),
        }
    )
    engine = Engine(PLAN, REGISTRY)
    return engine.fold([Record(0, Tick(START)), Record(1, rows)])


@pytest.mark.parametrize("name", FILES)
def test_a_pack_stands_alone_without_a_problem(name):
    rules_of_file = load_rules([PACKS / name])
    assert rules_of_file.rules
    found = check([PACKS / name], REGISTRY)
    said = [str(p) for p in found if p.rule]  # the rest: channels of other packs
    assert [p for p in said if "fewer neighbours" not in p] == []  # this city has one of each


def test_there_is_one_pack_for_each_lifeline_and_all_fit_together():
    lifelines = {"gas", "bridge", "tunnel", "water", "drain", "heat", "gallery", "env"}
    assert {name.removesuffix(".yaml") for name in FILES} == lifelines | {"system"}
    said = [str(p) for p in WARNINGS if "fewer neighbours" not in str(p)]
    assert [p for p in said if "battery" not in p] == []


def test_every_rule_says_where_its_limits_come_from_and_speaks_both_languages():
    for rule in load_rules(PACKS).rules:
        assert rule.body.source in ("clause", "vendor", "estimate")
        assert not rule.body.approved_by  # the site's business
    for built in (*PLAN.channel_rules, *PLAN.deadman_rules):
        assert built.message.isascii()
        assert not built.message_zh.isascii()


def test_all_limits_are_those_of_the_domain_in_canonical_units():
    assert set(RULES) == set(DOMAIN)
    for key, limits in DOMAIN.items():
        want = [np.nan if limit is None else limit for limit in limits]
        np.testing.assert_allclose(RULES[key].raise_at[0], want, rtol=1e-5, err_msg=str(key))


def test_dangerous_gas_fire_and_flood_are_loud():
    assert {r.rule_id for r in PLAN.channel_rules if r.fail_loud} == LOUD
    for rule in PLAN.channel_rules:
        if rule.fail_loud:
            assert (rule.hold_ns[:, 2] == 0).all()
            assert (rule.hold_ns[:, 3] <= 30 * S).all()
            assert rule.over_range or rule.kind == "rate"


def test_beside_a_sewer_only_blue_is_raised():
    rule = RULES["gas-ch4-space", 1]
    assert rule.raise_at[1].tolist() == [0.75, 1.0, 1.25, 2.5]


def test_noise_is_judged_by_the_class_of_its_place():
    lowest = RULES["env-noise", 1].raise_at[:, 0].tolist()
    assert lowest == [63, 58, 68, 73]  # 3 dB above 60, 55, 65 and 70


def test_a_quiet_city_raises_nothing():
    assert feed(0, QUIET[0], step_ns=60 * S, count=60) == []


@pytest.mark.parametrize("key", [k for k in DOMAIN if RULES[k].kind == "threshold"], ids=str)
def test_a_rule_raises_its_top_level_at_its_limit_and_no_other_rule_speaks(key):
    rule = RULES[key]
    channel = int(rule.channel[0])
    top = int(np.flatnonzero(~np.isnan(rule.raise_at[0]))[-1])
    step = int(REGISTRY.channels.interval_ns[channel])
    # a level that waits for samples only has no time to wait
    count = int(max([h for h in rule.hold_ns[0] if h < NEVER_NS], default=4 * step) // step) + 3
    events = feed(channel, rule.raise_at[0, top], step_ns=step, count=count)
    spoke = {e.rule for e in events}
    assert spoke - COMPANIONS.get(rule.rule_id, set()) == {rule.rule_id}
    assert {e.subject for e in events} == {REGISTRY.channels.id[channel]}
    mine = [e for e in events if e.rule == rule.rule_id]
    assert mine[0].type == "RAISED"
    assert max(e.severity for e in mine) == top + 1


@pytest.mark.parametrize("key", [k for k in DOMAIN if RULES[k].kind == "rate"], ids=str)
def test_a_rate_rule_raises_on_a_ramp_of_its_lowest_limit_and_not_on_half_of_it(key):
    rule = RULES[key]
    channel = int(rule.channel[0])
    step = int(REGISTRY.channels.interval_ns[channel])
    slope = rule.raise_at[0, 0] * 1.05 * step / rule.own["per_ns"][0]
    hold_ns = rule.hold_ns[0, 0] if rule.hold_ns[0, 0] < NEVER_NS else 2 * step
    count = int(rule.own["window_ns"][0] + hold_ns) // step + 3
    for share, spoken in ((1.0, {rule.rule_id}), (0.5, set())):
        ramp = QUIET[channel] + share * slope * np.arange(1, count + 1)
        events = feed(channel, ramp, step_ns=step, count=count)
        assert {e.rule for e in events if e.rule == rule.rule_id} == spoken


@pytest.mark.parametrize("name", ["bridge-movement", "bridge-tilt"])
def test_a_joint_or_a_pier_that_moves_at_once_is_blue(name):
    rule = RULES[name, 1]
    channel = int(rule.channel[0])
    noise = np.tile([0.5, -0.5], 800) * rule.own["floor"][0]
    noise[1560:] += 20 * rule.own["floor"][0]
    events = feed(channel, QUIET[channel] + noise, step_ns=60 * S, count=1600)
    told = [(e.type, e.rule, e.severity) for e in events if e.klass == "safety"]
    assert told == [("RAISED", name, 1)]  # one sensor that jumps is maintenance besides


def test_beyond_the_sensors_range_is_red():
    rule = RULES["gas-ch4-space", 1]
    events = feed(int(rule.channel[0]), 5.01, step_ns=60 * S, count=2)
    assert events[-1].over_range
    assert max(e.severity for e in events) == 4


def test_a_silent_gateway_is_orange_after_five_minutes_and_a_module_yellow_after_hours():
    records = [Record(i, Tick(START + 10 * S * i)) for i in range(1500)]
    events = Engine(PLAN, REGISTRY).fold(records)
    told = [(e.rule, e.severity, (e.receive_ns - START) // S, e.klass) for e in events]
    assert told == [
        ("gateway-silent", 3, 300, "safety"),
        ("module-silent", 2, 4 * 3600, "maintenance"),
    ]
