"""What serve held for a while goes back to the system; others keep what the next batch needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lifeline.allocation import environment

MIB = 1 << 20
HOLDS = """
import gc, os, sqlite3, sys
from lifeline.allocation import settle
settle(sys.argv[1])
page = os.sysconf("SC_PAGE_SIZE")
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * page
before, between = resident(), []
for number in range(3):
    held = sqlite3.connect(f"file:/{number}?vfs=memdb", uri=True)
    held.execute("CREATE TABLE t (x)")
    held.executemany("INSERT INTO t VALUES (?)", ((b"x" * 1000,) for _ in range(20_000)))
    held.commit()
    between.append([bytes(200) for _ in range(20_000)])  # small things that stay, made meanwhile
    most = resident()
    held.close()
kept = sum(len(x) * 250 for x in between)
print(most - before, resident() - before - kept)
"""


@pytest.mark.parametrize(("process", "back"), [("serve", True), ("store", False)])
def test_a_copy_in_memory_is_given_back_by_serve_alone(process, back):
    done = subprocess.run(
        [sys.executable, "-c", HOLDS, process],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    most, left = (int(number) / MIB for number in done.stdout.split())
    assert most > 20
    assert (left < most / 2) is back, (left, most)
