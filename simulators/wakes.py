"""What wakes a module that sleeps between its reports."""

from __future__ import annotations

from typing import Final

# What a module itself finds worth an early report, canonical units: (quantity, low side, limit)
WAKE_AT: Final = {"ch4": (1, 0.4), "h2s": (1, 8.0), "ponding": (1, 2.5), "pressure": (-1, 205.0),
    "tilt": (1, 8.0), "vibration": (1, 2.0),
}  # fmt: skip
