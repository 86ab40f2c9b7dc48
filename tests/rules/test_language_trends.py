"""Rules of kinds count, step, trend and forecast become arrays, or errors with place and remedy."""

from __future__ import annotations

import numpy as np
import pytest

from rules.language import check, compile_plan, load_rules
from rules.registry_file import registry_of

S = 1_000_000_000
HEAD = "version: 1\nrules:\n"
REGISTRY = registry_of(
    {
        "city.yaml": """
version: 1
devices:
- {id: 410100-drain-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-drain-gw-000001, every: 60s}
assets:
- {id: 410100-drain-gw-000001, type: gateway}
- id: 410100-drain-mw-000001
  type: manhole
  attributes: {overflow: 320, name: north}
  sensors:
  - id: l
    device: 410100-drain-gw-000001
    channels: [{id: v, quantity: level, every: 1m}, {id: w, quantity: level, every: 1m}]
- id: 410100-water-pp-000001
  type: pressure_point
  sensors:
  - id: p
    device: 410100-drain-gw-000001
    channels:
    - {id: mean, quantity: pressure, range: [0, 1600], every: 1m}
    - {id: slow, quantity: pressure, range: [0, 1600], every: 5m}
    - {id: v, quantity: vibration, every: 10s}
  - id: air
    device: 410100-drain-gw-000001
    channels: [{id: t, quantity: temperature, every: 10m}]
"""
    }
)


def one(text: str):
    """Return the single ChannelRule of a file with one rule."""
    plan = compile_plan(load_rules({"site.yaml": HEAD + text}), REGISTRY)[0]
    assert len(plan.channel_rules) == 1
    return plan.channel_rules[0]


def problems(text: str) -> str:
    return "\n".join(str(p) for p in check({"site.yaml": HEAD + text}, REGISTRY) if p.rule)


COUNT = "- {id: digging, kind: count, source: estimate, select: {quantity: vibration}, "


def test_a_count_becomes_a_mark_a_window_and_limits_in_events():
    rule = one(COUNT + "at: 0.2 cm/s, window: 10m, events: {yellow: 5, orange: 20}}")
    assert (rule.kernel, rule.side, rule.unit) == ("count", 1, "1")
    assert rule.own["at"].tolist() == [2.0]
    assert rule.own["direction"].tolist() == [1.0]
    assert rule.own["window_ns"].tolist() == [600 * S]
    np.testing.assert_array_equal(rule.raise_at, [[np.nan, 5, 20, np.nan]])


def test_a_count_below_its_mark_and_an_override_of_the_mark():
    rule = one(
        "- {id: a, kind: count, source: estimate, select: {quantity: pressure}, unit: kPa,"
        " at: 100, side: below, window: 20x, events: {red: 3}, hysteresis: 1,"
        " overrides: [{match: {channel: '*/slow'}, set: {at: 50}, reason: low zone}]}"
    )
    assert rule.own["at"].tolist() == [100.0, 50.0]
    assert rule.own["direction"].tolist() == [-1.0, -1.0]
    assert rule.own["window_ns"].tolist() == [1200 * S, 6000 * S]
    assert rule.clear_at[:, 3].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("at: 2, window: 10m, events: {yellow: 5}", "2 has no unit"),
        ("at: 2 kPa, window: 10m, events: {yellow: 5}", "does not measure vibration"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 65}", "a whole number 1 … 64, not 65"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 2.5}", "a whole number 1 … 64, not 2.5"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 0}", "a whole number 1 … 64, not 0"),
        ("at: 2 mm/s, window: 10m, events: {yellow: 5 kPa}", "1 … 64, not 5 kPa"),
        ("at: 2 mm/s, window: 10m, events: {red: 3, yellow: 5}", "limits must rise"),
        ("at: 2 mm/s, window: 10m", '"events" is missing'),
        ("at: 2 mm/s, events: {yellow: 5}", '"window" is missing'),
        ("at: 2 mm/s, window: 1m, events: {yellow: 20}", "wants events: it never fires"),
    ],
)
def test_a_count_that_cannot_be_says_where_and_why(keys, said):
    found = problems(COUNT + keys + "}")
    assert said in found
    assert found.startswith("site.yaml:3:")
    assert 'rule "digging"' in found


STEP = "- {id: shift, kind: step, source: estimate, select: {channel: '*/mean'}, "


def test_a_step_becomes_windows_and_limits_in_the_unit_of_the_quantity():
    rule = one(STEP + "window: 10x, above: {yellow: 0.04 MPa}, hysteresis: 5 kPa}")
    assert (rule.kernel, rule.side, rule.unit) == ("step_rows", 1, "kPa")
    assert rule.own["window_ns"].tolist() == [600 * S]
    assert rule.own["min_points"].tolist() == [3]
    assert rule.own["relative"].tolist() == [0]
    np.testing.assert_allclose(rule.raise_at, [[np.nan, 40, np.nan, np.nan]])
    np.testing.assert_allclose(rule.clear_at, [[np.nan, 35, np.nan, np.nan]])


def test_a_step_of_points_in_per_cent_waits_three_buckets_before_a_run_ends():
    rule = one(STEP + "window: 1d, resample: 1h median, relative: true, below: {red: -15 %}}")
    assert (rule.kernel, rule.side, rule.unit) == ("step_resampled", -1, "%")
    assert rule.own["resample_ns"].tolist() == [3600 * S]
    assert rule.own["relative"].tolist() == [1]
    assert rule.max_gap_ns.tolist() == [3 * 3600 * S]
    assert rule.raise_at[0, 3] == -15


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("window: 10m, above: {yellow: -4 kPa}", "a step up is above 0, one down below: not -4"),
        ("window: 10m, below: {yellow: 4 kPa}", "a step up is above 0, one down below: not 4"),
        ("window: 10m, relative: true, above: {yellow: 4 kPa}", "limits are in %: write 4 %"),
        ("window: 10m, above: {yellow: 4 m}", "does not measure pressure"),
        ("window: 10x, resample: 1m, above: {yellow: 4 kPa}", "must be a duration where resample"),
        ("window: 10m, resample: 3m, above: {yellow: 4 kPa}", "no whole number of resample 3m"),
        ("window: 65m, resample: 1m, above: {yellow: 4 kPa}", "64 are kept; resample: "),
        ("window: 2m, resample: 1m, above: {yellow: 4 kPa}", "never holds min_points 3"),
        ("window: 2h, above: {yellow: 4 kPa}", "which are kept: give resample"),
        ("window: 2m, above: {yellow: 4 kPa}", "window never holds min_points samples"),
        ("window: 1h, resample: 1m mean, above: {yellow: 4 kPa}", "write 1m"),
    ],
)
def test_a_step_that_cannot_be_says_where_and_why(keys, said):
    found = problems(STEP + keys + "}")
    assert said in found
    assert found.startswith("site.yaml:3:")


TREND = "- {id: sinks, kind: trend, source: estimate, select: {channel: '*/mean'}, "


def test_a_trend_becomes_a_slope_with_its_test():
    rule = one(TREND + "window: 30d, resample: 1d, min_duration: 7d, below: {red: -48 kPa/d}}")
    assert (rule.kernel, rule.side, rule.unit) == ("trend", -1, "kPa/d")
    own = {name: column.tolist() for name, column in rule.own.items()}
    day = 86_400 * S
    assert own == {
        "window_ns": [30 * day], "resample_ns": [day], "min_duration_ns": [7 * day],
        "min_points": [10], "p_value": [0.01], "per_ns": [day],
    }  # fmt: skip
    assert rule.raise_at[0, 3] == -48


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("window: 30d, min_duration: 7d, below: {red: -4 kPa/d}", '"resample" is missing'),
        ("window: 30d, resample: 1h, min_duration: 7d, below: {red: -4 kPa/d}", "128 are kept"),
        ("window: 9d, resample: 1d, min_duration: 7d, below: {red: -4 kPa/d}", "min_points 10"),
        ("window: 10d, resample: 1d, min_duration: 10d, below: {red: -4 kPa/d}", "never fits"),
        ("window: 10d, resample: 1d, min_duration: 7d, below: {red: -4 kPa}", "kPa"),
        ("window: 1h, resample: 30s, min_duration: 9m, below: {red: -4 kPa/d}", "shorter than the"),
    ],
)
def test_a_trend_that_cannot_be_says_where_and_why(keys, said):
    found = problems(TREND + keys + "}")
    assert said in found
    assert found.startswith("site.yaml:3:")


BY = "window: 4d, resample: 1h, min_duration: 2d, below: {red: -4 kPa/d}, compensate: "


def test_a_compensated_trend_has_a_companion_of_its_asset_and_lags_in_buckets():
    rule = one(TREND + BY + "{by: temperature, lag: [0h, 6h]}}")
    assert rule.kernel == "trend_compensated"
    companion = REGISTRY.channels.id[rule.own["companion"][0]]
    assert companion == "410100-water-pp-000001/air/t"
    assert rule.own["max_age_ns"].tolist() == [1800 * S]
    assert (rule.own["lag_first"].tolist(), rule.own["lag_last"].tolist()) == ([0], [6])
    one_lag = one(TREND + BY + "{by: pressure, lag: 2h, max_age: 1m}}")
    assert REGISTRY.channels.id[one_lag.own["companion"][0]].endswith("p/slow")  # never itself
    assert one_lag.own["max_age_ns"].tolist() == [60 * S]
    assert (one_lag.own["lag_first"].tolist(), one_lag.own["lag_last"].tolist()) == ([2], [2])


@pytest.mark.parametrize(
    ("compensate", "said"),
    [
        ("{by: temprature}", 'unknown quantity "temprature" (did you mean "temperature"'),
        ("{by: temperature, lag: [6h, 0h]}", "a lag goes from 0s upwards"),
        ("{by: temperature, lag: [1h]}", "the least and the greatest"),
        ("{by: temperature, lag: 90m}", "must be whole numbers of resample 1h"),
        ("{by: temperature, lag: [0h, 48h]}", "more than 48 steps"),
        ("{by: temperature, scope: zone, near: 5 m}", "once who is near"),
        ("{by: temperature, scope: zone}", "the trend is judged as it is"),
        ("{by: flow}", "the trend is judged as it is"),
        ("{lag: 1h}", '"by" is missing'),
    ],
)
def test_a_compensation_that_cannot_be_says_where_and_why(compensate, said):
    found = problems(TREND + BY + compensate + "}")
    assert said in found
    assert found.startswith("site.yaml:3:")


WELL = "- {id: fills, kind: forecast, source: estimate, select: {quantity: level}, window: 3h, "
HIGH = """
- {id: high, kind: threshold, source: estimate, select: {channel: '*/l/v'}, above: {yellow: 2 m,
   red: 3 m}}"""


def forecast(text: str):
    plan = compile_plan(load_rules({"site.yaml": HEAD + text}), REGISTRY)[0]
    return next(rule for rule in plan.channel_rules if rule.rule_id == "fills")


def test_a_forecast_becomes_times_to_a_limit():
    rule = forecast(WELL + "limit: 240 cm, reach_within: {yellow: 6h, red: 30m}, clear: {red: 1h}}")
    assert (rule.kernel, rule.side, rule.unit) == ("forecast", -1, "s")
    assert rule.own["limit"].tolist() == [2.4, 2.4]
    assert rule.own["direction"].tolist() == [1, 1]
    assert rule.own["confidence"].tolist() == [0.9, 0.9]
    assert rule.own["resample_ns"].tolist() == [180 * S] * 2
    np.testing.assert_array_equal(rule.raise_at[0], [np.nan, 21_600, np.nan, 1_800])
    np.testing.assert_array_equal(rule.clear_at[0], [np.nan, 21_600, np.nan, 3_600])


def test_a_forecast_takes_the_limit_of_a_rule_written_before_or_after_it():
    limit = "limit: {rule: high, level: red}, reach_within: {red: 30m}}"
    for text in (WELL + limit + HIGH, HIGH.strip() + "\n" + WELL + limit):
        np.testing.assert_array_equal(forecast(text).own["limit"], [3, np.nan])
        assert "limit is not known here: it never fires" in problems(text)


def test_a_forecast_takes_the_limit_of_an_attribute_in_the_unit_of_the_rule():
    text = WELL + "unit: cm, limit: asset.overflow, crossing: below, reach_within: {red: 30m}}"
    assert forecast(text).own["limit"].tolist() == [3.2, 3.2]
    assert forecast(text).own["direction"].tolist() == [-1, -1]
    assert "not known" not in problems(text)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("limit: 2, reach_within: {red: 30m}", "2 has no unit"),
        ("limit: 2 kPa, reach_within: {red: 30m}", "does not measure level"),
        ("limit: {rule: hihg, level: red}, reach_within: {red: 30m}", "no threshold rule 'hihg'"),
        ("limit: {rule: high, level: rde}, reach_within: {red: 30m}", 'unknown level "rde"'),
        ("limit: {rule: high, leve: red}, reach_within: {red: 30m}", 'unknown key "leve"'),
        ("limit: {rule: high}, reach_within: {red: 30m}", "{rule: well-level, level: red}"),
        ("limit: {rule: high, level: blue}, reach_within: {red: 30m}", "limit is not known here"),
        ("limit: asset.name, unit: m, reach_within: {red: 30m}", "limit is not known here"),
        ("limit: 2 m, reach_within: {red: 3x}", "red must be a duration above 0s"),
        ("limit: 2 m, reach_within: {red: 2h, yellow: 1h}", "reach_within"),
        ("limit: 2 m, reach_within: {red: 2h}, clear: {yellow: 3h}", 'no level "yellow"'),
        ("limit: 2 m, reach_within: {red: 2h}, hysteresis: 3", "clear: {red: 1h}"),
        ("limit: 2 m, reach_within: {red: 2h}, confidence: 0.4", "confidence"),
        ("limit: 2 m, reach_within: {red: 2h}, resample: 1m", "128 are kept"),
    ],
)
def test_a_forecast_that_cannot_be_says_where_and_why(keys, said):
    found = problems(WELL + keys + "}" + HIGH)
    assert said in found
    assert found.startswith("site.yaml:3:")
