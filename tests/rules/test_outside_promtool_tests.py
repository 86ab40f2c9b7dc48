"""The same tests, written once, judged by promtool and by our own runner: 20 cases, every minute.

What is expected is computed here, in a few obvious lines, and written down in both formats with
the same ``values``. The series of test_outside_promtool.py avoid what Prometheus defines
otherwise; here one thing more, a ``for`` of 90 s on a grid of minutes. Our Clock ticks between
samples, so that breach is told at 90 s; Prometheus sees it at its next evaluation, or never.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.run import run
from rules.testing.values import read_values
from tests.servers import program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

CASES = [  # values, for and keep_firing_for in minutes; the limit is 10
    ("3x5 12x5 3x5", 0, 0),
    ("3x5 12x5 3x5", 1, 0),
    ("3x5 12x5 3x5", 3, 0),
    ("3x5 12x5 3x5", 5, 0),
    ("3x5 12x5 3x5", 6, 0),
    ("3x5 12x5 3x9", 0, 3),
    ("3x5 12x5 3x9", 2, 3),
    ("3x5 12x5 3x2 12x1 3x9", 2, 5),
    ("3x5 12x5 3x2 12x1 3x9", 2, 2),
    ("3 12 3 12 3 12x3 3 12 3x3", 1, 1),
    ("3 12 3 12 3 12x3 3 12 3x3", 0, 2),
    ("3 12 3 12 3 12x3 3 12 3x3", 2, 0),
    ("0+1x20 20-1x20", 0, 0),
    ("0+1x20 20-1x20", 4, 0),
    ("0+1x20 20-1x20", 10, 4),
    ("10x9 9.999x9", 3, 0),
    ("9.999x9 10 9.999x9", 0, 0),
    ("9.999x9 10x1 9.999x9", 1, 7),
    ("-5x3 10.5x6 -5 10.5x6 -5x9", 5, 1),
    ("-5x3 10.5x6 -5 10.5x6 -5x9", 6, 10),
]
MINUTES = 45


def expected(values: str, hold: int, keep: int) -> list[bool]:
    """Whether it fires at each minute: from `hold` minutes of breach on, until `keep` of none."""
    samples = read_values(values).value.tolist()
    samples += [0.0] * (MINUTES - len(samples))
    firing, breached, clear, told = False, 0, 0, []
    for value in samples[:MINUTES]:
        breached = breached + 1 if value >= 10 else 0
        clear = 0 if value >= 10 else clear + 1
        if breached > hold:
            firing = True
        if clear > keep:
            firing = False
        told.append(firing)
    return told


def whole(values: str) -> str:
    left = MINUTES - len(read_values(values).value)
    return f"{values} 0x{left - 1}"


def write_both(folder: Path, firing: list[list[bool]]) -> None:
    """Write 20 rules and the tests of each minute, for us and for promtool."""
    ours, theirs, our_tests, their_tests = [], [], [], []
    for n, (values, hold, keep) in enumerate(CASES):
        common = {"for": f"{hold}m", "keep_firing_for": f"{keep}m"}
        own = {"id": f"a{n}", "kind": "threshold", "source": "estimate"}
        own |= {"select": {"sensor": f"*/x{n}"}, "above": {"blue": "10 kPa"}}
        ours.append(own | common)
        theirs.append({"alert": f"a{n}", "expr": f"x{n} >= 10", **common})
        our_tests.append(
            {
                "name": f"case {n}",
                "input": [{"sensor": f"x{n}", "values": whole(values)}],
                "expect": [
                    {"at": f"{m}m", "rule": f"a{n}", "isa": "UNACK" if now else "NORM"}
                    for m, now in enumerate(firing[n])
                ],
            }
        )
        their_tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": f"x{n}", "values": whole(values)}],
                "alert_rule_test": [
                    {
                        "eval_time": f"{m}m",
                        "alertname": f"a{n}",
                        "exp_alerts": [{"exp_labels": {}}] if now else [],
                    }
                    for m, now in enumerate(firing[n])
                ],
            }
        )
    registry = [{"sensor": f"x{n}", "quantity": "pressure"} for n in range(len(CASES))]
    files = {
        "ours.yaml": {"version": 1, "rules": ours},
        "ours.test.yaml": {"rule_files": ["ours.yaml"], "registry": registry, "tests": our_tests},
        "theirs.yml": {"groups": [{"name": "g", "rules": theirs}]},
        "theirs.test.yml": {
            "rule_files": ["theirs.yml"],
            "evaluation_interval": "1m",
            "tests": their_tests,
        },
    }
    for name, text in files.items():
        (folder / name).write_text(yaml.safe_dump(text))


def our_failures(folder: Path) -> dict[int, list[str]]:
    (suite,) = read_suites([folder / "ours.test.yaml"])
    cases = cases_of(suite)
    assert suite.problems == []
    found = {n: [f.said for f in run(case).failures] for n, case in enumerate(cases)}
    return {n: said for n, said in found.items() if said}


def promtool(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), "test", "rules", "theirs.test.yml"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_twenty_cases_are_judged_alike_at_every_minute(tmp_path: Path) -> None:
    firing = [expected(*case) for case in CASES]
    assert sum(any(line) for line in firing) >= 15  # and some never fire
    assert not all(any(line) for line in firing)
    write_both(tmp_path, firing)
    assert our_failures(tmp_path) == {}
    done = promtool(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", [2, 7, 13, 18])
def test_both_tell_a_single_wrong_minute(tmp_path: Path, number: int) -> None:
    firing = [expected(*case) for case in CASES]
    at = firing[number].index(True)
    firing[number][at] = False
    write_both(tmp_path, firing)
    assert list(our_failures(tmp_path)) == [number]
    assert f"at {at}m expected NORM, got blue UNACK" in our_failures(tmp_path)[number][0]
    done = promtool(tmp_path)
    assert done.returncode != 0
    assert f"alertname: a{number}" in done.stdout + done.stderr
