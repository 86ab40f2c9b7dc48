"""Real hydraulics at table speed: pressures solved ahead by EPANET, looked up by demand.

Between levels of demand the pressure is interpolated linearly in demand^1.852, in which friction
loss after Hazen and Williams is linear, so that few levels are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TABLE: Final = Path(__file__).with_name("net3.npz")
KPA_PER_M: Final = 9.80665
HAZEN_WILLIAMS: Final = 1.852
DEMAND: Final = (0.3, 0.6, 0.9, 1.1, 1.3, 1.5, 1.7)  # of the mean
PUMPS: Final = 2  # states: lake pump off, on
AREAS: Final = 6  # district metered areas the network is cut into
BURST_DEMAND: Final = (0.4, 1.4)
BURST_M3_H: Final = (20.0, 60.0, 150.0, 400.0)
LEAST_KPA, MOST_KPA = 230.0, 700.0  # junctions where people live
APART_KPA = 50.0  # of a metered area, which lies on one height


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One solved network of J junctions."""

    name: tuple[str, ...]
    at: Floats  # [J, 2], the network's own units
    base_m3_h: Floats  # [J] demand at multiplier 1
    area: NDArray[np.int8]  # [J]
    pressure_kpa: Floats  # [pump, level of demand, J]
    drop_kpa: Floats  # [burst at, level of BURST_DEMAND, size of BURST_M3_H, J]

    def pressure(self, node: NDArray[np.int64], demand: Floats, pump: Floats) -> Floats:
        """Return pressure, kPa, at junctions under a demand; ``pump`` 0…1. All float64[n]."""
        levels = np.array(DEMAND) ** HAZEN_WILLIAMS
        load = np.clip(demand, DEMAND[0], DEMAND[-1]) ** HAZEN_WILLIAMS
        k = np.clip(np.searchsorted(levels, load, side="right") - 1, 0, len(levels) - 2)
        share = (load - levels[k]) / (levels[k + 1] - levels[k])
        off = (
            self.pressure_kpa[0, k, node] * (1 - share) + self.pressure_kpa[0, k + 1, node] * share
        )
        on = self.pressure_kpa[1, k, node] * (1 - share) + self.pressure_kpa[1, k + 1, node] * share
        held: Floats = off + (on - off) * pump
        return held

    def drop(self, burst: int, size_m3_h: float, node: NDArray[np.int64], demand: Floats) -> Floats:
        """Return how much a burst takes from the pressure at junctions, kPa, float64[n]."""
        sizes = np.array((0.0, *BURST_M3_H))
        k = int(np.clip(np.searchsorted(sizes, size_m3_h) - 1, 0, len(sizes) - 2))
        share = (size_m3_h - sizes[k]) / (sizes[k + 1] - sizes[k])
        table = np.concatenate(
            (np.zeros((len(BURST_DEMAND), 1, len(self.name))), self.drop_kpa[burst]), axis=1
        )
        at = table[:, k] * (1 - share) + table[:, k + 1] * share  # [level, J]
        low, high = BURST_DEMAND
        between = np.clip((demand - low) / (high - low), 0, 1.2)
        held: Floats = np.maximum(0, at[0, node] + (at[1, node] - at[0, node]) * between)
        return held

    def lived_in(self, area: int) -> NDArray[np.int64]:
        """Return the junctions of an area where people live, on ground of one height, rising."""
        low, high = self.pressure_kpa.min(axis=(0, 1)), self.pressure_kpa.max(axis=(0, 1))
        fit = (self.area == area) & (low >= LEAST_KPA) & (high <= MOST_KPA)
        for load in (0, DEMAND.index(0.9), -1):
            held = self.pressure_kpa[0, load]
            fit &= np.abs(held - np.median(held[fit])) <= APART_KPA
        return np.flatnonzero(fit)

    def share_at(self, node: int) -> tuple[float, float]:
        """Return where a junction lies in the network's own rectangle, 0…1 east and north."""
        low, high = self.at.min(axis=0), self.at.max(axis=0)
        east, north = (self.at[node] - low) / (high - low)
        return float(east), float(north)

    def inflow(self, area: int) -> float:
        """Return the demand of an area at multiplier 1, m3/h."""
        return float(self.base_m3_h[self.area == area].sum())


@cache
def net3() -> Network:
    """Return EPANET's example network 3."""
    with np.load(TABLE, allow_pickle=False) as held:
        return Network(
            name=tuple(str(n) for n in held["name"]),
            at=held["at"].astype(np.float64),
            base_m3_h=held["base_m3_h"].astype(np.float64),
            area=held["area"],
            pressure_kpa=held["pressure_kpa"].astype(np.float64),
            drop_kpa=held["drop_kpa"].astype(np.float64),
        )
