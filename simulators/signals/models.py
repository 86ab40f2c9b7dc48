"""One function a signal: quiet values of channels at instants, in canonical units.

Each takes the View, channel rows and Unix seconds of one length and returns that many values.
Formulas and figures are estimates for simulation (box models, orifices, demand curves), no norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.signals.drivers import season
from simulators.signals.vehicles import heaviest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from simulators.signals.channels import View

    Rows = NDArray[np.int32]
    Floats = NDArray[np.float64]
    Model = Callable[[View, Rows, Floats], Floats]

PPM_CO_MG_M3 = 1.165  # at 20 Cel
LANE_SHARE = np.array([1.0, 0.88, 0.74, 0.6])  # of a vehicle's strain, girder by girder


def gas_space(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane in a duct or manhole: background, a few hundredths of a percent."""
    return np.maximum(0, 0.02 + 0.006 * v.slow(rows, t, 3600) + 0.004 * v.white(rows, t))


def biogas(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane of a sewer: follows the sewage and the warmth."""
    warm = 1 + 0.02 * (v.drivers.air(t) - 16)
    return np.maximum(0, 0.09 * warm * (0.6 + 0.4 * v.drivers.demand(t)) + 0.02 * _slow(v, rows, t))


def h2s(v: View, rows: Rows, t: Floats) -> Floats:
    """Return hydrogen sulphide of a sewer, below 4 mg/m3."""
    return np.clip(1.0 + 0.4 * v.drivers.demand(t) + 0.35 * _slow(v, rows, t), 0, 3.8)


def station_gas(v: View, rows: Rows, t: Floats) -> Floats:
    """Return methane in a regulator's room."""
    return np.maximum(0, 0.03 + 0.01 * v.slow(rows, t, 7200))


def gas_medium(v: View, rows: Rows, t: Floats) -> Floats:
    """Return medium pressure, kPa: the set value less what the demand takes, within 2 %."""
    q = v.drivers.gas_demand(t) / 2
    return v.design("set_mp_kpa", 200.0)[rows] * (1 - 0.008 * q**2 + 0.003 * _slow(v, rows, t))


def gas_low(v: View, rows: Rows, t: Floats) -> Floats:
    """Return regulator outlet pressure, kPa: locks up a little at night."""
    q = v.drivers.gas_demand(t) / 2
    lock_up = 0.1 * np.clip(1 - q / 0.4, 0, 1)
    return v.design("set_lp_kpa", 2.2)[rows] * (1 + lock_up - 0.05 * q**2) + 0.01 * v.white(rows, t)


def gas_flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return gas through a station, m3/h."""
    return 600 * v.drivers.gas_demand(t) * (1 + 0.02 * v.slow(rows, t, 600))


def trucks(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the heaviest vehicle of the minute on the channel's bridge, t."""
    per_minute = v.design("aadt", 20_000.0)[rows] / 1440 * v.drivers.traffic(t)
    return heaviest(v.zone[rows], np.floor(t / 60).astype(np.int64), per_minute)


def strain_peak(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the minute's peak live-load strain, um/m: the heaviest vehicle times influence."""
    share = LANE_SHARE[(v.number[rows] - 1) % 4]
    c = v.design("strain_per_t", 1.4)[rows] * share
    peak: Floats = c * trucks(v, rows, t) * (1 + 0.03 * v.white(rows, t)) + 1.5
    return np.maximum(0.0, peak)


def strain_mean(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the minute's mean strain, um/m: thermal (partly restrained) and the traffic's."""
    thermal = 3.0 * (v.drivers.structure(t) - 16)
    return thermal + 2 * v.drivers.traffic(t) + 0.5 * v.slow(rows, t, 600)


def deflection_peak(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the minute's peak deflection, mm."""
    c = v.design("deflection_per_t", 0.08)[rows]
    peak: Floats = c * trucks(v, rows, t) * (1 + 0.03 * v.white(rows, t)) + 0.1
    return np.maximum(0.0, peak)


def accel_rms(v: View, rows: Rows, t: Floats) -> Floats:
    """Return vertical acceleration rms, m/s2."""
    return 0.003 + 0.012 * np.sqrt(v.drivers.traffic(t)) * (1 + 0.08 * v.slow(rows, t, 600))


def first_frequency(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a span's first natural frequency, Hz: 3.2, softer by 0.04 % per kelvin."""
    warm = 1 - 4e-4 * (v.drivers.structure(t) - 16)
    return 3.2 * warm * (1 + 0.001 * v.white(rows, t))


def joint(v: View, rows: Rows, t: Floats) -> Floats:
    """Return joint opening, mm: closes as the deck warms, 1e-5 per kelvin of its length."""
    per_kelvin = 1e-5 * v.design("length_m", 60.0)[rows] * 1000
    return 150 - per_kelvin * (v.drivers.structure(t) - 16) + 0.05 * v.white(rows, t)


def tilt(v: View, rows: Rows, t: Floats) -> Floats:
    """Return pier tilt, deg: a hair, with the temperature."""
    return 0.0001 * (v.drivers.structure(t) - 16) + 0.0004 * v.slow(rows, t, 3600)


def deck_temperature(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the structure's temperature, Cel."""
    return v.drivers.structure(t) + 0.1 * v.white(rows, t)


def air_temperature(v: View, rows: Rows, t: Floats) -> Floats:
    """Return outdoor temperature, Cel."""
    return v.drivers.air(t) + 0.2 * v.slow(rows, t, 1800)


def below_ground(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the temperature of a chamber below ground, Cel: the season, hardly the day."""
    return 17 + 0.25 * (v.drivers.air(t) - 16) + 0.2 * v.slow(rows, t, 7200)


def outdoor_wind(v: View, rows: Rows, t: Floats) -> Floats:
    """Return wind on the deck, m/s."""
    return np.clip(v.drivers.wind(t) + 0.3 * v.white(rows, t), 0, 9)


def tunnel_co(v: View, rows: Rows, t: Floats) -> Floats:
    """Return carbon monoxide, mg/m3, growing along the tunnel with the traffic."""
    along = 0.8 + 0.15 * v.design("order", 0.0)[rows]
    ppm = 2 + 6 * v.drivers.traffic(t) * along * (1 + 0.06 * v.slow(rows, t, 900, of="zone"))
    return PPM_CO_MG_M3 * (ppm + 0.2 * v.white(rows, t))


def tunnel_visibility(v: View, rows: Rows, t: Floats) -> Floats:
    """Return light extinction, 1/m, moving with the CO."""
    along = 0.8 + 0.15 * v.design("order", 0.0)[rows]
    smoke = 0.001 * v.drivers.traffic(t) * along
    return 0.0006 + smoke * (1 + 0.06 * v.slow(rows, t, 900, of="zone")) + _fine(v, rows, t)


def tunnel_wind(v: View, rows: Rows, t: Floats) -> Floats:
    """Return wind along the tunnel, m/s: the traffic's piston."""
    return 1.5 + 0.8 * np.minimum(v.drivers.traffic(t), 3) + 0.2 * v.slow(rows, t, 600)


def tunnel_heat(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the linear heat detector's maximum, Cel."""
    return 14 + 0.5 * v.drivers.air(t) + v.drivers.traffic(t) + 0.1 * v.slow(rows, t, 1800)


def seepage(v: View, rows: Rows, t: Floats) -> Floats:
    """Return water at a low point or gallery floor, m: two centimetres."""
    return np.maximum(0, 0.02 + 0.003 * v.slow(rows, t, 7200))


def water_pressure(v: View, rows: Rows, t: Floats) -> Floats:
    """Return network pressure, kPa: the source less friction, Hazen-Williams exponent 1.852."""
    far = 0.6 + 0.4 * v.design("chainage_m", 500.0)[rows] / 1000
    loss = 45 * far * v.drivers.demand(t) ** 1.852
    slow = v.slow(rows, t, 300, of="zone")
    return v.design("source_kpa", 340.0)[rows] - loss + 1.5 * slow + 0.5 * v.white(rows, t)


def water_flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a metered area's inflow, m3/h: demand and background leakage."""
    base = v.design("base_flow", 250.0)[rows]
    return base * (v.drivers.demand(t) * (1 + 0.01 * v.slow(rows, t, 300)) + 0.12)


def sewer_level(v: View, rows: Rows, t: Floats) -> Floats:
    """Return level, m: sewage two hours after its use, and the rain's run-off."""
    d = v.design("diameter_m", 1.0)[rows]
    dry = d * (0.15 + 0.15 * v.drivers.demand(t - 7200))
    return dry + 0.03 * d * v.drivers.runoff(t) + 0.004 * v.white(rows, t)


def gauge(v: View, rows: Rows, t: Floats) -> Floats:
    """Return rain, mm/h, a little different at each gauge."""
    return v.drivers.rain(t) * np.clip(1 + 0.1 * v.slow(rows, t, 1800), 0.7, 1.3)


def puddle(v: View, rows: Rows, t: Floats) -> Floats:
    """Return ponding, cm: the pumps keep a road dry but for a film."""
    return np.clip(0.12 * v.drivers.runoff(t) + 0.05 * v.white(rows, t), 0, 2)


def _supply(v: View, t: Floats) -> Floats:
    air = v.drivers.air(t - 3600)
    curve = np.clip(75 + 1.6 * (5 - air), 60, 120)
    return np.where(season(v.drivers.day_of_year(t)), curve, 60.0)


def heat_supply(v: View, rows: Rows, t: Floats) -> Floats:
    """Return supply temperature, Cel, by the heating curve; 60 out of season."""
    return _supply(v, t) + 0.4 * v.slow(rows, t, 1800)


def heat_return(v: View, rows: Rows, t: Floats) -> Floats:
    """Return return temperature, Cel."""
    supply = _supply(v, t)
    return supply - 0.45 * (supply - 20) + 0.4 * v.slow(rows, t, 1800)


def heat_pressure_supply(v: View, rows: Rows, t: Floats) -> Floats:
    """Return supply pressure, kPa."""
    return 1000 + 4 * v.slow(rows, t, 3600, of="zone") + v.white(rows, t)


def heat_pressure_return(v: View, rows: Rows, t: Floats) -> Floats:
    """Return return pressure, kPa."""
    return 400 + 2 * v.slow(rows, t, 3600, of="zone") + 0.5 * v.white(rows, t)


def heat_flow(v: View, rows: Rows, t: Floats) -> Floats:
    """Return circulation, m3/h; a third of it out of season."""
    on = np.where(season(v.drivers.day_of_year(t)), 1.0, 0.35)
    return v.design("base_flow", 400.0)[rows] * on * (1 + 0.01 * v.slow(rows, t, 1800))


def makeup(v: View, rows: Rows, t: Floats) -> Floats:
    """Return make-up water, % of circulation."""
    return 0.25 + 0.03 * v.slow(rows, t, 3600)


def oxygen(v: View, rows: Rows, t: Floats) -> Floats:
    """Return oxygen, %vol."""
    return 20.9 + 0.02 * v.slow(rows, t, 3600)


def gallery_co(v: View, rows: Rows, t: Floats) -> Floats:
    """Return carbon monoxide in a gallery, mg/m3."""
    return np.maximum(0, 2.3 + 0.25 * v.slow(rows, t, 3600))


def gallery_h2s(v: View, rows: Rows, t: Floats) -> Floats:
    """Return hydrogen sulphide in a gallery, mg/m3."""
    return np.maximum(0, 1 + 0.15 * v.slow(rows, t, 3600))


def gallery_humidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return relative humidity below ground, %."""
    return 60 + 1.5 * v.slow(rows, t, 3600)


def cable(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a power cable's temperature, Cel, with the load of the day."""
    return 32 + 4 * v.drivers.demand(t) + 0.2 * v.slow(rows, t, 3600)


def turbidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return turbidity, NTU."""
    return np.clip(0.2 + 0.02 * v.slow(rows, t, 3600), 0.05, 0.4)


def chlorine(v: View, rows: Rows, t: Floats) -> Floats:
    """Return free chlorine, mg/L."""
    return np.clip(0.45 + 0.03 * v.slow(rows, t, 7200), 0.2, 0.8)


def acidity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return pH."""
    return 7.6 + 0.03 * v.slow(rows, t, 7200)


def conductivity(v: View, rows: Rows, t: Floats) -> Floats:
    """Return conductivity, uS/cm."""
    return 520 + 5 * v.slow(rows, t, 7200)


def battery(v: View, rows: Rows, t: Floats) -> Floats:
    """Return charge, %: between 60 and 98 by module, cells in the cold a little less."""
    own = 60 + 38 * ((v.asset[rows] % 1000) / 1000)
    return own + 0.05 * (v.drivers.air(t) - 16)


def signal_strength(v: View, rows: Rows, t: Floats) -> Floats:
    """Return received signal strength, dBm."""
    return -95 + 4 * v.slow(rows, t, 1800)


def steady(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a third of the range with a little wander: what no model knows."""
    c = v.registry.channels
    lo, hi = c.range_lo[rows], c.range_hi[rows]
    known = np.isfinite(lo) & np.isfinite(hi)
    middle = np.where(known, lo + (hi - lo) / 3, 0.0)
    return middle + np.where(known, (hi - lo) * 0.001, 0.1) * v.slow(rows, t, 1800)


def _slow(v: View, rows: Rows, t: Floats) -> Floats:
    return v.slow(rows, t, 1800)


def _fine(v: View, rows: Rows, t: Floats) -> Floats:
    return 0.00002 * v.white(rows, t)
