"""Rules of kind seasonal: what the text becomes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from rules.civil_time import day_number
from rules.language import check, compile_plan, load_rules
from rules.registry_file import registry_of

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
CITY = """version: 1
devices:
- {id: 410100-water-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-water-gw-000001, every: 60s}
assets:
- {id: 410100-water-gw-000001, type: gateway}
- id: 410100-water-dm-000001
  type: dma
  sensors:
  - id: s
    device: 410100-water-gw-000001
    channels: [{id: q, quantity: flow}, {id: r, quantity: flow}]
"""
RULES = """version: 1
defaults: {{source: estimate{}}}
rules:
- {{id: night, kind: seasonal, select: {{quantity: flow}}, {}}}
"""
GOOD = "periods: [1d, 7d], slot: 15m, baseline: 28d, floor: 2 m3/h, sigma: {yellow: 4, orange: 6}"


@pytest.fixture(scope="module")
def registry():
    return registry_of({"city.yaml": CITY})


def rules_of(registry, text, defaults=""):
    rules = load_rules({"s.yaml": RULES.format(defaults, text)})
    return compile_plan(rules, registry)[0].channel_rules


def told(text, registry):
    return "\n".join(str(p) for p in check({"s.yaml": RULES.format("", text)}, registry) if p.rule)


def test_periods_become_profiles_the_longest_first(registry):
    high, low = rules_of(registry, GOOD)
    assert (high.kernel, high.side, low.side, high.unit) == ("seasonal", 1, -1, "sigma")
    assert high.own["period_ns"].tolist() == [[7 * DAY_NS, DAY_NS]] * 2
    assert high.own["keep"].tolist() == [[4, 28]] * 2
    assert high.own["slot_ns"].tolist() == [900 * SECOND_NS] * 2
    assert high.own["least"].tolist() == [3, 3]
    np.testing.assert_array_equal(high.own["floor"], [2.0, 2.0])
    np.testing.assert_array_equal(high.own["exclude"], [4.0, 4.0])
    np.testing.assert_array_equal(low.raise_at[0], [np.nan, -4.0, -6.0, np.nan])
    assert high.options == {"zone": "+08:00", "holidays": 0}
    assert high.calendar == ()


def test_a_year_is_the_mean_one_of_the_calendar(registry):
    text = GOOD.replace("[1d, 7d]", "[365d]").replace("15m", "1d").replace("28d", "1825d")
    (rule, _) = rules_of(registry, text)
    assert rule.own["period_ns"].tolist() == [[31_556_952 * SECOND_NS]] * 2
    assert rule.own["keep"].tolist() == [[5]] * 2


def test_a_long_baseline_keeps_32_periods_at_most(registry):
    text = GOOD.replace("28d", "60d").replace("[1d, 7d]", "[1d]")
    assert rules_of(registry, text)[0].own["keep"].tolist() == [[32]] * 2


def test_the_zone_of_a_file_holds_unless_the_rule_says_another(registry):
    berlin = "CET-1CEST,M3.5.0,M10.5.0/3"
    defaults = f', timezone: "{berlin}"'
    assert rules_of(registry, GOOD, defaults)[0].options["zone"] == berlin
    own = GOOD + ", timezone: Asia/Shanghai"
    assert rules_of(registry, own, defaults)[0].options["zone"] == "Asia/Shanghai"


def test_holidays_are_days_and_no_part_of_what_the_rule_means(registry):
    text = GOOD + ', holidays: ["2026-10-02", "2026-10-01"]'
    rule = rules_of(registry, text)[0]
    first = day_number("2026-10-01")
    assert rule.calendar == (first, first + 1)
    assert rule.options["holidays"] == 1


def test_what_is_learned_and_which_side_is_watched_may_be_said(registry):
    (rule,) = rules_of(registry, GOOD + ", side: above, learn_from: all")
    assert np.isnan(rule.own["exclude"]).all()


def test_an_override_may_set_the_floor(registry):
    override = (
        ", overrides: [{match: {channel: 410100-water-dm-000001/s/r}, set: {floor: 5 m3/h},"
        " reason: a noisy meter}]"
    )
    assert rules_of(registry, GOOD + override)[0].own["floor"].tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("periods: [1d, 7d], ", ""), 'key "periods" is missing'),
        (GOOD.replace("floor: 2 m3/h, ", ""), 'key "floor" is missing'),
        (GOOD.replace("[1d, 7d]", "[2d]"), "each one of 1d, 7d, 365d"),
        (GOOD.replace("[1d, 7d]", "[7d, 7d]"), "each one of 1d, 7d, 365d"),
        (GOOD.replace("[1d, 7d]", "7d"), "must be a list of 1d, 7d and 365d"),
        (GOOD.replace("15m", "7m"), "slot must divide a day"),
        (GOOD.replace("15m", "2d"), "slot must divide a day, or be whole days, and fit"),
        (GOOD.replace("15m", "2d").replace("[1d, 7d]", "[7d]"), "slot must divide the periods"),
        (GOOD.replace("28d", "14d"), "baseline holds fewer than 3 periods of 7d"),
        (GOOD.replace("28d", "14d"), "write at least 21d, or a smaller min_points"),
        (GOOD.replace("15m", "1m"), "values would be kept of each channel, more than 16384"),
        (GOOD + ", min_points: 0", "min_points: must be at least 1"),
        (GOOD.replace("2 m3/h", "2 kPa"), "unit 'kPa' does not measure flow"),
        (GOOD.replace("2 m3/h", "-2 m3/h"), "floor must not be below 0"),
        (GOOD.replace("2 m3/h", "0 m3/h"), "floor: 0 makes any change infinite"),
        (GOOD + ", timezone: Europe/Berln", "is no time zone known here (did you mean"),
        (GOOD + ", holidays: cn", "must be a list of dates"),
        (GOOD + ', holidays: ["2026-02-30"]', "'2026-02-30' is no date: write 2026-10-01"),
        (GOOD + ', holidays: ["2026-10-01", "2026-10-01"]', "a date stands twice"),
        (GOOD.replace("yellow: 4, ", "yellow: -4, "), "sigma limits must be above 0"),
        (GOOD + ", hollidays: []", 'unknown key "hollidays" (did you mean "holidays"?)'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(registry, text, said):
    whole = told(text, registry)
    assert whole.startswith("s.yaml:4:"), whole
    assert said in whole, whole


def test_slots_shorter_than_the_interval_are_odd(registry):
    text = GOOD.replace("15m", "30s").replace("[1d, 7d]", "[1d]").replace("28d", "4d")
    assert 'warning: rule "night": slot is shorter than the sampling interval' in told(
        text, registry
    )
