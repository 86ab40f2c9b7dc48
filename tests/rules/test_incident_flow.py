"""The flow of an incident: every step from every stage, and any order of steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rules.incidents.flow import OVER, Kind, Stage, applied, dues, lands, opened

S, K = Stage, Kind
LEADS = {
    (S.RAISED, K.ACKNOWLEDGE): S.ACKNOWLEDGED,
    (S.ACKNOWLEDGED, K.VERIFY): S.VERIFIED,
    (S.VERIFIED, K.DISPATCH): S.DISPATCHED,
    (S.MITIGATED, K.DISPATCH): S.DISPATCHED,
    (S.DISPATCHED, K.ARRIVE): S.ON_SITE,
    (S.ON_SITE, K.MITIGATE): S.MITIGATED,
    (S.VERIFIED, K.MITIGATE): S.MITIGATED,
    (S.MITIGATED, K.CLOSE): S.CLOSED,
    (S.ACKNOWLEDGED, K.FALSE_ALARM): S.FALSE_ALARM,
    (S.VERIFIED, K.FALSE_ALARM): S.FALSE_ALARM,
    (S.DISPATCHED, K.FALSE_ALARM): S.FALSE_ALARM,
    (S.ON_SITE, K.FALSE_ALARM): S.FALSE_ALARM,
    (S.CLOSED, K.REOPEN): S.ACKNOWLEDGED,
    (S.FALSE_ALARM, K.REOPEN): S.ACKNOWLEDGED,
}
STEPS = (K.ACKNOWLEDGE, K.VERIFY, K.DISPATCH, K.ARRIVE, K.MITIGATE, K.CLOSE, K.FALSE_ALARM,
         K.REOPEN)  # fmt: skip
SAID = {"severity": 2, "cause": "leak", "reason": "why"}


def at(stage: Stage, **more):
    return replace(opened(0, 1), stage=stage, **more)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("step", STEPS)
def test_each_step_from_each_stage(stage, step):
    wanted = LEADS.get((stage, step))
    assert lands(stage, step, severity=2) == wanted
    after = applied(at(stage), step, at_ns=7, seq=9, by="li", said=SAID)
    assert after.seq == 9
    if wanted is None:
        assert replace(after, seq=1) == at(stage)
        return
    assert (after.stage, after.moved_seq) == (wanted, 9)
    assert (after.reached[wanted], after.by[wanted]) == (7, "li")
    ends = step in (K.CLOSE, K.FALSE_ALARM)
    assert after.cause == ("leak" if ends else "")


def test_red_is_dispatched_beside_its_verification():
    assert lands(S.ACKNOWLEDGED, K.DISPATCH, severity=4) is S.DISPATCHED
    assert lands(S.ACKNOWLEDGED, K.DISPATCH, severity=3) is None
    assert lands(S.RAISED, K.DISPATCH, severity=4) is None


@pytest.mark.parametrize("stage", [S.ACKNOWLEDGED, S.DISPATCHED, S.ON_SITE, S.MITIGATED])
def test_news_are_acknowledged_again_and_the_stage_stays(stage):
    news = applied(at(stage), K.JOINED, at_ns=5, seq=4, said={})
    assert news.news
    assert news.moved_seq == 4
    seen = applied(news, K.ACKNOWLEDGE, at_ns=6, seq=5, by="li", said=SAID)
    assert (seen.news, seen.stage, seen.moved_seq) == (False, stage, 5)
    assert applied(seen, K.ACKNOWLEDGE, at_ns=7, seq=6, by="li", said=SAID).moved_seq == 5


def test_notes_move_no_stage():
    held = at(S.VERIFIED)
    noted = applied(held, K.COMMENT, at_ns=1, seq=2, by="li", said={"reason": "smells"})
    noted = applied(noted, K.ASSIGN, at_ns=1, seq=3, by="li", said={"to": "wang"})
    noted = applied(noted, K.HANDOVER, at_ns=1, seq=4, by="li", said={"reason": "valve 3 is shut"})
    assert (noted.comments, noted.assigned_to, noted.handover) == (1, "wang", "valve 3 is shut")
    assert (noted.stage, noted.moved_seq, noted.seq) == (S.VERIFIED, 1, 4)


def test_a_hand_over_stands_until_the_next_person_has_taken_note():
    held = applied(at(S.VERIFIED), K.HANDOVER, at_ns=1, seq=2, by="li", said={"reason": "look"})
    held = applied(held, K.JOINED, at_ns=2, seq=3, said={})
    same = applied(held, K.ACKNOWLEDGE, at_ns=3, seq=4, by="li", said=SAID)
    assert same.handover == "look"
    assert applied(held, K.ACKNOWLEDGE, at_ns=3, seq=4, by="wang", said=SAID).handover == ""


def test_time_limits_are_those_the_site_has_set():
    held = at(S.RAISED)
    assert dues(held, 4, {}) == []
    targets = {"acknowledged": {4: 60}, "closed": {4: 600}}
    assert dues(held, 3, targets) == []
    first, last = dues(held, 4, targets)
    assert (first.due_ns, first.met_ns, first.overdue(60), first.overdue(61)) == (
        60,
        0,
        False,
        True,
    )
    seen = applied(held, K.ACKNOWLEDGE, at_ns=90, seq=2, by="li", said=SAID)
    first, last = dues(seen, 4, targets)
    assert (first.met_ns, first.overdue(10**9)) == (90, True)
    assert (last.met_ns, last.overdue(600)) == (0, False)


def test_a_stage_that_was_passed_over_is_met_by_the_next_and_one_reopened_is_not_met():
    targets = {"verified": {4: 60}, "closed": {4: 600}}
    held = at(S.ACKNOWLEDGED)
    held = applied(held, K.DISPATCH, at_ns=30, seq=2, by="li", said={"severity": 4})
    assert dues(held, 4, targets)[0].met_ns == 30
    for number, step in enumerate((K.ARRIVE, K.MITIGATE, K.CLOSE)):
        held = applied(held, step, at_ns=100 + number, seq=3 + number, by="li", said=SAID)
    assert dues(held, 4, targets)[1].met_ns == 102
    again = applied(held, K.REOPEN, at_ns=200, seq=9, by="li", said=SAID)
    assert [d.met_ns for d in dues(again, 4, targets)] == [0, 0]


class Handled(RuleBasedStateMachine):
    """Any order of steps and news: what was promised of the flow holds."""

    def __init__(self):
        super().__init__()
        self.held, self.seq, self.now = opened(0, 1), 1, 0

    @rule(step=st.sampled_from(list(Kind)), by=st.sampled_from(("li", "wang")),
          severity=st.integers(1, 4))  # fmt: skip
    def take(self, step, by, severity):
        before, self.seq, self.now = self.held, self.seq + 1, self.now + 10
        said = {"severity": severity, "cause": "leak", "reason": "why", "to": by}
        self.held = applied(before, step, at_ns=self.now, seq=self.seq, by=by, said=said)
        moved = self.held.stage is not before.stage
        assert not moved or self.held.moved_seq == self.seq
        if before.stage in OVER and moved:
            assert step in (Kind.REOPEN, Kind.RETURNED)

    @invariant()
    def times_rise_along_what_was_passed(self):
        assert self.held.reached[self.held.stage.value] <= self.now
        assert self.held.seq == self.seq

    @invariant()
    def what_is_over_has_a_cause_and_nothing_new(self):
        if self.held.stage in OVER:
            assert self.held.cause
            assert not self.held.news


TestHandled = Handled.TestCase
TestHandled.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
