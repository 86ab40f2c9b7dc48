"""A limit asked for so many passes a year is passed about so often by data that came later."""

import functools

import numpy as np
import pytest
from scipy.signal import lfilter

from lifeline.backtest.tails import (
    LEAST_PEAKS,
    YEAR_NS,
    Track,
    cluster_peaks,
    held,
    memory,
    noise_of,
    runs_above,
    tail_of,
)

MINUTE_NS = 60 * 10**9
MONTH = 30 * 24 * 60
BAND = 3.0  # passes of an independent series lie within a third and three times what was asked


def series(kind, seed, n=MONTH):
    random = np.random.default_rng(seed)
    white = random.standard_normal(n + 1_000)
    if kind == "gaussian":
        return white[1_000:]
    if kind == "ar1":
        return lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], white)[1_000:]
    return random.standard_t(4, n)


def track(x, interval_ns=MINUTE_NS):
    return Track(np.arange(len(x)) * interval_ns, np.asarray(x, float), interval_ns)


@functools.cache
def fitted_and_later(kind):
    """Return five tails fitted on a month each, and another year of each with its memory."""
    found = []
    for seed in range(5):
        later = track(series(kind, 1_000 + seed, n=365 * 24 * 60))
        found.append((tail_of([track(series(kind, seed))]), later, memory(later)))
    return found


@pytest.mark.parametrize("kind", ["gaussian", "ar1", "heavy"])
@pytest.mark.parametrize("per_year", [500.0, 52.0, 12.0])
def test_a_limit_is_passed_about_as_often_as_was_asked(kind, per_year):
    """The middle one of five fits is in the band, judged by a year it has not seen."""
    rates = []
    for fitted, later, lag in fitted_and_later(kind):
        assert fitted.enough
        peaks = cluster_peaks(later, fitted.limit(per_year), lag)
        rates.append(len(peaks) / later.years)
    assert per_year / BAND < np.median(rates) < per_year * BAND, rates


def test_a_long_history_is_counted_and_a_short_one_is_carried_on():
    fitted = tail_of([track(series("gaussian", 1))])
    assert fitted.counts(500.0)
    assert not fitted.counts(12.0)
    assert fitted.passed(fitted.limit(500.0)) == int(500 * fitted.years)
    assert fitted.limit(12.0) > fitted.limit(52.0) > fitted.limit(500.0)


def test_channels_that_are_alike_lend_each_other_their_time():
    one = tail_of([track(series("gaussian", 1))])
    ten = tail_of([track(series("gaussian", seed)) for seed in range(10)])
    assert ten.years == pytest.approx(10 * one.years)
    assert ten.counts(52.0)
    assert ten.limit(52.0) == pytest.approx(4.0, abs=0.35)  # 52 of 525 960 minutes: 3.89 sigma


def test_too_little_says_so():
    short = tail_of([track(series("gaussian", 1, n=400))])
    assert not short.enough
    assert 0 < len(short.peaks) < LEAST_PEAKS
    assert not tail_of([track(np.full(5_000, 7.0))]).enough
    assert not tail_of([]).enough


def test_noise_is_that_of_steps_and_no_step_across_a_gap_counts():
    random = np.random.default_rng(3)
    slow = np.linspace(0, 100, 5_000)
    x = slow + random.normal(0, 0.5, 5_000)
    assert noise_of([track(x)]) == pytest.approx(0.5 * np.sqrt(2), rel=0.05)
    t_ns = np.array([0, 1, 50, 51, 100, 101]) * MINUTE_NS
    assert noise_of([Track(t_ns, np.array([0, 0, 9, 9, -9, -9.0]), MINUTE_NS)]) == 0.0


def test_runs_are_counted_and_a_gap_ends_one():
    t_ns = np.array([0, 1, 2, 3, 4, 5, 9, 10, 11]) * MINUTE_NS
    x = np.array([0, 2, 2, 0, 2, 2, 2, 2, 0.0])
    assert runs_above([Track(t_ns, x, MINUTE_NS)], 1.0).tolist() == [2, 2, 2]
    assert runs_above([Track(t_ns, x, MINUTE_NS)], 5.0).tolist() == []


@pytest.mark.parametrize("intervals", [1, 2, 5])
def test_what_is_held_is_the_lowest_of_an_unbroken_run(intervals):
    random = np.random.default_rng(intervals)
    t_ns = np.cumsum(random.choice([1, 1, 1, 1, 1, 9], 300)) * MINUTE_NS
    x = random.normal(size=300)
    got = held(Track(t_ns, x, MINUTE_NS), intervals)
    want = [
        (t_ns[i], x[i - intervals : i + 1].min())
        for i in range(intervals, 300)
        if t_ns[i] - t_ns[i - intervals] == intervals * MINUTE_NS
    ]
    assert [*zip(got.t_ns, got.x, strict=True)] == want
    assert held(Track(t_ns, x, MINUTE_NS), 0).x is x


def test_memory_is_where_the_autocorrelation_ends():
    assert memory(track(series("gaussian", 5))) == 1
    assert 18 <= memory(track(series("ar1", 5))) <= 28  # 0.9 ** 22 = 0.1
    assert memory(track(np.zeros(100))) == 1
    assert track(np.zeros(525_960)).years == pytest.approx(525_960 * MINUTE_NS / YEAR_NS)
