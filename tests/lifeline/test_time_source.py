"""Our own clock is watched: synchronisation lost, steps, zone data; told as maintenance alarms."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from lifeline.console.sentences import words
from lifeline.ledger import Ledger
from lifeline.time_source import (
    LAST_STEP,
    SETTLE_S,
    STEP_RULE,
    STEP_TOLD_S,
    STEPS,
    UNSYNCHRONISED,
    UNSYNCHRONISED_RULE,
    Discipline,
    TimeWatch,
    discipline,
    watch,
    zone_trouble,
    zone_version,
)

if TYPE_CHECKING:
    from pathlib import Path

S = 10**9


class Machine:
    """A machine whose clocks and kernel a test turns."""

    def __init__(self) -> None:
        self.wall_ns, self.steady_ns, self.synchronised = 1_790_000_000 * S, 5 * S, True
        self.silent = False
        self.watch = TimeWatch(
            ask=self._ask, wall_ns=lambda: self.wall_ns, steady_ns=lambda: self.steady_ns
        )

    def _ask(self) -> Discipline:
        if self.silent:
            raise PermissionError(1, "Operation not permitted", "adjtimex")
        return Discipline(synchronised=self.synchronised, max_error_s=0.25, offset_s=0.0)

    def go(self, seconds: float, *, step_s: float = 0.0):
        self.steady_ns += int(seconds * S)
        self.wall_ns += int((seconds + step_s) * S)
        return self.watch.look()


def test_synchronisation_lost_for_long_is_told_and_its_return_ends_it():
    machine = Machine()
    assert machine.go(5).unsynchronised == ""
    machine.synchronised = False
    assert machine.go(5).unsynchronised == ""
    assert UNSYNCHRONISED._value.get() == 1
    assert machine.go(SETTLE_S - 1).unsynchronised == ""
    assert "error up to 0.25 s" in machine.go(2).unsynchronised
    machine.synchronised = True
    assert machine.go(5).unsynchronised == ""
    machine.synchronised = False
    assert machine.go(5).unsynchronised == "", "the wait begins anew"


@pytest.mark.parametrize("step_s", [-3600.0, 86_400.0, 0.6])
def test_a_step_of_the_clock_is_told_for_a_while_with_its_size(step_s: float):
    machine = Machine()
    before = STEPS._value.get()
    assert machine.go(5).step == ""
    with capture_logs() as logs:
        assert machine.go(5, step_s=step_s).step == f"wall clock set by {step_s:+.3f} s"
    assert logs[0]["step_s"] == step_s
    assert (STEPS._value.get(), LAST_STEP._value.get()) == (before + 1, pytest.approx(step_s))
    assert machine.go(STEP_TOLD_S - 10).step
    assert machine.go(20).step == ""


def test_slewing_and_a_machine_that_slept_are_no_step():
    machine = Machine()
    for _ in range(200):
        assert machine.go(5, step_s=0.0025).step == ""  # 500 ppm, the most that NTP slews
    assert machine.go(8 * 3600).step == ""


def test_a_kernel_that_does_not_answer_is_said_once_and_is_no_alarm():
    machine = Machine()
    machine.silent = True
    with capture_logs() as logs:
        assert not any(machine.go(5).told.values())
        machine.go(SETTLE_S + 5)
    assert [line["cause"] for line in logs] == ["[Errno 1] Operation not permitted: 'adjtimex'"]


def test_the_real_kernel_answers():
    held = discipline()
    assert held.max_error_s >= 0
    assert abs(held.offset_s) < 10


def test_old_or_missing_zone_data_are_told(tmp_path: Path):
    (tmp_path / "tzdata.zi").write_text("# version 2021a\nR x\n")
    version = zone_version((str(tmp_path),))
    assert version == "2021a"
    assert "bring tzdata up to date" in zone_trouble("Asia/Shanghai", year=2026, version=version)
    assert zone_trouble("Asia/Shanghai", year=2022, version=version) == ""
    assert zone_trouble("Asia/Shanghai", year=2026, version="") == ""
    assert "install tzdata" in zone_trouble("Asia/Atlantis", year=2026, version=version)


@pytest.fixture
def ledger(tmp_path: Path):
    held = Ledger(f"sqlite:///{tmp_path / 'l.sqlite'}", now_ns=lambda: 1_790_000_000 * S)
    yield held
    held.close()


def test_trouble_is_one_maintenance_alarm_that_clears_by_itself(ledger: Ledger):
    assert ledger.own_alarm(STEP_RULE, "wall clock set by +3600.000 s")
    assert not ledger.own_alarm(STEP_RULE, "wall clock set by +3600.000 s")
    (alarm,) = ledger.open_alarms()
    assert (alarm.rule, alarm.klass, alarm.condition.value) == (STEP_RULE, "maintenance", "active")
    assert "时钟被调整" in words(alarm, None, "zh", zone="Asia/Shanghai").sentence
    assert "clock was set" in words(alarm, None, "en", zone="Asia/Shanghai").sentence
    assert ledger.own_alarm(STEP_RULE, "")
    assert not ledger.own_alarm(STEP_RULE, "")
    (alarm,) = ledger.open_alarms()
    assert alarm.condition.value == "normal", "it stays until somebody has seen it"
    ledger.acknowledge(alarm.alarm_id, "Li", "", None, "c-1")
    assert ledger.open_alarms() == []
    assert ledger.own_alarm(STEP_RULE, "again")


def test_the_watch_tells_changes_only_and_again_until_it_was_taken():
    machine, stop = Machine(), threading.Event()
    told: list[tuple[str, bool]] = []

    def tell(rule: str, trouble: str) -> bool:
        told.append((rule, bool(trouble)))
        return len(told) > 1  # the first time the ledger does not answer

    class Turns(threading.Event):
        steps = iter([0.0, 0.0, 7.0, 0.0])

        def wait(self, timeout=None):
            step_s = next(self.steps, None)
            if step_s is None:
                return True
            machine.steady_ns += 5 * S
            machine.wall_ns += int((5 + step_s) * S)
            return False

    watch(tell, Turns(), held=machine.watch)
    assert not stop.is_set()
    assert told == [
        (UNSYNCHRONISED_RULE, False),
        (STEP_RULE, False),
        (UNSYNCHRONISED_RULE, False),
        (STEP_RULE, True),
    ]
