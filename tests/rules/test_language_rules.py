"""Rule files become plans; examples of every key, and what the numbers turn into."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rules.language import (
    Invalid,
    check,
    compile_plan,
    load_rules,
    render,
    rules_bytes,
    rules_from_bytes,
)
from rules.plan import NEVER_NS
from rules.registry_file import registry_of

S = 1_000_000_000
REGISTRY = """
version: 1
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s}
- {id: 410100-gas-nb-000001, kind: module, transport: coap, codec: compact,
   asset: 410100-gas-mh-000001, every: 10m}
assets:
- {id: 410100-gas-gw-000001, type: gateway, district: North}
- id: 410100-gas-mh-000001
  type: manhole
  zone: z1
  tags: {near_sewer: true}
  sensors: &manhole
  - id: ch4-01
    device: 410100-gas-nb-000001
    channels: [{id: vol, quantity: ch4, range: [0, 5], every: 1m, key: a}]
- id: 410100-gas-mh-000002
  type: manhole
  zone: z2
  sensors:
  - id: ch4-01
    device: 410100-gas-nb-000001
    channels: [{id: vol, quantity: ch4, range: [0, 5], every: 5m, key: b}]
- id: 410100-water-pp-000001
  type: pressure_point
  sensors:
  - id: p-01
    device: 410100-gas-gw-000001
    channels:
    - {id: mean, quantity: pressure, unit: MPa, range: [0, 1.6], every: 30s}
    - {id: temp, quantity: temperature, every: 1m, class: info}
    - {id: beat, quantity: heartbeat, class: info}
"""
CH4_1 = "410100-gas-mh-000001/ch4-01/vol"
CH4_2 = "410100-gas-mh-000002/ch4-01/vol"


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": REGISTRY})


def plan_of(text, registry, **more):
    rules = load_rules({"site.yaml": text}, **more)
    return compile_plan(rules_from_bytes(rules_bytes(rules)), registry)[0]


def one(text, registry, **more):
    """Return the single ChannelRule of a file with one rule."""
    plan = plan_of(text, registry, **more)
    assert len(plan.channel_rules) == 1
    return plan.channel_rules[0]


def problems(text, registry=None, **more):
    return "\n".join(map(str, check({"site.yaml": text}, registry, **more)))


FIVE = """\
version: 1
rules:
- id: pressure-low
  kind: threshold
  source: estimate
  select: {quantity: pressure}
  below: {yellow: 160 kPa}
"""


def test_a_users_first_rule_needs_five_lines(registry):
    rule = one(FIVE, registry)
    assert FIVE.count("\n") - FIVE[: FIVE.index("- id")].count("\n") == 5
    assert (rule.rule_id, rule.kind, rule.side, rule.unit) == (
        "pressure-low",
        "threshold",
        -1,
        "kPa",
    )
    assert rule.raise_at[0, 1] == rule.clear_at[0, 1] == 160.0
    assert np.isnan(rule.raise_at[0, [0, 2, 3]]).all()
    assert rule.max_gap_ns.tolist() == [90 * S]  # three of the channel's 30 s
    assert rule.accept == (1, 2, 3)
    assert rule.klass == "safety"
    assert rule.file == "site.yaml:3"
    assert "{{ value }}" in rule.message
    assert "{{ value }}" in rule.message_zh


CH4 = """\
version: 1
levels: [blue, yellow, orange, red]
defaults: {accept: [good, suspect], max_gap: 3x}
templates:
  gas: {source: vendor, keep_firing_for: 30m, runbook: "https://runbooks.local/gas"}
rules:
- id: ch4-level
  extends: gas
  kind: threshold
  class: safety
  fail_loud: true
  select: {asset_type: [manhole, valve_well], quantity: ch4}
  unit: "%LEL"
  above: {blue: 10, yellow: 20, orange: 25, red: 50}
  hysteresis: 2
  for: {blue: 3m, yellow: 1m, orange: 0s, red: {samples: 2, or: 30s}}
  over_range: red
  overrides:
  - {match: {sensor: 410100-gas-mh-000001/ch4-01}, set: {above.red: 40}, reason: beside school}
  - {match: {tags: {near_sewer: true}}, set: {above.blue: 15, above.red: 45}, reason: biogas,
     until: "2027-03-31"}
  message: "{{ asset.name }} methane {{ value }} (limit {{ limit }} since {{ since }})"
"""


def test_a_full_threshold_rule_becomes_arrays_in_canonical_units(registry):
    rule = one(CH4, registry)
    assert [registry.channels.id[row] for row in rule.channel] == [CH4_1, CH4_2]
    assert rule.raise_at[1].tolist() == [0.5, 1.0, 1.25, 2.5]
    assert rule.clear_at[1].tolist() == [0.4, 0.9, 1.15, 2.4]
    assert rule.hold_ns[1].tolist() == [180 * S, 60 * S, 0, 30 * S]
    assert rule.hold_samples[1].tolist() == [0, 0, 0, 2]
    assert rule.keep_ns[1].tolist() == [1800 * S] * 4
    assert rule.max_gap_ns.tolist() == [180 * S, 900 * S]
    assert rule.fail_loud
    assert rule.over_range
    assert rule.accept == (1, 3)
    assert rule.source == "vendor"


def test_an_override_by_sensor_beats_one_by_tag_whatever_their_order(registry):
    rule = one(CH4, registry)
    assert rule.raise_at[0].tolist() == [0.75, 1.0, 1.25, 2.0]  # red 40 %LEL, blue 15 %LEL


def test_an_override_ends_with_its_last_day_and_says_so(registry):
    held = one(CH4, registry, today="2027-03-31")
    over = one(CH4, registry, today="2027-04-01")
    assert held.raise_at[0, 0] == 0.75
    assert over.raise_at[0, 0] == 0.5
    assert (
        len({plan_of(CH4, registry, today=f"2027-04-{day:02d}").content_hash for day in (1, 9)})
        == 1
    )
    assert "override expired on 2027-03-31" in problems(CH4, registry, today="2027-04-01")


def test_both_sides_become_two_channel_rules_and_samples_alone_never_time_out(registry):
    text = FIVE.replace("yellow: 160 kPa}", "yellow: 160 kPa, red: 0.1 MPa}") + (
        "  above: {red: 1.2 MPa}\n  hysteresis: {yellow: 5 kPa, red: 10 kPa}\n"
        "  for: {yellow: 2m, red: {samples: 3}}\n  max_gap: 10m\n"
    )
    high, low = plan_of(text, registry).channel_rules
    assert (high.side, low.side) == (1, -1)
    assert high.raise_at[0, 3] == 1200.0
    assert high.clear_at[0, 3] == 1190.0
    assert low.raise_at[0].tolist()[1::2] == [160.0, 100.0]
    assert low.clear_at[0].tolist()[1::2] == [165.0, 110.0]
    assert low.hold_ns[0, 3] == NEVER_NS
    assert low.hold_samples[0, 3] == 3
    assert low.max_gap_ns.tolist() == [600 * S]


def test_clear_gives_the_limit_itself(registry):
    rule = one(FIVE + "  clear: {yellow: 170 kPa}\n", registry)
    assert rule.clear_at[0, 1] == 170.0


def test_a_rate_is_per_the_time_of_its_unit(registry):
    text = """\
version: 1
rules:
- {id: p-drop, kind: rate, source: estimate, select: {quantity: pressure}, window: 5m,
   method: theil_sen, min_points: 4, hysteresis: 2 kPa/min,
   below: {yellow: -10 kPa/min, orange: -1.2 MPa/h}}
"""
    rule = one(text, registry)
    assert (rule.side, rule.unit) == (-1, "kPa/min")
    assert rule.own["per_ns"].tolist() == [60 * S]
    assert rule.raise_at[0].tolist()[1:3] == [-10.0, -20.0]
    assert rule.clear_at[0].tolist()[1:3] == [-8.0, -18.0]
    assert rule.own["window_ns"].tolist() == [300 * S]
    assert rule.own["min_points"].tolist() == [4]
    assert rule.options["method"] == "theil_sen"


def test_an_ewma_is_two_sided_in_sigma(registry):
    text = """\
version: 1
rules:
- {id: odd, kind: ewma, source: estimate, select: {quantity: temperature}, lambda: 0.2,
   sigma: {yellow: 3, red: 6}, warmup: 1d, floor: 0.5 K, hysteresis: 1}
"""
    high, low = plan_of(text, registry).channel_rules
    assert high.raise_at[0].tolist()[1::2] == [3.0, 6.0]
    assert low.clear_at[0].tolist()[1::2] == [-2.0, -5.0]
    assert [high.own[k][0] for k in ("alpha", "warmup", "floor")] == [0.2, 1440, 0.5]
    assert high.unit == "sigma"
    only = one(text.replace("warmup: 1d", "warmup: 200, side: above"), registry)
    assert only.own["warmup"].tolist() == [200]


def test_a_deadman_rule_counts_in_the_devices_own_intervals(registry):
    text = """\
version: 1
rules:
- {id: silent, kind: deadman, source: estimate, select: {}, missing: {yellow: 3x, red: 2h},
   at_least: 5m}
- {id: gateways, kind: deadman, source: estimate, class: safety, select: {asset_type: gateway},
   missing: {orange: 10x}}
"""
    both, gateways = plan_of(text, registry).deadman_rules
    assert both.device.tolist() == [0, 1]
    assert both.missing_ns[:, 1].tolist() == [300 * S, 1800 * S]
    assert both.missing_ns[:, 3].tolist() == [7200 * S] * 2
    assert both.missing_ns[0, 0] == NEVER_NS
    assert both.klass == "maintenance"
    assert (gateways.klass, gateways.device.tolist()) == ("safety", [0])


def test_heartbeat_channels_are_probes_and_judged_by_no_rule(registry):
    text = FIVE.replace("{quantity: pressure}", "{asset_type: pressure_point, class: safety}")
    plan = plan_of(text, registry)
    assert [registry.channels.quantity[row] for row in plan.probe_channels] == ["heartbeat"]
    assert len(plan.channel_rules[0].channel) == 1


def test_a_site_may_have_three_levels_of_its_own(registry):
    text = FIVE.replace(
        "rules:",
        "levels: [{name: mild, severity: 2}, {name: bad, severity: 3, colour: red}]\nrules:",
    ).replace("yellow", "bad")
    plan = plan_of(text, registry)
    assert [(lv.name, lv.severity, lv.colour) for lv in plan.levels] == [
        ("mild", 2, "yellow"),
        ("bad", 3, "red"),
    ]
    assert plan.channel_rules[0].raise_at.shape == (1, 2)


def test_rules_come_back_from_their_bytes_and_their_hash_names_the_text(registry):
    rules = load_rules({"site.yaml": CH4})
    back = rules_from_bytes(rules_bytes(rules))
    assert back.content_hash == rules.content_hash == compile_plan(back, registry)[0].content_hash
    assert rules_bytes(back) == rules_bytes(rules)
    assert load_rules({"site.yaml": CH4 + "# more\n"}).content_hash != rules.content_hash
    for data in (b"", b"[]", b"\xff", b'{"format": "lifeline rules 1", "sources": 3}'):
        with pytest.raises(Invalid, match="not stored rules"):
            rules_from_bytes(data)


def test_rules_are_read_from_folders_and_from_files(tmp_path):
    (tmp_path / "a.yaml").write_text(FIVE)
    (tmp_path / "b.yaml").write_text(CH4)
    (tmp_path / "notes.txt").write_text("not a rule")
    assert {r.id for r in load_rules(tmp_path).rules} == {"pressure-low", "ch4-level"}
    assert [r.id for r in load_rules([tmp_path / "a.yaml"]).rules] == ["pressure-low"]


def test_a_message_is_filled_in_by_name():
    said = render("{{ asset.name }}: {{value}} {{ limit }}", {"asset.name": "A", "value": "3 kPa"})
    assert said == "A: 3 kPa ?"


def test_problems_can_be_printed_as_json(registry):
    found = check({"site.yaml": FIVE.replace("kPa", "m")}, registry)
    told = json.loads(json.dumps([p.to_json() for p in found]))
    assert told[0]["file"] == "site.yaml"
    assert told[0]["line"] == 7
    assert told[0]["severity"] == "error"
