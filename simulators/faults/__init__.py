"""Faults of sensors, devices and links, laid over a city's readings; their ground truth apart.

>>> from simulators.faults import Break, make
>>> fault = make(registry, Break(id="a", kind="stuck", place="…/ch4-01", begin_ns=0, lasts_s=3600))
>>> city.under(faults=[fault])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.problems import nearest
from simulators.faults import links, sensors
from simulators.faults.truth import Break, Fault, Unfit, truth_of_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.registry import Registry

__all__ = ["FAULTS", "Break", "Fault", "Unfit", "make", "truth_of_faults"]

FAULTS: dict[str, Callable[[Registry, Break], Fault]] = {**sensors.KINDS, **links.KINDS}


def make(registry: Registry, told: Break) -> Fault:
    """Return the fault of a kind at its place.

    Raises
    ------
    Unfit
        There is no such kind or place, or it cannot happen there.
    """
    if told.kind not in FAULTS:
        raise Unfit(f"unknown fault {told.kind!r}{nearest(told.kind, FAULTS)}; {', '.join(FAULTS)}")
    return FAULTS[told.kind](registry, told)
