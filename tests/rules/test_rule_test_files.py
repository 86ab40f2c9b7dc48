"""Test files of rules that are wrong: told with place and remedy, all at once, within a second."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from rules.language import check, load_rules
from rules.problems import Invalid
from rules.testing.cases import cases_of
from rules.testing.entries import MAX_PROBLEMS
from rules.testing.files import read_suites
from rules.testing.run import run

if TYPE_CHECKING:
    from pathlib import Path

RULES = """version: 1
rules:
- {id: high, kind: threshold, source: estimate, select: {quantity: ch4}, unit: "%{vol}", above: {red: 2}}
- {id: other, kind: threshold, source: estimate, select: {domain: water}, unit: kPa, above: {red: 2}}
"""  # noqa: E501 - one rule a line
HEAD = """rule_files: [gas.yaml]
registry:
- {sensor: A, quantity: ch4}
tests:
"""
INSIDE = """tests:
- name: two is red
  registry: [{sensor: A, quantity: ch4}]
  input: [{sensor: A, values: "1 2"}]
  expect: [{at: 1m, rule: high, sensor: A, isa: UNACK}]
"""


def problems(tmp_path: Path, text: str, rules: str = RULES) -> list[str]:
    (tmp_path / "gas.yaml").write_text(rules)
    (tmp_path / "a.test.yaml").write_text(text)
    (suite,) = read_suites([tmp_path / "a.test.yaml"])
    for case in cases_of(suite):
        try:
            run(case)
        except Invalid as invalid:
            return [str(p) for p in invalid.problems]
    return [str(p) for p in suite.problems]


def case(expect: str = "{at: 1m, none: true}", more: str = "") -> str:
    entry = f'- name: it\n  input: [{{sensor: A, values: "1 2"{more}}}]\n'
    return f"{HEAD}{entry}  expect:\n  - {expect}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            case("{at: 1m, rule: hihg, isa: NORM}"),
            "8:20: test \"it\": unknown rule 'hihg' (did you",
        ),
        (case("{at: 1m, rule: other, none: true}"), "judges nothing in the test's registry"),
        (case("{at: 1m, rule: high, sensor: B, isa: NORM}"), "unknown sensor 'B'"),
        (case("{at: 1m, rule: high, asset: A, isa: NORM}"), "does not judge it, it judges A"),
        (case("{at: 1m, rule: high, level: purple}"), "unknown level 'purple'"),
        (case("{at: 1m, rule: high, isa: UNAK}"), "unknown 'UNAK' (did you mean \"UNACK\""),
        (case("{at: 1m, rule: high}"), "expects nothing"),
        (case("{at: 1m, none: true, level: red}"), "never fired, so level cannot be"),
        (case("{at: 1m, rul: high, none: true}"), '8:14: test "it": unknown key "rul" (did you'),
        (case("{at: 90, none: true}"), "90 has no unit of time: write 90s"),
        (case(more=", valus: 1"), 'unknown key "valus"'),
        (case(more=", arrive: {by: -1s}"), "cannot come before it was measured"),
        (case(more=", arrive: {from: 1m, at: 30s}"), "the sample of 1m would come before"),
        (case(more=", arrive: {from: 1m}"), "needs either by: +90s or at: 20m"),
        (case(more=", quality: {flag: bad}"), "unknown 'bad'"),
        (case(more=", block: 1s, stamp: {by: 1s}"), "stamp does not go with block"),
        (case(more=", interval: 0s"), "must be longer than 0s"),
        (
            case().replace("{sensor: A, quantity: ch4}", "{sensor: A, quantity: ch}"),
            "unknown quant",
        ),
        (case().replace("quantity: ch4", "quantity: ch4, unit: kPa"), "3:36: unit 'kPa' does not"),
        (case().replace("ch4}\n", "ch4}\n- {sensor: A, quantity: co}\n"), "stands twice"),
        (
            case().replace("ch4}\n", "ch4}\n- {sensor: B, quantity: co, asset: A, zone: x}\n"),
            "has no",
        ),
        (
            HEAD + "- {name: a, expect: [{at: 1m, none: true}]}\n" * 2,
            "the name stands twice, first",
        ),
        (HEAD + "- {name: a}\n", "expects nothing: write expect:, events: or invariants:"),
        (HEAD + "- {name: a, events: ../x}\n", "must lie beside the test file"),
        (case().replace("gas.yaml", "gus.yaml"), "1:14: 'gus.yaml': no such file"),
        (case() + "start: 2026-11-20\n", "with its zone: write"),
        (case() + 'start: "9999-01-01T00:00:00Z"\n', "no time of 2000 to 2099 with its zone"),
        (case("{at: 1m, none: yes}"), "YAML reads yes as true or false"),
        (case("{at: 22:30, none: true}"), "YAML reads 22:30 as a number to base 60"),
        (case() + "  actions: [{at: 1m, do: assign, rule: high}]\n", "not supported yet: assign"),
        (case() + "  actions: [{at: 1m, do: shelve, rule: high}]\n", 'key "for" is missing'),
        (
            case() + "  actions: [{at: 1m, do: shelve, rule: high, for: 1h}]\n",
            'key "reason" is missing',
        ),
        (
            case() + "  actions: [{at: 1m, do: ack, rule: high, for: 1h}]\n",
            "for and reason are of do: shelve, not of ack",
        ),
        ("[]\n", "must be a mapping with rule_files and tests"),
        ("rule_files: [gas.yaml]\n", 'key "tests" is missing'),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(tmp_path, text, said):
    if said == "has no":  # an asset's second sensor may say more of it, not something else
        assert problems(tmp_path, text) == []
        text = text.replace("zone: x", "domain: water")
        text = text.replace("{sensor: A, q", "{sensor: A, domain: gas, q")
        said = "asset 'A' has domain 'gas' above"
    found = problems(tmp_path, text)
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("a.test.yaml:") for problem in found)


def test_a_rule_files_own_problems_are_told_as_always(tmp_path):
    found, *_ = problems(tmp_path, case(), RULES.replace("red: 2", "rad: 2", 1))
    assert found.startswith("gas.yaml:3:")


def test_all_mistakes_of_a_file_are_told_at_once_and_at_most_a_hundred(tmp_path):
    text = HEAD + "- {name: a, inpot: 1}\n- {name: b, expect: [{at: x}], start: noon}\n"
    assert len(problems(tmp_path, text)) == 2
    text = HEAD + "".join(f"- {{name: n{i}}}\n" for i in range(5000))
    assert MAX_PROBLEMS <= len(problems(tmp_path, text)) <= MAX_PROBLEMS + 2


def test_tests_may_stand_in_the_rule_file_and_are_as_strict_there(tmp_path):
    (tmp_path / "gas.yaml").write_text(RULES + INSIDE)
    (suite,) = read_suites([tmp_path])
    (found,) = cases_of(suite)
    assert run(found).failures == ()
    assert len(load_rules(tmp_path).rules) == 2
    (tmp_path / "gas.yaml").write_text(RULES + INSIDE.replace("expect", "expct"))
    assert any('unknown key "expct"' in str(p) for p in check(tmp_path))
    (tmp_path / "gas.yaml").write_text(RULES + INSIDE.replace("  registry", "  # registry"))
    assert any('key "registry" is missing' in str(p) for p in check(tmp_path))


def test_a_rule_file_without_tests_is_told_when_it_is_named(tmp_path):
    (tmp_path / "gas.yaml").write_text(RULES)
    (suite,) = read_suites([tmp_path / "gas.yaml"])
    (problem,) = suite.problems
    assert "holds no tests: write them" in str(problem)


def test_test_files_beside_the_rules_are_no_rules(tmp_path):
    (tmp_path / "gas.yaml").write_text(RULES)
    (tmp_path / "gas.test.yaml").write_text(case())
    assert list(load_rules(tmp_path).sources) == ["gas.yaml"]


def test_real_registry_files_serve_as_well(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "city.yaml").write_text(
        "version: 1\ndevices:\n- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, "
        "codec: compact, asset: 410100-gas-mh-000001, every: 60s}\nassets:\n"
        "- id: 410100-gas-mh-000001\n  type: manhole\n  sensors:\n  - {id: c, "
        "device: 410100-gas-gw-000001, channels: [{id: vol, quantity: ch4}]}\n"
    )
    text = case("{at: 1m, rule: high, sensor: c/vol, isa: UNACK}").replace(
        "sensor: A, v", "sensor: c, v"
    )
    text = text.replace("registry:\n- {sensor: A, quantity: ch4}\n", "registry_folder: registry\n")
    assert problems(tmp_path, text) == []


BOMBS = {
    "100 MB": (HEAD + "# x\n" * 25_000_000, "100 MB, more than 1 MiB: split it"),
    "aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n"
            for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "aliases unfold to more than",
    ),
    "copies": (
        HEAD
        + f"- name: x\n  input: &a [{','.join(['{sensor: A}'] * 2000)}]\n"
        + "- {name: y, input: *a}\n" * 50,
        'key "values" is missing',
    ),
    "deep": (HEAD + "[" * 100_000, "nested deeper than 32"),
    "values": (case().replace("1 2", "0x1000000000"), "more than 500000 samples"),
    "years": (case(more=", interval: 1d").replace("1 2", "0x99999"), "take a shorter interval"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_little_memory(tmp_path, name):
    text, said = BOMBS[name]
    (tmp_path / "gas.yaml").write_text(RULES)
    (tmp_path / "a.test.yaml").write_text(text)
    began = time.process_time()
    (suite,) = read_suites([tmp_path / "a.test.yaml"])
    found = [str(p) for p in suite.problems]
    for each in cases_of(suite):
        with pytest.raises(Invalid) as refused:
            run(each)
        found = [str(p) for p in refused.value.problems]
    assert time.process_time() - began < 1
    assert any(said in problem for problem in found), found[:3]
    assert max(map(len, found)) < 300
    tracemalloc.start()
    for each in read_suites([tmp_path / "a.test.yaml"]):
        cases_of(each)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_votes_that_are_busy_for_too_long_are_refused(tmp_path):
    rules = RULES + "- {id: v, kind: vote, source: estimate, of: {rule: high, at_least: red}, "
    rules += "scope: zone, need: {count: 1}, within: 40d, level: red}\n"
    text = case("{at: 60d, rule: high, isa: RTNUN}", ", interval: 1d").replace("1 2", "1 2 0x60")
    (found,) = problems(tmp_path, text.replace("ch4}", "ch4, zone: z}"), rules)
    assert "vote, all, any or sequence are busy for more than 34d" in found
