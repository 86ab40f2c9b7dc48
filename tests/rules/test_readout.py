"""What charts get of scores: the first of each minute, as a slow loop would pick it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from rules.engine import Engine
from rules.readings import Readings, Record
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, registry_of, rule_of

MINUTE_NS = 60 * SECOND_NS


def engine_of(**changes):
    rule = rule_of(
        kind="ewma", raise_at=(NAN, NAN, NAN, 1e9), own={"warmup": 2, "floor": 1.0}, max_gap_s=600,
        **changes,
    )  # fmt: skip
    return Engine(plan_of(rule), registry_of((0, 0)), reads_out=True)


def rows(t, values):
    return Readings.of({"channel": np.zeros(len(t)), "judged_ns": t, "value": values})


def told_of(engine):
    return [
        (int(part.judged_ns[i]), part.sources[part.source[i]].rule, float(part.value[i]))
        for part in engine.series()
        for i in range(len(part))
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_first_row_of_each_minute_that_has_a_score(seed):
    random = Random(seed)
    t, values, at = [], [], T0_NS
    for _ in range(200):
        at += random.choice((1, 7, 30, 59, 60, 61, 400)) * SECOND_NS
        t.append(at)
        values.append(random.gauss(0, 1))
    engine, told, begin = engine_of(), [], 0
    while begin < len(t):
        step = random.choice((1, 3, 40))
        engine.fold([Record(begin, rows(t[begin : begin + step], values[begin : begin + step]))])
        told += told_of(engine)
        begin += step
    wanted, minute = [], None
    for i in range(2, len(t)):  # the first two only warm up
        if t[i] // MINUTE_NS != minute:
            minute = t[i] // MINUTE_NS
            wanted.append((t[i], "r", values[i]))
    assert len(wanted) > 50
    assert told == wanted


def test_nothing_is_kept_unless_asked_for():
    rule = rule_of(kind="ewma", raise_at=(NAN, NAN, NAN, 9.0), own={"warmup": 1})
    engine = Engine(plan_of(rule), registry_of((0, 0)))
    engine.fold([Record(0, rows([T0_NS, T0_NS + 1], [1.0, 2.0]))])
    assert engine.series() == []


def test_what_was_told_under_earlier_rules_keeps_their_names():
    engine = engine_of()
    t = T0_NS + np.arange(4) * MINUTE_NS
    engine.fold([Record(0, rows(t, [1.0, 2.0, 3.0, 4.0]))])
    other = engine_of(rule_id="other")
    engine.change(other.plan, other.registry, offset=1)
    engine.fold([Record(2, rows(t + 4 * MINUTE_NS, [1.0, 2.0, 3.0, 4.0]))])
    assert [rule for _, rule, _ in told_of(engine)] == ["r", "r", "other", "other"]
    assert told_of(engine) == []
