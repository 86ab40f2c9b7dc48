"""The definitions of the table, each on an example that can be counted by hand."""

from __future__ import annotations

import pytest

from lifeline.backtest.episodes import OPEN_NS, Episode, Episodes
from lifeline.backtest.score import MINUTE_NS, changed, chattering, floods, found_by, is_right
from lifeline.backtest.truth import Incident
from rules.events import Event, EventType


def episode(begin: int, end: int = OPEN_NS, *, severity: int = 2, subject: str = "a") -> Episode:
    """An alarm that stood at its severity from its begin on; minutes."""
    reached = tuple(begin * MINUTE_NS if s <= severity else OPEN_NS for s in range(5))
    end_ns = end if end == OPEN_NS else end * MINUTE_NS
    at = begin * MINUTE_NS
    return Episode("r", 1, subject, at, at, 1.0, 2.0, end_ns, severity, reached)


def incident(begin: int, end: int, *, severity: int = 2, rules: tuple[str, ...] = ()) -> Incident:
    return Incident(
        id="1", place="a", kind="leak", from_ns=begin * MINUTE_NS, to_ns=end * MINUTE_NS,
        by_ns=end * MINUTE_NS, severity=severity, rules=rules, subjects=frozenset("a"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (episode(12, 14), True),
        (episode(5, 10), True),  # ends as the incident begins
        (episode(20), True),  # begins as it ends, and stays open
        (episode(5, 9), False),
        (episode(21, 30), False),
        (episode(12, 14, severity=1), False),  # below the least level
        (episode(12, 14, subject="b"), False),
    ],
)
def test_an_incident_is_found_by_an_alarm_open_within_it_at_its_level_and_place(held, found):
    assert (found_by(incident(10, 20), [held]).episode is held) is found


def test_a_level_reached_after_the_incident_does_not_count_but_the_alarm_is_right():
    late = episode(12, 40)
    late.reached_ns = (*late.reached_ns[:2], 30 * MINUTE_NS, *late.reached_ns[3:])
    assert found_by(incident(10, 20), [late]).episode is None
    assert is_right(late, [incident(10, 20)])


def test_only_the_rules_an_incident_names_can_find_it_and_the_first_gives_the_lead():
    assert found_by(incident(10, 20, rules=("q-*",)), [episode(12)]).episode is None
    found = found_by(incident(10, 20, rules=("r*",)), [episode(15), episode(12)])
    assert found.lead_s == 8 * 60


def test_one_long_alarm_in_place_of_three_short_ones_removes_two():
    short = [episode(1, 2), episode(4, 5), episode(7, 8)]
    assert changed([episode(1, 9)], short) == (0, 2, 1)
    assert changed(short, [episode(1, 9)]) == (2, 0, 1)
    assert changed(short, [episode(1, 2, subject="b")]) == (3, 1, 0)


def test_the_third_raise_within_an_hour_chatters_and_the_eleventh_in_ten_minutes_floods():
    assert chattering([episode(0, 1), episode(30, 31), episode(59, 60)]) == 1
    assert chattering([episode(0, 1), episode(30, 31), episode(91, 92)]) == 0
    crowd = [episode(n // 2, subject=f"s{n}") for n in range(11)]
    assert floods(crowd, 1) == 1
    assert floods(crowd[1:], 1) == 0
    assert floods(crowd, 2) == 0


def test_an_escalation_raises_the_episode_and_what_began_before_is_not_counted():
    """Each level has its own time; an alarm raised during the warm-up is none of ours."""

    def event(kind: EventType, at: int, severity: int, subject: str = "a") -> Event:
        return Event(kind, at, 0, rule="r", subject=subject, severity=severity, receive_ns=at)

    held = Episodes(from_ns=10)
    held.take([event(EventType.RAISED, 5, 1, "b"), event(EventType.RAISED, 11, 1)])
    held.take([event(EventType.ESCALATED, 20, 3), event(EventType.LOWERED, 30, 1)])
    held.take([event(EventType.CLEARED, 40, 0), event(EventType.CLEARED, 41, 0, "b")])
    (one,) = held.held
    assert (one.raised_ns, one.end_ns, one.severity) == (11, 40, 3)
    assert one.reached_ns == (11, 11, 20, 20, OPEN_NS)
