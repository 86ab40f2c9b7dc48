"""A scripted shift: ledger, figures and report tell what the script itself remembers."""

from __future__ import annotations

import pytest

from lifeline.bench.duty_shift import Play


@pytest.mark.parametrize("seed", [1, 2])
def test_ledger_figures_and_report_of_a_shift_agree_with_the_script(tmp_path, seed):
    play = Play(tmp_path, seed, hours=2.0)
    checks = play.run()
    assert [c for c in checks if not c.agrees] == []
    names = {c.name: c.script for c in checks}
    assert names["calls"] > 5
    assert {"ACKED, ledger", "CLASSIFIED, ledger", "SHELVED, ledger"} <= set(names)
    assert names["times"]


def test_what_the_script_would_not_remember_is_found(tmp_path):
    play = Play(tmp_path, 1, hours=1.5)
    acked, forgot = play.record.acked, []

    def forgetful(name, by, *, now_ns):
        if forgot:
            acked(name, by, now_ns=now_ns)
        else:
            forgot.append(name)

    play.record = type("Forgetful", (type(play.record),), {"acked": staticmethod(forgetful)})()
    acked = super(type(play.record), play.record).acked
    wrong = {c.name for c in play.run() if not c.agrees}
    assert {"ACKED, ledger", "done, report", "times"} <= wrong
