"""The runner's own promises: any tick that matters is played, and a broken invariant is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rules
from rules.engine import Engine
from rules.events import encode
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.journal import journal_of
from rules.testing.play import _Player, play
from rules.testing.run import run, settled

ROOT = Path(rules.__file__).parents[1]
FOLDERS = (ROOT / "rules" / "packs", ROOT / "lifeline" / "workbench" / "starter_rules")
FILES = sorted(s.path for s in read_suites(FOLDERS))
LONG_TICKS = 20_000
LEAK = """version: 1
rules:
- {id: high, kind: threshold, source: estimate, select: {}, unit: "%{vol}", above: {red: 2},
   for: 2m}
tests:
- name: leak
  registry: [{sensor: A, quantity: ch4}]
  input: [{sensor: A, values: "1x5 3x5 1x5"}]
  invariants: [INVARIANT]
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_ticks_played_give_the_bytes_of_all_ticks(path):
    (suite,) = read_suites([path])
    for case in cases_of(suite):
        journal = journal_of(case)
        if journal.last_tick > LONG_TICKS:
            continue
        every = play(case, journal, journal.records(np.arange(journal.last_tick + 1)))
        _, few = settled(case, journal)
        assert list(map(encode, few.events)) == list(map(encode, every.events)), case.name


@pytest.fixture
def broken(tmp_path):
    def told(invariant: str) -> list[str]:
        (tmp_path / "a.yaml").write_text(LEAK.replace("INVARIANT", invariant))
        (suite,) = read_suites([tmp_path / "a.yaml"])
        (case,) = cases_of(suite)
        return [failure.said for failure in run(case).failures]

    return told


def test_a_restart_that_forgets_is_told(broken, monkeypatch):
    assert broken("restart_anywhere") == []
    monkeypatch.setattr(Engine, "restore", lambda *_: [])
    (said,) = broken("restart_anywhere")
    assert said.startswith("restart_anywhere: restarted on the way, event 1 is nothing and not RAI")


def test_a_duplicate_that_counts_is_told(broken, monkeypatch):
    assert broken("duplicate_any") == []
    again = _Player._again

    def newer(self, rows):
        repeated = again(self, rows)
        later = repeated.judged_ns + 30_000_000_000
        return replace(repeated, sequence=repeated.sequence + 1000, judged_ns=later)

    monkeypatch.setattr(_Player, "_again", newer)
    (said,) = broken("duplicate_any")
    assert said.startswith("duplicate_any: with everything sent twice, event 1 is RAISED")


def test_events_that_depend_on_the_batch_are_told(broken, monkeypatch):
    assert broken("batch_1_7_1000") == []
    fold = Engine.fold
    monkeypatch.setattr(
        Engine, "fold", lambda self, records: fold(self, records) if len(records) != 7 else []
    )
    (said,) = broken("batch_1_7_1000")
    assert said.startswith("batch_1_7_1000: read 7 records at a time")
