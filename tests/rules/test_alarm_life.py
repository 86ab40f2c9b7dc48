"""How alarms live: each move of docs/alarms.md by table, and any order of them by hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rules.alarm_fold import AlarmFold, apply_all
from rules.alarm_forms import alarm_of, state_of
from rules.alarm_life import HOUR_NS, MINUTE_NS, USUAL, Life
from rules.alarms import Ack, Condition, Word
from rules.events import Event, EventType

SECOND_NS = 10**9
T0 = 10**18


def said(kind: str, at_s: float, severity: int = 0, *, episode: str = "1.0", **evidence) -> Event:
    return Event(
        type=EventType(kind),
        offset=int(at_s * 10) + 1,
        row=0,
        rule="p",
        subject="a/b/c",
        severity=severity,
        max_severity=severity,
        klass="safety",
        episode=episode,
        event_ns=T0 + int(at_s * SECOND_NS),
        receive_ns=T0 + int(at_s * SECOND_NS),
        evidence=evidence,
    )


def living(**life) -> dict:
    return {"life": Life(**life).said()}


def shelf(at_s: float, for_s: float, **more) -> Event:
    until = T0 + int((at_s + for_s) * SECOND_NS)
    return said("SHELVED", at_s, by="li", until_ns=until, reason="works", **more)


def last(events: list[Event]):
    fold, step = AlarmFold(), None
    for seq, event in enumerate(events, 1):
        step = fold.apply(event, seq)
    return fold.current("p|high|a/b/c"), step


MOVES = {
    "ack none is seen from the start": (
        [said("RAISED", 0, 2, **living(ack="none"))], Word.ACKED, True),
    "ack none returns and is over": (
        [said("RAISED", 0, 3, **living(ack="none")), said("CLEARED", 9)], Word.NORM, True),
    "a rule that does not latch is over when it returns": (
        [said("RAISED", 0, 4, **living(latch=(False,) * 4)), said("CLEARED", 9)], Word.NORM, True),
    "a rule that latches blue waits": (
        [said("RAISED", 0, 1, **living(latch=(True,) * 4)), said("CLEARED", 9)], Word.RTNUN, True),
    "shelved": ([said("RAISED", 0, 2), shelf(1, 60)], Word.SHLVD, True),
    "shelved, time is up": (
        [said("RAISED", 0, 2), shelf(1, 60), said("UNSHELVED", 61)], Word.UNACK, True),
    "shelved after the ack, time is up": (
        [said("RAISED", 0, 2), said("ACKED", 1), shelf(2, 60), said("UNSHELVED", 62)],
        Word.ACKED, False),
    "shelved, returned, time is up": (
        [said("RAISED", 0, 2), shelf(1, 60), said("CLEARED", 5), said("UNSHELVED", 61)],
        Word.RTNUN, False),
    "what gets worse leaves its shelf": (
        [said("RAISED", 0, 2), shelf(1, 60), said("ESCALATED", 5, 3)], Word.UNACK, True),
    "what falls stays on its shelf": (
        [said("RAISED", 0, 3), shelf(1, 60), said("LOWERED", 5, 2)], Word.SHLVD, True),
    "raised again before the shelf's time, no worse": (
        [said("RAISED", 0, 2), shelf(1, 60), said("CLEARED", 5),
         said("RAISED", 9, 2, episode="9.0")],
        Word.SHLVD, True),
    "raised again before the shelf's time, worse": (
        [said("RAISED", 0, 2), shelf(1, 60), said("CLEARED", 5),
         said("RAISED", 9, 3, episode="9.0")],
        Word.UNACK, True),
    "raised again after the shelf's time": (
        [said("RAISED", 0, 1), shelf(1, 60), said("CLEARED", 5),
         said("RAISED", 99, 1, episode="9.0")], Word.UNACK, True),
    "realarmed": ([said("RAISED", 0, 3), said("ACKED", 1), said("REALARMED", 9)], Word.UNACK, True),
    "realarmed after it returned": (
        [said("RAISED", 0, 1), said("ACKED", 1), said("CLEARED", 2), said("REALARMED", 9)],
        Word.NORM, False),
    "asked to shelve stands as it stood": (
        [said("RAISED", 0, 4), said("SHELVE_ASKED", 1, by="li")], Word.UNACK, False),
    "a comment moves nothing": (
        [said("RAISED", 0, 2), said("COMMENTED", 1, comment="x")], Word.UNACK, False),
    "maintenance stands above a shelf": (
        [said("RAISED", 0, 2), shelf(1, 60),
         said("OUT_OF_SERVICE", 2, hold="out_of_service", cause="MW-1")], Word.OOSRV, False),
    "maintenance ends, the shelf holds": (
        [said("RAISED", 0, 2), shelf(1, 60),
         said("OUT_OF_SERVICE", 2, hold="out_of_service", cause="MW-1"),
         said("IN_SERVICE", 3, cause="MW-1")], Word.SHLVD, False),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_an_alarm_moves_as_the_table_says(name: str) -> None:
    events, word, announces = MOVES[name]
    alarm, step = last(events)
    assert (alarm.word, step.announce) == (word, announces)
    assert alarm_of(state_of(alarm)) == alarm


def bouts(times_s: list[float], severity: int = 2, **life) -> list[tuple[bool, bool]]:
    """Raise and clear at each time; return (chattering, announced) of each raise."""
    fold, told, seq = AlarmFold(), [], 0
    for number, at_s in enumerate(times_s):
        for event in (
            said("RAISED", at_s, severity, episode=f"{number}.0", **living(**life)),
            said("ACKED", at_s + 0.1, episode=f"{number}.0"),
            said("CLEARED", at_s + 0.2, episode=f"{number}.0"),
        ):
            seq += 1
            step = fold.apply(event, seq)
            if event.type is EventType.RAISED:
                told.append((step.changed[-1].chattering, step.announce))
    return told


def test_three_raises_within_a_minute_chatter_and_are_announced_once() -> None:
    told = bouts([0, 10, 20, 30, 40, 200])
    assert [chatters for chatters, _ in told] == [False, False, True, True, True, False]
    assert [announced for _, announced in told] == [True, True, True, False, False, True]


def test_red_is_announced_however_much_it_chatters() -> None:
    assert all(announced for _, announced in bouts([0, 1, 2, 3, 4, 5], severity=4))


def test_a_rule_says_what_chattering_is() -> None:
    told = bouts([0, 10, 20, 30], chatter_count=2, chatter_ns=5 * SECOND_NS)
    assert not any(chatters for chatters, _ in told)


def test_an_alarm_that_returned_unseen_long_ago_is_not_the_same_one() -> None:
    within = [said("RAISED", 0, 2, **living(join_ns=MINUTE_NS)), said("CLEARED", 5)]
    again = said("RAISED", 30, 2, episode="2.0", **living(join_ns=MINUTE_NS))
    assert [a.ended for a in apply_all([*within, again]).alarms.values()] == [True, False]
    later = again._replace(receive_ns=T0 + 200 * SECOND_NS)
    fold = apply_all([*within, later])
    assert [a.word for a in fold.alarms.values()] == [Word.RTNUN, Word.UNACK]
    assert fold.current("p|high|a/b/c").episode == "2.0"


def test_what_a_rule_says_survives_its_way_through_an_event() -> None:
    life = Life(
        latch=(True, True, True, True), ack="comment", shelve_max_ns=HOUR_NS, chatter_count=5,
        chatter_ns=7, realarm_ns=0, join_ns=9,
    )  # fmt: skip
    assert Life.of(life.said()) == life
    assert Life.of({}) is USUAL
    assert USUAL.said() == {}
    assert Life.of({"of a newer version": 1}) == USUAL


def test_only_safety_alarms_from_orange_call_again_by_themselves() -> None:
    assert USUAL.realarms_after(3, "safety") == 4 * HOUR_NS
    assert USUAL.realarms_after(2, "safety") == USUAL.realarms_after(4, "maintenance") == 0
    assert Life(realarm_ns=5).realarms_after(1, "info") == 5
    assert Life(realarm_ns=0).realarms_after(4, "safety") == 0


class AnyOrder(RuleBasedStateMachine):
    """Whatever the process and people do, in any order that can be: the regions stay their own."""

    def __init__(self) -> None:
        super().__init__()
        self.fold, self.seq, self.at_s, self.episode = AlarmFold(), 0, 0.0, 0
        self.acked = self.shelved = False  # as a person would remember it

    def tell(self, kind: str, severity: int = 0, **evidence) -> None:
        self.seq += 1
        self.at_s += 1
        event = said(kind, self.at_s, severity, episode=f"{self.episode}.0", **evidence)
        self.fold.apply(event, self.seq)

    @property
    def alarm(self):
        return self.fold.current("p|high|a/b/c")

    @property
    def active(self) -> bool:
        return self.alarm is not None and self.alarm.condition is Condition.ACTIVE

    @precondition(lambda self: not self.active)
    @rule(severity=st.integers(1, 4))
    def raised(self, severity: int) -> None:
        kept = self.alarm.shelf if self.alarm is not None else None
        self.episode += 1
        self.tell("RAISED", severity)
        self.acked = False
        self.shelved = self.shelved and kept is not None and severity <= kept.severity

    @precondition(lambda self: self.active and self.alarm.severity < 4)
    @rule()
    def worse(self) -> None:
        kept = self.alarm.shelf
        self.tell("ESCALATED", self.alarm.severity + 1)
        self.acked = False
        self.shelved = self.shelved and self.alarm.severity <= kept.severity

    @precondition(lambda self: self.active and self.alarm.severity > 1)
    @rule()
    def better(self) -> None:
        self.tell("LOWERED", self.alarm.severity - 1)

    @precondition(lambda self: self.active)
    @rule()
    def clears(self) -> None:
        self.tell("CLEARED")

    @precondition(lambda self: self.alarm is not None and not self.alarm.ended and not self.acked)
    @rule()
    def acknowledge(self) -> None:
        self.tell("ACKED", by="li")
        self.acked = True

    @precondition(lambda self: self.alarm is not None and not self.shelved)
    @rule()
    def shelve(self) -> None:
        self.tell("SHELVED", by="li", until_ns=0, reason="works")
        self.shelved = True

    @precondition(lambda self: self.shelved)
    @rule()
    def unshelve(self) -> None:
        self.tell("UNSHELVED")
        self.shelved = False

    @precondition(lambda self: self.active and self.acked)
    @rule()
    def calls_again(self) -> None:
        self.tell("REALARMED")
        self.acked = False

    @invariant()
    def the_regions_are_their_own(self) -> None:
        alarm = self.alarm
        if alarm is None:
            return
        assert (alarm.ack is Ack.ACKED) == self.acked
        assert (alarm.shelf is not None) == self.shelved
        assert alarm.ended == (
            alarm.condition is Condition.NORMAL
            and (self.acked or not alarm.life.latches(alarm.max_severity))
        )
        assert alarm.word is self.word(alarm)
        assert sum(not a.ended for a in self.fold.alarms.values()) <= 1

    def word(self, alarm) -> Word:
        if self.shelved:
            return Word.SHLVD
        if alarm.condition is Condition.ACTIVE:
            return Word.ACKED if self.acked else Word.UNACK
        return Word.NORM if alarm.ended else Word.RTNUN


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_shelf_made_for_yellow_does_not_hold_what_is_confirmed_as_red() -> None:
    first = said("RAISED", 0, 4)._replace(confirmed=False)
    events = [first, shelf(1, 60), said("CONFIRMED", 2, 4)]
    alarm, step = last(events)
    assert alarm.shelf is None
    assert step.announce
    assert alarm.word is Word.UNACK
