"""What is explained is what the engine is told, and stands where it is said to stand."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.language import compile_plan, load_rules
from rules.language.explain import explain
from rules.quantities import canonical
from rules.registry_file import registry_of
from simulators.city import generate
from simulators.recording import shipped_rules

LEVELS = ("blue", "yellow", "orange", "red")
REGISTRY = registry_of({n: yaml.dump(d, allow_unicode=True) for n, d in generate().items()})
GAS = [
    c for c, q in zip(REGISTRY.channels.id, REGISTRY.channels.quantity, strict=True) if q == "ch4"
]
ASSET = GAS[0].split("/", maxsplit=1)[0]


def check_all(rules, registry, channel, plan) -> int:
    """Compare each explained value with the plan's arrays, looked up by hand; count them."""
    compared = 0
    row = registry.channel_row[channel]
    levels = [level.name for level in plan.levels]
    built = {(r.rule_id, r.side): r for r in (*plan.channel_rules, *plan.composite_rules)}
    for held in explain(rules, registry, channel).rules:
        if held.kind == "deadman":
            continue
        rule = built[held.rule, held.side]
        at = rule.channel.tolist().index(row)
        tables = {"clear": rule.clear_at, "keep_firing_for": rule.keep_ns / 1e9}
        for meant in held.values:
            head, _, level = meant.key.partition(".")
            if meant.key == "max_gap":
                assert meant.value == rule.max_gap_ns[at] / 1e9
            elif level in levels and head != "for":
                assert meant.value == tables.get(head, rule.raise_at)[at, levels.index(level)]
            else:
                continue
            compared += 1
    return compared


@pytest.mark.parametrize("share", range(4))
def test_the_shipped_rules_on_the_demo_city(share):
    """Every value, for channels of every asset type and quantity."""
    rules = load_rules(shipped_rules())
    c, a = REGISTRY.channels, REGISTRY.assets
    sorts = {}
    for row, name in enumerate(c.id):
        if c.alive[row]:
            sorts.setdefault((a.asset_type[c.asset[row]], c.quantity[row]), name)
    plan, _ = compile_plan(rules, REGISTRY)
    names = sorted(sorts.values())[share::4]
    assert sum(check_all(rules, REGISTRY, name, plan) for name in names) > 20


@st.composite
def rule_files(draw):
    """A gas rule whose values come from defaults, a template, itself and overrides."""
    limits = draw(st.lists(st.integers(5, 95), min_size=4, max_size=4, unique=True))
    limits = dict(zip(LEVELS, sorted(limits), strict=True))
    where = {
        key: draw(st.sampled_from(("defaults", "template", "rule", "nowhere")))
        for key in ("max_gap", "keep_firing_for")
    }
    texts = {"max_gap": draw(st.sampled_from(("2x", "10m"))), "keep_firing_for": "7m"}
    hysteresis = draw(st.sampled_from(("template", "rule", "nowhere")))

    def lines(place: str, indent: str) -> str:
        held = [f"{indent}{k}: {texts[k]}\n" for k, at in where.items() if at == place]
        held += [f"{indent}hysteresis: 0.5\n" for _ in [0] if hysteresis == place]
        return "".join(held)

    matches = {
        "tags": "{tags: {near_sewer: true}}",
        "asset": f"{{asset: {GAS[0].split('/')[0]}}}",
        "channel": f"{{channel: {GAS[0]}}}",
        "other": f"{{channel: {GAS[1]}}}",
    }
    overrides = draw(st.lists(st.sampled_from(sorted(matches)), max_size=4))
    text = "version: 1\ndefaults:\n  source: estimate\n" + lines("defaults", "  ")
    text += "templates:\n  gas:\n    runbook: https://x\n" + lines("template", "    ")
    text += "rules:\n- id: gas\n  extends: gas\n  kind: threshold\n  select: {quantity: ch4}\n"
    text += '  unit: "%{LEL}"\n'
    text += f"  above: {{{', '.join(f'{k}: {v}' for k, v in limits.items())}}}\n" + lines(
        "rule", "  "
    )
    if overrides:
        text += "  overrides:\n"
    for number, name in enumerate(overrides):
        level = draw(st.sampled_from(LEVELS))
        value = limits[level] + 0.01 * (number + 1)
        text += f"  - match: {matches[name]}\n    set: {{above.{level}: {value:.2f}}}\n"
        text += f"    reason: reason {number}\n"
    return text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=rule_files(), which=st.integers(0, 2))
def test_what_is_explained_is_what_the_plan_holds_and_stands_where_it_is_said(text, which):
    """Values equal the plan's arrays; the text at the place told means the same value."""
    rules = load_rules({"gas.yaml": text})
    channel = GAS[which]
    assert check_all(rules, REGISTRY, channel, compile_plan(rules, REGISTRY)[0]) >= 13
    (held,) = explain(rules, REGISTRY, channel).rules
    lines = text.splitlines()
    for meant in held.values:
        for said in (meant.said, *meant.before):
            if not said.at:
                continue
            _, line, column = said.at.split(":")
            stands = lines[int(line) - 1][int(column) - 1 :]
            written = said.text.removeprefix("hysteresis ")
            assert stands.lstrip("\"'").startswith(written)
        if meant.key.startswith("above."):
            assert meant.value == canonical("ch4", "%{LEL}", float(meant.said.text))


def test_an_override_says_what_it_overrode_and_why_another_does_not_hold():
    text = f"""version: 1
rules:
- id: gas
  kind: threshold
  source: estimate
  select: {{quantity: ch4}}
  unit: "%{{LEL}}"
  above: {{blue: 10, red: 50}}
  overrides:
  - {{match: {{channel: {GAS[0]}}}, set: {{above.blue: 12}}, reason: a sewer, until: "2026-01-01"}}
  - {{match: {{asset: {ASSET}}}, set: {{above.blue: 15}}, reason: a pump}}
  - {{match: {{channel: {GAS[1]}}}, set: {{above.red: 40}}, reason: a school}}
- id: water
  kind: threshold
  source: estimate
  select: {{domain: water, quantity: pressure}}
  below: {{red: 100 kPa}}
"""
    rules = load_rules({"r.yaml": text}, today="2026-06-01")
    found = explain(rules, REGISTRY, GAS[0])
    blue = {m.key: m for m in found.rules[0].values}["above.blue"]
    assert (blue.said.by, blue.said.text, blue.said.reason) == ("override 2", "15", "a pump")
    assert [(b.by, b.text, b.at) for b in blue.before] == [("rule", "10", "r.yaml:8:17")]
    assert found.idle["r.yaml:10:5"] == "gas: over since 2026-01-01"
    assert "channel is" in found.idle["r.yaml:12:5"]
    domain = REGISTRY.assets.domain[REGISTRY.channels.asset[REGISTRY.channel_row[GAS[0]]]]
    assert found.others["water"] == (
        f"domain is {domain!r}, not water; quantity is 'ch4', not pressure"
    )
    assert np.isclose(blue.value, 0.75)
