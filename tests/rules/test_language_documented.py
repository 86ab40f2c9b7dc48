"""docs/rules.md is true: its examples load, and it names every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules.language import PLACEHOLDERS, check, compile_plan, load_rules
from rules.language.kinds import KINDS, SETTABLE
from rules.language.models import ChannelSelect, DeviceSelect
from rules.language.quality import CHECKS
from rules.registry_file import registry_of
from rules.strict_models import known_keys
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.models import (
    ACTIONS,
    INVARIANTS,
    WORDS,
    Action,
    Arrival,
    Expectation,
    Input,
    Quality,
    Repeat,
    SensorEntry,
    Stamp,
    TestEntry,
    TestFile,
)
from rules.testing.run import run

TEXT = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
REGISTRY = registry_of(
    {
        "city.yaml": """
version: 1
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s}
assets:
- {id: 410100-gas-gw-000001, type: gateway}
- id: 410100-gas-mh-000001
  type: manhole
  tags: {near_sewer: true}
  sensors:
  - id: a
    device: 410100-gas-gw-000001
    channels: [{id: vol, quantity: ch4, range: [0, 5], resolution: 0.01}]
- id: 410100-water-dm-000001
  type: dma
  at: [113.60, 34.75]
  zone: dma-1
  sensors:
  - id: b
    device: 410100-gas-gw-000001
    channels:
    - {id: p, quantity: pressure, resolution: 0.1}
    - {id: q, quantity: flow, resolution: 0.1}
    - {id: l, quantity: level, resolution: 0.01}
    - {id: t, quantity: temperature, resolution: 0.1}
- id: 410100-bridge-sp-000001
  type: span
  sensors:
  - id: c
    device: 410100-gas-gw-000001
    channels:
    - {id: z, quantity: accel}
    - {id: t, quantity: temperature}
    - {id: f1, quantity: frequency,
       derived: {from: z, feature: peak_frequency, every: 10m, band: [1.9, 2.4]}}
- id: 410100-water-pu-000001
  type: pump
  attributes: {rated_flow: 300}
  sensors:
  - id: m
    device: 410100-gas-gw-000001
    channels:
    - {id: pw, quantity: power, resolution: 0.1}
    - {id: fl, quantity: flow, resolution: 0.1}
- id: 410100-water-dm-000002
  type: dma
  at: [113.61, 34.75]
  sensors:
  - id: b
    device: 410100-gas-gw-000001
    channels:
    - {id: p2, quantity: pressure, resolution: 0.1}
    - {id: p3, quantity: pressure, resolution: 0.1}
    - {id: q2, quantity: flow, resolution: 0.1}
    - {id: q3, quantity: flow, resolution: 0.1}
    - {id: q4, quantity: flow, resolution: 0.1}
"""
    }
)

VOTE = """
- {id: ch4-cluster, kind: vote, source: estimate, of: {rule: ch4-level, at_least: yellow},
   near: 50 m, need: {count: 2, min_members: 3}, within: 5m, level: red}
"""


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_page_loads_and_matches_something(number):
    rules = load_rules({"example.yaml": EXAMPLES[number]})
    plan, _ = compile_plan(rules, REGISTRY)
    assert {
        r.rule_id for r in (*plan.channel_rules, *plan.composite_rules, *plan.deadman_rules)
    } == {r.id for r in rules.rules}
    assert [r.rule_id for r in plan.quality_rules] == [c.body.id for c in rules.checks]
    assert [str(p) for p in check({"example.yaml": EXAMPLES[number]}, REGISTRY) if p.rule] == []


def test_the_page_has_examples_of_every_kind():
    whole = "\n".join(EXAMPLES)
    assert len(EXAMPLES) == 9
    for kind in KINDS:
        assert f"kind: {kind}" in whole


def test_the_page_names_every_key_there_is():
    for model in (*(kind.model for kind in KINDS.values()), ChannelSelect, DeviceSelect):
        for key in known_keys(model, ()):
            assert re.search(rf"\b{key}\b", TEXT) or key in ("alpha", "expect"), key
    for model in CHECKS.values():
        for key in known_keys(model, ()):
            assert re.search(rf"\b{key}\b", TEXT), key
    for word in (*SETTABLE, *PLACEHOLDERS):
        assert word in TEXT


def test_the_page_names_every_key_of_tests_and_its_example_passes(tmp_path):
    section = TEXT[TEXT.index("## Testing rules") : TEXT.index("## What is checked")]
    models = (TestFile, TestEntry, SensorEntry, Input, Action, Expectation)
    models += (Arrival, Stamp, Repeat, Quality)
    for model in models:
        for key in known_keys(model, ()):
            assert re.search(rf"\b{key}\b", section), (model.__name__, key)
    for word in (*INVARIANTS, *ACTIONS, *WORDS):
        assert word in section, word
    (example,) = re.findall(r"```yaml test\n(.*?)```", section, re.DOTALL)
    rules = EXAMPLES[1] + VOTE
    (tmp_path / "gas.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "gas.test.yaml").write_text(example, encoding="utf-8")
    (suite,) = read_suites([tmp_path / "gas.test.yaml"])
    (case,) = cases_of(suite)
    assert [failure.said for failure in run(case).failures] == []
