"""Waveform blocks of a city, a minute each, that agree with its scalars.

A span swings at what its frequency channel says, incidents included, as hard as its acceleration
channel says; a main's pressure carries the fronts of bursts, later and weaker further off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.readings import Block
from simulators.city.layout import metres
from simulators.incidents import Incident
from simulators.noise import key_of, normal
from simulators.physics.water import WAVE_M_S, shock_kpa
from simulators.signals.waveforms import surge, swinging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.stream import City

    Floats = NDArray[np.float64]

ACCEL_HZ: Final = 50
PRESSURE_HZ: Final = 250
MINUTE_NS: Final = 60_000_000_000
DAMPING: Final = 0.015  # of concrete spans
MAIN_MM: Final = 300.0  # the pipe a burst's wave runs in
FADES_M: Final = 1500.0  # the way over which a wave loses all but a third
LATENCY_NS: Final = 200_000_000


def acceleration(city: City, channel: str, minute: int) -> Block:
    """Return a minute of a span's acceleration, m/s2 at 50 Hz; ``minute`` counts from 1970.

    ``channel`` is its rms channel; the span must have a frequency channel.
    """
    registry = city.registry
    row = registry.channel_row[channel]
    asset = int(registry.channels.asset[row])
    mine = np.flatnonzero(registry.channels.asset == asset)
    frequency = [r for r in mine if registry.channels.quantity[r] == "frequency"]
    if not frequency:
        raise ValueError(f"{channel}: its asset has no frequency channel to swing at")
    both = np.array([row, frequency[0]], np.int32)
    rms, f1 = city.signals.sample(both, np.full(2, minute * MINUTE_NS, np.int64)).tolist()
    modes = [(f1, DAMPING, 0.85 * rms), (2.1 * f1, DAMPING, 0.53 * rms)]
    key = key_of(city.seed, "swings", channel)
    return _block(city, row, minute, ACCEL_HZ, swinging(key, minute, ACCEL_HZ, modes))


def fast_pressure(city: City, channel: str, minute: int) -> Block:
    """Return a minute of a main's pressure, kPa at 250 Hz, with the fronts of bursts.

    ``channel`` is a pressure channel; what it shows each minute is the level the wave rides on.
    """
    registry = city.registry
    row = registry.channel_row[channel]
    here = np.array([row], np.int32)
    t_s = minute * 60.0 + np.arange(60 * PRESSURE_HZ) / PRESSURE_HZ
    ends = np.array([minute, minute + 1], np.int64) * MINUTE_NS
    quiet = city.signals.quiet(np.repeat(here, 2), ends)
    at = np.arange(len(t_s)) + minute * 60 * PRESSURE_HZ
    wave = np.interp(t_s, ends / 1e9, quiet)
    wave = wave + 0.3 * normal(key_of(city.seed, "hisses", channel), at)
    for incident in city.incidents:
        if isinstance(incident, Incident) and incident.kind == "pipe_burst":
            wave = wave + _front(city, row, incident, t_s)
    return _block(city, row, minute, PRESSURE_HZ, wave)


def _front(city: City, row: int, burst: Incident, t_s: Floats) -> Floats:
    """Return what a burst does to the pressure there, kPa: a front, then what it settles at."""
    if row not in burst.channels:
        return np.zeros_like(t_s)
    registry = city.registry
    owner = int(registry.channels.asset[row])
    x, y = metres(registry.assets.lon[owner], registry.assets.lat[owner])
    bx, by = metres(*burst.at)
    away = float(np.hypot(x - bx, y - by))
    rows = np.array([row], np.int32)
    settled = -float(burst.shape(rows, np.array([300.0]), np.array([1000.0]))[0] - 1000.0)
    flow = max(
        (float(burst.shape(np.array([r], np.int32), np.array([300.0]), np.zeros(1))[0])
         for r in burst.channels if registry.channels.quantity[r] == "flow"),
        default=0.0,
    )  # fmt: skip
    shock = shock_kpa(flow, MAIN_MM) * np.exp(-away / FADES_M)
    mended = np.exp(-np.maximum(t_s - burst.end_ns / 1e9, 0) / 300)
    return surge(t_s - burst.begin_s - away / WAVE_M_S, max(shock, settled), settled) * mended


def _block(city: City, row: int, minute: int, rate: int, samples: Floats) -> Block:
    begin = minute * MINUTE_NS
    return Block(
        channel=np.array([row], np.int32),
        device=int(city.registry.channels.device[row]),
        event_ns=begin,
        judged_ns=begin,
        receive_ns=begin + MINUTE_NS + LATENCY_NS,
        rate_hz=float(rate),
        samples=samples.astype(np.float32)[None, :],
        boot=1,
        sequence=minute,
    )
