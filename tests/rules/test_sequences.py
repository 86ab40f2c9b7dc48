"""Which sequences were heard: whole columns and one by one, beside a plain set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.judge import DUPLICATE, JUDGED, Judge
from rules.readings import Readings, position
from rules.sequences import BLOCK, BLOCKS, Sequences, is_within

STEPS = st.sampled_from([1, 1, 1, 2, 63, 64, 65, 448, 449, 511, 512, 513, 2000])
BEHIND = st.integers(0, 600)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), STEPS.map(int)),
        st.tuples(st.just("behind"), BEHIND),
        st.tuples(st.just("rows"), st.lists(STEPS, min_size=1, max_size=6)),
        st.tuples(st.just("saved"), st.none()),
    ),
    max_size=40,
)


class PlainSet:
    """What is meant: a set, looked up no further back than seven blocks before the highest."""

    def __init__(self) -> None:
        self.heard: set[int] = set()
        self.top = -1

    def hear(self, sequence: int) -> bool | None:
        if sequence <= self.top and self.top // BLOCK - sequence // BLOCK >= BLOCKS:
            return None
        new = sequence not in self.heard
        self.heard.add(sequence)
        self.top = max(self.top, sequence)
        return new


@given(moves=MOVES, channel=st.integers(0, 2))
def test_it_is_a_set_that_forgets_what_is_far_behind(moves, channel: int) -> None:
    known, meant = Sequences(3), PlainSet()
    for what, how in moves:
        if what == "rows":  # a run of rising ones, taken up as columns
            rows = meant.top + np.cumsum(how)
            known.rise(np.array([channel]), rows[-1:])
            known.fill(np.array([channel]), np.array([len(rows)]), rows)
            for sequence in rows.tolist():
                meant.hear(sequence)
        elif what == "saved":
            known = Sequences.restored(known.state(), 3)
        else:
            sequence = meant.top + how if what == "hear" else max(meant.top - how, 0)
            assert known.hear(channel, sequence) is meant.hear(sequence)
        assert known.top[channel] == meant.top


@given(
    tops=st.lists(st.integers(0, 900), min_size=1, max_size=5),
    more=st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=5, max_size=5),
)
def test_channels_of_one_batch_do_not_disturb_each_other(tops, more) -> None:
    known, meant = Sequences(len(tops)), [PlainSet() for _ in tops]
    for channel, top in enumerate(tops):
        known.hear(channel, top)
        meant[channel].hear(top)
    runs = [top + np.cumsum(steps) for top, steps in zip(tops, more, strict=False)]
    every = np.arange(len(tops))
    known.rise(every, np.array([run[-1] for run in runs]))
    known.fill(every, np.array([len(run) for run in runs]), np.concatenate(runs))
    for channel, run in enumerate(runs):
        for sequence in run.tolist():
            meant[channel].hear(sequence)
        for sequence in range(int(run[-1]) + 1):
            assert known.hear(channel, sequence) is meant[channel].hear(sequence)


@pytest.mark.parametrize("top", [0, 5, 63, 64, 200, 1000])
def test_a_state_of_64_bits_behind_the_highest_is_taken_up(top: int) -> None:
    heard = {top} | {top - d for d in (1, 3, 40, 63) if top >= d}
    bits = sum(1 << (top - sequence) for sequence in heard)
    old = {"top": np.array([-1, top]), "seen": np.array([0, bits], np.uint64)}
    known = Sequences.restored(old, 2)
    for sequence in range(max(0, top - 63), top + 1):
        assert known.hear(1, sequence) is (sequence not in heard)
    assert known.hear(0, 0) is True


def frames(first: int, last: int) -> Readings:
    n = last - first + 1
    sequence = np.arange(first, last + 1)
    return Readings.of(
        {
            "channel": np.zeros(n, np.int32),
            "device": np.zeros(n, np.int32),
            "boot": np.full(n, 5),
            "sequence": sequence,
            "value": np.ones(n),
        }
        | dict.fromkeys(("event_ns", "judged_ns", "receive_ns"), sequence * 10**9)
    )


@pytest.mark.parametrize("cut", [1, 7, 64, 449])
def test_all_that_a_broker_may_have_in_flight_is_known_again(cut: int) -> None:
    """449 messages journaled, none acknowledged when we are killed: all of them come again."""
    judge, told = Judge(1), []
    for offset, first in enumerate([*range(1000, 1449, cut), *range(1000, 1449, cut)]):
        rows = frames(first, min(first + cut - 1, 1448))
        g = position(offset) + np.arange(len(rows))
        told += judge.mark(rows, g).verdict.tolist()
    assert told == [JUDGED] * 449 + [DUPLICATE] * 449


def test_the_horizon_lies_between_449_and_512() -> None:
    for top in range(1000, 1064):
        reach = next(d for d in range(1000) if not is_within(top, top - d))
        assert 449 <= reach <= 512
