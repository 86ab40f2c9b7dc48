"""What all lifelines share: air temperature, traffic, demand, rain, wind. Hence they correlate.

Every function takes Unix seconds (any shape) and is pure in (seed, time). Figures are estimates
for simulation, see each docstring; none is a norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulators.noise import key_of, normal, uniform, wander

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_S = 86_400.0
RAIN_SLOT_S = 43_200.0
RAIN_CHANCE = 0.12  # per slot: about 90 events a year
QUIET_RAIN_MM_H = 10.0  # a quiet city has no storm

# domain curve of water use: least 0.35 at 03:30, peaks 1.5 at 07:30 and 1.6 at 19:30, mean 1
_DEMAND_H = np.array([0, 2, 3.5, 5, 6.5, 7.5, 9, 12, 15, 17.5, 19.5, 21.5, 24])
_DEMAND = np.array([0.62, 0.42, 0.35, 0.5, 1.2, 1.5, 1.2, 1.1, 0.9, 1.25, 1.6, 1.1, 0.62])
# gas: peaks at the three meals, little at night
_GAS_H = np.array([0, 5, 7, 8.5, 11, 12, 14, 17, 18.5, 20.5, 24])
_GAS = np.array([0.3, 0.3, 1.5, 0.8, 1.5, 1.5, 0.7, 1.0, 1.8, 0.9, 0.3])


@dataclass(frozen=True, slots=True)
class Drivers:
    """The city's weather and habits for one seed."""

    seed: int
    offset_h: float = 8.0  # local time, hours east of UTC

    def hour(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the local hour of the day, 0 up to 24."""
        hour: NDArray[np.float64] = ((t_s + self.offset_h * 3600) % DAY_S) / 3600
        return hour

    def day_of_year(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return days since the turn of the year, by a mean year of 365.2425 days."""
        days: NDArray[np.float64] = (t_s + self.offset_h * 3600) / DAY_S % 365.2425
        return days

    def weekend(self, t_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether it is Saturday or Sunday (1970-01-01 was a Thursday)."""
        day = np.floor((t_s + self.offset_h * 3600) / DAY_S).astype(np.int64)
        free: NDArray[np.bool_] = (day + 3) % 7 >= 5
        return free

    def air(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return air temperature, Cel: year, day and a 36 h wander of 3 K."""
        year: NDArray[np.float64] = 13 * np.cos(2 * np.pi * (self.day_of_year(t_s) - 205) / 365)
        day: NDArray[np.float64] = 4 * np.cos(2 * np.pi * (self.hour(t_s) - 15) / 24)
        return 16 + year + day + 3 * wander(key_of(self.seed, "air"), t_s, 36 * 3600)

    def sun(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sunshine, 0…1, a half sine from 6 to 18 o'clock."""
        height: NDArray[np.float64] = np.sin(np.pi * (self.hour(t_s) - 6) / 12)
        return np.maximum(0.0, height)

    def structure(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a concrete deck's temperature, Cel: the air hours ago, damped, and the sun."""
        hour_s = 3600.0
        slow = (self.air(t_s - 3 * hour_s) + self.air(t_s - 9 * hour_s)) / 2
        return slow + 6 * self.sun(t_s - 3 * hour_s)

    def traffic(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return traffic relative to the day's mean: two rush hours, calmer weekends."""
        late = np.where(self.weekend(t_s), 1.5, 0.0)
        h = self.hour(t_s)

        def bump(at: float, width: float) -> NDArray[np.float64]:
            bell: NDArray[np.float64] = np.exp(-(((h - late - at) / width) ** 2) / 2)
            return bell

        level = 0.15 + bump(8, 1.5) + 0.8 * bump(12.5, 3) + bump(18, 1.8)
        calm = np.where(self.weekend(t_s), 0.75, 1.0)
        slow = 1 + 0.05 * wander(key_of(self.seed, "traffic"), t_s, 1200)
        mean = 0.745  # of the weekday's curve over 24 h
        return np.maximum(0.02, calm * level * slow / mean)

    def demand(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return water demand relative to its mean; weekends 1.5 h later, more when hot."""
        h = (self.hour(t_s) - np.where(self.weekend(t_s), 1.5, 0.0)) % 24
        hot = 1 + 0.015 * np.maximum(0.0, self.air(t_s) - 25)
        slow = 1 + 0.02 * wander(key_of(self.seed, "demand"), t_s, 900)
        curve: NDArray[np.float64] = np.interp(h, _DEMAND_H, _DEMAND)
        return curve * hot * slow

    def gas_demand(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return gas demand relative to its mean; up to twice in the cold."""
        cold = np.clip((10 - self.air(t_s)) / 20, 0, 1)
        curve: NDArray[np.float64] = np.interp(self.hour(t_s), _GAS_H, _GAS)
        return curve * (1 + cold)

    def wind(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return wind, m/s, calm to fresh."""
        return np.clip(3 + 1.4 * wander(key_of(self.seed, "wind"), t_s, 3600), 0.2, 8.0)

    def rain(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rain, mm/h: events of median 3 h and 2.5 mm/h, about 90 a year, none severe."""
        slot = np.floor(t_s / RAIN_SLOT_S).astype(np.int64)
        chance = uniform(key_of(self.seed, "rain"), slot)
        lasts = np.clip(3 * np.exp(0.6 * normal(key_of(self.seed, "rain-h"), slot)), 0.7, 8) * 3600
        begin = uniform(key_of(self.seed, "rain-at"), slot) * (RAIN_SLOT_S - lasts)
        peak = np.minimum(
            2.5 * np.exp(0.7 * normal(key_of(self.seed, "rain-mm"), slot)), QUIET_RAIN_MM_H
        )
        along = (t_s - slot * RAIN_SLOT_S - begin) / lasts
        shape = np.where((along > 0) & (along < 1), np.sin(np.pi * np.clip(along, 0, 1)) ** 2, 0.0)
        return np.where(chance < RAIN_CHANCE, peak * shape, 0.0)

    def runoff(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rain as sewers feel it, mm/h: a gamma unit hydrograph, k = 2, peak at 20 min."""
        step_s, peak_s = 300.0, 1200.0
        lags = np.arange(0, 7200, step_s)
        weight = lags * np.exp(-lags / peak_s)
        weight /= weight.sum()
        felt = np.zeros_like(t_s)
        for lag, w in zip(lags[1:], weight[1:], strict=True):
            felt = felt + w * self.rain(t_s - lag)
        return felt


def season(day_of_year: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the heating runs: 15 November to 15 March."""
    return (day_of_year > 318) | (day_of_year < 74)
