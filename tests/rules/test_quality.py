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
from rules.readings import Record
from tests.journal_quality import OWN, quality_of
from tests.journals import Case, case
from tests.oracle import Oracle
from tests.oracle_quality import ORDER
from tests.small_city import SECOND_NS, plan_of, readings_of, registry_of, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def drifting(random: Random) -> list[dict[str, Any]]:
    """One channel whose value moves little from row to row and far in the long run."""
    x, t, rows = 5.0, 0.0, []
    for i in range(400):
        x += random.choice((0.0, 0.0, 0.25, -0.25, 0.5))
        t += random.choice((1, 1, 1, 4))
        rows.append({"channel": 0, "judged_ns": seconds(t), "value": x, "sequence": i})
    return rows


def test_a_slow_drift_parts_the_runs_of_stuck_where_the_twin_says() -> None:
    for seed in range(12):
        random = Random(f"drift {seed}")
        own = {"tolerance": random.choice((0.5, 1.0, 2.0)), "suspect_ns": 3 * SECOND_NS}
        own |= {"fail_ns": 7 * SECOND_NS, "quiet_lo": 5.0, "quiet_hi": 5.0}
        rule = quality_of("q", "stuck", max_gap_s=random.choice((3, 60)), **own)
        size = random.choice((1, 3, 400))
        rows = drifting(random)
        parts = [rows[i : i + size] for i in range(0, 400, size)]
        records = [Record(i, readings_of(part)) for i, part in enumerate(parts)]
        drawn = Case(registry_of([0]), plan_of(quality_rules=(rule,)), records)
        oracle = Oracle(drawn.plan, drawn.registry)
        oracle.fold(drawn.records)
        assert len(oracle.quality.flags) > 20
        assert folded(drawn, [records])[0] == oracle.quality.flags, f"seed {seed}"
        assert folded(drawn, cut(records, 2))[0] == oracle.quality.flags, f"seed {seed}"


def test_a_clock_epoch_of_rows_that_are_none_for_a_check_breaks_it_all_the_same() -> None:
    own = {"tolerance": 1.0, "suspect_ns": 5 * SECOND_NS, "fail_ns": 900 * SECOND_NS}
    own |= {"quiet_lo": np.inf, "quiet_hi": -np.inf}
    rules = (quality_of("gap", "gap", max_gap_s=30), quality_of("stuck", "stuck", **own))
    # the clock was an hour ahead; three frames with rising sequence and no value open the epoch
    told = [(3600, 5.0), (3604, 5.0), (0, np.nan), (2, np.nan), (4, np.nan), (3608, 5.0)]
    told += [(3612, 5.0), (3616, 5.0)]
    records = [
        Record(i, readings_of([{"channel": 0, "judged_ns": seconds(t), "value": x, "sequence": i}]))
        for i, (t, x) in enumerate(told)
    ]
    drawn = Case(registry_of([0]), plan_of(quality_rules=rules), records)
    oracle = Oracle(drawn.plan, drawn.registry)
    events = oracle.fold(records)
    assert [event.type for event in events] == ["CLOCK_EPOCH"]
    for size in (1, 4, 5, 8):
        flags, marks = folded(drawn, cut(records, size))
        assert flags == oracle.quality.flags
        # the row at 3608 comes long after that at 4; without the epoch it would be stuck already
        assert [(rule, g >> 24) for _, rule, _, g, _ in marks] == [("gap", 5), ("stuck", 7)]
