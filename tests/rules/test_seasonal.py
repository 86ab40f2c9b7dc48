"""Kind seasonal on weeks of real time: what is usual when, and how it is learned and forgotten."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from rules.civil_time import day_number
from rules.engine import Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import encode
from rules.readings import Readings, Record
from tests.journals import case
from tests.oracle import Oracle
from tests.oracle_seasonal import seasonal_of
from tests.small_city import NAN, SECOND_NS, plan_of, registry_of, rule_of

HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
MONDAY_NS = day_number("2026-11-02") * DAY_NS
YEAR_NS = 31_556_952 * SECOND_NS


def seasonal(**more: Any) -> Any:
    """A rule on hours of the week and of the day, four weeks long, in UTC."""
    own = {
        "slot_ns": HOUR_NS,
        "period_ns": [[7 * DAY_NS, DAY_NS]],
        "keep": [[4, 28]],
        "least": 3,
        "floor": 1.0,
        "exclude": NAN,
    }
    calendar = more.pop("calendar", ())
    options = {"zone": more.pop("zone", "UTC0"), "holidays": int(bool(calendar))}
    return rule_of(
        kind="seasonal",
        own=own | more,
        options=options,
        calendar=calendar,
        raise_at=(NAN, 4.0, NAN, NAN),
        hold_s=0,
        keep_s=0,
        max_gap_s=7 * 86_400,
    )


def scores(rule: Any, rows: list[tuple[int, float]]) -> list[float]:
    """The score of each row, from the engine's kernel, all at once and one by one, and its twin."""
    slow = seasonal_of(rule, 0, registry_of([0]))
    expected = [slow.score(t, x) for t, x in rows]
    for size in (1, 7, len(rows)):
        told: list[float] = []
        engine = Engine(plan_of(rule), registry_of([0]))
        scorer = engine.scorers["seasonal"]
        plain = scorer.score

        def noted(runs: Any, part: Any, plain: Any = plain, told: list[float] = told) -> Any:
            score = plain(runs, part)
            told += score.tolist()
            return score

        scorer.score = noted  # type: ignore[method-assign]
        for start in range(0, len(rows), size):
            held = rows[start : start + size]
            columns = {"channel": [0] * len(held), "judged_ns": [t for t, _ in held]}
            columns["value"] = [x for _, x in held]
            engine.fold([Record(start, Readings.of(columns))])
        np.testing.assert_array_equal(told, expected)
    return expected


def weeks(count: float, usual: Any, *, begin: int = MONDAY_NS, every: int = HOUR_NS // 2) -> Any:
    """Rows of so many weeks, ``usual(weekday, hour)`` each."""
    rows = []
    for t in range(begin, begin + round(count * 7 * DAY_NS), every):
        day = t // DAY_NS - 4
        rows.append((t, float(usual(day % 7, t % DAY_NS // HOUR_NS))))
    return rows


def by_day(weekday: int, hour: int) -> float:
    return 100.0 * (weekday >= 5) + hour


def test_a_week_day_by_day_is_usual_from_the_fourth_week_on():
    rows = weeks(4, by_day)
    said = scores(seasonal(), [*rows, (MONDAY_NS + 28 * DAY_NS, 5.0)])
    fourth = 3 * 7 * 48
    assert all(abs(z) == 0 for z in said[fourth:-1])
    assert said[-1] == 5.0  # 0 is usual at midnight of a Monday, the floor is 1


def test_the_hour_of_the_day_answers_from_the_fourth_day_on_until_the_week_is_known():
    said = scores(seasonal(), weeks(1, by_day))
    assert all(math.isnan(z) for z in said[: 3 * 48])
    assert all(z == 0 for z in said[3 * 48 : 5 * 48])
    assert all(z == 100 for z in said[5 * 48 : 6 * 48])  # Saturday, against days of work


def test_weeks_begin_on_monday_and_days_at_local_midnight():
    rows = weeks(4, lambda day, hour: 50.0 * (day == 0) + hour, begin=MONDAY_NS - 8 * HOUR_NS)
    for zone, first in (("UTC0", 8 * 2), ("CST-8", 0)):
        profiles = Engine(plan_of(seasonal(zone=zone)), registry_of([0])).scorers["seasonal"]
        own, t = np.zeros(1, np.int64), np.array([rows[first][0]])
        number = profiles.profiles.visit(own, t)
        slot, _, _ = profiles.profiles._place(own, number, 0)
        assert slot.tolist() == [0], zone


def test_a_holiday_is_compared_with_holidays():
    days = tuple(day_number("2026-11-04") + 7 * k for k in range(5))  # Wednesdays
    rows = weeks(5, lambda day, hour: 30.0 * (day == 2) + hour)
    said = scores(seasonal(calendar=days), rows)
    fifth = 4 * 7 * 48
    assert {z for z in said[fifth:] if not math.isnan(z)} == {0.0}
    assert not any(math.isnan(z) for z in said[fifth:])
    plain = scores(seasonal(calendar=days[:4]), rows)  # the fifth is taken for a working day
    assert set(plain[fifth + 2 * 48 : fifth + 3 * 48]) == {30.0}


def test_a_year_is_told_by_its_days():
    rule = seasonal(slot_ns=DAY_NS, period_ns=[[YEAR_NS]], keep=[[3]], least=2)
    begin = day_number("2020-01-01") * DAY_NS
    rows = [
        (begin + day * DAY_NS, 20.0 * math.sin(2 * math.pi * day / 365.2425)) for day in range(1200)
    ]
    said = scores(rule, rows)
    assert all(math.isnan(z) for z in said[:730])
    assert max(abs(z) for z in said[732:]) < 1.0
    odd = scores(rule, [*rows, (rows[-1][0] + DAY_NS, 40.0)])
    assert odd[-1] > 10


def test_an_hour_that_summer_time_repeats_is_learned_once_and_one_that_it_skips_not():
    rule = seasonal(zone="CET-1CEST,M3.5.0,M10.5.0/3", period_ns=[[DAY_NS]], keep=[[5]], least=1)
    begin = day_number("2026-10-22") * DAY_NS - 2 * HOUR_NS  # summer time ends on the 25th
    rows = [(begin + k * HOUR_NS // 2, float(k)) for k in range(7 * 48)]
    assert len(scores(rule, rows)) == 7 * 48
    begin = day_number("2027-03-26") * DAY_NS - HOUR_NS
    rows = [(begin + k * HOUR_NS // 2, float(k)) for k in range(7 * 48)]
    assert len(scores(rule, rows)) == 7 * 48


def test_a_lasting_shift_alarms_until_it_is_forgotten_and_is_usual_afterwards():
    rule = seasonal(exclude=4.0, period_ns=[[DAY_NS]], keep=[[7]])
    before = weeks(1, lambda _, hour: hour)
    after = weeks(3, lambda _, hour: hour + 50, begin=MONDAY_NS + 7 * DAY_NS)
    said = scores(rule, [*before, *after])[len(before) :]
    days = [set(said[k : k + 48]) for k in range(0, len(said), 48)]
    # on the fifth day three of the seven days before still are from before; then fewer
    assert all(z > 4 for day in days[:5] for z in day)
    assert all(math.isnan(z) for day in days[5:8] for z in day)
    assert all(z == 0 for day in days[8:] for z in day)


def test_what_was_learned_by_a_clock_that_was_ahead_is_forgotten():
    rule = seasonal(period_ns=[[DAY_NS]], keep=[[7]])
    slow = seasonal_of(rule, 0, registry_of([0]))
    for day in (0, 1, 2, 3, 9, 10, 11):
        slow.score(MONDAY_NS + day * DAY_NS, 1.0 if day < 9 else 99.0)
    assert slow.score(MONDAY_NS + 4 * DAY_NS, 3.0) == pytest.approx(math.nan, nan_ok=True)


def test_long_visits_and_many_rows_are_those_of_the_twin_bit_for_bit():
    random = Random("seasonal")
    rule = seasonal(exclude=3.0, floor=0.25)
    rows, t = [], MONDAY_NS
    for _ in range(6000):
        t += random.choice((1, 60, 60, 300, 1800)) * SECOND_NS
        rows.append((t, random.gauss(10, 3) + t % DAY_NS / HOUR_NS))
    said = scores(rule, rows)
    assert sum(not math.isnan(z) for z in said) > 1000


def test_the_state_of_a_small_rule_lives_on_beside_a_new_large_one():
    small = seasonal(period_ns=[[DAY_NS]], keep=[[5]])
    large = rule_of(
        "large",
        kind="seasonal",
        own={**seasonal().own, "slot_ns": HOUR_NS // 4},
        options=dict(seasonal().options),
    )
    rows = weeks(1, lambda _, hour: hour)
    records = [
        Record(i, Readings.of({"channel": [0], "judged_ns": [t], "value": [x]}))
        for i, (t, x) in enumerate([*rows, (MONDAY_NS + 7 * DAY_NS, 9.0)])
    ]
    alone, joined = (Engine(plan_of(small), registry_of([0])) for _ in range(2))
    assert [e.type for e in alone.fold(records)] == ["RAISED"]
    joined.fold(records[:-1])
    assert joined.change(plan_of(small, large), registry_of([0]), offset=len(records)) == []
    told = joined.fold(records[-1:])
    assert [(e.type, e.score) for e in told] == [("RAISED", 9.0)]
    back = Engine(plan_of(small), registry_of([0]))
    back.restore(from_bytes(to_bytes(joined.snapshot())))
    assert [e.type for e in back.fold([Record(9999, records[0].body)])] == []


def test_holidays_that_are_added_later_keep_what_was_learned():
    rows = weeks(4, by_day)
    engine = Engine(plan_of(seasonal(calendar=(1,))), registry_of([0]))
    for i, (t, x) in enumerate(rows):
        engine.fold([Record(i, Readings.of({"channel": [0], "judged_ns": [t], "value": [x]}))])
    engine.change(plan_of(seasonal(calendar=(1, 30_000))), registry_of([0]), offset=len(rows))
    row = {"channel": [0], "judged_ns": [MONDAY_NS + 28 * DAY_NS], "value": [5.0]}
    (event,) = engine.fold([Record(len(rows) + 1, Readings.of(row))])
    assert (event.type, event.score) == ("RAISED", 5.0)
    assert event.evidence == {"median": 0.0, "sigma": 1.0}


def test_the_journals_reach_every_event_and_holidays_and_second_profiles():
    told: Counter[str] = Counter()
    for seed in range(40):
        drawn = case(Random(seed), kinds=("seasonal",))
        for event in Oracle(drawn.plan, drawn.registry).fold(drawn.records):
            told[f"{event.type} {event.side}"] += bool(event.rule)
        for rule in (r for r in drawn.plan.channel_rules if r.kind == "seasonal"):
            told["holidays"] += bool(rule.options["holidays"] and rule.calendar)
            told["two profiles"] += bool((rule.own["period_ns"][:, 1] > 0).any())
    for wanted in ("RAISED", "ESCALATED", "LOWERED", "CLEARED", "CONFIRMED"):
        for side in (1, -1):
            assert told[f"{wanted} {side}"] > 4, (wanted, told)
    assert min(told["holidays"], told["two profiles"]) > 10


def test_many_channels_at_once_are_as_each_alone():
    registry = registry_of([0] * 5)
    random = Random(5)
    rule = rule_of(
        channels=range(5),
        kind="seasonal",
        own={**seasonal().own, "exclude": np.array([NAN, 2.0, 4.0, NAN, 3.0])},
        options=dict(seasonal().options),
        raise_at=(NAN, 2.0, NAN, 8.0),
        hold_s=0,
        keep_s=0,
    )
    rows = [
        {"channel": c, "judged_ns": t + c, "value": x + random.gauss(0, 2) + c}
        for t, x in weeks(4, by_day, every=HOUR_NS)
        for c in range(5)
        if random.random() < 0.9
    ]
    records = [
        Record(i, Readings.of({k: [row[k] for row in held] for k in rows[0]}))
        for i, held in enumerate(rows[k : k + 5] for k in range(0, len(rows), 5))
    ]
    slow = [encode(e) for e in Oracle(plan_of(rule), registry).fold(records)]
    assert len(slow) > 50
    assert [encode(e) for e in Engine(plan_of(rule), registry).fold(records)] == slow
    engine = Engine(plan_of(rule), registry)
    assert [encode(e) for r in records for e in engine.fold([r])] == slow
