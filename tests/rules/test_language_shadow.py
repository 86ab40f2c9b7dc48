"""Rules on trial in the rule language: ids apart, no live rule behind them, all of it told."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rules.language import Invalid, check, compile_plan, load_rules, rules_bytes, rules_from_bytes
from rules.language.explain import explain
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.run import run
from tests.rules.test_language_documented import EXAMPLES, REGISTRY, TEXT
from tests.rules.test_language_documented import VOTE as VOTE_EXAMPLE

HEAD = "version: 1\ndefaults: {source: estimate, max_gap: 3x}\nrules:\n"
LEVEL = '- {{id: {id}, kind: threshold, select: {{quantity: ch4}}, unit: "%{{vol}}", {more}}}\n'
VOTE = (
    "- {{id: {id}, kind: vote, of: {{rule: {of}, at_least: red}}, scope: asset, "
    "need: {{count: 1}}, level: red, {more}}}\n"
)
JOINT = (
    "- {{id: {id}, kind: any, scope: asset, level: red, "
    "inputs: {{a: {{rule: {of}, at_least: red}}}}, {more}}}\n"
)
FORECAST = (
    "- {{id: {id}, kind: forecast, select: {{quantity: ch4}}, window: 1h, "
    "limit: {{rule: {of}, level: red}}, reach_within: {{red: 1h}}, {more}}}\n"
)
FOLLOWERS = {"of": VOTE, "inputs": JOINT, "limit": FORECAST}
LIVE = LEVEL.format(id="ch4", more="above: {red: 2}")
TRIAL = LEVEL.format(id="ch4", more="above: {red: 1}")


def plan_of(live, trial=None):
    shadow = {"gas.yaml": HEAD + trial} if trial is not None else None
    return compile_plan(load_rules({"gas.yaml": HEAD + live}, shadow=shadow), REGISTRY)[0]


def problems(live, trial=None, registry=REGISTRY):
    shadow = {"gas.yaml": HEAD + trial} if trial is not None else None
    return "\n".join(map(str, check({"gas.yaml": HEAD + live}, registry, shadow=shadow)))


def test_a_rule_on_trial_is_compiled_like_any_other_and_marked():
    trial = LEVEL.format(id="ch4-new", more="above: {red: 2}, mode: shadow, shadow_of: ch4")
    live, marked = plan_of(LIVE + trial).channel_rules
    assert (live.shadow, marked.shadow, marked.beside) == (False, True, "ch4")
    assert np.array_equal(live.raise_at, marked.raise_at, equal_nan=True)


def test_rules_of_a_shadow_folder_have_ids_of_their_own_beside_their_namesakes():
    rules = {r.rule_id: r for r in plan_of(LIVE, TRIAL).channel_rules}
    assert rules.keys() == {"ch4", "shadow:ch4"}
    assert not rules["ch4"].shadow
    trial = rules["shadow:ch4"]
    assert (trial.shadow, trial.beside) == (True, "ch4")
    assert trial.raise_at[0, -1] == 1.0
    assert trial.file == "shadow/gas.yaml:4"


@pytest.mark.parametrize("key", FOLLOWERS)
def test_in_a_shadow_folder_rules_mean_each_other_and_else_the_live_ones(key):
    follower = FOLLOWERS[key].format(id="f", of="ch4", more="")
    for trial, meant in ((TRIAL + follower, "shadow:ch4"), (follower, "ch4")):
        rules = load_rules({"gas.yaml": HEAD + LIVE}, shadow={"gas.yaml": HEAD + trial})
        body = rules.rule("shadow:f").body
        found = {"of": lambda b: b.of.rule, "inputs": lambda b: b.inputs["a"].rule}
        assert found.get(key, lambda b: b.limit.rule)(body) == meant
        plan, _ = compile_plan(rules, REGISTRY)
        built = {r.rule_id: r for r in (*plan.channel_rules, *plan.composite_rules)}["shadow:f"]
        assert built.shadow
        if key == "limit":
            assert built.own["limit"][0] == (1.0 if meant == "shadow:ch4" else 2.0)
        else:
            assert built.options["of"] == meant


def test_an_override_in_a_shadow_folder_goes_on_meaning_its_own_rules():
    follower = FORECAST.format(
        id="f",
        of="ch4",
        more='overrides: [{match: {asset: "*"}, set: {window: 2h}, reason: slow}]',
    )
    plan = plan_of(LIVE, TRIAL + follower)
    (built,) = [r for r in plan.channel_rules if r.rule_id == "shadow:f"]
    assert built.own["limit"][0] == 1.0
    assert built.own["window_ns"][0] == 2 * 3600 * 10**9


@pytest.mark.parametrize("key", FOLLOWERS)
def test_a_live_rule_may_not_follow_from_one_on_trial(key):
    trial = LEVEL.format(id="t", more="above: {red: 2}, mode: shadow")
    told = problems(LIVE + trial + FOLLOWERS[key].format(id="f", of="t", more=""))
    assert "gas.yaml:6:" in told
    assert f'rule "f": {key}: t is on trial (mode: shadow), and a live rule may not follow' in told
    fine = FOLLOWERS[key].format(id="f", of="t", more="mode: shadow")
    assert "on trial" not in problems(LIVE + trial + fine)


def test_a_live_rule_that_names_a_rule_of_the_shadow_folder_knows_none():
    told = problems(VOTE.format(id="v", of="ch4", more=""), TRIAL)
    assert "unknown rule 'ch4'" in told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("mode: shadw", "mode"),
        ("shadow_of: ch4", "shadow_of is for rules on trial: add mode: shadow"),
        ("mode: shadow, shadow_of: ch5", "shadow_of: no live rule 'ch5' (did you mean \"ch4\"?)"),
        ("mode: shadow, shadow_of: new", "shadow_of: no live rule 'new'"),
    ],
)
def test_what_is_wrong_about_a_mode_is_told_with_its_place(more, said):
    told = problems(LIVE + LEVEL.format(id="new", more=f"above: {{red: 3}}, {more}"))
    assert "gas.yaml:5:" in told
    assert said in told
    assert "error" not in told


def test_a_rule_on_trial_guards_no_channel_and_a_loud_one_needs_a_live_one_beside_it():
    loud = LEVEL.format(
        id="loud",
        more="above: {red: 2}, for: {red: 0s}, fail_loud: true, over_range: red, mode: shadow",
    )
    told = problems(loud)
    assert "no rule judges 1 channel of class safety: ch4" in told
    assert 'warning: rule "loud": mode: shadow tells nobody, and no live rule watches 1' in told
    told = problems(LIVE + loud)
    assert "of class safety: ch4" not in told
    assert "tells nobody" not in told
    assert "overlaps" not in told


def test_mistakes_in_a_shadow_folder_are_told_as_its_own_and_refuse_the_whole():
    told = problems(LIVE, LEVEL.format(id="t", more="abve: {red: 1}"))
    assert "\nshadow/gas.yaml:4:" in told
    with pytest.raises(Invalid):
        plan_of(LIVE, LEVEL.format(id="t", more="abve: {red: 1}"))


def test_a_shadow_folder_has_the_levels_of_the_site_and_runs_no_checks():
    quality = "quality:\n- {id: q, kind: range, select: {quantity: ch4}, suspect: [0, 3]}\n"
    told = problems(LIVE, TRIAL + quality)
    assert "shadow/gas.yaml:5:1: warning: checks of a shadow folder are not run" in told
    rules = {"gas.yaml": HEAD + LIVE}
    other = {"gas.yaml": "levels: [blue, red]\n" + HEAD + TRIAL}
    told = "\n".join(map(str, check(rules, REGISTRY, shadow=other)))
    assert "shadow/gas.yaml:1:9: differ from those in the live rules: a site has one set" in told


def test_stored_rules_bring_their_shadows_along_and_without_them_are_as_ever():
    rules = load_rules({"gas.yaml": HEAD + LIVE}, shadow={"gas.yaml": HEAD + TRIAL})
    again = rules_from_bytes(rules_bytes(rules))
    assert again.content_hash == rules.content_hash
    assert [r.id for r in again.rules] == ["ch4", "shadow:ch4"]
    alone = load_rules({"gas.yaml": HEAD + LIVE})
    assert b"shadow" not in rules_bytes(alone)
    assert alone.content_hash != rules.content_hash


def test_a_dead_man_on_trial_is_marked():
    silent = "- {id: s, kind: deadman, select: {}, missing: {red: 10x}, mode: shadow}\n"
    (rule,) = plan_of(LIVE + silent).deadman_rules
    assert rule.shadow


def test_explanations_say_that_a_rule_is_on_trial():
    trial = LEVEL.format(id="new", more="above: {red: 2}, mode: shadow")
    rules = load_rules({"gas.yaml": HEAD + LIVE + trial})
    told = explain(rules, REGISTRY, "410100-gas-mh-000001/a/vol").rules
    assert {rule.rule: rule.mode for rule in told} == {"ch4": "live", "new": "shadow"}


def test_tests_of_rules_try_one_on_trial_as_if_it_were_live(tmp_path):
    """The test of docs/rules.md passes with its rules on trial."""
    section = TEXT[TEXT.index("## Testing rules") : TEXT.index("## What is checked")]
    (example,) = re.findall(r"```yaml test\n(.*?)```", section, re.DOTALL)
    rules = EXAMPLES[1] + VOTE_EXAMPLE
    rules = re.sub(r"^- id: ([\w-]+)\n", r"- id: \1\n  mode: shadow\n", rules, flags=re.MULTILINE)
    rules = rules.replace("kind: vote,", "kind: vote, mode: shadow,")
    (tmp_path / "gas.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "gas.test.yaml").write_text(example, encoding="utf-8")
    (suite,) = read_suites([tmp_path / "gas.test.yaml"])
    (tried,) = cases_of(suite)
    assert any(rule.shadow for rule in tried.plan.told_rules)
    assert [failure.said for failure in run(tried).failures] == []
