"""The quality stage gives the flags and marks of its slow twin, however the journal is cut."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rules.engine import Engine
from rules.engine.quality import QUALITY_KINDS
from rules.engine.snapshot import from_bytes, to_bytes
from tests.journal_quality import OWN
from tests.journals import Case, case
from tests.oracle import Oracle
from tests.oracle_quality import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.readings import Record

SEEDS = 60
Word = tuple[int, str, int, int, int]
Flag = tuple[int, int, int, bool]


def drawn_of(seed: int, steps: int = 60) -> Case:
    """A journal whose plan has checks."""
    random = Random(f"quality {seed}")
    while True:
        drawn = case(random, steps=steps, kinds=("threshold",))
        if drawn.plan.quality_rules:
            return drawn


def said(engine: Engine) -> tuple[list[Flag], list[Word]]:
    """What the stage said in the last fold, as plain tuples."""
    f, m = engine.quality.flags(), engine.quality.marks()
    flags = [f.g.tolist(), f.channel.tolist(), f.flag.tolist(), f.usable.tolist()]
    marks: list[Any] = [m.at.tolist(), m.rule.tolist(), m.channel.tolist(), m.g.tolist()]
    marks.append(m.flag.tolist())
    return list(zip(*flags, strict=True)), list(zip(*marks, strict=True))


def folded(
    drawn: Case, batches: Iterable[list[Record]], *, restart: bool = False
) -> tuple[list[Flag], list[Word]]:
    engine = Engine(drawn.plan, drawn.registry)
    flags, marks = [], []
    for batch in batches:
        engine.fold(batch)
        now = said(engine)
        flags += now[0]
        marks += now[1]
        if restart:
            state = from_bytes(to_bytes(engine.snapshot()))
            engine = Engine(drawn.plan, drawn.registry)
            engine.restore(state)
    return flags, marks


def cut(records: list[Record], size: int) -> list[list[Record]]:
    return [records[start : start + size] for start in range(0, len(records), size)]


def test_every_check_has_random_parameters_and_a_slow_twin() -> None:
    assert set(QUALITY_KINDS) == set(OWN) == set(ORDER)


@pytest.mark.parametrize("start", range(0, SEEDS, 10))
def test_flags_and_marks_equal_those_of_the_slow_twin(start: int) -> None:
    for seed in range(start, start + 10):
        drawn = drawn_of(seed)
        oracle = Oracle(drawn.plan, drawn.registry)
        oracle.fold(drawn.records)
        flags, marks = folded(drawn, [drawn.records])
        assert flags == oracle.quality.flags, f"seed {seed}"
        assert marks == sorted(oracle.quality.marks), f"seed {seed}"


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_of_any_size_give_the_same_flags_and_marks(size: int) -> None:
    for seed in range(6):
        drawn = drawn_of(seed)
        whole = folded(drawn, [drawn.records])
        assert whole[0]
        assert folded(drawn, cut(drawn.records, size)) == whole, f"seed {seed}"


def test_a_restart_at_every_record_gives_the_same_flags_and_marks() -> None:
    for seed in range(3):
        drawn = drawn_of(seed)
        once = folded(drawn, cut(drawn.records, 1), restart=True)
        assert once == folded(drawn, [drawn.records]), f"seed {seed}"


def test_the_journals_reach_every_word_a_check_can_say() -> None:
    """A journal that never gets there proves nothing."""
    seen: Counter[tuple[str, str, int]] = Counter()
    for seed in range(SEEDS):
        drawn = drawn_of(seed)
        kinds = {rule.rule_id: rule.kind for rule in drawn.plan.quality_rules}
        flags, marks = folded(drawn, [drawn.records])
        for at, rule, _, g, flag in marks:
            seen[kinds[rule], "later" if at > g else "at once", flag] += 1
        seen["range", "unusable", 0] += sum(not usable for *_, usable in flags)
    for kind in ORDER:
        assert seen[kind, "at once", 3] > 40, kind
    for kind in ("range", "stuck"):
        assert seen[kind, "at once", 4] > 40, kind
    for kind in ("spike", "dropout"):
        for flag in (1, 4):
            assert seen[kind, "later", flag] > 20, (kind, flag)
    assert seen["spike", "later", 3] > 20
    assert seen["range", "unusable", 0] > 20


def test_no_word_ever_makes_a_flag_better() -> None:
    for seed in range(10):
        drawn = drawn_of(seed)
        sent = {
            (record.offset << 24) + i: int(flag)
            for record in drawn.records
            if hasattr(record.body, "qc_flag")
            for i, flag in enumerate(record.body.qc_flag)
        }
        flags, _ = folded(drawn, [drawn.records])
        assert all(flag >= sent[g] for g, _, flag, _ in flags)
        assert np.all(np.diff([g for g, *_ in flags]) > 0)
