"""The demo city's registry, made once for all tests of this folder."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from rules.registry_file import load_registry
from simulators.city import write_registry

BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00
MINUTE_NS = 60_000_000_000


@cache
def demo_registry():
    with tempfile.TemporaryDirectory() as name:
        write_registry(Path(name))
        return load_registry(Path(name))
