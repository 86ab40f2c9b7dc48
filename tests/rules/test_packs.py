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
from rules.registry_file import TEST_SUFFIXES
from tests.rules.pack_city import city

PACKS = Path(rules.__file__).parent / "packs"
FILES = sorted(p.name for p in PACKS.glob("*.yaml") if not p.name.endswith(TEST_SUFFIXES))
S = 1_000_000_000
START = 1_800_000_000 * S
LEVELS = ("blue", "yellow", "orange", "red")

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
    ("bridge-sag", 1): (1, 3, 5, None),  # mm a year
    ("bridge-crack-grows", 1): (0.005, 0.01, 0.02, None),  # mm a day
    ("bridge-wind", 1): (10.8, 17.2, 20.8, 25),
    ("bridge-movement", 1): (6, None, None, None),
    ("bridge-movement", -1): (-6, None, None, None),
    ("bridge-tilt", 1): (6, None, None, None),
    ("bridge-tilt", -1): (-6, None, None, None),
    ("bridge-frequency", -1): (-2.5, -5, -10, -15),  # %; of 3 only half would be told in time
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
    ("water-inflow-beyond", 1): (3.8, 8, None, None),  # % more than around
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
