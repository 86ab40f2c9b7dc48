"""Flags and rates equal those of ioos_qc, the reference implementation of QARTOD's tests.

Where the definitions agree, point by point; docs/kinds/quality.md, section 10, lists where not.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from ioos_qc import qartod

from rules.engine import Engine
from rules.plan import ChannelRule, Plan, QualityRule
from rules.readings import Record
from tests.journal_quality import quality_of
from tests.small_city import SECOND_NS, T0_NS, plan_of, readings_of, registry_of, rule_of

NAN, INF = float("nan"), float("inf")
STEP_S = 10
SEEDS = range(12)


def rows_of(values: list[float], times_s: list[int]) -> list[dict[str, Any]]:
    return [
        {"channel": 0, "judged_ns": T0_NS + t * SECOND_NS, "value": x}
        for t, x in zip(times_s, values, strict=True)
    ]


def regular(values: list[float]) -> list[int]:
    return [STEP_S * i for i in range(len(values))]


def flags_of(rule: QualityRule, values: list[float]) -> list[int]:
    """What is finally said of each sample, 1 where nothing is."""
    plan = Plan(content_hash="q", levels=(), quality_rules=(rule,))
    engine = Engine(plan, registry_of([0]))
    engine.fold([Record(0, readings_of(rows_of(values, regular(values))))])
    flag = np.ones(len(values), int)
    marks = engine.quality.marks()
    flag[marks.g] = marks.flag  # by the row that decided: the latest word stands
    return flag.tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_range_flags_what_gross_range_flags(seed: int) -> None:
    random = Random(f"range {seed}")
    low, high = random.choice(((0.0, 4.0), (-1.0, 8.0))), random.choice((0.5, 0.0, 3.0))
    span, fail = low, (low[0] - high, low[1] + high)
    edges = [*span, *fail, np.nextafter(fail[1], INF), np.nextafter(span[0], -INF), NAN]
    values = [random.choice((*edges, random.uniform(-6, 12))) for _ in range(200)]
    own = {"suspect_lo": span[0], "suspect_hi": span[1], "fail_lo": fail[0], "fail_hi": fail[1]}
    ours = np.array(flags_of(quality_of("q", "range", corrupt=(NAN,), **own), values))
    theirs = np.asarray(qartod.gross_range_test(values, fail_span=fail, suspect_span=span))
    present = theirs != qartod.QartodFlags.MISSING
    assert ours[present].tolist() == theirs[present].tolist()
    assert (ours[~present] == 1).all()
    assert set(theirs.tolist()) >= {1, 4, 9}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lone_sample_far_from_constant_data_is_the_same_spike(seed: int) -> None:
    """With sigma at its floor of 1, so many sigma are so many units."""
    random = Random(f"spike {seed}")
    values = [5.0] * 120
    for at in range(10, 115, 6):
        values[at] = 5.0 + random.choice((-1, 1)) * random.choice((2.0, 3.0, 4.0, 6.0, 7.0, 50.0))
    own = {"window": 5, "suspect": 3.0, "fail": 6.0, "floor": 1.0, "max_width": 1}
    ours = flags_of(quality_of("q", "spike", **own), values)
    alone = np.asarray(qartod.spike_test(values, suspect_threshold=3.0, fail_threshold=6.0))
    # "average" also marks a spike's neighbours, by half of it; "differential" does not
    theirs = np.asarray(
        qartod.spike_test(values, suspect_threshold=3.0, fail_threshold=6.0, method="differential")
    )
    spikes = [i for i, x in enumerate(values) if x != 5.0]
    assert ours[1:-1] == theirs[1:-1].tolist()
    assert [ours[i] for i in spikes] == alone[spikes].tolist()
    assert set(ours) == {1, 3, 4}


def steps(random: Random) -> list[float]:
    """Values that stand still, change by a step and never drift slowly."""
    values: list[float] = []
    while len(values) < 200:
        level = random.choice((0.0, 4.0, 8.0, 12.0))
        if not values or level != values[-1]:
            values += [level] * random.choice((1, 1, 2, 5, 12, 30))
    return values


@pytest.mark.parametrize("seed", SEEDS)
def test_stuck_flags_what_flat_line_flags_on_a_regular_grid(seed: int) -> None:
    random = Random(f"flat {seed}")
    values = steps(random)
    suspect, fail = random.choice(((20, 50), (40, 100), (30, 30)))
    own = {"tolerance": 1.0, "suspect_ns": suspect * SECOND_NS, "fail_ns": fail * SECOND_NS}
    rule = quality_of("q", "stuck", quiet_lo=INF, quiet_hi=-INF, **own)
    times = np.array(regular(values), "datetime64[s]")
    theirs = qartod.flat_line_test(values, times, suspect, fail, tolerance=1.0)
    assert flags_of(rule, values) == theirs.tolist()
    assert qartod.QartodFlags.FAIL in theirs


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_breaches_where_rate_of_change_is_suspect_or_fails(seed: int) -> None:
    random = Random(f"rate {seed}")
    values, times, t = [], [], 0
    for _ in range(200):
        t += random.choice((5, 10, 20))
        times.append(t)
        values.append(float(random.choice((0, 0, 1, 2, 5, 20, 80))))
    limits = {"raise_at": (NAN, 0.33, NAN, 2.3), "clear_at": (NAN, 0.33, NAN, 2.3)}
    more = {"kind": "rate", "hold_s": 0, "keep_s": 0, "own": {"window_ns": 21 * SECOND_NS}}
    high = rule_of("up", **limits, **more)
    low = rule_of("down", side=-1, **{k: [-x for x in v] for k, v in limits.items()}, **more)
    theirs = qartod.rate_of_change_test(
        values, np.array(times, "datetime64[s]"), 0.33, fail_threshold=2.3
    )
    assert set(theirs.tolist()) == {1, 3, 4}
    assert severities([high, low], values, times) == [
        {1: 0, 3: 2, 4: 4}[flag] for flag in theirs.tolist()
    ]


def severities(rules: list[ChannelRule], values: list[float], times: list[int]) -> list[int]:
    """The highest severity after each sample; each window holds but a sample and the one before."""
    found = []
    for i in range(len(values)):
        pair = rows_of(values[max(i - 1, 0) : i + 1], times[max(i - 1, 0) : i + 1])
        events = Engine(plan_of(*rules), registry_of([0])).fold([Record(0, readings_of(pair))])
        found.append(max((event.severity for event in events), default=0))
    return found
