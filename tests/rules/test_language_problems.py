"""What is wrong with a rule file is said all at once, with place and remedy; nothing is ignored.

Every single mistake, and the exact words, stand in the corpus: test_broken_files.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.language import Invalid, check, compile_plan, load_rules
from rules.language.models import KEYS_ELSEWHERE
from rules.registry_file import registry_of
from rules.yaml_text import read_yaml

HEAD = "version: 1\nrules:\n"
GOOD = "- {id: a, kind: threshold, source: estimate, select: {quantity: pressure}, "
LOUD = (
    "- {id: a, kind: threshold, source: clause, fail_loud: true, over_range: red,"
    ' select: {quantity: ch4}, unit: "%{vol}", '
)
REGISTRY = """
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
    - {id: ch4, quantity: ch4, range: [0, 5], every: 1m}
    - {id: p, quantity: pressure, range: [0, 500], every: 1m}
    - {id: t, quantity: temperature, every: 1m}
"""


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": REGISTRY})


def found(text, registry=None):
    return "\n".join(map(str, check({"site.yaml": HEAD + text}, registry)))


def test_problems_name_file_line_column_rule_and_remedy():
    text = """\
- {id: b1, kind: threshhold, select: {}}
- {id: b2, kind: threshold, selct: {domain: heat}, above: {rad: 3}, for: {red: 22:30}}
- {id: b3, kind: threshold, source: estimate, select: {domain: haet}, above: {red: high}}
- id: b4
  kind: threshold
  source: guess
  select: {quantity: presure}
  above: {red: 3}
  above: {red: 4}
  message: "{{ asset.nam }} on {{ value | round }}"
- {id: B5, kind: threshold, source: estimate, select: {}, above: {red: 3 kPa}, fail_loud: no}
- {id: b6, kind: deadman, source: estimate, select: {kind: gateway}, missing: {amber: 3x}}
- {id: b6, kind: deadman, source: estimate, select: {kind: gateway}, missing: {red: 3x}}
"""
    told = found(text)
    for said in (
        'site.yaml:3:18: rule "b1": unknown kind \'threshhold\' (did you mean "threshold"?)',
        'site.yaml:4:29: rule "b2": unknown key "selct" (did you mean "select"?)',
        'rule "b2": key "select" is missing',
        'rule "b2": key "source" is missing',
        'site.yaml:4:80: YAML reads 22:30 as a number to base 60: quote it "22:30"',
        'rule "b3": domain: unknown domain \'haet\' (did you mean "heat"?)',
        "rule \"b3\": above: red: 'high' is not a number",
        "rule \"b4\": source: must be 'clause', 'vendor' or 'estimate', not 'guess'",
        "unknown quantity 'presure' (did you mean \"pressure\"?)",
        'site.yaml:11:3: key "above" stands twice, first on line 10',
        'unknown placeholder {{ asset.nam }} (did you mean "asset.name"',
        "YAML reads no as true or false",
        "'B5' is no id",
        'site.yaml:14:80: rule "b6": missing: unknown level "amber"',
        "the id stands twice, first at site.yaml:14",
    ):
        assert said in told, f"{said}\n--\n{told}"


@pytest.mark.parametrize("key", KEYS_ELSEWHERE)
def test_a_key_that_another_place_of_the_format_has_is_refused_with_that_place(key):
    told = found(f"{GOOD}below: {{orange: 1 kPa}}, {key}: {{}}}}\n")
    assert told == f'site.yaml:3:100: rule "a": {key}: {KEYS_ELSEWHERE[key]}'


def test_refused_keys_are_found_in_defaults_and_templates_too():
    text = "version: 1\ndefaults: {late: {}}\ntemplates: {t: {suppress: {}, x: 1}}\nrules: []\n"
    told = "\n".join(map(str, check({"site.yaml": text})))
    assert "site.yaml:2:12: late: write a rule of kind: late" in told
    assert "site.yaml:3:17: suppress: write it in the section inhibit" in told
    assert 'template "t": unknown key "x"' in told


def test_safety_channels_that_no_rule_judges_are_told(registry):
    told = found(GOOD + "above: {orange: 3 kPa}}\n", registry)
    assert (
        "registry: warning: no rule judges 1 channel of class safety: ch4 of manhole in gas" in told
    )


def test_the_hold_of_a_fail_loud_rule_may_be_shorter_than_two_intervals(registry):
    told = found(LOUD + "above: {yellow: 1, red: 2}, for: {yellow: 1m, red: 30s}}\n", registry)
    assert "sampling interval" not in told


def test_select_must_be_written_even_to_mean_all(registry):
    told = found("- {id: a, kind: ewma, source: vendor, lambda: 0.1, warmup: 9, sigma: {red: 5}}\n")
    assert 'key "select" is missing' in told
    rest = "lambda: 0.1, warmup: 9, sigma: {red: 5}}\n"
    everything = f"- {{id: a, kind: ewma, source: vendor, select: {{}}, {rest}"
    plan, _ = compile_plan(load_rules({"a.yaml": HEAD + everything}), registry)
    assert len(plan.channel_rules[0].channel) == 3


def test_a_rule_over_quantities_of_different_units_is_told_to_split(registry):
    rule = GOOD.replace("[", "").replace("quantity: pressure", "asset_type: manhole")
    told = found(rule + 'unit: "%{vol}", above: {red: 3}}\n', registry)
    assert "does not measure pressure" in told


def test_the_sound_rules_of_a_wrong_file_are_checked_against_the_registry_too(registry):
    told = found(GOOD + "above: {red: 600 kPa}}\n- {id: b, kind: nope}\n", registry)
    assert "never fires" in told
    assert "unknown kind" in told


TRAPS = "- on\n- 22:30\n- 010\n- 1_000\n- 0x1f\n- true\n- 1e3\n- .5\n- 2027-03-31\n- ~\n- '22:30'\n"


def test_yaml_traps_are_problems_and_everything_else_is_what_it_looks_like():
    document = read_yaml("t.yaml", TRAPS)
    assert document.value[5:] == [True, 1000.0, 0.5, "2027-03-31", None, "22:30"]
    assert [p.line for p in document.problems] == [1, 2, 3, 4, 5]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["3x", "5m", "red", "ch4", "50 %LEL", "threshold", "rate", "-1 kPa/min"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["red", "yellow", "samples", "or", "quantity", "match", "set", "x"]),
        inner, max_size=3,
    ),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["id", "kind", "select", "above", "below", "clear", "for", "keep_firing_for", "hysteresis",
     "overrides", "unit", "source", "over_range", "fail_loud", "window", "sigma", "lambda",
     "warmup", "floor", "missing", "at_least", "max_gap", "accept", "message", "extends"]
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.integers(0, 3), VALUES)
def test_no_rule_raises_anything_but_invalid(registry, changes, which, other):
    rule = [
        {"id": "a", "kind": "threshold", "source": "vendor", "select": {},
         "above": {"red": "1 kPa"}},
        {"id": "a", "kind": "rate", "source": "vendor", "window": "5m",
         "select": {"quantity": "ch4"}, "above": {"red": "1 %LEL/min"}},
        {"id": "a", "kind": "ewma", "source": "vendor", "select": {}, "sigma": {"red": 3},
         "lambda": 0.5, "warmup": 3},
        {"id": "a", "kind": "deadman", "source": "vendor", "select": {}, "missing": {"red": "3x"}},
    ][which]  # fmt: skip
    whole = {"version": 1, "levels": other, "templates": {"t": other}, "defaults": {"x": other}}
    for extra in ({}, {"levels": ["red", "yellow"]}, whole):
        file = {"version": 1, **extra, "rules": [{**rule, **changes}]}
        text = yaml.safe_dump(file, allow_unicode=True)
        for problem in check({"site.yaml": text}, registry):
            assert problem.message


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_no_text_raises_anything_but_invalid(text):
    for whole in (text, HEAD + text, HEAD + GOOD + text):
        try:
            load_rules({"site.yaml": whole})
        except Invalid as invalid:
            assert invalid.problems  # noqa: PT017
