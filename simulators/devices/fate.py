"""What becomes of a report on its way, as a device is told when it makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one report."""

    lost: bool = False
    twice: bool = False
    wait_ns: int = 0  # until it leaves
    boots: int = 0  # starts anew since the run began
    stamp_ns: int = 0  # added to the times of its samples


UNHARMED: Final = Fate()
