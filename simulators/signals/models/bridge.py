"""Bridges: heat, traffic, and how they swing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.physics.bridges import CONCRETE_PER_K, STEEL_PER_K, joint, softened
from simulators.signals.vehicles import heaviest

if TYPE_CHECKING:
    from simulators.signals.channels import View
    from simulators.signals.models import Floats, Rows

LANE_SHARE = np.array([1.0, 0.88, 0.74, 0.6])  # of a vehicle's strain, girder by girder
RESTRAINED = 0.3  # of thermal strain, which bearings keep from moving


def deck(v: View, rows: Rows, t: Floats) -> Floats:
    """Return the structure's temperature, Cel; a steel one follows the air sooner."""
    steel = v.design("steel", 0.0)[rows] > 0
    held = v.drivers.structure(t)
    if steel.any():
        held = np.where(steel, v.drivers.steel(t), held)
    return held


def deck_temperature(v: View, rows: Rows, t: Floats) -> Floats:
    """Return what the sensor in the structure shows, Cel."""
    return deck(v, rows, t) + 0.1 * v.white(rows, t)


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
    per_k = np.where(v.design("steel", 0.0)[rows] > 0, STEEL_PER_K, CONCRETE_PER_K)
    thermal = RESTRAINED * per_k * 1e6 * (deck(v, rows, t) - 16)
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
    """Return a span's first natural frequency, Hz, softer when warm; estimates scatter by 0.3 %."""
    f0 = v.design("f1_hz", 3.2)[rows]
    return f0 * softened(deck(v, rows, t)) * (1 + 0.003 * v.white(rows, t))


def opening(v: View, rows: Rows, t: Floats) -> Floats:
    """Return joint opening, mm: closes as the deck warms."""
    closed = joint(deck(v, rows, t), v.design("length_m", 60.0)[rows])
    return 150 - closed + 0.05 * v.white(rows, t)


def tilt(v: View, rows: Rows, t: Floats) -> Floats:
    """Return pier tilt, deg: a hair, with the temperature."""
    return 0.0001 * (deck(v, rows, t) - 16) + 0.0004 * v.slow(rows, t, 3600)


def wind(v: View, rows: Rows, t: Floats) -> Floats:
    """Return wind on the deck, m/s."""
    return np.clip(v.drivers.wind(t) + 0.3 * v.white(rows, t), 0, 9)


def cable(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a cable's force, kN: heavier inwards, 1 % softer over a day's warmth."""
    own = 2500 + 250.0 * ((v.number[rows] - 1) % 8)
    warm = 1 - 0.0008 * (deck(v, rows, t) - 16)
    return own * (warm + 0.004 * v.drivers.traffic(t)) + 3 * v.white(rows, t)


def crack(v: View, rows: Rows, t: Floats) -> Floats:
    """Return a crack's width, mm: it breathes with the temperature."""
    return 0.08 - 0.001 * (deck(v, rows, t) - 16) + 0.001 * v.white(rows, t)
