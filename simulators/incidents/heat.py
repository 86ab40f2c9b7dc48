"""Incidents of district heating: leaks, too little heat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulators.incidents.truth import (
    SEVERITY,
    Incident,
    Misplaced,
    Onset,
    Part,
    asset_of,
    assets_near,
    crosses,
    eased,
    laid,
    made,
    reported_s,
    rows_of,
)
from simulators.signals.models.heat import LEAST_MAKEUP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]


def heat_leak(registry: Registry, onset: Onset) -> Incident:
    """H1: a heating pipe leaks: make-up rises, return pressure falls, a chamber grows hot and wet.

    Options: ``makeup`` 2.5 % of circulation more, ``drop_kpa`` 60, ``rise_s`` 300 of the leak,
    ``warmer_k`` 40 in manholes within ``reach_m`` 200 over ``soak_s`` 2 h.
    """
    here = asset_of(registry, onset, "heat", "heat_station", "manhole")
    makeup, drop = onset.option("makeup", 2.5), onset.option("drop_kpa", 60.0)
    rise, soak = onset.option("rise_s", 300.0), onset.option("soak_s", 7200.0)
    zone, _ = assets_near(registry, here, within_m=3000, zone=True)
    hot, _ = assets_near(registry, here, within_m=onset.option("reach_m", 200.0))
    added = rows_of(registry, zone, "makeup")
    back = rows_of(registry, zone, "pressure", word="return")
    air = rows_of(registry, hot, "temperature", word="air")
    damp = rows_of(registry, hot, "humidity")

    def by(size: float, rows: Rows, tau: float) -> Part:
        return Part(rows, lambda _i, s, quiet: quiet + size * eased(s, onset.lasts_s, tau, 2 * tau))

    def wets(_i: NDArray[np.int64], since: Floats, quiet: Floats) -> Floats:
        return quiet + (100 - quiet) * eased(since, onset.lasts_s, soak / 2, 2 * soak)

    parts = [
        by(makeup, added, rise),
        by(-drop, back, rise),
        by(onset.option("warmer_k", 40.0), air, soak),
        Part(damp, wets),
    ]
    # while the network warms its water swells and needs the least: what is sure is told
    total = makeup + LEAST_MAKEUP
    level, limit = next(
        ((n, x) for n, x in (("red", 4.0), ("orange", 2.0), ("yellow", 1.0), ("blue", 0.7))
         if total > 1.1 * x), ("", 0.0)
    )  # fmt: skip
    if not level or not len(added):
        raise Misplaced("the leak is below every limit of make-up here; more makeup, or a station")
    after = -rise * np.log(1 - (limit - LEAST_MAKEUP) / makeup)
    return made(
        registry, onset, here,
        kind="heat_leak", severity=SEVERITY[level], told_by=("makeup", "pressure", "temperature"),
        parts=(crosses(onset, float(after), f"{limit} % make-up"), reported_s(registry, added),
               900, 300),
        channels=np.sort(np.concatenate([p.rows for p in parts])), fades_s=12 * 3600,
        shape=laid(parts),
    )  # fmt: skip


def under_supply(registry: Registry, onset: Onset) -> Incident:
    """H2: too little heat arrives: supply stays below its curve, return follows.

    Options: ``short_k`` 14, ``rise_s`` 1800.
    """
    here = asset_of(registry, onset, "heat", "heat_station")
    short, rise = onset.option("short_k", 14.0), onset.option("rise_s", 1800.0)
    supply = rows_of(registry, [here], "temperature", word="supply")
    back = rows_of(registry, [here], "temperature", word="return")

    def by(size: float, rows: Rows) -> Part:
        return Part(rows, lambda _i, s, quiet: quiet + size * eased(s, onset.lasts_s, rise, rise))

    after = -rise * np.log(1 - 8 / short) if short > 8 else np.inf
    return made(
        registry, onset, here,
        kind="under_supply", severity=SEVERITY["yellow"], told_by=("temperature",),
        parts=(crosses(onset, float(after), "8 K below the curve"), reported_s(registry, supply),
               7200, 1800),
        channels=np.sort(np.concatenate((supply, back))), fades_s=3 * 3600,
        shape=laid([by(-short, supply), by(-0.55 * short, back)]),
    )  # fmt: skip
