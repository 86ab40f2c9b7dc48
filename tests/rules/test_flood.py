"""Floods: more than ten announcements in ten minutes begin one, fewer than five end it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.flood import WINDOW_NS, Flood, FloodLimits

MINUTE_NS = 60 * 10**9
USUAL = FloodLimits()


def after(times_ns: list[int]) -> Flood:
    flood = Flood()
    for t in times_ns:
        flood = flood.announce(t, USUAL)
    return flood


def test_ten_in_ten_minutes_are_no_flood_and_eleven_are() -> None:
    assert not after(list(range(10))).is_open
    assert after(list(range(1, 12))).is_open


def test_it_is_over_when_fewer_than_five_are_left_in_the_window() -> None:
    flood = after([MINUTE_NS * n // 2 for n in range(2, 14)])
    assert flood.is_open
    assert flood.at(11 * MINUTE_NS + 1, USUAL).is_open
    assert not flood.at(15 * MINUTE_NS, USUAL).is_open


def test_red_goes_out_in_a_flood_and_the_others_stay() -> None:
    flood = after(list(range(1, 12)))
    assert [flood.folds(s) for s in (1, 2, 3, 4)] == [True, True, True, False]
    assert not Flood().folds(1)


@given(st.lists(st.integers(1, 3 * WINDOW_NS), max_size=60).map(sorted))
def test_it_is_what_counting_in_the_window_says(times_ns: list[int]) -> None:
    flood, open_ = Flood(), False
    for i, t in enumerate(times_ns):
        before = [u for u in times_ns[:i] if u > t - WINDOW_NS]
        if open_ and len(before) < USUAL.ends:
            open_ = False
        open_ = open_ or len(before) + 1 > USUAL.begins
        flood = flood.announce(t, USUAL)
        assert flood.is_open is open_
        assert len(flood.times_ns) == len(before) + 1


def test_limits_that_begin_and_end_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="ends = 6 must lie in 1"):
        FloodLimits(begins=5, ends=6)
