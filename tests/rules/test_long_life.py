"""After a million rows of one channel a running statistic is what a fresh computation gives.

``ROWS=100000000 pytest tests/rules/test_long_life.py`` runs it at the size of a channel's life.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction

import numpy as np
import pytest

import rules.engine
from rules.readings import Readings, Record
from tests.small_city import NAN, SECOND_NS, T0_NS, plan_of, registry_of, rule_of

ROWS = int(os.environ.get("ROWS", "1000000"))
BATCH = 50_000
STEP_NS = 10 * SECOND_NS
SLOT_ROWS = 40
WINDOW_NS = 128 * SLOT_ROWS * STEP_NS
OWN = {"window_ns": WINDOW_NS, "warmup_ns": 0, "floor": 0.0, "exclude": NAN}
pytestmark = pytest.mark.timeout(240 + ROWS // 20_000)


def batch(first):
    """Rows ``first`` … of one endless channel: noise on a level that is large beside it."""
    rows = min(BATCH, ROWS - first)
    values = 1000.0 + np.random.default_rng(first).normal(0, 0.25, rows)
    values[:: 5 * SLOT_ROWS] = np.where(np.arange(len(values[:: 5 * SLOT_ROWS])) % 3, 1e3, 1e9)
    t = T0_NS + STEP_NS * (first + np.arange(rows))
    return t, values


def lived(kind, **own):
    """The state of a kind's one track after all rows, and the last two batches of them."""
    rule = rule_of(kind=kind, own=own, raise_at=(NAN, NAN, NAN, 1e300), max_gap_s=60)
    engine = rules.engine.Engine(plan_of(rule), registry_of([0]))
    times, kept = [], []
    for first in range(0, ROWS, BATCH):
        t, values = batch(first)
        times, kept = [*times[-1:], t], [*kept[-1:], values]
        channel = np.zeros(len(t), np.int32)
        rows = Readings.of({"channel": channel, "judged_ns": t, "value": values})
        engine.fold([Record(engine.next_offset, rows)])
    columns = engine.scorers[kind].columns()
    state = {name: column[0] for name, column in columns.items()}
    return state, np.concatenate(times), np.concatenate(kept)


def near(a, b):
    return math.isclose(float(a), float(b), rel_tol=1e-9)


def rows_kept(t, values):
    """One row of each closed slot of the window, picked from the rows themselves."""
    slot_ns = WINDOW_NS // 128
    slot = t // slot_ns
    picked = []
    for number in range(int(slot[-1]) - 128, int(slot[-1])):
        mark = (slot_ns >> 16) * ((number * 0x9E3779B97F4A7C15 % 2**64) >> 48)
        here = np.flatnonzero(slot == number)
        early = here[t[here] - number * slot_ns <= mark]
        picked.append(float(values[early[-1] if len(early) else here[0]]))
    return picked


def test_a_median_and_its_deviation_after_a_million_rows():
    state, t, values = lived("zscore", **OWN)
    picked = rows_kept(t, values)
    median = np.median(picked)
    assert near(state["location"], median)
    assert near(state["scale"], 1.4826 * np.median(np.abs(np.array(picked) - median)))


def test_a_mean_and_standard_deviation_after_a_million_rows():
    state, t, values = lived("zscore", **(OWN | {"robust": 0.0}))
    picked = [Fraction(x) for x in rows_kept(t, values)]
    mean = sum(picked) / 128
    assert near(state["location"], mean)
    assert near(state["scale"], math.sqrt(sum((x - mean) ** 2 for x in picked) / 127))


def test_cumulative_sums_after_a_million_rows():
    """Fresh from the last cap on: a sum that met its bound has forgotten what came before."""
    own = OWN | {"target": 1000.0, "slack": 0.05, "cap": 50.0, "freeze": math.inf}
    state, t, values = lived("cusum", **own)
    slot = t // (WINDOW_NS // 128)
    scales = {}
    high = low = Fraction(0)
    for i in np.flatnonzero(slot > slot[-1] - 400).tolist():
        if slot[i] not in scales:
            held = rows_kept(t[:i], values[:i]) if slot[i - 1] == slot[i] else None
            held = held or rows_kept(np.append(t[:i], t[i]), np.append(values[:i], 0.0))
            scales[slot[i]] = 1.4826 * np.median(np.abs(np.array(held) - np.median(held)))
        z = Fraction(float(values[i]) - 1000.0) / Fraction(float(scales[slot[i]]))
        high = min(Fraction(50), max(Fraction(0), high + z - Fraction(0.05)))
        low = min(Fraction(50), max(Fraction(0), low - z - Fraction(0.05)))
    assert high > 0
    assert math.isclose(state["high"], high, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(state["low"], low, rel_tol=1e-9, abs_tol=1e-9)


def test_an_exponentially_weighted_mean_and_variance_after_a_million_rows():
    """Fresh from the newest 6000 rows: what is older weighs less than a float can tell."""
    alpha = 0.01
    state, _, values = lived("ewma", alpha=alpha, floor=0.0)
    mean, variance = Fraction(float(values[0])), Fraction(0)
    a = Fraction(alpha)
    for x in values[-6000:].tolist():
        d = Fraction(x) - mean
        mean = Fraction(float(a * Fraction(x) + (1 - a) * mean))  # a float of many: kept short
        variance = Fraction(float((1 - a) * (variance + a * d * d)))
    assert near(state["mean"], mean)
    assert near(state["variance"], variance)


def test_the_run_of_a_value_that_never_moved_far_after_a_million_rows():
    state, t, values = lived("stuck", tolerance=1.0)
    low = high = values[-1]
    begin = len(values) - 1
    while begin and max(high, values[begin - 1]) - min(low, values[begin - 1]) <= 1.0:
        begin -= 1
        low, high = min(low, values[begin]), max(high, values[begin])
    assert state["since_ns"] >= t[begin]  # greedy runs may begin later, never earlier
    inside = values[t >= state["since_ns"]]
    assert (state["low"], state["high"]) == (inside.min(), inside.max())
    assert inside.max() - inside.min() <= 1.0
