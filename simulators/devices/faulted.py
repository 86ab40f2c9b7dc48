"""Faults of sensors and links on real clients: the same as on the fast stream of a whole city.

What a sensor shows is changed before a device keeps it; what becomes of a report is asked when it
is made. A sample that a broken sensor does not give, or gives as its own fault code, is not sent.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from simulators.devices.fate import UNHARMED, Fate
from simulators.stream.delivery import Messages
from simulators.stream.laid import of_link, of_sensor
from simulators.stream.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.faults import Fault
    from simulators.signals import Signals
    from simulators.stream.laid import LinkFault, SensorFault


class Faulted:
    """The faults of a run; ``schedule``, ``signals`` and ``registry`` are what faults look at."""

    def __init__(
        self, registry: Registry, faults: Sequence[Fault], *, signals: Signals, seed: int
    ) -> None:
        self.registry = registry
        self.signals = signals
        self.schedule = Schedule(registry, seed)
        self._sensors: list[SensorFault] = []
        self._links: dict[int, list[LinkFault]] = defaultdict(list)
        for part in (part for fault in faults for part in fault.parts):
            if of_sensor(part):
                self._sensors.append(part)
            elif of_link(part):
                for row in part.devices.tolist():
                    self._links[row].append(part)

    def shown(
        self, rows: NDArray[np.int32], t_ns: NDArray[np.int64], values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what broken sensors make of true values; NaN: nothing that could be sent."""
        if not self._sensors or not len(rows):
            return values
        order = np.argsort(rows, kind="stable")
        value, usable = values[order].copy(), np.ones(len(rows), np.bool_)
        for fault in self._sensors:
            fault.apply(self, rows[order], t_ns[order], value, usable)
        held = np.empty_like(values)
        held[order] = np.where(usable, value, np.nan)
        return held

    def fate(self, device: int, now_ns: int) -> Fate:
        """Return what becomes of the report that a device makes now."""
        faults = self._links.get(device)
        if not faults:
            return UNHARMED
        at = np.array([now_ns], np.int64)
        m = Messages(
            device=np.array([device], np.int32),
            report_ns=at,
            receive_ns=at.copy(),
            boot=np.zeros(1, np.int64),
            sequence=np.zeros(1, np.int64),
            stamp_ns=np.zeros(1, np.int64),
            lost=np.zeros(1, np.bool_),
            twice=np.zeros(1, np.bool_),
        )
        for fault in faults:
            fault.apply(m, self.schedule)
        wait_ns = max(0, int(m.receive_ns[0]) - now_ns)
        return Fate(bool(m.lost[0]), bool(m.twice[0]), wait_ns, int(m.boot[0]), int(m.stamp_ns[0]))
