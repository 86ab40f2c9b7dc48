"""The examples of docs/semantics.md, section 9 and more, on the slow twin and on the engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

import rules.engine
from rules.events import Event, EventType
from rules.readings import HEARD_ONLY, Control, Readings, Record, Tick
from tests.oracle import Oracle
from tests.small_city import (
    NAN,
    deadman_of,
    plan_of,
    readings_of,
    registry_of,
    rule_of,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.plan import ChannelRule, DeadmanRule

    Fold = Callable[..., list[Event]]

RED = (NAN, NAN, NAN, 10.0)
RED_CLEAR = (NAN, NAN, NAN, 8.0)


@pytest.fixture(params=["oracle", "engine"])
def fold(request: pytest.FixtureRequest) -> Fold:
    """Fold bodies over rules: ``fold(bodies, rule, …, **plan options)``."""

    def run(bodies: list[Any], *chosen: ChannelRule | DeadmanRule, **options: Any) -> list[Event]:
        plan, registry = plan_of(*chosen, **options), registry_of([0, 1])
        twin = Oracle if request.param == "oracle" else rules.engine.Engine
        records = [Record(i, body) for i, body in enumerate(bodies)]
        return twin(plan, registry).fold(records)

    return run


def row(t: float, value: float, **more: Any) -> dict[str, Any]:
    return {"channel": 0, "judged_ns": seconds(t), "receive_ns": seconds(t), "value": value} | more


def rows(*pairs: tuple[float, float], **more: Any) -> list[Readings]:
    """One record a sample."""
    return [readings_of([row(t, value, **more)]) for t, value in pairs]


def ticks(*times: float) -> list[Tick]:
    return [Tick(seconds(t)) for t in times]


def merged(*bodies: Any) -> list[Any]:
    """Bodies in the order of their receive times, starting with a tick at 0."""

    def when(body: Any) -> int:
        return body.tick_ns if isinstance(body, Tick) else int(body.receive_ns[0])

    return [Tick(seconds(0)), *sorted(bodies, key=when)]


def red(**more: Any) -> ChannelRule:
    """The rule of the table: above 10, clear 8, for 60 s, keep 60 s, max_gap 180 s."""
    return rule_of(**({"raise_at": RED, "clear_at": RED_CLEAR} | more))


def told(events: list[Event]) -> list[tuple[str, float]]:
    """Type and event time in seconds."""
    return [(str(event.type), (event.event_ns - seconds(0)) / 1e9) for event in events]


# -- the table ---------------------------------------------------------------------------------

TABLE = {
    "1 breach is at the limit": (((0, 10), (60, 10)), [("RAISED", 60)]),
    "2 the zone breaks for": (((0, 12), (60, 9), (120, 12), (180, 12)), [("RAISED", 180)]),
    "3 clear is strictly beyond": (
        ((0, 12), (60, 12), (120, 8), (180, 8), (240, 8)),
        [("RAISED", 60)],
    ),
    "4 the zone restarts keep": (
        ((0, 12), (60, 12), (120, 7), (180, 9), (240, 7), (300, 7)),
        [("RAISED", 60), ("CLEARED", 300)],
    ),
    "5 a gap restarts keep": (
        ((0, 12), (60, 12), (120, 7), (400, 7), (460, 7)),
        [("RAISED", 60), ("CLEARED", 460)],
    ),
    "6 for does not run across a gap": (((0, 12), (400, 12), (460, 12)), [("RAISED", 460)]),
    "9 a NaN is no row": (((0, 12), (60, NAN), (120, 12)), [("RAISED", 120)]),
}


@pytest.mark.parametrize("example", TABLE)
def test_each_row_of_the_table_of_meanings_holds(fold: Fold, example: str) -> None:
    samples, expected = TABLE[example]
    assert told(fold([*ticks(0), *rows(*samples)], red())) == expected


def test_a_tick_raises_when_the_hold_ends_in_silence(fold: Fold) -> None:
    """Example 7: the event has the row's time, the tick's receive time and position."""
    (event,) = fold(merged(*rows((0, 12)), *ticks(*range(10, 300, 10))), red())
    assert event.type == EventType.RAISED
    assert (event.event_ns, event.receive_ns) == (seconds(0), seconds(60))
    assert (event.offset, event.row, event.onset_ns) == (7, 0, seconds(0))
    assert (event.value, event.score, event.limit) == (12.0, 12.0, 10.0)
    assert event.episode == "7.0"


def test_a_tick_does_not_raise_when_the_hold_is_longer_than_the_gap(fold: Fold) -> None:
    """Example 8."""
    assert fold(merged(*rows((0, 12)), *ticks(*range(10, 900, 10))), red(hold_s=300)) == []


def test_the_onset_of_a_hold_over_a_nan_is_the_first_breach(fold: Fold) -> None:
    """Example 9."""
    (event,) = fold([*ticks(0), *rows((0, 12), (60, NAN), (120, 12))], red())
    assert (event.onset_ns, event.event_ns) == (seconds(0), seconds(120))


def test_silence_never_clears(fold: Fold) -> None:
    """Example 10."""
    bodies = merged(*rows((0, 12), (60, 12), (70, 7)), *ticks(*range(10, 9000, 20)))
    assert told(fold(bodies, red())) == [("RAISED", 60)]


def test_the_same_time_twice_is_judged_once(fold: Fold) -> None:
    """Example 11: a duplicate and a conflict are no rows; 5 at time 60 would break the hold."""
    samples = [(0, 12), (0, 12), (60, 12), (60, 5)]
    events = fold([*ticks(0), *rows(*samples)], red(keep_s=0))
    assert told(events) == [("RAISED", 60)]
    assert told(fold([*ticks(0), *rows((0, 12), (0, 5), (60, 12))], red())) == [("RAISED", 60)]


def test_a_late_danger_contradicted_by_a_clear_row_is_only_listed(fold: Fold) -> None:
    """Example 12."""
    bodies = [*ticks(0), *rows((60, 5)), *rows((30, 12), receive_ns=seconds(70))]
    (event,) = fold(bodies, red(hold_s=0))
    assert told([event]) == [("LATE_FINDING", 30)]
    assert (event.announce, event.severity, event.limit, event.episode) == (False, 4, 10.0, "")
    assert (event.onset_ns, event.receive_ns) == (seconds(30), seconds(70))
    (event,) = fold(bodies, red(hold_s=0, fail_loud=True))
    assert event.announce


# -- levels ------------------------------------------------------------------------------------

FOUR = {
    "raise_at": (2.0, 4.0, 6.0, 8.0),
    "clear_at": (1.0, 3.0, 5.0, 7.0),
    "hold_s": 0,
    "keep_s": 0,
}


def test_the_alarm_moves_between_levels_in_one_episode(fold: Fold) -> None:
    samples = ((0, 3.0), (10, 9.0), (20, 6.5), (30, 0.5), (40, 2.0))
    events = fold([*ticks(0), *rows(*samples)], rule_of(**FOUR))
    assert [(e.type, e.previous, e.severity, e.max_severity) for e in events] == [
        ("RAISED", 0, 1, 1),
        ("ESCALATED", 1, 4, 4),
        ("LOWERED", 4, 3, 4),
        ("CLEARED", 3, 0, 4),
        ("RAISED", 0, 1, 1),
    ]
    assert [e.limit for e in events] == [2.0, 8.0, 7.0, 5.0, 2.0]
    assert [e.episode for e in events] == ["1.0", "1.0", "1.0", "1.0", "5.0"]


def test_a_low_limit_mirrors_the_high_one(fold: Fold) -> None:
    low = {"raise_at": (-2.0, NAN, NAN, -8.0), "clear_at": (-1.0, NAN, NAN, -7.0)}
    samples = ((0, -2.0), (10, -9.0), (20, -7.0), (30, -6.9), (40, -0.9))
    events = fold([*ticks(0), *rows(*samples)], rule_of(side=-1, hold_s=0, keep_s=0, **low))
    assert [(e.type, e.score, e.limit) for e in events] == [
        ("RAISED", -2.0, -2.0),
        ("ESCALATED", -9.0, -8.0),
        ("LOWERED", -6.9, -7.0),
        ("CLEARED", -0.9, -1.0),
    ]
    assert {e.side for e in events} == {-1}


def test_samples_fulfil_a_hold_that_time_never_does(fold: Fold) -> None:
    rule = red(hold_s=math.inf, hold_samples=3)
    bodies = merged(*rows((0, 12), (10, 12), (20, 12)), *ticks(*range(30, 300, 10)))
    assert told(fold(bodies, rule)) == [("RAISED", 20)]
    assert fold(merged(*rows((0, 12), (10, 12)), *ticks(*range(30, 300, 10))), rule) == []


def test_rows_without_quality_are_no_rows(fold: Fold) -> None:
    bodies = [*ticks(0), *rows((0, 12)), *rows((30, 5), qc_flag=4), *rows((40, 5), usable=False)]
    bodies += rows((60, 12))
    assert told(fold(bodies, red())) == [("RAISED", 60)]
    assert fold(bodies, red(fail_loud=True, hold_s=31)) == []


# -- fail loud ---------------------------------------------------------------------------------


def test_the_first_danger_announces_and_the_second_confirms(fold: Fold) -> None:
    rule = red(hold_s=0, keep_s=0, fail_loud=True)
    events = fold([*ticks(0), *rows((0, 12), (10, 12), (20, 12), (30, 7))], rule)
    assert [(str(e.type), e.confirmed, e.ordinal) for e in events] == [
        ("RAISED", False, 0),
        ("CONFIRMED", True, 1),
        ("CLEARED", True, 0),
    ]
    confirmed = events[1]
    assert (confirmed.severity, confirmed.previous, confirmed.limit) == (4, 4, 10.0)
    assert (confirmed.onset_ns, confirmed.event_ns) == (seconds(0), seconds(10))
    assert (confirmed.episode, confirmed.max_severity) == ("1.0", 4)


def test_time_without_contradiction_confirms_too(fold: Fold) -> None:
    bodies = merged(*rows((0, 12)), *ticks(*range(5, 100, 5)))
    events = fold(bodies, red(hold_s=0, fail_loud=True), confirm_hold_ns=30_000_000_000)
    assert [str(e.type) for e in events] == ["RAISED", "CONFIRMED"]
    assert events[1].receive_ns == seconds(30)
    assert events[1].event_ns == seconds(0)


def test_beyond_the_range_stays_until_a_reset(fold: Fold) -> None:
    """The range ends at 100: the latch holds until a person resets it, then a clear run clears."""
    rule = red(hold_s=0, keep_s=0, over_range=True)
    channel = registry_of([0, 1]).channels.id[0]
    reset = Control("reset", {"rule": "r", "channel": channel, "by": "li", "reason": "ok"})
    bodies = [*ticks(0), *rows((0, 100.5), (10, 7), (20, 7)), reset, *rows((30, 7)), reset]
    events = fold(bodies, rule)
    assert [str(e.type) for e in events] == ["RAISED", "RESET", "CLEARED"]
    raised, answered, cleared = events
    assert (raised.value, raised.score, raised.over_range) == (100.5, math.inf, True)
    assert (answered.offset, answered.severity, answered.over_range) == (4, 4, False)
    assert (answered.stage, answered.episode) == (1, "1.0")
    assert (cleared.event_ns, cleared.onset_ns) == (seconds(30), seconds(30))
    assert not cleared.over_range
    assert told(fold([*ticks(0), *rows((0, 100), (10, 7))], rule))[-1] == ("CLEARED", 10)


def test_below_the_range_is_dangerous_on_the_low_side_only(fold: Fold) -> None:
    low = {"raise_at": (NAN, NAN, NAN, 2.0), "clear_at": (NAN, NAN, NAN, 3.0), "side": -1}
    bodies = [*ticks(0), *rows((0, -0.5))]
    (event,) = fold(bodies, rule_of(**low, hold_s=0, over_range=True))
    assert (event.score, event.over_range) == (-math.inf, True)
    assert fold(bodies, red(hold_s=0, over_range=True)) == []


def test_a_late_danger_without_a_clear_row_is_announced(fold: Fold) -> None:
    bodies = [*ticks(0), *rows((60, 9)), *rows((30, 12), receive_ns=seconds(70))]
    (event,) = fold(bodies, red(hold_s=0))
    assert event.type == EventType.LATE_FINDING
    assert event.announce


def test_a_late_danger_below_orange_is_only_listed(fold: Fold) -> None:
    bodies = [*ticks(0), *rows((60, 3.5)), *rows((30, 4.5), receive_ns=seconds(70))]
    events = fold(bodies, rule_of(**FOUR))
    assert [(str(e.type), e.severity, e.announce) for e in events] == [
        ("RAISED", 1, True),
        ("LATE_FINDING", 2, False),
    ]


# -- duplicates and epochs ---------------------------------------------------------------------


def numbered(sequence: int, t: float, value: float, at: float, boot: int = 7) -> Readings:
    return readings_of(
        [row(t, value, receive_ns=seconds(at), sequence=sequence, boot=boot)],
    )


def test_a_frame_received_twice_is_a_duplicate_not_late(fold: Fold) -> None:
    """The second copy of the breach is older than the last judged, yet gives no LATE_FINDING."""
    bodies = [*ticks(0), numbered(1, 0, 12, 0), numbered(2, 60, 5, 60), numbered(1, 0, 12, 70)]
    assert fold(bodies, red()) == []
    bodies[-1] = numbered(1, 0, 12, 70, boot=8)
    assert told(fold(bodies, red())) == [("LATE_FINDING", 0)]


def test_an_unnumbered_frame_is_told_by_its_payload(fold: Fold) -> None:
    bodies = [*ticks(0), *rows((0, 12), boot=99), *rows((60, 5), boot=98)]
    assert fold([*bodies, *rows((0, 12), boot=99, receive_ns=seconds(70))], red()) == []
    late = rows((0, 12), boot=97, receive_ns=seconds(70))
    assert told(fold([*bodies, *late], red())) == [("LATE_FINDING", 0)]


def test_three_late_frames_with_rising_sequence_open_an_epoch(fold: Fold) -> None:
    """A clock one hour ahead is put right: the channel is judged again from the third frame on."""
    bodies = [*ticks(0), numbered(1, 3600, 1, 0), numbered(2, 10, 12, 10), numbered(3, 20, 12, 20)]
    bodies += [numbered(4, 30, 12, 30), numbered(5, 90, 12, 90)]
    events = fold(bodies, red())
    assert [(str(e.type), e.offset) for e in events] == [
        ("LATE_FINDING", 2),
        ("LATE_FINDING", 3),
        ("CLOCK_EPOCH", 4),
        ("RAISED", 5),
    ]
    epoch, raised = events[2:]
    assert (epoch.stage, epoch.rule, epoch.subject) == (0, "", registry_of([0, 1]).channels.id[0])
    assert raised.onset_ns == seconds(30)


# -- other scores ------------------------------------------------------------------------------


def test_a_rate_is_taken_over_its_window_in_true_time(fold: Fold) -> None:
    rule = red(kind="rate", own={"window_ns": 10**11}, hold_s=0, raise_at=(NAN, NAN, NAN, 0.5))
    events = fold([*ticks(0), *rows((0, 0), (40, 10), (110, 46), (130, 46))], rule)
    assert [(e.score, e.event_ns) for e in events] == [(36 / 70, seconds(110))]


def test_theil_sen_ignores_one_wild_sample(fold: Fold) -> None:
    samples = ((0, 0), (10, 1000), (20, 2), (30, 3), (40, 4))
    limits = {"raise_at": (0.1, NAN, NAN, 50.0), "clear_at": (0.1, NAN, NAN, 50.0)}
    rule = rule_of(kind="rate", method="theil_sen", own={"min_points": 5}, hold_s=0, **limits)
    (event,) = fold([*ticks(0), *rows(*samples)], rule)
    assert (event.severity, event.score) == (1, 0.1)


def test_ewma_scores_before_it_learns(fold: Fold) -> None:
    rule = red(kind="ewma", own={"alpha": 0.5}, hold_s=0, keep_s=0)
    events = fold([*ticks(0), *rows((0, 1), (10, 1), (20, 1), (30, 7), (40, 7))], rule)
    assert [(str(e.type), e.score) for e in events] == [("RAISED", 12.0), ("CLEARED", 1.0)]


# -- silence, blindness, heartbeat -------------------------------------------------------------


def silent(*missing_s: float) -> DeadmanRule:
    return deadman_of("silent", [0], missing_s)


def test_a_silent_device_raises_by_level_and_a_row_of_it_clears(fold: Fold) -> None:
    watch = silent(20, math.inf, 60, math.inf)
    spoken = readings_of([row(95, 1, channel=HEARD_ONLY)])
    events = fold(merged(*rows((3, 1)), *ticks(*range(10, 100, 10)), spoken), watch)
    assert [(str(e.type), e.receive_ns, e.value, e.limit) for e in events] == [
        ("RAISED", seconds(30), 27.0, 20.0),
        ("ESCALATED", seconds(70), 67.0, 60.0),
        ("CLEARED", seconds(95), None, None),
    ]
    assert {e.event_ns for e in events[:2]} == {seconds(3)}
    assert [(e.severity, e.previous, e.max_severity) for e in events] == [
        (1, 0, 1),
        (3, 1, 3),
        (0, 3, 3),
    ]
    assert len({e.episode for e in events}) == 1


def test_a_device_never_heard_is_silent_from_the_first_tick(fold: Fold) -> None:
    events = fold(ticks(5, 15, 25, 35), silent(20, math.inf, math.inf, math.inf))
    assert told(events) == [("RAISED", 5)]
    assert events[0].receive_ns == seconds(25)


def test_a_stop_of_ours_is_one_blind_event_and_no_silence(fold: Fold) -> None:
    """Silence counts on only after the gap and the grace of 10 s."""
    watch = silent(40, math.inf, math.inf, math.inf)
    bodies = merged(*ticks(10, 20, 620, 630, 640, 650, 660))
    events = fold(bodies, watch)
    assert [(str(e.type), e.receive_ns) for e in events] == [
        ("BLIND", seconds(620)),
        ("RAISED", seconds(650)),
    ]
    blind = events[0]
    assert (blind.onset_ns, blind.event_ns, blind.subject) == (seconds(20), seconds(620), "")
    assert events[1].value == 40.0


def test_every_judged_row_of_a_probe_is_a_heartbeat(fold: Fold) -> None:
    events = fold([*ticks(0), *rows((0, 1), (30, 2), (30, 2), (20, 3))], probes=[0])
    assert [(str(e.type), e.value) for e in events] == [("HEARTBEAT", 1.0), ("HEARTBEAT", 2.0)]


def test_events_of_one_row_stand_in_log_order(fold: Fold) -> None:
    """Stage 0 first, then rule id as text, low side before high, CONFIRMED after its RAISED."""
    flat = {"raise_at": (NAN, NAN, NAN, 1.0), "clear_at": (NAN, NAN, NAN, 1.0), "hold_s": 0}
    chosen = [rule_of("b", **flat), rule_of("a10", **flat), rule_of("a10", side=-1, **flat)]
    chosen.append(rule_of("a2", **flat, hold_samples=1, fail_loud=True))
    events = fold([*ticks(0), *rows((0, 1))], *chosen, probes=[0], confirm_hold_ns=0)
    assert [(str(e.type), e.rule, e.side, e.ordinal) for e in events] == [
        ("HEARTBEAT", "", 1, 1),
        ("RAISED", "a10", -1, 0),
        ("RAISED", "a10", 1, 0),
        ("RAISED", "a2", 1, 0),
        ("CONFIRMED", "a2", 1, 1),
        ("RAISED", "b", 1, 0),
    ]
