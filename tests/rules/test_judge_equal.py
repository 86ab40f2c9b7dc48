"""The judge gives the verdicts of its slow twin on any cut of the journal."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rules.judge as fast
import tests.oracle_judge as slow
from rules.readings import Readings, position
from tests.journals import DEVICES, case
from tests.oracle import rows_of

if TYPE_CHECKING:
    from rules.readings import Record

WORDS = {
    fast.JUDGED: slow.JUDGED,
    fast.DUPLICATE: slow.DUPLICATE,
    fast.LATE: slow.LATE,
    fast.CONFLICT: slow.CONFLICT,
    fast.HEARD: slow.HEARD,
}
Mark = tuple[int, str, bool]  # position, verdict, whether an epoch opens before the row


def readings_in(random: Random, *, steps: int = 45) -> list[Record]:
    return [r for r in case(random, steps=steps).records if isinstance(r.body, Readings)]


def by_the_twin(records: list[Record]) -> list[Mark]:
    judge, marks = slow.NaiveJudge(), []
    for record in records:
        rows = rows_of(record.offset, record.body)
        judge.mark(rows)
        marks += [(position(r.offset, r.row), r.verdict, r.opens_epoch) for r in rows]
    return marks


def by_the_judge(records: list[Record], batch: int, *, restart: bool = False) -> list[Mark]:
    judge, marks = fast.Judge(len(DEVICES)), []
    for start in range(0, len(records), batch):
        part = records[start : start + batch]
        g = np.concatenate([position(r.offset) + np.arange(len(r.body)) for r in part])
        told = judge.mark(Readings.concatenate([r.body for r in part]), g)
        opens = set(told.epoch_rows.tolist())
        words = [WORDS[v] for v in told.verdict.tolist()]
        marks += [(int(at), w, i in opens) for i, (at, w) in enumerate(zip(g, words, strict=True))]
        if restart:
            state = judge.state()
            judge = fast.Judge(1)
            judge.restore(state)
    return marks


@pytest.mark.parametrize("batch", [1, 3, 10_000])
def test_the_judge_equals_its_slow_twin_at_any_cut(batch: int) -> None:
    for seed in range(30):
        records = readings_in(Random(seed))
        assert by_the_judge(records, batch) == by_the_twin(records), f"seed {seed}"


def test_the_judge_goes_on_after_a_restart_at_every_record() -> None:
    for seed in range(15):
        records = readings_in(Random(seed))
        assert by_the_judge(records, 1, restart=True) == by_the_twin(records), f"seed {seed}"


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), steps=st.integers(1, 10), batch=st.integers(1, 9))
def test_the_judge_equals_its_slow_twin_wherever_hypothesis_looks(
    random: Random, steps: int, batch: int
) -> None:
    records = readings_in(random, steps=steps)
    if records:
        assert by_the_judge(records, batch) == by_the_twin(records)


def replaced_in_the_middle(records: list[Record]) -> list[Record]:
    """The same deliveries, all devices replaced by others half way: boots and sequences go on."""
    middle = len(records) // 2
    return [
        replace(r, body=replace(r.body, device=r.body.device + len(DEVICES))) if i >= middle else r
        for i, r in enumerate(records)
    ]


@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_a_replaced_device_is_told_as_by_the_twin_at_any_cut(batch: int) -> None:
    for seed in range(12):
        records = replaced_in_the_middle(readings_in(Random(seed)))
        assert by_the_judge(records, batch) == by_the_twin(records), f"seed {seed}"
        assert by_the_judge(records, 1, restart=True) == by_the_twin(records), f"seed {seed}"


def frame(device: int, sequence: int, second: int) -> Readings:
    one = {"channel": 0, "device": device, "boot": 5, "sequence": sequence, "value": 1.0}
    return Readings.of(
        {name: np.array([x]) for name, x in one.items()}
        | {n: np.array([second * 10**9]) for n in ("event_ns", "judged_ns", "receive_ns")}
    )


def test_a_replaced_device_may_count_from_the_start_under_the_same_boot_number() -> None:
    rows = [frame(0, s, s) for s in (1, 2, 3)] + [frame(1, s, 10 + s) for s in (1, 2, 2)]
    for cut in (1, 6):
        judge, told = fast.Judge(1), []
        for begin in range(0, 6, cut):
            g = np.array([position(i) for i in range(begin, begin + cut)])
            told += judge.mark(Readings.concatenate(rows[begin : begin + cut]), g).verdict.tolist()
        assert told == [fast.JUDGED] * 5 + [fast.DUPLICATE]
    judge.mark(frame(2, 9, 3), np.array([position(9)]))
    assert judge.state()["judged_ns"].tolist() == [12 * 10**9]  # the channel's time goes on
