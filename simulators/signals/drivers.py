"""What all lifelines share: air temperature, traffic, demand, rain, wind. Hence they correlate.

Every function takes Unix seconds (any shape) and is pure in (seed, time). Figures are estimates
for simulation, see each docstring; none is a norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.signal import lfilter

from simulators.noise import key_of, normal, uniform, wander
from simulators.physics.drainage import routed
from simulators.signals.grid import STEP_S, Grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DAY_S = 86_400.0
LATER_H = 1.5  # people rise at weekends
RAIN_SLOT_S = 43_200.0
RAIN_CHANCE = 0.12  # per slot: about 90 events a year
QUIET_RAIN_MM_H = 10.0  # a quiet city has no storm
RUNOFF_MIN = (10.0, 20.0, 35.0)  # catchments: when a short rain is felt most

# domain curve of water use: least 0.35 at 03:30, peaks 1.5 at 07:30 and 1.6 at 19:30, mean 1
_DEMAND_H = np.array([0, 2, 3.5, 5, 6.5, 7.5, 9, 12, 15, 17.5, 19.5, 21.5, 24])
_DEMAND = np.array([0.62, 0.42, 0.35, 0.5, 1.2, 1.5, 1.2, 1.1, 0.9, 1.25, 1.6, 1.1, 0.62])
_SUMMED_H = np.linspace(0, 24, 481)
_SUMMED = cumulative_trapezoid(
    np.interp(_SUMMED_H, _DEMAND_H, _DEMAND), _SUMMED_H / 24, initial=0.0
)
USUAL_FROM_S = 1_699_920_000.0  # 2023-11-14T00:00, local time
# gas: peaks at the three meals, little at night
_GAS_H = np.array([0, 5, 7, 8.5, 11, 12, 14, 17, 18.5, 20.5, 24])
_GAS = np.array([0.3, 0.3, 1.5, 0.8, 1.5, 1.5, 0.7, 1.0, 1.8, 0.9, 0.3])


class Drivers:
    """The city's weather and habits for one seed; ``offset_h`` is local time, hours east of UTC."""

    def __init__(self, seed: int, offset_h: float = 8.0) -> None:
        self.seed = seed
        self.offset_h = offset_h
        self.air = Grid(self._air)
        """Air temperature, Cel: year, day and a 36 h wander of 3 K."""
        self.structure = Grid(lambda t: self._lagged(t, hours=8.0, sun_k=6.0), 4)
        """A concrete deck's temperature, Cel: ``dT/dt = (air + sun − T)/τ``, τ 8 h."""
        self.steel = Grid(lambda t: self._lagged(t, hours=3.0, sun_k=10.0), 2)
        """A steel deck's temperature, Cel, τ 3 h."""
        self.soil = Grid(self._soil)
        """The ground's temperature 1.5 m down, Cel."""
        self.traffic = Grid(self._traffic)
        """Traffic relative to the day's mean: two rush hours, calmer weekends."""
        self.demand = Grid(self._demand)
        """Water demand relative to its mean; weekends 1.5 h later, more when hot."""
        self.gas_demand = Grid(self._gas_demand)
        """Gas demand relative to its mean; up to twice in the cold."""
        self.wind = Grid(self._wind)
        """Wind, m/s, calm to fresh."""
        self.rain = Grid(self._rain)
        """Rain, mm/h: events of median 3 h and 2.5 mm/h, about 90 a year, none severe."""
        self.haze = Grid(self._haze)
        """Fine particles, ug/m3: median 35, more in winter, washed out by rain."""
        self.lake_pump = Grid(self._lake_pump)
        """The waterworks' second pump, 0 off … 1 on: by day, brought up in a quarter of an hour."""
        self._felt = [Grid(self._routed_by(k), 1) for k in RUNOFF_MIN]

    def hour(self, t_s: Floats) -> Floats:
        """Return the local hour of the day, 0 up to 24."""
        hour: Floats = ((t_s + self.offset_h * 3600) % DAY_S) / 3600
        return hour

    def day_of_year(self, t_s: Floats) -> Floats:
        """Return days since the turn of the year, by a mean year of 365.2425 days."""
        days: Floats = (t_s + self.offset_h * 3600) / DAY_S % 365.2425
        return days

    def weekend(self, t_s: Floats) -> NDArray[np.bool_]:
        """Return whether it is Saturday or Sunday (1970-01-01 was a Thursday)."""
        day = np.floor((t_s + self.offset_h * 3600) / DAY_S).astype(np.int64)
        free: NDArray[np.bool_] = (day + 3) % 7 >= 5
        return free

    def weekend_share(self, t_s: Floats) -> Floats:
        """Return how much of a weekend's habits holds, 0…1: they come and go round midnight.

        Linear over an hour and a half on either side: nothing a city uses jumps with the date.
        """
        half = LATER_H * 3600
        before = self.weekend(t_s - half).astype(np.float64)
        after = self.weekend(t_s + half).astype(np.float64)
        along = np.minimum(1.0, ((t_s + self.offset_h * 3600 + half) % DAY_S) / (2 * half))
        share: Floats = before + (after - before) * along
        return share

    def sun(self, t_s: Floats) -> Floats:
        """Return sunshine, 0…1, a half sine from 6 to 18 o'clock, dimmer when it rains."""
        height: Floats = np.sin(np.pi * (self.hour(t_s) - 6) / 12)
        return np.maximum(0.0, height) * np.where(self.rain(t_s) > 0.2, 0.3, 1.0)

    def usual_days(self, t_s: Floats) -> Floats:
        """Return a weekday's water demand summed since late 2023, in mean days; it only rises."""
        local = t_s + self.offset_h * 3600 - USUAL_FROM_S
        day = np.floor(local / DAY_S)
        hour = (local - day * DAY_S) / 3600
        held: Floats = day * _SUMMED[-1] + np.interp(hour, _SUMMED_H, _SUMMED)
        return held

    def runoff(self, t_s: Floats, peak_min: float = 20.0) -> Floats:
        """Return rain as sewers feel it, mm/h: two linear reservoirs whose response peaks then.

        ``peak_min`` lies between two of the catchments kept and mixes them.
        """
        k = int(np.clip(np.searchsorted(RUNOFF_MIN, peak_min) - 1, 0, len(RUNOFF_MIN) - 2))
        share = float(
            np.clip((peak_min - RUNOFF_MIN[k]) / (RUNOFF_MIN[k + 1] - RUNOFF_MIN[k]), 0, 1)
        )
        if share == 0:
            return self._felt[k](t_s)
        return (1 - share) * self._felt[k](t_s) + share * self._felt[k + 1](t_s)

    def _air(self, t_s: Floats) -> Floats:
        year: Floats = 13 * np.cos(2 * np.pi * (self.day_of_year(t_s) - 205) / 365)
        day: Floats = 4 * np.cos(2 * np.pi * (self.hour(t_s) - 15) / 24)
        return 16 + year + day + 3 * wander(key_of(self.seed, "air"), t_s, 36 * 3600)

    def _lagged(self, t_s: Floats, *, hours: float, sun_k: float) -> Floats:
        """Return a first-order lag behind air and sun, on consecutive minutes."""
        keep = np.exp(-STEP_S / (hours * 3600))
        heat = self._air(t_s) + sun_k * self.sun(t_s)
        first = heat[: min(len(heat), 1440)].mean()  # a day's mean: near what it was before
        held: Floats = lfilter([1 - keep], [1, -keep], heat - first) + first
        return held

    def _soil(self, t_s: Floats) -> Floats:
        year: Floats = 8 * np.cos(2 * np.pi * (self.day_of_year(t_s) - 240) / 365)
        return 16 + year + 0.3 * wander(key_of(self.seed, "soil"), t_s, 5 * DAY_S)

    def _traffic(self, t_s: Floats) -> Floats:
        free = self.weekend_share(t_s)
        h = self.hour(t_s)

        def bump(at: float, width: float) -> Floats:
            away = (h - LATER_H * free - at + 12) % 24 - 12  # the day before midnight counts too
            bell: Floats = np.exp(-((away / width) ** 2) / 2)
            return bell

        level = 0.15 + bump(8, 1.5) + 0.8 * bump(12.5, 3) + bump(18, 1.8)
        calm = 1 - 0.25 * free
        slow = 1 + 0.05 * wander(key_of(self.seed, "traffic"), t_s, 1200)
        mean = 0.745  # of the weekday's curve over 24 h
        return np.maximum(0.02, calm * level * slow / mean)

    def _demand(self, t_s: Floats) -> Floats:
        h = (self.hour(t_s) - LATER_H * self.weekend_share(t_s)) % 24
        hot = 1 + 0.015 * np.maximum(0.0, self._air(t_s) - 25)
        slow = 1 + 0.02 * wander(key_of(self.seed, "demand"), t_s, 900)
        curve: Floats = np.interp(h, _DEMAND_H, _DEMAND)
        return curve * hot * slow

    def _gas_demand(self, t_s: Floats) -> Floats:
        cold = np.clip((10 - self._air(t_s)) / 20, 0, 1)
        curve: Floats = np.interp(self.hour(t_s), _GAS_H, _GAS)
        return curve * (1 + cold)

    def _wind(self, t_s: Floats) -> Floats:
        return np.clip(3 + 1.4 * wander(key_of(self.seed, "wind"), t_s, 3600), 0.2, 8.0)

    def _rain(self, t_s: Floats) -> Floats:
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

    def _routed_by(self, peak_min: float) -> Callable[[Floats], Floats]:
        return lambda t: routed(self._rain(t), peak_min)

    def _haze(self, t_s: Floats) -> Floats:
        cold = np.cos(2 * np.pi * (self.day_of_year(t_s) - 15) / 365)
        slow = wander(key_of(self.seed, "haze"), t_s, 12 * 3600)
        washed = np.where(self._rain(t_s) > 0.5, 0.6, 1.0)
        held: Floats = 38 * np.exp(0.3 * cold + 0.35 * slow) * washed
        return np.minimum(held, 140.0)

    def _lake_pump(self, t_s: Floats) -> Floats:
        h = self.hour(t_s)
        ramp = 0.25  # h
        on: Floats = np.clip((h - 5.5) / ramp, 0, 1) * np.clip((22.5 - h) / ramp, 0, 1)
        return on


def season(day_of_year: Floats) -> NDArray[np.bool_]:
    """Return whether the heating runs: 15 November to 15 March."""
    return (day_of_year > 318) | (day_of_year < 74)
