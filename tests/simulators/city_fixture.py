"""The demo city and the recording of its hour, each made once for all tests of this folder."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from rules.registry_file import load_registry
from simulators.city import write_registry
from simulators.recording import replay, simulate
from simulators.scenario import load_scenario

BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00
MINUTE_NS = 60_000_000_000


@cache
def demo_registry():
    with tempfile.TemporaryDirectory() as name:
        write_registry(Path(name))
        return load_registry(Path(name))


@cache
def demo_recording():
    """Return (folder, meta) of the demo scenario's hour."""
    folder = Path(tempfile.mkdtemp(prefix="lifeline-test-demo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    meta = simulate(
        load_scenario("demo"), out=folder / "demo", registry=demo_registry(), begin_ns=BEGIN_NS
    )
    return folder / "demo", meta


@cache
def demo_replayed():
    return replay(demo_recording()[0])
