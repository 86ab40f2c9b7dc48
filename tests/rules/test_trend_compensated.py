"""A trend less what temperature explains: drifts stay, seasons go, a dead thermometer is loud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rules.engine
from rules.engine.kinds.trend_compensated import explained
from rules.events import encode
from rules.readings import Record
from tests.oracle import Oracle
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

HOUR = 3600
DAY = 24 * HOUR
TILT, TEMPERATURE = 0, 1
COEFFICIENT = -0.004  # degrees per kelvin


def drift_rule(**own: Any) -> Any:
    """0.002 degrees a day, over 8 days of 2 h points."""
    return rule_of(
        kind="trend", method="compensated", channels=(TILT,), hold_s=0, max_gap_s=1e9,
        raise_at=(0.002, NAN, NAN, NAN),
        own={
            "window_ns": 8 * DAY * SECOND_NS, "resample_ns": 2 * HOUR * SECOND_NS,
            "min_points": 20, "min_duration_ns": 4 * DAY * SECOND_NS, "p_value": 0.01,
            "per_ns": DAY * SECOND_NS, "companion": TEMPERATURE,
            "max_age_ns": 2 * HOUR * SECOND_NS, "lag_first": 0, "lag_last": 4, **own,
        },
    )  # fmt: skip


def journal(*, drift: float, lag_h: float = 0, dead_after_d: float = 99) -> list[Record]:
    """A record an hour, 12 days: tilt that follows a warming, swinging temperature, and drifts."""
    random = np.random.default_rng(7)
    hours = np.arange(12 * 24)

    def warmth(hour: Any) -> Any:
        return 5 + 0.9 * hour / 24 + 6 * np.sin(2 * np.pi * hour / 24) + 2 * np.sin(hour / 31)

    tilt = COEFFICIENT * warmth(hours - lag_h) + drift * hours / 24
    tilt = tilt + random.normal(scale=0.0005, size=len(hours))
    records = []
    for hour in hours.tolist():
        at = seconds(hour * HOUR)
        rows = [{"channel": TILT, "judged_ns": at, "value": float(tilt[hour])}]
        if hour < dead_after_d * 24:
            heat = {"channel": TEMPERATURE, "judged_ns": at - 1, "value": float(warmth(hour))}
            rows.insert(0, heat)
        records.append(Record(hour, readings_of(rows)))
    return records


def told(rule: Any, records: list[Record]) -> list[Any]:
    """The events of the engine, whole and record by record, which must be those of the twin."""
    plan, registry = plan_of(rule), registry_of([0, 0])
    slow = [encode(e) for e in Oracle(plan, registry).fold(records)]
    whole = rules.engine.Engine(plan, registry).fold(records)
    engine = rules.engine.Engine(plan, registry)
    assert [encode(e) for record in records for e in engine.fold([record])] == slow
    assert [encode(e) for e in whole] == slow
    return whole


def test_a_season_is_no_drift_where_temperature_is_taken_off_and_is_one_where_not() -> None:
    records = journal(drift=0.0)
    assert told(drift_rule(), records) == []
    own = {name: column[0] for name, column in drift_rule(companion=-1).own.items()}
    falls = rule_of(
        kind="trend", method="compensated", channels=(TILT,), side=-1, hold_s=0, max_gap_s=1e9,
        raise_at=(-0.002, NAN, NAN, NAN), own=own,
    )  # fmt: skip
    assert told(falls, records)[0].type == "RAISED"


def test_a_true_drift_behind_a_season_is_found_with_its_coefficient_and_lag() -> None:
    events = told(drift_rule(), journal(drift=0.006, lag_h=4))
    assert [e.type for e in events] == ["RAISED"]
    evidence = events[0].evidence
    assert evidence["coefficient"] == pytest.approx(COEFFICIENT, rel=0.05)
    assert evidence["lag_s"] == 4 * HOUR
    assert events[0].score == pytest.approx(0.006, rel=0.15)
    assert (
        told(drift_rule(companion=-1), journal(drift=0.002, lag_h=4)) == []
    )  # hidden by the season


def test_a_dead_thermometer_makes_the_rule_louder_not_silent() -> None:
    records = journal(drift=0.007, dead_after_d=0.5)
    events = told(drift_rule(), records)
    assert events[0].type == "RAISED"
    assert not any("coefficient" in event.evidence for event in events)


@pytest.mark.parametrize("seed", range(6))
def test_the_coefficient_is_that_of_numpy_s_least_squares(seed: int) -> None:
    random = np.random.default_rng(seed)
    t = np.sort(random.choice(10_000, size=(3, 40), replace=False), axis=1).astype(np.int64)
    other = random.uniform(-1, 1, size=(3, 40, 4))  # nothing to be clipped
    value = 2.5 * other[:, :, 2] + t * 1e-4 + random.uniform(-0.1, 0.1, size=(3, 40))
    left, coefficient, best = explained(t, value, other)
    assert best.tolist() == [2, 2, 2]
    for i in range(3):
        columns = np.stack([np.ones(40), t[i], other[i, :, 2]], axis=1)
        theirs = np.linalg.lstsq(columns, value[i], rcond=None)[0]
        assert coefficient[i] == pytest.approx(theirs[2], rel=1e-9)
        middle = other[i, :, 2].mean()
        np.testing.assert_allclose(left[i], value[i] - theirs[2] * (other[i, :, 2] - middle))


def test_an_absurd_point_moves_little_and_a_constant_companion_explains_nothing() -> None:
    random = np.random.default_rng(1)
    t = np.arange(60, dtype=np.int64)[None, :] * HOUR
    other = random.normal(size=(1, 60, 1))
    value = 3.0 * other[:, :, 0] + random.normal(scale=0.05, size=(1, 60))
    value[0, 20], other[0, 30, 0] = 1e300, -1e12
    value[0, 30] = 0.0
    left, coefficient, _ = explained(t, value, other)
    assert coefficient[0] == pytest.approx(3.0, rel=0.2)
    other[0, 30, 0] = 1.7e308  # three times as much is no number any more
    with np.errstate(over="ignore"):  # as the kind has it
        same, none, _ = explained(t, value, other)
    assert none[0] == 0
    np.testing.assert_array_equal(same, value)
    same, none, _ = explained(t, value, np.full((1, 60, 1), 21.0))
    assert none[0] == 0
    np.testing.assert_array_equal(same, value)
    assert np.isfinite(left).all()
