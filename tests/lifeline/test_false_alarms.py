"""Expected false alarms: the textbook where it holds, else the channel's own history."""

import json

import numpy as np
import pytest
from scipy.signal import lfilter
from typer.testing import CliRunner

from ingest.store.past import Span
from lifeline.backtest import bootstrap
from lifeline.backtest.false_alarms import expected_alarms, warnings
from lifeline.backtest.sources import opened
from lifeline.backtest.tails import Track, memory
from lifeline.backtest.textbook import cusum_run_length, single_rate
from lifeline.cli.app import app
from rules.language import load_rules
from tests.lifeline.test_suggest import recorded

MINUTE_NS = 60 * 10**9
PHI = 0.5


def first_alarm(limit, *, phi=0.0, slack=0.5, paths=600):
    """Return the mean samples to the first alarm of one-sided cusums, by plain simulation."""
    random = np.random.default_rng(7)
    x, total, found, t = random.standard_normal(paths), np.zeros(paths), [], 0
    while len(x):
        t += 1
        x = phi * x + np.sqrt(1 - phi * phi) * random.standard_normal(len(x))
        total = np.maximum(total + x - slack, 0.0)
        over = total >= limit
        found += [t] * int(over.sum())
        x, total = x[~over], total[~over]
    return np.mean(found)


def test_the_textbook_gives_siegmunds_run_lengths():
    assert cusum_run_length(0.5, 5.0) == pytest.approx(938, rel=1e-3)
    assert cusum_run_length(0.5, 9.0) == pytest.approx(5.2e4, rel=1e-2)
    assert cusum_run_length(0.0, 5.0) == pytest.approx((5 + 1.166) ** 2)
    assert first_alarm(5.0) == pytest.approx(938, rel=0.12)


def test_autocorrelation_takes_almost_all_of_a_run_length():
    assert cusum_run_length(0.5, 11.0) == pytest.approx(3.8e5, rel=0.02)
    assert first_alarm(11.0, phi=PHI) == pytest.approx(1.0e3, rel=0.15)


def test_a_single_sample_beyond_a_limit_is_as_rare_as_the_normal_tail():
    assert single_rate(3.0, 1) == pytest.approx(1.35e-3, rel=0.01)
    assert single_rate(2.0, 2) == pytest.approx(0.02275**2, rel=0.03)


CUSUM = """\
version: 1
rules:
- id: shift
  kind: cusum
  class: info
  source: estimate
  select: {{channel: "*/{column}/value"}}
  target: 300 kPa
  window: 3d
  warmup: 1d
  side: above
  slack: 0.5
  decide: {{yellow: {limit}}}
  hysteresis: {band}
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Eight days: a is white noise, b autocorrelated; both normal, sigma 5 kPa."""
    white = np.random.default_rng(2).standard_normal((8 * 1440 + 100, 2))
    white[:, 1] = lfilter([np.sqrt(1 - PHI**2)], [1, -PHI], white[:, 1])
    return recorded(tmp_path_factory.mktemp("history") / "days", 300 + 5 * white[100:])


def expected(history, text):
    rules = load_rules({"r.yaml": text})
    with opened(recording=history) as source:
        (found,) = expected_alarms(rules, source.latest, source, Span())
    return rules, found


ZSCORE = """\
version: 1
rules:
- id: shift
  kind: zscore
  class: info
  source: estimate
  select: {channel: "*/a/value"}
  window: 3d
  warmup: 1d
  learn_from: all
  side: above
  sigma: {yellow: 2.5}
"""


def test_the_engine_over_a_made_history_agrees_with_the_textbook_where_that_holds(history):
    _, found = expected(history, ZSCORE)
    assert found.alarms > 30
    assert 1 / found.run_length == pytest.approx(single_rate(2.5, 1), rel=0.25)
    assert found.per_day == pytest.approx(1440 / found.run_length)


def test_and_with_plain_simulation_where_it_does_not(history):
    rules, found = expected(history, CUSUM.format(column="b", limit=11, band=10.9))
    assert found.run_length == pytest.approx(1.0e3, rel=0.4)
    (warning,) = warnings(rules, [found], 1.0)
    assert str(warning).startswith('r.yaml:4:9: warning: rule "shift": expected 1.')
    assert list(warnings(rules, [found], 5.0)) == []
    _, again = expected(history, CUSUM.format(column="b", limit=11, band=10.9))
    assert again == found, "it is seeded"


def test_made_histories_remember_as_the_real_one_and_do_not_jump_at_joins():
    random = np.random.default_rng(4)
    slow = lfilter([np.sqrt(1 - 0.98**2)], [1, -0.98], random.standard_normal(20_500))[500:]
    track = Track(np.arange(20_000) * MINUTE_NS, slow, MINUTE_NS)
    length = bootstrap.block_length(track)
    made = bootstrap.resampled(track, 60_000, random, length=length)
    again = Track(np.arange(60_000) * MINUTE_NS, made, MINUTE_NS)
    assert 0.6 < memory(again) / memory(track) < 1.6
    joins = np.abs(np.diff(made))[length - 1 :: length]
    assert joins.max() < 1.3 * np.abs(np.diff(slow)).max()
    assert np.quantile(joins, 0.5) < 2 * np.quantile(np.abs(np.diff(slow)), 0.5)


def test_blocks_keep_the_time_of_day_and_never_bridge_a_gap():
    hours = np.arange(24 * 40)
    t_ns = np.delete(hours, slice(500, 530)) * 60 * MINUTE_NS
    x = (t_ns // (60 * MINUTE_NS) % 24).astype(float)
    track = Track(t_ns, x, 60 * MINUTE_NS)
    starts = bootstrap.starts_of(track, 24)
    assert not len(np.intersect1d(starts, np.arange(500 - 23, 501)))
    day = 24 * 60 * MINUTE_NS
    made = bootstrap.resampled(track, 24 * 30, np.random.default_rng(1), length=24, period_ns=day)
    assert (np.diff(made) % 24 == 1).all()


def test_too_little_history_says_so(tmp_path):
    short = recorded(tmp_path / "short", np.full((80, 2), 300.0))
    _, found = expected(short, CUSUM.format(column="a", limit=5, band=1))
    assert found.per_day is None
    assert "too little good history" in found.text()


def test_the_command_warns_and_a_budget_ends_it(tmp_path, history):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "r.yaml").write_text(ZSCORE)

    def check(*words):
        return CliRunner().invoke(app, ["rules", "check", str(folder), *map(str, words)])

    done = check("--history", history)
    assert done.exit_code == 0, done.output
    assert "shift: expected " in done.output
    assert "1 warnings" in done.output
    assert check("--history", history, "--max-false-per-day", 0.5).exit_code == 1
    assert check("--history", history, "--max-false-per-day", 20).exit_code == 0


def test_without_a_history_the_assumption_is_told(tmp_path, history):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "r.yaml").write_text(CUSUM.format(column="*", limit=5, band=4.9))
    rules = load_rules(folder)
    with opened(recording=history) as source:
        (found,) = expected_alarms(rules, source.latest)
    assert found.per_day == pytest.approx(2 * 1440 / 938, rel=1e-3)
    assert "textbook value, assumes independent samples" in found.text()
    assert json.loads(json.dumps(found.to_json()))["channels"] == 2
