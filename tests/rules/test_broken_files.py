"""Every way a rule file is known to be broken, and what is said of it: the corpus ``broken/``."""

from __future__ import annotations

import re

import pytest

from rules.language import Invalid, check, compile_plan, load_rules
from tests.rules.broken_files import FOLDER, REGISTRY, cases

CASES = cases()
WHOLE_FILE = ("runbooks/Gas Leak.md: is no name",)
"""What is said of a whole file has no line."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said_of_a_broken_file_is_exactly_this(case):
    told = [str(p) for p in check(case.sources, REGISTRY, today=case.today)]
    assert told == case.told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_errors_stop_the_rules_and_warnings_do_not(case):
    problems = check(case.sources, REGISTRY, today=case.today)
    if any(p.severity == "error" for p in problems):
        with pytest.raises(Invalid):
            compile_plan(load_rules(case.sources, today=case.today), REGISTRY)
    else:
        compile_plan(load_rules(case.sources, today=case.today), REGISTRY)


def test_every_line_names_file_line_and_column():
    for case in CASES:
        assert case.told, case.name
        for line in case.told:
            placed = re.match(r"[\w./ -]+:[1-9]\d*:[1-9]\d*: \S", line)
            assert placed or line.startswith(WHOLE_FILE), line
            assert "\n" not in line


def test_the_corpus_is_whole():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 400
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= {
        "yaml_text", "file", "rule", "limits", "overrides", "kinds", "across", "quality",
    }  # fmt: skip
