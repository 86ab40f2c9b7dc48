"""What a site has set of its duty: its own times, its shifts, how often devices are tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeline.duty.shifts import USUAL, Shifts
from lifeline.kpi.figures import Aims

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class DutySettings:
    """``test_every_ns``: the interval of proof tests by quantity; no test where none stands."""

    aims: Aims = field(default_factory=Aims)
    shifts: Shifts = field(default_factory=lambda: Shifts.of(USUAL, "Asia/Shanghai"))
    test_every_ns: Mapping[str, int] = field(default_factory=dict)
