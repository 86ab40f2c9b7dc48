"""Figures of the alarm system: equal to a slow twin, whatever people and process did."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from lifeline.kpi.calls import calls_of
from lifeline.kpi.figures import SPLIT, Aims, Figure, kpis
from lifeline.kpi.lives import Times, lives_of, percentile
from lifeline.kpi.past import Line, Span, read_past
from lifeline.kpi.told import kpis_json
from lifeline.ledger import Ledger
from rules.events import Event, EventType
from rules.flood import FloodLimits
from tests.lifeline.duty_kit import BEGIN, HOUR, SECOND, RandomDays, every_line
from tests.lifeline.kpi_twin import Twin


@pytest.fixture(scope="module", params=range(3))
def days(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("days") / "ledger.sqlite"
    held = RandomDays(f"sqlite:///{place}", request.param)
    held.place = place
    held.live(20)
    yield held
    held.ledger.close()


def spans(days):
    middle = BEGIN + (days.now_ns - BEGIN) // 3 // SECOND * SECOND
    return (
        Span(from_ns=BEGIN, to_ns=days.now_ns + SECOND),
        Span(from_ns=middle, to_ns=middle + 7 * HOUR, operators=2),
        Span(from_ns=middle + 2 * HOUR, to_ns=days.now_ns, operators=1),
    )


def test_calls_and_floods_are_those_of_the_slow_twin(days):
    lines = every_line(days.ledger)
    twin = Twin([(line.seq, line.event) for line in lines])
    assert [(s, c) for s, _, c, _ in twin.steps] == [(x.seq, x.called) for x in lines]
    assert sum(line.called for line in lines) > 40
    for span in spans(days):
        a, b, n = span.from_ns, span.to_ns, span.operators
        calls = calls_of(lines, span, flood=FloodLimits())
        bins = twin.bins(a, b)
        assert (list(calls.bins), calls.total) == (bins, sum(bins))
        assert calls.mean == pytest.approx(sum(bins) / ((b - a) / 600e9) / n)
        assert (calls.peak, calls.over_ten) == (
            max(bins) / n,
            sum(x > 10 * n for x in bins) / len(bins),
        )
        floods = twin.floods(a, b, begins=10 * n, ends=5 * n)
        assert [(f.from_ns, f.to_ns, f.calls) for f in calls.floods] == floods
        noisy = twin.noisy(a, b)
        assert {(s.rule, s.subject, s.side): s.calls for s in calls.top} == dict(
            noisy.most_common(10)
        ) or len(noisy) > 10
        ten = sum(n for _, n in noisy.most_common(10))
        assert calls.top_share == (ten / sum(bins) if bins else 0)
        assert {(s.rule, s.subject) for s in calls.chattering} == twin.chattering(a, b)

    whole = calls_of(lines, spans(days)[0], flood=FloodLimits())
    assert whole.floods
    assert whole.chattering
    assert whole.fleeting


def nearest(values, share):
    """The least of them that so large a share of them does not exceed."""
    return min(x for x in values if sum(y <= x for y in values) >= share * len(values) - 1e-9)


def by_level(pairs):
    held = {}
    for level, took in pairs:
        held.setdefault(level, []).append(took)
    return held


def test_answers_and_what_stands_are_those_of_the_slow_twin(days):
    lines = every_line(days.ledger)
    twin = Twin([(line.seq, line.event) for line in lines])
    for span in spans(days):
        lives = lives_of([x for x in lines if x.event.receive_ns < span.to_ns], span)
        waited = by_level(twin.acknowledged(span.from_ns, span.to_ns))
        assert {k: t.count for k, t in lives.acknowledged.items()} == {
            k: len(v) for k, v in waited.items()
        }
        for level, values in waited.items():
            times = lives.acknowledged[level]
            told = (times.p50_s, times.p90_s, times.p99_s)
            assert told == tuple(nearest(values, share) for share in (0.5, 0.9, 0.99))
        assert set(lives.standing) == twin.standing(span.to_ns)
        verdicts = {r: (v.true, v.false, v.none) for r, v in lives.rules.items()}
        assert verdicts == twin.verdicts(span.from_ns, span.to_ns)


def test_what_is_read_of_the_ledger_gives_what_all_of_it_gives(days):
    lines = every_line(days.ledger)
    for span in spans(days):
        some = read_past(days.ledger, span, simulation=False)
        whole = [x for x in lines if x.event.receive_ns < span.to_ns]
        held = {line.seq: line for line in whole}
        assert all(held[line.seq] == line for line in some)
        told = [kpis_json(kpis(each, span, Aims()), simulation=False) for each in (some, whole)]
        assert told[0] == told[1]
    assert len(some) < len(lines)


def test_a_ledger_from_before_gets_its_columns(tmp_path, days):
    """What an older program wrote, or left empty meanwhile, is filled as if written today."""
    wanted = every_line(days.ledger)
    place = tmp_path / "old.sqlite"
    with (
        closing(sqlite3.connect(days.place)) as old,
        closing(sqlite3.connect(place)) as new,
    ):
        old.backup(new)
    ledger = Ledger(f"sqlite:///{place}")
    with ledger.write() as connection:
        connection.execute(text("DROP INDEX ix_event_receive_ns"))
        connection.execute(text("ALTER TABLE event DROP COLUMN receive_ns"))
        connection.execute(text("ALTER TABLE event DROP COLUMN called"))
    ledger.close()
    ledger = Ledger(f"sqlite:///{place}")
    assert every_line(ledger) == wanted
    with ledger.read() as connection:
        times = connection.execute(text("SELECT receive_ns FROM event ORDER BY seq")).scalars()
        assert list(times) == [line.event.receive_ns for line in wanted]
    with ledger.write() as connection:
        connection.execute(text("UPDATE event SET receive_ns = NULL, called = 0 WHERE seq > 20"))
    ledger.close()
    ledger = Ledger(f"sqlite:///{place}")
    assert every_line(ledger) == wanted
    ledger.close()


def line(seq, kind, at_s, *, called=False, level=2, episode="1.0", **more):
    event = Event(
        type=EventType(kind),
        offset=seq,
        row=0,
        rule="ch4",
        subject="a/b/c",
        severity=level,
        max_severity=level,
        episode=episode,
        event_ns=at_s * SECOND,
        receive_ns=at_s * SECOND,
        **more,
    )
    return Line(seq, event, called)


DAY = Span(from_ns=0, to_ns=86_400 * SECOND)


def test_worse_alarms_wait_from_when_they_became_so():
    lines = [
        line(1, "RAISED", 100, called=True, level=1),
        line(2, "ESCALATED", 1000, called=True, level=4),
        line(3, "ACKED", 1030, level=4),
    ]
    assert lives_of(lines, DAY).acknowledged == {4: Times(count=1, p50_s=30, p90_s=30, p99_s=30)}


def test_an_alarm_that_nobody_saw_is_told_as_such():
    lines = [
        line(1, "RAISED", 100, called=True, level=1),
        line(2, "CLEARED", 200, level=0),
        line(3, "ENDED", 200, level=0, evidence={"cause": 2}),
    ]
    lives = lives_of(lines, DAY)
    assert (lives.unseen, lives.waiting, lives.acknowledged) == ({1: 1}, (), {})
    assert lives.closed[1].p50_s == 100


def test_a_stale_alarm_is_counted_on_the_day_it_became_so():
    lines = [line(1, "RAISED", 100, called=True)]
    day = 86_400 * SECOND
    counts = [
        (lives.became_stale, len(lives.stale))
        for n in range(3)
        for lives in [lives_of(lines, Span(from_ns=n * day, to_ns=(n + 1) * day))]
    ]
    assert counts == [(0, 0), (1, 1), (0, 1)]


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 2), (0.9, 4), (0.99, 4), (0.25, 1), (1.0, 4)])
def test_percentiles_are_nearest_ranks(share, wanted):
    assert percentile([1, 2, 3, 4], share) == wanted


@pytest.mark.parametrize(
    ("relation", "target", "value", "met"),
    [
        ("≤", 1, 1, True), ("≤", 1, 1.01, False), ("<", 5, 5, False), ("<", 5, 4.9, True),
        ("≥", 1, 0.99, False), ("≥", 1, 1, True), ("±", 0.8, 0.65, True), ("±", 0.8, 0.64, False),
        ("±", 0.8, 0.96, False), ("≤", 1, None, None), ("", None, 1, None),
    ],
)  # fmt: skip
def test_a_figure_meets_its_target_or_not(relation, target, value, met):
    figure = Figure(key="mean", value=value, unit="", relation=relation, target=target)
    assert figure.met is met


def test_targets_of_time_are_the_sites_own_or_none():
    lines = [line(1, "RAISED", 100, called=True, level=4), line(2, "ACKED", 190, level=4)]
    plain = {f.key: f for f in kpis(lines, DAY, Aims()).figures if f.key == "ack"}
    assert (plain["ack"].met, plain["ack"].target) == (None, None)
    aims = Aims(ack_s={4: 60.0, 3: 300.0})
    own = {f.severity: f for f in kpis(lines, DAY, aims).figures if f.key == "ack"}
    assert (own[4].met, own[4].value, own[3].met) == (False, 90, None)


def test_an_empty_span_meets_its_load_and_tells_no_share():
    figures = {(f.key, f.severity): f for f in kpis([], DAY, Aims()).figures}
    assert figures["mean", 0].met is True
    assert all(figures["split", at].value is None for at in SPLIT)
    assert figures["false", 0].value is None


@pytest.mark.parametrize("what", [(5, 5, 1), (-1, 5, 1), (0, 5, 0)])
def test_a_span_that_cannot_be_is_refused(what):
    with pytest.raises(ValueError):
        Span(from_ns=what[0], to_ns=what[1], operators=what[2])
