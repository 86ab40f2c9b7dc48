"""The tutorials are true: their files and commands, in order, give what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terminal import lifeline

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ("tutorial-rules.md", "tutorial-rules.zh-CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = 0
    for kind, name, body in FENCE.findall((DOCS / page).read_text(encoding="utf-8")):
        if kind == "yaml":
            file, _, more = name.partition(" ")
            with Path(file).open("a" if more == "+" else "w", encoding="utf-8") as held:
                held.write(body)
            continue
        assert kind == "console"
        command, *told = body.splitlines()
        words = command.removeprefix("$ lifeline ").split()
        ran = lifeline(*words)
        assert ran.returncode == (1 if any("1 failed" in line for line in told) else 0), ran
        for line in told:
            assert line in ran.stdout + ran.stderr
        commands += 1
    assert commands >= 2


def test_both_tutorials_are_linked_from_each_other():
    english, chinese = [(DOCS / page).read_text(encoding="utf-8") for page in PAGES]
    assert PAGES[1] in english
    assert PAGES[0] in chinese
