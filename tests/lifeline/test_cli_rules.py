"""``lifeline rules test`` and ``rules new`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lifeline.workbench.catalogue import markdown
from rules.engine import KINDS as ENGINE_KINDS
from rules.language import load_rules
from rules.language.kinds import KINDS
from tests.terminal import lifeline

FILE = """
rule_files: [gas.yaml]
registry:
- {sensor: A, quantity: ch4}
tests:
- name: two is red
  input: [{sensor: A, values: "1 2 0x9"}]
  expect:
  - {at: 0s, rule: high, sensor: A, isa: NORM}
  - {at: 1m, rule: high, sensor: A, isa: UNACK, level: red}
  events: golden/two.jsonl
- name: three is wrong
  input: [{sensor: A, values: "1 1 0x9"}]
  expect:
  - {at: 1m, rule: high, sensor: A, isa: UNACK, level: red}
"""
RULES = """version: 1
rules:
- {id: high, kind: threshold, source: estimate, select: {}, unit: "%{vol}", above: {red: 2}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "gas.yaml").write_text(RULES)
    (tmp_path / "gas.test.yaml").write_text(FILE)
    return tmp_path


def test_golden_files_are_written_on_demand_and_compared_to_the_byte(folder):
    ran = lifeline("rules", "test", folder, "-k", "two")
    assert ran.returncode == 1
    assert "there is no such file yet: write it with --update-golden" in ran.stdout
    ran = lifeline("rules", "test", folder, "-k", "two", "--update-golden")
    assert (ran.returncode, "two.jsonl" in ran.stdout) == (0, True)
    golden = folder / "golden" / "two.jsonl"
    lines = golden.read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["RAISED", "CLEARED"]
    assert lifeline("rules", "test", folder, "-k", "two").returncode == 0
    golden.write_text(golden.read_text().replace("RAISED", "REISED"))
    ran = lifeline("rules", "test", folder, "-k", "two")
    assert ran.returncode == 1
    assert "golden/two.jsonl:1: expected" in ran.stdout


def test_a_failure_shows_reason_and_picture_and_ends_with_1(folder):
    reports = ("--json", folder / "r.json", "--junit", folder / "r.xml")
    ran = lifeline("rules", "test", folder / "gas.test.yaml", "-k", "three", *reports)
    assert ran.returncode == 1
    said = "at 1m expected red UNACK, got NORM: the last sample (1m: 1) is below red, 2"
    assert f"gas.test.yaml:15: {said}" in ran.stdout
    for piece in ("high on A %{vol}", "red├", "got ···", "expected", "R!"):
        assert piece in ran.stdout
    assert "1 tests: 0 passed, 1 failed; 0 errors in files" in ran.stdout
    (test,) = json.loads((folder / "r.json").read_text())["tests"]
    assert (test["passed"], test["line"], len(test["failures"])) == (False, 12, 1)
    suite = ET.parse(folder / "r.xml").getroot()[0]  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


def test_errors_in_files_end_with_2_and_the_others_still_run(folder):
    (folder / "bad.test.yaml").write_text(FILE.replace("expect:", "expct:"))
    ran = lifeline("rules", "test", folder, "--junit", folder / "r.xml")
    assert ran.returncode == 2
    assert 'bad.test.yaml:8:3: test "two is red": unknown key "expct" (did you mean' in ran.stdout
    assert "three is wrong" in ran.stdout
    assert ET.parse(folder / "r.xml").find(".//error") is not None  # noqa: S314


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "no such file or folder"),
        ((".",), "holds no test: write a file NAME.test.yaml"),
        (("gas.test.yaml", "-k", "nine"), "no test's name holds 'nine'"),
    ],
)
def test_nothing_to_run_is_an_error_in_a_line(folder, tmp_path_factory, words, said):
    empty = tmp_path_factory.mktemp("empty")
    (empty / "x.yaml").write_text(RULES)
    first = {"nowhere": empty / "nowhere", ".": empty}.get(words[0], folder / words[0])
    ran = lifeline("rules", "test", first, *words[1:])
    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_starter_that_passes_check_and_test(tmp_path, kind):
    path = tmp_path / f"{kind}.yaml"
    assert lifeline("rules", "new", kind, "--out", path).returncode == 0
    ran = lifeline("rules", "check", path)
    assert (ran.returncode, "0 errors, 0 warnings" in ran.stderr) == (0, True), ran.stderr
    ran = lifeline("rules", "test", path)
    assert (ran.returncode, "2 passed, 0 failed" in ran.stdout) == (0, True), ran.stdout
    assert f"kind: {kind}" in path.read_text()


def test_starters_are_of_all_kinds_but_the_condition_within_others():
    assert set(ENGINE_KINDS) - set(KINDS) == {"stat"}


def test_a_starter_never_overwrites_and_an_unknown_kind_is_told(tmp_path):
    assert lifeline("rules", "new", "rate", "--out", tmp_path / "r.yaml").returncode == 0
    ran = lifeline("rules", "new", "rate", "--out", tmp_path / "r.yaml")
    assert (ran.returncode, "is there already" in ran.stderr) == (2, True)
    ran = lifeline("rules", "new", "ratte", "--out", tmp_path / "s.yaml")
    assert (ran.returncode, 'did you mean "rate"' in ran.stderr) == (2, True)
    ran = lifeline("rules", "new", "rate", "--out", tmp_path / "no" / "s.yaml")
    assert (ran.returncode, "no such folder" in ran.stderr) == (2, True)


def test_the_page_of_shipped_rules_is_as_the_packs_are(tmp_path):
    """Made anew by: lifeline rules list rules/packs --markdown docs/packs.md --title …"""
    root = Path(__file__).parents[2]
    rules = load_rules(root / "rules" / "packs")
    page = markdown(rules, title="The shipped rules", folder="rules/packs")
    assert (root / "docs" / "packs.md").read_text(encoding="utf-8") == page
    ran = lifeline("rules", "list", root / "rules" / "packs", "--json", tmp_path / "l.json")
    assert ran.returncode == 0
    rows = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert [row["rule"] for row in rows] == [rule.id for rule in rules.rules]
    assert f"{len(rows)} rules, " in ran.stdout
    assert {row["status"] for row in rows} == {"stable", "trial"}
