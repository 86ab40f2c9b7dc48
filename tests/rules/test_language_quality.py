"""The quality section: good text becomes the right arrays, bad text an error with its place."""

from __future__ import annotations

import numpy as np
import pytest

from rules.language import check, compile_plan, load_rules
from rules.plan import NEVER_NS
from rules.registry_file import registry_of

SECOND_NS = 1_000_000_000
REGISTRY = registry_of(
    {
        "city.yaml": """
version: 1
devices:
- {id: 410100-gas-nb-000001, kind: module, transport: coap, codec: compact,
   asset: 410100-gas-mh-000001, every: 10m}
assets:
- id: 410100-gas-mh-000001
  type: manhole
  sensors:
  - id: x
    device: 410100-gas-nb-000001
    channels:
    - {id: ch4, quantity: ch4, unit: "%{LEL}", range: [0, 100], resolution: 0.1, every: 1m}
    - {id: p, quantity: pressure, range: [0, 500], resolution: 0.5, every: 10s}
    - {id: t, quantity: temperature, every: 1m}
"""
    }
)
CH4, PRESSURE, TEMPERATURE = 0, 1, 2
RULES = """
defaults: {runbook: "https://r"}
rules:
- {id: loud, kind: threshold, source: clause, fail_loud: true, over_range: red,
   select: {quantity: ch4}, unit: "%{LEL}", above: {orange: 25, red: 50}}
- {id: quiet, kind: threshold, source: estimate, select: {quantity: pressure}, unit: kPa,
   above: {red: 400}, below: {red: 100}, for: 1m}
"""


def problems(quality, rules=RULES, registry=REGISTRY):
    text = f"version: 1\nquality:\n{quality}{rules}"
    return "\n".join(str(p) for p in check({"q.yaml": text}, registry) if p.rule)


def rules_of(quality, rules=RULES):
    loaded = load_rules({"q.yaml": f"version: 1\nquality:\n{quality}{rules}"})
    return {rule.rule_id: rule for rule in compile_plan(loaded, REGISTRY)[0].quality_rules}


def test_spans_and_codes_stand_in_canonical_units():
    rule = rules_of(
        "- {id: a, kind: range, select: {quantity: [ch4]}, unit: '%{LEL}',"
        " suspect: [-2, 80], fail: [null, 300], corrupt: [-999, 65535]}\n"
    )["a"]
    assert rule.channel.tolist() == [CH4]
    assert rule.own["suspect_lo"].tolist() == [-0.1]
    assert rule.own["suspect_hi"].tolist() == [4.0]
    assert rule.own["fail_lo"].tolist() == [-np.inf]
    assert rule.own["fail_hi"].tolist() == [15.0]
    assert rule.own["corrupt"].tolist() == [[-49.95, 3276.75]]  # as the device sends them, in %LEL
    assert rule.file == "q.yaml:3"


def test_lsb_is_the_registered_resolution_and_multiples_are_of_the_interval():
    rules = rules_of(
        "- {id: a, kind: spike, select: {quantity: [ch4, pressure]}, suspect: 4 sigma}\n"
        "- {id: b, kind: stuck, select: {quantity: pressure}, tolerance: 2 lsb, fail: 60x,"
        " quiet: [0 kPa, 1 kPa]}\n"
        "- {id: c, kind: gap, select: {quantity: pressure}, suspect: 5x}\n"
        "- {id: d, kind: dropout, select: {quantity: pressure}, to: [0 kPa, 1 kPa], max_width: 1m,"
        " max_gap: 30s}\n"
        "- {id: e, kind: clock, select: {}, future_max: 2m}\n"
    )
    assert rules["a"].own["floor"].tolist() == [0.005, 0.5]
    assert rules["a"].own["fail"].tolist() == [np.inf, np.inf]
    assert rules["a"].own["window"].tolist() == [9, 9]
    assert rules["a"].max_gap_ns.tolist() == [180 * SECOND_NS, 30 * SECOND_NS]
    assert rules["b"].own["tolerance"].tolist() == [1.0]
    assert rules["b"].own["suspect_ns"].tolist() == [NEVER_NS]
    assert rules["b"].own["fail_ns"].tolist() == [600 * SECOND_NS]
    assert rules["b"].own["quiet_hi"].tolist() == [1.0]
    assert rules["c"].max_gap_ns.tolist() == [50 * SECOND_NS]
    assert rules["d"].own["max_width_ns"].tolist() == [60 * SECOND_NS]
    assert rules["d"].max_gap_ns.tolist() == [30 * SECOND_NS]
    assert rules["e"].own["future_ns"].tolist() == [120 * SECOND_NS] * 3
    assert rules["e"].own["past_ns"].tolist() == [NEVER_NS] * 3


BAD = {
    "id: a, kind: rnage, select: {}": "unknown kind 'rnage' (did you mean \"range\"?)",
    "id: a, kind: range, select: {}": "nothing to check: write suspect, fail or corrupt",
    "id: a, kind: range, select: {}, suspct: [1, 2]": 'unknown key "suspct"',
    "id: a, kind: range, select: {}, suspect: [1 kPa]": "must be a span of two ends",
    "id: a, kind: range, select: {}, suspect: [null, null]": "both ends are open",
    "id: a, kind: range, select: {quantity: pressure}, suspect: [0, 9]": "0 has no unit",
    "id: a, kind: range, select: {quantity: pressure}, suspect: [9 kPa, 0 kPa]": "lower end comes",
    "id: a, kind: range, select: {quantity: pressure}, suspect: [0 m, 1 m]": "does not measure",
    "id: a, kind: range, select: {quantity: temperature}, unit: Cel, suspect: [0, 9],"
    " fail: [1, 20]": "the suspect span must lie inside the fail span",
    "id: a, kind: spike, select: {}, suspect: 0 sigma": "a number of sigma above 0",
    "id: a, kind: spike, select: {}, suspect: 4, fail: 3": "fail is nearer than suspect",
    "id: a, kind: spike, select: {}, suspect: 4, window: 5, max_width: 3": "a window of at least 7",
    "id: a, kind: spike, select: {quantity: temperature}, suspect: 4": "write floor",
    "id: a, kind: dropout, select: {quantity: pressure}, to: [null, 1 kPa], max_width: 1m": "both",
    "id: a, kind: dropout, select: {quantity: pressure}, to: [0 kPa, 1 kPa], max_width: 9h": "32",
    "id: a, kind: stuck, select: {quantity: pressure}, tolerance: 1 lsb": "write suspect or fail",
    "id: a, kind: stuck, select: {quantity: pressure}, tolerance: -1 kPa, fail: 1h": "not be below",
    "id: a, kind: stuck, select: {quantity: pressure}, tolerance: 0 kPa, fail: 1h, suspect: 2h": (
        "fail comes before suspect"
    ),
    "id: a, kind: stuck, select: {quantity: temperature}, tolerance: 1 lsb, fail: 1h": "lsb is not",
    "id: a, kind: gap, select: {}, suspect: 1s": "shorter than the sampling interval",
    "id: a, kind: gap, select: {}, suspect: 1h, max_gap: 1h": "max_gap means nothing here",
    "id: a, kind: clock, select: {}": "write future_max or past_max",
    "id: a, kind: gap, select: {asset: none}, suspect: 1h": "matches no registered channel",
}


@pytest.mark.parametrize("text", BAD)
def test_a_wrong_check_is_told_with_its_place_and_remedy(text):
    said = problems(f"- {{{text}}}\n")
    assert BAD[text] in said
    assert said.startswith("q.yaml:3:")
    assert 'check "a": ' in said


def test_two_checks_of_one_id_and_what_is_no_check_are_refused():
    one = "- {id: a, kind: gap, select: {}, suspect: 1h}\n"
    assert "the id stands twice, first at q.yaml:3" in problems(one + one)
    assert "a check must be a mapping" in "\n".join(
        map(str, check({"q.yaml": "version: 1\nquality: [7]\nrules: []\n"}))
    )


def test_a_check_among_the_rules_is_sent_where_it_belongs():
    text = "version: 1\nrules:\n- {id: a, kind: spike, source: estimate, select: {}}\n"
    said = "\n".join(map(str, check({"q.yaml": text})))
    assert "kind spike is a check of readings: write it under quality:" in said


MASKS = {
    # a fault code that may be a true reading, even of a fail_loud rule
    "kind: range, select: {quantity: ch4}, corrupt: [60]": 'true reading that rule "loud"',
    "kind: range, select: {quantity: ch4}, corrupt: [-999, 200]": "corrupt: 10 may be a true",
    "kind: range, select: {quantity: pressure}, corrupt: [0]": 'true reading that rule "quiet"',
    # failed values, of rules that do not accept them
    "kind: range, select: {quantity: pressure}, unit: kPa, fail: [-10, 450]": "fail: hides values",
    "kind: range, select: {quantity: pressure}, unit: kPa, fail: [50, 900]": "fail: hides values",
    "kind: stuck, select: {quantity: pressure}, tolerance: 1 lsb, fail: 1m": "before rule",
}
HARMLESS = (
    "kind: range, select: {quantity: ch4}, corrupt: [-999, 65535]",
    "kind: range, select: {quantity: ch4}, unit: '%{LEL}', fail: [-2, 40]",  # fail_loud sees all
    "kind: range, select: {quantity: pressure}, unit: kPa, suspect: [150, 300]",
    "kind: range, select: {quantity: pressure}, unit: kPa, fail: [null, 500]",
    "kind: range, select: {quantity: pressure}, corrupt: [-999, 1001]",
    "kind: stuck, select: {quantity: pressure}, tolerance: 1 lsb, fail: 2m",
)


@pytest.mark.parametrize("text", MASKS)
def test_a_check_that_could_hide_an_alarm_is_an_error(text):
    said = problems(f"- {{id: a, {text}}}\n")
    assert MASKS[text] in said
    assert "warning" not in said
    accepting = RULES.replace("for: 1m", "for: 1m, accept: [good, suspect, fail]")
    if "corrupt" not in text:
        assert not problems(f"- {{id: a, {text}}}\n", accepting)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_check_that_hides_nothing_is_fine(text):
    assert not problems(f"- {{id: a, {text}}}\n")


@pytest.mark.parametrize("stat", ["last", "max, window: 5m"])
def test_a_check_that_could_hide_a_condition_of_a_joint_alarm_is_an_error(stat):
    joint = (
        "- {id: both, kind: all, source: estimate, scope: asset, level: orange, inputs: {"
        f"p: {{quantity: pressure, stat: {stat}, above: 400 kPa}},"
        " m: {quantity: ch4, stat: last, above: '30 %{LEL}'}}}\n"
    )
    loud = RULES[: RULES.index("- {id: quiet")]
    hides = "- {id: a, kind: range, select: {quantity: pressure}, unit: kPa, fail: [null, 450]}\n"
    assert "fail: hides" not in problems(hides, loud)
    assert 'fail: hides values that rule "both/p"' in problems(hides, loud + joint)
