"""The shipped packs' own tests pass, and no rule of theirs is without: one raises, one must not."""

from __future__ import annotations

from pathlib import Path

import pytest

import rules
from rules.language import load_rules
from rules.registry_file import TEST_SUFFIXES
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.run import run

PACKS = Path(rules.__file__).parent / "packs"
NAMES = sorted(p.stem for p in PACKS.glob("*.yaml") if not p.name.endswith(TEST_SUFFIXES))


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_passes_its_tests(name):
    (suite,) = read_suites([PACKS / f"{name}.test.yaml"])
    cases = cases_of(suite)
    assert [str(p) for p in suite.problems] == []
    failed = {case.name: [f.said for f in run(case).failures] for case in cases}
    assert {name: said for name, said in failed.items() if said} == {}


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_of_a_pack_has_a_test_that_raises_it_and_one_that_must_not_fire(name):
    raised, silent = set(), set()
    (suite,) = read_suites([PACKS / f"{name}.test.yaml"])
    for case in cases_of(suite):
        for of in case.test.expect:
            if of.isa in ("UNACK", "ACKED") or of.level is not None:
                raised.add(of.rule)
        last = [of for of in case.test.expect if of.none]
        for of in last:
            plan = case.plan
            every = (*plan.channel_rules, *plan.composite_rules, *plan.deadman_rules)
            judged = {r.rule_id for r in every}
            fed = {case.registry.channels.id[row] for row in case.inputs}
            fed |= {name.partition("/")[0] for name in fed}  # some rules are about assets
            silent |= {
                rule for rule in judged if of.rule in (None, rule) and case.judged(rule) & fed
            }
            silent |= {of.rule} & {r.rule_id for r in case.plan.deadman_rules}
    every = {rule.id for rule in load_rules([PACKS / f"{name}.yaml"]).rules}
    assert every - raised == set()
    assert every - silent == set()
