"""Cumulative sums: small shifts are found, not learned away, and begin anew when acknowledged."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import rules.engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import encode
from rules.readings import Control, Readings, Record
from tests.oracle import Oracle
from tests.small_city import (
    NAN,
    SECOND_NS,
    T0_NS,
    plan_of,
    readings_of,
    registry_of,
    rule_of,
    seconds,
)

MINUTE_NS = 60 * SECOND_NS
DAY_NS = 1440 * MINUTE_NS
FORTNIGHT = {
    "window_ns": 14 * DAY_NS,
    "warmup_ns": DAY_NS,
    "floor": 0.01,
    "freeze": 8.0,
    "cap": 40.0,
}


def plan(*, channels=(0,), hold_s=0.0, limit=16.0, **own):
    """A rule on both sides, as the language compiles it."""
    common = {
        "kind": "cusum",
        "channels": channels,
        "hold_s": hold_s,
        "keep_s": 0,
        "max_gap_s": 180,
    }
    rules_ = [
        rule_of(
            side=side,
            raise_at=(NAN, side * limit * 0.75, NAN, side * limit),
            own=FORTNIGHT | {"direction": float(side)} | own,
            **common,
        )
        for side in (1, -1)
    ]
    return plan_of(*rules_)


def fold(engine, values, begin_ns):
    told = []
    t = begin_ns + 10 * MINUTE_NS * np.arange(len(values))
    for i in range(0, len(values), 500):
        rows = {
            "channel": np.zeros(len(t[i : i + 500]), np.int32),
            "judged_ns": t[i : i + 500],
            "value": values[i : i + 500],
        }
        told += engine.fold([Record(engine.next_offset, Readings.of(rows))])
    return told


def noise(rows, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1.0, rows)


@pytest.mark.parametrize("side", [1, -1])
def test_a_shift_of_one_sigma_is_found_soon_and_not_learned_away(side):
    engine = rules.engine.Engine(plan(), registry_of([0]))
    quiet = 20 * 144
    assert not [e for e in fold(engine, noise(quiet, 1), T0_NS) if e.severity == 4]
    begin = T0_NS + quiet * 10 * MINUTE_NS
    told = fold(engine, noise(10 * 144, 2, float(side)), begin)
    found = [e for e in told if e.side == side and e.severity == 4]
    assert found[0].event_ns - begin < DAY_NS  # 16 / (1 - 0.5) rows are a third of a day
    state = engine.scorers["cusum"].columns()
    assert abs(state["location"]).max() < 0.6
    assert max(state["high"].max(), state["low"].max()) > 35


def test_one_absurd_value_is_counted_off_from_the_cap():
    engine = rules.engine.Engine(plan(), registry_of([0]))
    values = noise(20 * 144, 1)
    values[2500] = 1e308
    told = [e.type for e in fold(engine, values, T0_NS) if e.side == 1]
    assert (told[0], told[-1]) == ("RAISED", "CLEARED")
    assert engine.scorers["cusum"].columns()["high"].max() < 12


def test_a_shift_that_lasts_longer_than_the_window_becomes_usual():
    engine = rules.engine.Engine(plan(), registry_of([0]))
    fold(engine, noise(20 * 144, 1), T0_NS)
    told = fold(engine, noise(20 * 144, 2, 5.0), T0_NS + 20 * DAY_NS)
    high = [e for e in told if e.side == 1]
    assert (high[0].type, high[-1].type) == ("RAISED", "CLEARED")
    assert 13 < (high[-1].event_ns - high[0].event_ns) / DAY_NS < 16
    assert abs(engine.scorers["cusum"].columns()["location"] - 5).max() < 0.6


# -- acknowledgement -----------------------------------------------------------------------------

QUICK = {"window_ns": 200 * SECOND_NS, "warmup_ns": 0, "freeze": 3.0, "floor": 0.5}
CHANNELS = (0, 1)


def acked_journal(random, chosen):
    """Rows of two channels a second apart; active alarms are acknowledged now and then."""
    oracle = Oracle(chosen, registry_of([0, 0]))
    records, told, alarms = [], [], []
    level = [0.0, 0.0]
    for second in range(160):
        rows = []
        for channel in CHANNELS:
            if random.random() < 0.06:
                level[channel] = random.choice((0.0, 0.0, 2.0, -2.0))
            value = level[channel] + random.gauss(0, 1)
            rows.append({"channel": channel, "judged_ns": seconds(second), "value": value})
        bodies = [readings_of(rows)]
        if alarms and random.random() < 0.3:
            data = {"alarm": random.choice(alarms[-4:]), "by": "li", "command": "c"}
            if random.random() < 0.2:
                data["revoke"] = True
            bodies.append(Control("ack", data))
        for body in bodies:
            records.append(Record(len(records), body))
            events = oracle.fold(records[-1:])
            alarms += [e.alarm_id for e in events if e.type == "RAISED"]
            told += [encode(e) for e in events]
    return records, told


@pytest.mark.parametrize("by_ack", [0.0, 1.0])
def test_an_acknowledgement_at_any_place_does_what_the_slow_twin_says(by_ack):
    chosen = plan(channels=CHANNELS, limit=8.0, by_ack=by_ack, **QUICK)
    registry = registry_of([0, 0])
    for seed in range(12):
        records, expected = acked_journal(Random(seed), chosen)
        assert any(isinstance(r.body, Control) for r in records)
        for size in (1, 7, len(records)):
            engine, told = rules.engine.Engine(chosen, registry), []
            for i in range(0, len(records), size):
                told += [encode(e) for e in engine.fold(records[i : i + size])]
                if size == 7:
                    snapshot = from_bytes(to_bytes(engine.snapshot()))
                    engine = rules.engine.Engine(chosen, registry)
                    engine.restore(snapshot)
            assert told == expected, (seed, size)


def raised_engine(by_ack):
    """An engine with an active high alarm of channel 0, and the event that raised it."""
    chosen = plan(channels=CHANNELS, limit=8.0, by_ack=by_ack, **QUICK)
    engine = rules.engine.Engine(chosen, registry_of([0, 0]))
    raised = []
    for second in range(90):
        value = float(second % 3 - 1) + (6.0 if second >= 80 else 0.0)
        rows = [{"channel": c, "judged_ns": seconds(second), "value": value} for c in CHANNELS]
        raised += engine.fold([Record(engine.next_offset, readings_of(rows))])
    events = [e for e in raised if e.subject == engine.registry.channels.id[0]]
    assert [e.type for e in events][:1] == ["RAISED"]
    return engine, events[0]


def high_sums(engine):
    tracks = engine.slots.tracks["cusum"]
    high = engine.scorers["cusum"].columns()["high"]
    return [high[tracks.channel == channel].tolist() for channel in CHANNELS]


def ack(engine, alarm, **more):
    return engine.fold([Record(engine.next_offset, Control("ack", {"alarm": alarm} | more))])


def test_an_acknowledgement_begins_the_sums_of_its_rule_and_channel_anew():
    engine, event = raised_engine(by_ack=1.0)
    before = high_sums(engine)
    assert min(before[0] + before[1]) > 8
    assert ack(engine, event.alarm_id) == []
    assert high_sums(engine) == [[0.0, 0.0], before[1]]


@pytest.mark.parametrize("case", ["not by ack", "revoked", "of another alarm"])
def test_no_other_acknowledgement_touches_the_sums(case):
    engine, event = raised_engine(by_ack=0.0 if case == "not by ack" else 1.0)
    before = high_sums(engine)
    alarm = "000000000000" if case == "of another alarm" else event.alarm_id
    ack(engine, alarm, **({"revoke": True} if case == "revoked" else {}))
    assert high_sums(engine) == before
