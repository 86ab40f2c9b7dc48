"""Incidents of bridges: loads, collisions, cables, foundations, bearings, stiffness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.incidents.truth import (
    DAY_S,
    SEVERITY,
    Incident,
    Misplaced,
    Onset,
    Part,
    asset_of,
    assets_near,
    attribute,
    crosses,
    during,
    grown,
    laid,
    made,
    reported_s,
    rows_of,
)
from simulators.noise import key_of, normal
from simulators.physics.bridges import stiffness_lost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]

GIRDER_SHARE = (1.0, 0.88, 0.74, 0.6)
JOINT_AT_20_MM = 150.0


def _whole(registry: Registry, here: int) -> list[int]:
    """Return the spans and the bridge of one zone."""
    return assets_near(registry, here, within_m=1500, zone=True)[0]


def per_tonne(registry: Registry, row: int) -> float:
    """Return what one tonne does to a bridge channel: um/m, mm, t or m/s2."""
    asset = int(registry.channels.asset[row])
    quantity = registry.channels.quantity[row]
    if quantity == "strain":
        number = int(registry.channels.id[row].split("/")[1].rsplit("-", 1)[1])
        return GIRDER_SHARE[(number - 1) % 4] * attribute(registry, asset, "strain_per_t", 1.4)
    if quantity == "deflection":
        return attribute(registry, asset, "deflection_per_t", 0.08)
    return {"gvw": 1.0, "accel": 0.0004}[quantity]


def bridge_overload(registry: Registry, onset: Onset) -> Incident:
    """B1: a convoy of overloaded trucks crosses a bridge, one or more a minute.

    Options: ``weight_t`` 130 of each truck.
    """
    here = asset_of(registry, onset, "bridge", "span", "bridge")
    weight = onset.option("weight_t", 130)
    rows = rows_of(registry, _whole(registry, here), "strain", "deflection", "gvw", "accel")
    key = key_of(0, "convoy", onset.id)
    gain = np.array([per_tonne(registry, int(r)) for r in rows])
    mean = np.array([registry.channels.id[int(r)].endswith("/mean") for r in rows], np.bool_)

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        minute = np.floor(since / 60).astype(np.int64)
        load = gain[i] * weight * (1 + 0.02 * normal(key, minute))
        means = quiet + 0.15 * load  # several on the span at once, for part of the minute
        return np.where(
            during(since, onset.lasts_s), np.where(mean[i], means, np.maximum(quiet, load)), quiet
        )

    return made(
        registry, onset, here,
        kind="bridge_overload", severity=SEVERITY["orange"],
        told_by=("strain", "deflection", "gvw"), parts=(60, 60, 60, 60),
        channels=rows, fades_s=60, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def overload_crowding(registry: Registry, onset: Onset) -> Incident:
    """B2: heavy trucks stand in a jam: mean and peak load stay up for minutes.

    Options: ``load_t`` 160 on a span at once.
    """
    here = asset_of(registry, onset, "bridge", "span", "bridge")
    load = onset.option("load_t", 160)
    rows = rows_of(registry, _whole(registry, here), "strain", "deflection")
    gain = np.array([per_tonne(registry, int(r)) for r in rows])

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + gain[i] * load * grown(since, 300, onset.lasts_s, 120)

    return made(
        registry, onset, here,
        kind="overload_crowding", severity=SEVERITY["orange"], told_by=("strain", "deflection"),
        parts=(300, reported_s(registry, rows), 60, 60),
        channels=rows, fades_s=1200, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def collision(registry: Registry, onset: Onset) -> Incident:
    """B3: a ship or a vehicle strikes: one shock, then pier and joints stand elsewhere.

    Options: ``peak_m_s2`` 1.5, ``tilt_deg`` 0.08, ``shift_mm`` 12. What moved stays moved until
    ``lasts``.
    """
    here = asset_of(registry, onset, "bridge", "span", "bridge")
    whole = _whole(registry, here)
    peak, tilt, shift = (onset.option(n, d) for n, d in
                         (("peak_m_s2", 1.5), ("tilt_deg", 0.08), ("shift_mm", 12.0)))  # fmt: skip
    accel = rows_of(registry, whole, "accel")
    tilts, joints = rows_of(registry, whole, "tilt"), rows_of(registry, whole, "displacement")

    def shock(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + peak * np.exp(-since / 20)

    def stays(size: float) -> Part:
        rows = tilts if size == tilt else joints
        return Part(rows, lambda _i, s, quiet: quiet + size * during(s, onset.lasts_s))

    rows = np.sort(np.concatenate((accel, tilts, joints)))
    return made(
        registry, onset, here,
        kind="collision", severity=SEVERITY["blue"], told_by=("accel", "tilt", "displacement"),
        parts=(0, reported_s(registry, tilts), 5 * 60, 120),
        channels=rows, fades_s=300, shape=laid([Part(accel, shock), stays(tilt), stays(shift)]),
    )  # fmt: skip


def cable_loss(registry: Registry, onset: Onset) -> Incident:
    """B4: a cable loses force at once, its neighbours take it over.

    Options: ``loss`` 0.08 of the force, ``cable`` 1 its number.
    """
    here = asset_of(registry, onset, "bridge", "bridge")
    rows = rows_of(registry, [here], "cable_force")
    if not len(rows):
        raise Misplaced(f"{onset.place} has no cables with sensors")
    loss, struck = onset.option("loss", 0.08), int(onset.option("cable", 1)) - 1
    away = np.abs(np.arange(len(rows)) - struck)
    share = np.where(away == 0, -loss, np.where(away == 1, 0.4 * loss, 0.0))

    def effect(i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return np.where(during(since, onset.lasts_s), quiet * (1 + share[i]), quiet)

    return made(
        registry, onset, here,
        kind="cable_loss", severity=SEVERITY["yellow"], told_by=("cable_force",),
        parts=(0, reported_s(registry, rows), 1800, 600),
        channels=rows, fades_s=60, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def scour(registry: Registry, onset: Onset) -> Incident:
    """B5: a foundation settles after a flood: tilt drifts, the span softens.

    Options: ``deg_day`` 0.03, ``softer_day`` 0.002.
    """
    here = asset_of(registry, onset, "bridge", "bridge", "span")
    whole = _whole(registry, here)
    per_day, softer = onset.option("deg_day", 0.03), onset.option("softer_day", 0.002)
    tilts, frequency = rows_of(registry, whole, "tilt"), rows_of(registry, whole, "frequency")

    def leans(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + per_day * np.minimum(since, onset.lasts_s) / DAY_S

    def softens(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet * (1 - softer * np.minimum(since, onset.lasts_s) / DAY_S)

    rows = np.sort(np.concatenate((tilts, frequency)))
    return made(
        registry, onset, here,
        kind="scour", severity=SEVERITY["blue"], told_by=("tilt", "frequency"),
        parts=(crosses(onset, 0.02 / per_day * DAY_S, "0.02 deg"), reported_s(registry, tilts),
               600, 3600),
        channels=rows, fades_s=1e9, shape=laid([Part(tilts, leans), Part(frequency, softens)]),
    )  # fmt: skip


def bearing_stuck(registry: Registry, onset: Onset) -> Incident:
    """B6: a bearing sticks: the joint follows the temperature by a part only, then jumps free.

    Options: ``follows`` 0.2 of its usual movement, ``jump_mm`` 6 when it frees itself at the end.
    """
    here = asset_of(registry, onset, "bridge", "bridge")
    rows = rows_of(registry, [here], "displacement")
    follows, jump = onset.option("follows", 0.2), onset.option("jump_mm", 6.0)

    def effect(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        part = 1 - (1 - follows) * np.minimum(since / (6 * 3600), 1)
        stuck = JOINT_AT_20_MM + (quiet - JOINT_AT_20_MM) * part
        freed = quiet + jump * np.exp(-(since - onset.lasts_s) / 3600)
        return np.where(during(since, onset.lasts_s), stuck, freed)

    return made(
        registry, onset, here,
        kind="bearing_stuck", severity=SEVERITY["blue"], told_by=("displacement",),
        parts=(DAY_S, reported_s(registry, rows), 0, 3600),
        channels=rows, fades_s=DAY_S, shape=laid([Part(rows, effect)]),
    )  # fmt: skip


def stiffness_loss(registry: Registry, onset: Onset) -> Incident:
    """B7: a span loses stiffness: frequencies by the root, deflections up.

    Options: ``shift`` 0.06 of the first frequency, ``growth_s`` 1 over which it comes.
    """
    here = asset_of(registry, onset, "bridge", "span")
    shift, growth = onset.option("shift", 0.06), onset.option("growth_s", 1.0)
    lost = 1 - (1 - shift) ** 2
    frequency = rows_of(registry, [here], "frequency")
    sags = rows_of(registry, [here], "deflection")

    def lower(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        share = lost * grown(since, growth, onset.lasts_s)
        return quiet * np.sqrt(1 - share)

    def deeper(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet / (1 - lost * grown(since, growth, onset.lasts_s))

    level = next(
        (name for name, at in (("red", 0.15), ("orange", 0.10), ("yellow", 0.05)) if shift >= at),
        "blue",
    )
    if 1 - stiffness_lost(lost) < 0.03:
        raise Misplaced(f"shift {shift:g} is below 3 %, where no rule speaks")
    return made(
        registry, onset, here,
        kind="stiffness_loss", severity=SEVERITY[level], told_by=("frequency",),
        parts=(growth, reported_s(registry, frequency), 8 * 600, DAY_S),
        channels=np.sort(np.concatenate((frequency, sags))), fades_s=3 * 3600,
        shape=laid([Part(frequency, lower), Part(sags, deeper)]),
    )  # fmt: skip


def creeping(registry: Registry, onset: Onset) -> Incident:
    """B8: a crack opens and the span sags, a little every day.

    A crack tells of it within days; where none is measured the sag does, within months. Options:
    ``crack_mm_day`` 0.02, ``sag_mm_a`` 6.
    """
    here = asset_of(registry, onset, "bridge", "bridge", "span")
    whole = _whole(registry, here)
    cracks, sags = rows_of(registry, whole, "crack"), rows_of(registry, whole, "deflection")
    opens, sinks = onset.option("crack_mm_day", 0.02), onset.option("sag_mm_a", 6.0) / 365

    def by(per_day: float, rows: Rows) -> Part:
        return Part(
            rows, lambda _i, s, quiet: quiet + per_day * np.minimum(s, onset.lasts_s) / DAY_S
        )

    rows = np.sort(np.concatenate((cracks, sags)))
    return made(
        registry, onset, here,
        kind="creeping", severity=SEVERITY["yellow"], told_by=("crack", "deflection"),
        parts=((7 if len(cracks) else 240) * DAY_S, DAY_S, 0, DAY_S),
        channels=rows, fades_s=1e9, shape=laid([by(opens, cracks), by(sinks, sags)]),
    )  # fmt: skip
