"""The engine equals its twin at the ends of what a journal can hold, wherever hypothesis looks.

Admission keeps judged times within −2^61 … 2^62 ns, so that differences fit in 63 bits; stamps of
devices, sequences and boots may be anything their columns hold.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.events import encode
from rules.judge import DUPLICATE, JUDGED, Judge
from rules.readings import HEARD_ONLY, Block, Readings, Record, Tick, position
from tests.journals import Case, case
from tests.oracle import Oracle
from tests.small_city import SECOND_NS, T0_NS

if TYPE_CHECKING:
    from rules.readings import Body

FIRST_NS, LAST_NS = -(2**61), 2**62
ORIGINS_NS = (0, -1, 1, FIRST_NS + 400 * SECOND_NS, LAST_NS - 4000 * SECOND_NS)
"""Where time begins; journals reach some minutes back and about an hour on."""
TOP = 2**63 - 1
SEQUENCES = (0, 1, 2**31, 2**62, TOP - 40_000, TOP - 100, TOP - 3)
VALUES = (np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324, -5e-324, -0.0, 2.0**63)
STAMPS = (TOP, -TOP - 1, 0, -1)


def moved(body: Body, random: Random, origin_ns: int, sequence: int) -> Body:
    """The same body at another time, with higher sequences and, here and there, an odd number."""
    shift = origin_ns - T0_NS
    if isinstance(body, Tick):
        return Tick(body.tick_ns + shift)
    if isinstance(body, Block):
        times = {name: getattr(body, name) + shift for name in ("judged_ns", "receive_ns")}
        numbered = min(body.sequence, TOP - sequence) + sequence if body.sequence >= 0 else -1
        stamp = random.choice(STAMPS) if random.random() < 0.1 else body.event_ns + shift
        return replace(body, **times, event_ns=stamp, sequence=numbered)
    if not isinstance(body, Readings):
        return body
    odd = np.array([random.random() < 0.05 for _ in range(len(body))], np.bool_)
    strange = np.array([random.random() < 0.1 for _ in range(len(body))], np.bool_)
    n = len(body)
    numbered = np.minimum(body.sequence, TOP - sequence) + sequence
    return replace(
        body,
        judged_ns=body.judged_ns + shift,
        receive_ns=body.receive_ns + shift,
        event_ns=np.where(strange, random.choices(STAMPS, k=n), body.event_ns + shift),
        value=np.where(odd, random.choices(VALUES, k=n), body.value),
        sequence=np.where(body.sequence >= 0, numbered, body.sequence),
    )


def empty(random: Random) -> Body:
    """A record without rows, or of rows that only say their device was heard: none for rules."""
    if random.random() < 0.5:
        return Readings.empty()
    return Readings.of({"channel": [HEARD_ONLY], "judged_ns": [0], "value": [np.nan]})


def extreme(random: Random, steps: int) -> Case:
    drawn = case(random, steps=steps)
    origin_ns, sequence = random.choice(ORIGINS_NS), random.choice(SEQUENCES)
    bodies: list[Body] = []
    last_ns = origin_ns
    for record in drawn.records:
        body = moved(record.body, random, origin_ns, sequence)
        if random.random() < 0.1:
            filler = empty(random)
            if isinstance(filler, Readings) and len(filler):
                filler = replace(filler, receive_ns=np.array([last_ns]))
            bodies.append(filler)
        if isinstance(body, Tick):
            last_ns = body.tick_ns
        elif isinstance(body, Readings) and len(body):
            last_ns = int(body.receive_ns[-1])
        bodies.append(body)
    records = [Record(i, body) for i, body in enumerate(bodies)]
    return Case(drawn.registry, drawn.plan, records)


def test_a_first_sequence_at_the_end_of_the_numbers_is_new_like_any_other() -> None:
    for sequences, verdicts in (
        ((TOP,), (JUDGED,)),
        ((TOP, TOP, TOP - 63, TOP - 64), (JUDGED, DUPLICATE, JUDGED, JUDGED)),
        ((3, TOP, 3), (JUDGED, JUDGED, JUDGED)),  # beyond the horizon, and newer
    ):
        judge = Judge(1)
        for i, (sequence, verdict) in enumerate(zip(sequences, verdicts, strict=True)):
            row = {"channel": [0], "judged_ns": [i], "value": [1.0], "sequence": [sequence]}
            told = judge.mark(Readings.of(row | {"boot": [1]}), np.array([position(i)]))
            assert told.verdict.tolist() == [verdict]


def compare(drawn: Case) -> None:
    oracle = Oracle(drawn.plan, drawn.registry)
    slow = [encode(event).decode() for event in oracle.fold(drawn.records)]
    whole, single = (Engine(drawn.plan, drawn.registry) for _ in range(2))
    assert [encode(event).decode() for event in whole.fold(drawn.records)] == slow
    flags = whole.quality.flags()
    columns = (flags.g, flags.channel, flags.flag, flags.usable)
    told = list(zip(*(column.tolist() for column in columns), strict=True))
    assert told == oracle.quality.flags
    pieces = [single.fold([record]) for record in drawn.records]
    assert [encode(event).decode() for piece in pieces for event in piece] == slow


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("start", range(0, 80, 8))
def test_the_engine_equals_its_twin_at_the_ends_of_time_and_numbers(start: int) -> None:
    for seed in range(start, start + 8):
        compare(extreme(Random(f"extreme {seed}"), steps=30))


@pytest.mark.filterwarnings("error")
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), steps=st.integers(0, 14))
def test_the_engine_equals_its_twin_there_wherever_hypothesis_looks(
    random: Random, steps: int
) -> None:
    compare(extreme(random, steps))
