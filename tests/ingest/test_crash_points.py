"""Named moments to die at: nothing unless told, then SIGKILL at the n-th time."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest import crash_points
from lifeline.torture.schedule import MOST

ROOT = Path(__file__).parents[2]
DIES = """
import os, sys
from ingest import crash_points
crash_points.arm(sys.argv[1])
for n in range(5):
    print(n, flush=True)
    crash_points.reach("after-ack")
    crash_points.reach("after-fsync")
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", script, *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, env=env)


def test_a_process_kills_itself_the_third_time_it_is_there():
    done = run(DIES, "after-fsync:3")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1", "2"]


def test_nobody_dies_unless_told():
    assert run(DIES, "").returncode == 0


def test_a_fork_takes_its_parent_along():
    script = """
import os, sys, time
from ingest import crash_points
crash_points.arm("snapshot-aside:1")
if os.fork() == 0:
    crash_points.reach("snapshot-aside")
    print("the child lives", flush=True)
    os._exit(0)
time.sleep(20)
print("the parent lives")
"""
    done = run(script)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["after-lunch:1", "after-fsync", "after-fsync:0", "after-fsync:x"])
def test_a_point_that_is_none_is_refused_with_the_list(text):
    with pytest.raises(ValueError, match=f'"{text}": write point:count .*before-fsync'):
        crash_points.arm(text)
    assert not crash_points._FUSES


def test_a_process_told_nonsense_ends_with_2_and_the_remedy(tmp_path):
    words = [sys.executable, "-m", "lifeline.processes", "engine"]
    words += ["--site", str(tmp_path), "--data", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT), crash_points.VARIABLE: "lunch:1"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, env=env)
    assert done.returncode == 2
    assert 'LIFELINE_CRASH_AT="lunch:1": write point:count' in done.stdout + done.stderr


def test_every_point_is_in_the_code_and_in_the_schedule():
    text = "\n".join(
        path.read_text() for room in ("ingest", "lifeline") for path in (ROOT / room).rglob("*.py")
    )
    reached = set(re.findall(r'reach\("([a-z-]+)"\)', text))
    for what in re.findall(r'what="([a-z]+)"\)', text):  # of a file replaced in one step
        reached |= {f"{what}-aside", f"{what}-renamed"}
    assert reached == set(crash_points.POINTS)
    assert {point for points in MOST.values() for point in points} == set(crash_points.POINTS)


def test_a_point_costs_nothing_where_messages_cost_twenty_microseconds():
    """One call and a look at an empty list; three of them a message."""
    crash_points.arm("")
    best_ns = 1e9
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(20_000):
            crash_points.reach("received")
        best_ns = min(best_ns, (time.process_time_ns() - began) / 20_000)
    assert best_ns < 500
    body = ast.parse((ROOT / "ingest" / "crash_points.py").read_text())
    reach = next(n for n in body.body if isinstance(n, ast.FunctionDef) and n.name == "reach")
    assert len(reach.body) == 2, "a sentence and a look"
