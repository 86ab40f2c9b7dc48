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
    stopping = [p for p in problems if p.severity == "error" and not p.unreachable]
    if stopping:
        with pytest.raises(Invalid):
            compile_plan(load_rules(case.sources, today=case.today), REGISTRY)
    else:
        compile_plan(load_rules(case.sources, today=case.today), REGISTRY)


def test_a_level_out_of_reach_is_an_error_of_the_files_and_stops_no_city():
    """A new sensor with a smaller range must not silence the others at the next start."""
    unreachable = [
        case
        for case in CASES
        if any(p.unreachable for p in check(case.sources, REGISTRY, today=case.today))
    ]
    assert len(unreachable) >= 8
    for case in unreachable:
        problems = check(case.sources, REGISTRY, today=case.today)
        assert {p.severity for p in problems if p.unreachable} == {"error"}, case.name
        _, warnings = compile_plan(load_rules(case.sources, today=case.today), REGISTRY)
        assert {p.severity for p in warnings if p.unreachable} == {"warning"}, case.name


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
