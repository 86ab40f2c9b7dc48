"""What rules expect of a channel stands in its trend as the engine judged it, and is no guess."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lifeline.outlook import Outlook
from rules.series import Series, Source
from tests.lifeline.small_city import GAS, LEVEL, RULES, SmallCity, serving, until

MORE = """
- id: ponding-forecast
  kind: forecast
  select: {quantity: level}
  limit: {rule: ponding, level: red}
  window: 30m
  resample: 2m
  min_points: 6
  reach_within: {yellow: 2h}
  source: estimate
- id: usual
  kind: seasonal
  select: {quantity: ch4}
  periods: [1d]
  slot: 15m
  baseline: 7d
  min_points: 3
  floor: 0.05 %{vol}
  side: above
  sigma: {yellow: 6, orange: 8}
  source: estimate
"""
SEASONAL = Source("usual", "seasonal", ("median", "sigma"))
FORECAST = Source("soon", "forecast", ("eta_p10_s", "eta_p50_s", "eta_p90_s"))


def series(source: Source, rows: list[tuple]) -> Series:
    """Rows of (subject, judged_ns, value, score, *extra)."""
    subjects = tuple(dict.fromkeys(row[0] for row in rows))
    n = len(rows)
    return Series(
        sources=(source,),
        subjects=subjects,
        g=np.arange(n),
        source=np.zeros(n, np.int32),
        subject=np.array([subjects.index(row[0]) for row in rows], np.int32),
        judged_ns=np.array([row[1] for row in rows], np.int64),
        value=np.array([row[2] for row in rows], float),
        score=np.array([row[3] for row in rows], float),
        extra=np.array([row[4:] for row in rows], float),
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_ring_holds_the_newest_rows_of_all_channels_at_any_cut(seed):
    random = np.random.default_rng(seed)
    rows = [(f"c{random.integers(4)}", t, 1.0, 0.0, float(t), 0.5) for t in range(5_000)]
    outlook, at = Outlook(most_rows=3_000), 0
    while at < len(rows):
        n = int(random.integers(1, 1_500))
        outlook.put(series(SEASONAL, rows[at : at + n]))
        at += n
    for channel in ("c0", "c1", "c2", "c3"):
        wanted = [row[4] for row in rows[-3_000:] if row[0] == channel]
        (told,) = outlook.usual(channel, 0, 10**18)
        assert told.middle.tolist() == wanted
        assert told.judged_ns.tolist() == [int(x) for x in wanted]
    assert outlook.usual("c9", 0, 10**18) == []
    assert outlook.usual("c0", 10**17, 10**18) == []


def test_a_forecast_that_says_never_takes_the_last_one_away():
    outlook = Outlook()
    outlook.put(series(FORECAST, [("c", 10, 1.0, 60.0, 70.0, 90.0, math.inf)]))
    (told,) = outlook.forecasts("c")
    assert (told.rule, told.p50_s, told.p90_s) == ("soon", 90.0, math.inf)
    outlook.put(series(FORECAST, [("c", 20, 1.0, math.inf, math.inf, math.inf, math.inf)]))
    assert outlook.forecasts("c") == []


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", rules={"rules.yaml": RULES + MORE})
    yield held
    held.close()


def trend(http, channel: str) -> dict:
    answer = http.get("/api/trend", params={"channel": channel})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_rising_level_says_when_it_reaches_the_red_limit_and_how_sure_that_is(city):
    city.history(LEVEL, [0.1 + 0.01 * i for i in range(40)])  # 0.01 m a minute, now 0.49
    with serving(city.data) as http:
        (told,) = until(lambda: trend(http, LEVEL)["forecasts"])
        assert (told["rule"], told["limit"], told["limit_severity"]) == ("ponding-forecast", 1.0, 4)
        assert told["severity"] == 2, "its own level holds: within two hours"
        minutes = (told["p50_ms"] - told["at_ms"]) / 60_000
        wanted = (1.0 - told["value"]) / 0.01
        assert minutes == pytest.approx(wanted, abs=2.5)
        assert told["p10_ms"] <= told["p50_ms"] <= told["p90_ms"]
        assert (told["source"], told["approved"]) == ("estimate", False)
        assert trend(http, GAS)["forecasts"] == []


def test_what_is_usual_of_a_channel_is_the_range_its_rule_watches(city):
    day = 96
    values = [0.2 + 0.1 * math.sin(2 * math.pi * i / day) for i in range(6 * day)]
    city.history(GAS, values, every_s=900)
    with serving(city.data) as http:
        (told,) = until(lambda: trend(http, GAS)["usual"])
        assert (told["rule"], told["kind"], told["low"]) == ("usual", "seasonal", None)
        assert len(told["t"]) >= 20, "six hours of quarters"
        assert told["t"] == sorted(told["t"])
        for middle, high in zip(told["middle"], told["high"], strict=True):
            assert high == pytest.approx(middle + 6 * 0.05, abs=0.02), "the lowest level's bound"
        assert trend(http, LEVEL)["usual"] == []
