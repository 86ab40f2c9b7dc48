"""docs/kinds/quality.md by hand: what is flagged when, and who sees it all the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rules.engine import Engine
from rules.engine.quality import QUALITY_KINDS
from rules.events import EventType
from rules.plan import NEVER_NS, Plan, QualityRule
from rules.readings import Control, Record
from tests.journal_quality import quality_of
from tests.small_city import SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

NAN, INF = math.nan, math.inf
RANGE = {"suspect_lo": 0.0, "suspect_hi": 8.0, "fail_lo": -1.0, "fail_hi": 9.0, "corrupt": (-99.0,)}
SPIKE = {"window": 5, "suspect": 3.0, "fail": 6.0, "floor": 1.0, "max_width": 2}
DROPOUT = {"low": 0.0, "high": 1.0, "max_width_ns": 20 * SECOND_NS}
STUCK = {"tolerance": 1.0, "suspect_ns": 20 * SECOND_NS, "fail_ns": 40 * SECOND_NS}
STUCK |= {"quiet_lo": 0.0, "quiet_hi": 0.0}


def rows_of(samples, **more):
    return [
        {"channel": 0, "judged_ns": seconds(t), "receive_ns": seconds(t), "value": x} | more
        for t, x in samples
    ]


def told(rule: QualityRule, samples, **more):
    """Flags of the rows, 0 where nothing is said, and later words as (row, row about, flag)."""
    plan = Plan(content_hash="q", levels=(), quality_rules=(rule,))
    engine = Engine(plan, registry_of([0]))
    engine.fold([Record(0, readings_of(rows_of(samples, **more)))])
    flags = np.zeros(len(samples), int)
    found = engine.quality.flags()
    flags[found.g] = found.flag
    m = engine.quality.marks()
    later = m.at > m.g
    words = zip(m.at[later].tolist(), m.g[later].tolist(), m.flag[later].tolist(), strict=True)
    return flags.tolist(), list(words)


def steady(values, step=10):
    return [(step * i, x) for i, x in enumerate(values)]


def test_the_ends_of_a_span_belong_to_it():
    values = [0.0, 8.0, 8.1, 9.0, 9.1, -0.1, -1.1, INF, -INF, NAN, -99.0]
    flags, _ = told(quality_of("q", "range", **RANGE), steady(values))
    assert flags == [0, 0, 3, 3, 4, 3, 4, 4, 4, 0, 4]


def test_a_spike_is_suspect_at_once_and_decided_by_the_row_after_it():
    spike = quality_of("q", "spike", **SPIKE)
    assert told(spike, steady([5, 5, 5, 20, 5])) == ([0, 0, 0, 3, 0], [(4, 3, 4)])
    assert told(spike, steady([5, 5, 5, 9, 5])) == ([0, 0, 0, 3, 0], [(4, 3, 3)])
    assert told(spike, steady([5, 5, 5, 8, 5])) == ([0, 0, 0, 0, 0], [])  # 3 sigma is not beyond
    assert told(spike, steady([5, 5, 20, 5, 5])) == ([0, 0, 0, 0, 0], [])  # too little known


def test_a_step_is_no_spike_and_its_suspicion_is_withdrawn():
    flags, words = told(quality_of("q", "spike", **SPIKE), steady([5, 5, 5, 20, 20, 20, 20, 20]))
    assert flags == [0, 0, 0, 3, 3, 0, 0, 0]
    assert words == [(5, 3, 1), (5, 4, 1)]


def test_a_gap_ends_an_excursion_undecided():
    spike = quality_of("q", "spike", max_gap_s=30, **SPIKE)
    samples = [*steady([5, 5, 5, 20]), (100, 5), (110, 5)]
    assert told(spike, samples) == ([0, 0, 0, 3, 0, 0], [])


def test_a_dropout_that_comes_back_failed_and_one_that_stays_was_real():
    dropout = quality_of("q", "dropout", **DROPOUT)
    assert told(dropout, steady([5, 0, 1, 5])) == ([0, 3, 3, 0], [(3, 1, 4), (3, 2, 4)])
    assert told(dropout, steady([5, 0, 0, 0, 0, 5])) == (
        [0, 3, 3, 3, 0, 0],
        [(4, 1, 1), (4, 2, 1), (4, 3, 1)],
    )
    assert told(dropout, [(0, 5), (10, 0), (40, 5)]) == ([0, 3, 0], [(2, 1, 1)])
    assert told(dropout, steady([0, 0, 5, 0, 5])) == ([0, 0, 0, 3, 0], [(4, 3, 4)])


def test_a_value_that_stands_still_is_flagged_when_the_time_is_reached():
    stuck = quality_of("q", "stuck", max_gap_s=30, **STUCK)
    assert told(stuck, steady([5, 5.5, 6, 5, 5, 5, 6.5]))[0] == [0, 0, 3, 3, 4, 4, 0]
    assert told(stuck, steady([0, 0, 0, 0]))[0] == [0, 0, 0, 0]  # quiet
    assert told(stuck, [(0, 5), (10, 5), (50, 5), (60, 5), (70, 5)])[0] == [0, 0, 0, 0, 3]
    assert told(stuck, [(0, 5), (10, NAN), (20, 5)])[0] == [0, 0, 3]  # a NaN is no row


def test_a_gap_is_suspect_and_the_first_row_is_not():
    gap = quality_of("q", "gap", max_gap_s=30)
    assert told(gap, [(0, 5), (30, NAN), (61, 5)])[0] == [0, 0, 3]


def test_a_stamp_is_compared_exactly_with_the_time_of_receipt():
    clock = quality_of("q", "clock", future_ns=5, past_ns=NEVER_NS)
    rows = rows_of([(0, 1.0)] * 4)
    ends = (2**63 - 1, -(2**63), seconds(0) + 5, seconds(0) + 6)
    for i, (row, event_ns) in enumerate(zip(rows, ends, strict=True)):
        row |= {"event_ns": event_ns, "judged_ns": seconds(i)}
        row["receive_ns"] = seconds(0)
    engine = Engine(Plan(content_hash="q", levels=(), quality_rules=(clock,)), registry_of([0]))
    engine.fold([Record(0, readings_of(rows))])
    assert engine.quality.flags().g.tolist() == [0, 3]  # no limit for the past


def alarms(quality, samples, **rule):
    limits = {"raise_at": (NAN, NAN, NAN, 10.0), "hold_s": 0, "keep_s": 0} | rule
    plan = plan_of(rule_of(**limits), quality_rules=(quality,))
    engine = Engine(plan, registry_of([0]))
    events = engine.fold([Record(0, readings_of(rows_of(samples)))])
    return [event.type for event in events]


@pytest.mark.parametrize("kind", QUALITY_KINDS)
def test_no_check_hides_a_dangerous_value_from_a_rule_that_fails_loud(kind):
    own = {"range": RANGE, "spike": SPIKE, "dropout": DROPOUT | {"high": 99.0}, "stuck": STUCK}
    own |= {"clock": {"future_ns": 0, "past_ns": 0}, "gap": {}}
    check = quality_of("q", kind, max_gap_s=1 if kind == "gap" else 180, **own[kind])
    samples = [(0, -50.0), (10, -50.0), (20, -50.0), (30, 12.0), (40, 12.0), (50, 12.0)]
    raised = alarms(check, samples, fail_loud=True)
    assert EventType.RAISED in raised
    assert EventType.CONFIRMED in raised


def test_a_rule_judges_by_the_worst_flag_and_a_fault_code_is_no_value_for_anyone():
    check = quality_of("q", "range", **RANGE)
    assert alarms(check, [(0, 12.0)]) == []  # fails, and the rule takes good and suspect
    assert alarms(check, [(0, 12.0)], accept=(1, 4)) == [EventType.RAISED]
    code = quality_of("q", "range", **RANGE | {"corrupt": (12.0,)})
    assert alarms(code, [(0, 12.0)], fail_loud=True) == []
    assert alarms(code, [(0, 12.5)], fail_loud=True) == [EventType.RAISED]


def test_a_change_of_rules_keeps_the_state_of_checks_that_mean_the_same():
    kept = quality_of("kept", "stuck", **STUCK)
    plans = [
        Plan(content_hash="1", levels=(), quality_rules=(kept, quality_of("a", "spike", **SPIKE))),
        Plan(
            content_hash="2",
            levels=(),
            quality_rules=(quality_of("b", "spike", **SPIKE | {"window": 9}), kept),
        ),
    ]
    registry = registry_of([0])
    engine = Engine(plans[0], registry, lambda _: (plans[1], registry))
    before = readings_of(rows_of(steady([5, 5, 5])))
    after = readings_of(rows_of([(30, 5), (40, 5), (50, 50)]))
    engine.fold([Record(0, before), Record(1, Control("rules", {})), Record(2, after)])
    m = engine.quality.marks()
    row = (m.g & 0xFFFFFF) + 3 * (m.g >> 25)
    assert m.rule.tolist() == ["kept"] * 3
    assert row.tolist() == [2, 3, 4]
    assert m.flag.tolist() == [3, 3, 4]


def test_an_unknown_kind_of_check_is_refused():
    plan = Plan(content_hash="q", levels=(), quality_rules=(quality_of("q", "spikes"),))
    with pytest.raises(ValueError, match="no such quality check: spikes"):
        Engine(plan, registry_of([0]))
