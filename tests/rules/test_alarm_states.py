"""The alarm states by table: what each event does to an alarm that stands so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.alarm_fold import AlarmFold, apply_all
from rules.alarms import Ack, Condition, Hold, Suppression, Word
from rules.events import Event, EventType

CHANNEL = "410100-gas-mh-000123/ch4-01/vol"


def event(kind: str, *, offset: int = 1, severity: int = 0, episode: str = "1.0", **more) -> Event:
    return Event(
        type=EventType(kind),
        offset=offset,
        row=0,
        rule="ch4-level",
        subject=CHANNEL,
        severity=severity,
        max_severity=more.pop("max_severity", severity),
        episode=episode,
        event_ns=offset * 1_000,
        receive_ns=offset * 1_000,
        **more,
    )


def ack(offset: int, by: str = "li", **more) -> Event:
    return event("ACKED", offset=offset, evidence={"by": by, "comment": "seen"}, **more)


YELLOW = event("RAISED", severity=2)
BLUE = event("RAISED", severity=1)
RED = event("ESCALATED", offset=3, severity=4)
CLEARED = event("CLEARED", offset=9)

TABLE = {
    "raised": ([YELLOW], Word.UNACK, 2, False),
    "raised, acked": ([YELLOW, ack(2)], Word.ACKED, 2, False),
    "escalated asks again": ([YELLOW, ack(2), RED], Word.UNACK, 4, False),
    "lowered keeps the ack": (
        [YELLOW, RED, ack(4), event("LOWERED", offset=5, severity=2)],
        Word.ACKED,
        2,
        False,
    ),
    "latched return waits": ([YELLOW, CLEARED], Word.RTNUN, 0, False),
    "acked return is over": ([YELLOW, ack(2), CLEARED], Word.NORM, 0, True),
    "blue closes by itself": ([BLUE, CLEARED], Word.NORM, 0, True),
    "blue that was red latches": (
        [BLUE, RED, event("LOWERED", offset=5, severity=1), CLEARED],
        Word.RTNUN,
        0,
        False,
    ),
    "returned, then acked": ([YELLOW, CLEARED, ack(10)], Word.NORM, 0, True),
    "undo": ([YELLOW, ack(2), event("ACK_REVOKED", offset=3)], Word.UNACK, 2, False),
    "undo after return": (
        [YELLOW, CLEARED, ack(10), event("ACK_REVOKED", offset=11)],
        Word.RTNUN,
        0,
        False,
    ),
    "confirmed asks again": (
        [event("RAISED", severity=4, confirmed=False), ack(2), event("CONFIRMED", severity=4)],
        Word.UNACK,
        4,
        False,
    ),
    "confirmed twice does not": (
        [YELLOW, ack(2), event("CONFIRMED", severity=2)],
        Word.ACKED,
        2,
        False,
    ),
    "its rule taken away, unseen": (
        [YELLOW, event("RULE_CHANGED", offset=9)],
        Word.RTNUN,
        0,
        False,
    ),
    "its rule taken away, acked": (
        [YELLOW, ack(2), event("RULE_CHANGED", offset=9)],
        Word.NORM,
        0,
        True,
    ),
    "ended changes nothing": ([YELLOW, event("ENDED", offset=4)], Word.UNACK, 2, False),
}


@pytest.mark.parametrize("name", TABLE)
def test_an_alarm_moves_as_the_table_says(name):
    events, word, severity, ended = TABLE[name]
    alarm = apply_all(events).alarms[YELLOW.alarm_id]
    assert (alarm.word, alarm.severity, alarm.ended) == (word, severity, ended)


def test_an_unconfirmed_red_is_shown_one_level_lower_until_confirmed():
    first = event("RAISED", severity=4, confirmed=False)
    fold = apply_all([first])
    assert fold.alarms[first.alarm_id].shown_severity == 3
    fold.apply(event("CONFIRMED", offset=2, severity=4), 2)
    assert fold.alarms[first.alarm_id].shown_severity == 4


def test_a_second_raise_of_an_unseen_return_keeps_one_row_that_remembers():
    again = event("RAISED", offset=20, severity=1, episode="20.0")
    fold = apply_all([YELLOW, RED, CLEARED])
    step = fold.apply(again, 9)
    assert step.ended == (YELLOW.alarm_id,)
    new = fold.alarms[again.alarm_id]
    assert (new.reactivations, new.max_severity, new.severity) == (1, 4, 1)
    assert fold.alarms[YELLOW.alarm_id].ended


def test_a_second_raise_after_the_end_is_a_new_alarm():
    again = event("RAISED", offset=20, severity=2, episode="20.0")
    fold = apply_all([YELLOW, ack(2), CLEARED, again])
    assert fold.alarms[again.alarm_id].reactivations == 0
    assert fold.alarms[again.alarm_id].ack is Ack.UNACKED


def test_late_findings_of_one_alarm_make_one_row_that_waits_to_be_seen():
    late = [event("LATE_FINDING", offset=n, severity=3, episode="") for n in range(5, 28)]
    fold = apply_all(late)
    assert len(fold.alarms) == 1
    (alarm,) = fold.alarms.values()
    assert (alarm.word, alarm.findings, alarm.late) == (Word.RTNUN, 23, True)
    worse = event("LATE_FINDING", offset=40, severity=4, episode="")
    assert fold.apply(worse, 50).announce
    assert fold.alarms[alarm.alarm_id].max_severity == 4


def test_a_contradicted_late_finding_is_no_alarm():
    assert not apply_all([event("LATE_FINDING", severity=3, episode="", announce=False)]).alarms


def test_a_late_finding_leaves_a_standing_alarm_alone():
    fold = apply_all([YELLOW, ack(2), event("LATE_FINDING", offset=5, severity=4, episode="")])
    assert fold.alarms[YELLOW.alarm_id].word is Word.ACKED
    assert len(fold.alarms) == 2


def test_a_reset_opens_the_over_range_mark_and_nothing_else():
    raised = event("RAISED", severity=4, over_range=True)
    fold = apply_all([raised, event("RESET", offset=5, severity=4)])
    alarm = fold.alarms[raised.alarm_id]
    assert not alarm.over_range
    assert alarm.word is Word.UNACK


def test_a_returned_alarm_still_shows_the_value_that_raised_it():
    raised = event("RAISED", severity=2, value=9.0, limit=8.0)
    cleared = event("CLEARED", offset=9, value=1.0, limit=7.0)
    alarm = apply_all([raised, cleared]).alarms[raised.alarm_id]
    assert (alarm.value, alarm.limit, alarm.cleared_value) == (9.0, 8.0, 1.0)


def test_a_rerun_that_differs_is_an_alarm_of_its_own():
    differs = event("RERUN_DIFFERS", severity=3)
    assert apply_all([differs]).alarms[differs.alarm_id].word is Word.UNACK


def test_events_about_no_alarm_change_nothing():
    for kind in ("BLIND", "HEARTBEAT", "CLOCK_EPOCH", "RULE_CHANGED"):
        assert not apply_all([event(kind)]).alarms


def test_a_shelved_alarm_comes_back_acknowledged_as_it_went():
    """The regions are orthogonal: a suppression changes the word and no other region."""
    fold = AlarmFold()
    for n, e in enumerate([YELLOW, ack(2)], start=1):
        fold.apply(e, n)
    alarm = fold.alarms[YELLOW.alarm_id]
    held = replace(alarm, suppression=(Suppression(hold=Hold.SHELVED, until_ns=10),))
    assert held.word is Word.SHLVD
    assert replace(held, suppression=()).word is Word.ACKED
    assert held.condition is Condition.ACTIVE


def test_who_acknowledges_must_have_seen_what_made_it_worse():
    fold = apply_all([YELLOW, RED])
    assert fold.alarms[YELLOW.alarm_id].worse_seq == 2
    fold.apply(event("LOWERED", offset=5, severity=2), 3)
    assert fold.alarms[YELLOW.alarm_id].worse_seq == 2
    assert fold.alarms[YELLOW.alarm_id].seq == 3
