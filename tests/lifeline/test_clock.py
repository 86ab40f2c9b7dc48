"""The one Clock: it never goes back, and never stands still."""

from __future__ import annotations

import itertools

import pytest

from lifeline import clock as module
from lifeline.clock import SLEW, Clock

S = 10**9
NOON = 1_790_000_000 * S


class Machine:
    """Both clocks of a machine, turned by a test."""

    def __init__(self) -> None:
        self.wall_ns, self.steady_ns = NOON, 5 * S

    def time_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.steady_ns

    def go(self, seconds: float, *, step_s: float = 0.0) -> None:
        self.steady_ns += int(seconds * S)
        self.wall_ns += int((seconds + step_s) * S)


@pytest.fixture
def machine(monkeypatch):
    held = Machine()
    monkeypatch.setattr(module, "time", held)
    return held


def test_a_wall_set_back_by_an_hour_does_not_stop_time(machine):
    clock = Clock()
    assert clock.now_ns() == NOON
    machine.go(10, step_s=-3_600)
    told = [clock.now_ns()]
    for _ in range(60):
        machine.go(1)
        told.append(clock.now_ns())
    steps = [b - a for a, b in itertools.pairwise(told)]
    assert told[0] == NOON + int(10 * (1 - SLEW) * S)
    assert set(steps) == {int((1 - SLEW) * S)}


def test_it_meets_the_wall_again_without_a_step(machine):
    clock = Clock()
    clock.now_ns()
    machine.go(0, step_s=-3_600)
    before = clock.now_ns()
    for _ in range(int(360 / SLEW) + 10):
        machine.go(10)
        now = clock.now_ns()
        assert 0 < now - before <= 10 * S + 1_000
        before = now
    assert before == machine.wall_ns


def test_a_step_forward_is_taken_and_its_way_back_is_gone_slowly(machine):
    clock = Clock()
    clock.now_ns()
    machine.go(1, step_s=86_400)
    assert clock.now_ns() == NOON + 86_401 * S
    machine.go(1, step_s=-86_400)
    assert clock.now_ns() == NOON + 86_401 * S + int((1 - SLEW) * S)


def test_after_a_restart_it_goes_on_from_what_the_journal_holds(machine):
    clock = Clock()
    clock.not_before(NOON + 3_600 * S)
    machine.go(2)
    assert clock.now_ns() == NOON + 3_600 * S + int(2 * (1 - SLEW) * S)


def test_a_fast_city_goes_on_at_its_own_pace(machine):
    clock = Clock(wall_origin_ns=NOON, city_origin_ns=NOON, factor=60.0)
    machine.go(10)
    assert clock.now_ns() == NOON + 600 * S
    machine.go(1, step_s=-100)
    assert clock.now_ns() == NOON + 600 * S + int(60 * (1 - SLEW) * S)
