"""Two sets of episodes compared: who saw what, by subject, side and overlapping time."""

from __future__ import annotations

import pytest

from ingest.journal import EventLines, JournalWriter
from ingest.store.alarms_input import AlarmsInput
from lifeline.errors import Missing
from lifeline.ledger import Ledger
from lifeline.shadow.report import compared, counts, logged
from rules.events import Event, EventType, encode
from rules.registry import Registry

S = 10**9


def alarm(rule, begin, end, *, subject="a/b/c", severity=2, shadow=False, side=1):
    """One episode as events; open where ``end`` is None."""
    given = {
        "row": 0, "rule": rule, "subject": subject, "side": side, "shadow": shadow,
        "announce": not shadow, "episode": f"{begin}.0",
    }  # fmt: skip
    times = {"onset_ns": begin * S, "event_ns": begin * S, "receive_ns": begin * S}
    told = [
        Event(
            type=EventType.RAISED, offset=begin, severity=severity, max_severity=severity,
            **given, **times,
        )
    ]  # fmt: skip
    if end is not None:
        times = {"onset_ns": end * S, "event_ns": end * S, "receive_ns": end * S}
        told.append(Event(type=EventType.CLEARED, offset=end, previous=severity, **given, **times))
    return told


def pair(*alarms, from_s=0, to_s=10**6, beside=None):
    events = sorted((e for each in alarms for e in each), key=lambda e: e.offset)
    beside = {"t": "x"} if beside is None else beside
    return compared(events, beside, from_ns=from_s * S, to_ns=to_s * S)


def figures(*alarms, **options):
    (found,) = pair(*alarms, **options)
    n = counts(found)
    return (n.both, n.only_shadow, n.only_active, n.higher, n.lower)


def trial(begin, end, **more):
    return alarm("t", begin, end, shadow=True, **more)


def test_episodes_of_one_subject_and_side_that_overlap_are_seen_by_both():
    assert figures(trial(10, 20), alarm("x", 15, 30)) == (1, 0, 0, 0, 0)
    assert figures(trial(10, 20), alarm("x", 21, 30)) == (0, 1, 1, 0, 0)
    assert figures(trial(10, 20), alarm("x", 10, 20, subject="d/e/f")) == (0, 1, 1, 0, 0)
    assert figures(trial(10, 20), alarm("x", 10, 20, side=-1)) == (0, 1, 1, 0, 0)
    assert figures(trial(10, None), alarm("x", 50, None)) == (1, 0, 0, 0, 0)


def test_levels_are_compared_by_the_highest_of_each():
    assert figures(trial(10, 20, severity=3), alarm("x", 12, 18)) == (1, 0, 0, 1, 0)
    assert figures(trial(10, 20, severity=1), alarm("x", 12, 18)) == (1, 0, 0, 0, 1)
    two = (alarm("x", 11, 12, severity=1), alarm("x", 14, 15, severity=4))
    assert figures(trial(10, 20, severity=4), *two) == (1, 0, 0, 0, 0)


def test_a_rule_that_chatters_within_one_live_alarm_misses_none_of_it():
    assert figures(trial(10, 12), trial(14, 16), alarm("x", 9, 20)) == (2, 0, 0, 0, 0)


def test_only_episodes_open_in_the_time_asked_for_count():
    told = (trial(10, 20), alarm("x", 12, 18), trial(40, 50), alarm("x", 60, 70))
    assert figures(*told, from_s=0, to_s=30) == (1, 0, 0, 0, 0)
    assert figures(*told, from_s=30, to_s=55) == (0, 1, 0, 0, 0)


def test_rules_without_a_live_one_and_rules_taken_away_since_are_told_too():
    gone = alarm("gone", 10, 20, shadow=True)
    found = pair(gone, trial(10, 20), alarm("x", 1, 2), beside={"t": ""})
    assert [(p.shadow, p.active, len(p.only_shadow)) for p in found] == [
        ("gone", "", 1),
        ("t", "", 1),
    ]


def write(data, events):
    with JournalWriter(data / "events") as log:
        log.append(EventLines(through=10**6, lines=tuple(encode(e) for e in events)))
        log.commit()


def test_a_line_that_is_no_event_is_told_with_its_place(tmp_path):
    with JournalWriter(tmp_path / "events") as log:
        log.append(EventLines(through=1, lines=(b"{}",)))
        log.commit()
    with pytest.raises(Missing, match="record 0"):
        list(logged(tmp_path))


def test_the_ledger_takes_no_event_of_a_rule_on_trial(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}")
    done = ledger.apply([*trial(1, 2), *alarm("x", 3, None)], 10)
    assert (done.new, [a.rule for a in done.alarms]) == (1, ["x"])
    assert ledger.counts()["event"] == 1
    again = ledger.apply([*trial(1, 2), *alarm("x", 3, None)], 10, since=0)
    assert (again.mismatches, again.compared) == (0, 1)
    ledger.close()


def test_the_store_takes_no_event_of_a_rule_on_trial(tmp_path):
    write(tmp_path, events := [*trial(1, 2), *alarm("x", 3, None)])
    store = AlarmsInput(tmp_path, Registry.empty(), say=None)
    lines = EventLines(through=10, lines=tuple(encode(e) for e in events))
    assert [e.rule for e in store._events([(0, lines)])] == ["x"]
    store.close()
