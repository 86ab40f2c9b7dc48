"""Solve EPANET's example network 3 ahead of time with wntr.

``python -m simulators.hydraulics.solve`` writes ``net3.npz`` beside this file: pressures at levels
of demand and states of the pump, and what a burst at any junction takes from the pressure at every
other. The network is the example of the EPANET manual (Rossman, EPANET 2 Users Manual,
EPA/600/R-00/057) as wntr ships it (Klise et al., EPA/600/R-20/185). Needs the extra ``sim``; the
generator only reads the table.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import wntr
from scipy.cluster.vq import kmeans2

from simulators.hydraulics.tables import (
    AREAS,
    BURST_DEMAND,
    BURST_M3_H,
    DEMAND,
    KPA_PER_M,
    PUMPS,
    TABLE,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAKE_PUMP = "10"  # on and off by day in the example


def network() -> Any:
    """Return network 3 as one steady state: each demand at the mean of its own pattern."""
    wn = wntr.network.WaterNetworkModel("Net3")
    for name in wn.junction_name_list:
        for demand in wn.get_node(name).demand_timeseries_list:
            pattern = demand.pattern
            if pattern is not None:
                demand.base_value *= float(np.mean(pattern.multipliers))
                demand.pattern_name = None
    for name in list(wn.control_name_list):
        wn.remove_control(name)
    wn.options.hydraulic.pattern = None
    wn.options.time.duration = 0
    return wn


def steady(
    wn: Any, demand: float, *, pump: int, burst: tuple[str, float] | None = None
) -> NDArray[np.float64]:
    """Return the pressure of every junction, kPa, float64[J]; ``burst``: (junction, m3/h)."""
    wn.get_link(LAKE_PUMP).initial_status = "Open" if pump else "Closed"
    wn.options.hydraulic.demand_multiplier = demand
    extra = None
    if burst is not None:
        extra = wn.get_node(burst[0])
        extra.add_demand(burst[1] / 3600 / demand, None, category="burst")
    with tempfile.TemporaryDirectory(prefix="hydraulics-") as folder:
        run = wntr.sim.EpanetSimulator(wn).run_sim(file_prefix=str(Path(folder) / "net"))
    if extra is not None:
        extra.demand_timeseries_list.remove_category("burst")
    heads: NDArray[np.float64] = (
        run.node["pressure"][wn.junction_name_list].iloc[0].to_numpy(np.float64)
    )
    return heads * KPA_PER_M


def areas_of(wn: Any) -> NDArray[np.int8]:
    """Return the metered area of each junction, int8[J]: the junctions lying together."""
    at = np.array([wn.get_node(n).coordinates for n in wn.junction_name_list], np.float64)
    _, label = kmeans2(at, AREAS, minit="++", seed=3)
    found: NDArray[np.int8] = label.astype(np.int8)
    return found


def main() -> None:
    """Write the table."""
    wn = network()
    names = wn.junction_name_list
    base = np.array(
        [sum(d.base_value for d in wn.get_node(n).demand_timeseries_list) for n in names]
    )
    pressure = np.array([[steady(wn, d, pump=p) for d in DEMAND] for p in range(PUMPS)])
    quiet = {d: steady(wn, d, pump=0) for d in BURST_DEMAND}
    drop = np.array(
        [
            [
                [quiet[d] - steady(wn, d, pump=0, burst=(n, q)) for q in BURST_M3_H]
                for d in BURST_DEMAND
            ]
            for n in names
        ]
    )
    # 32-bit floats: a thousandth of a kilopascal, and a third of the size
    np.savez_compressed(
        TABLE,
        name=np.array(names),
        at=np.array([wn.get_node(n).coordinates for n in names], np.float32),
        base_m3_h=(base * 3600).astype(np.float32),
        area=areas_of(wn),
        pressure_kpa=np.round(pressure, 3).astype(np.float32),
        drop_kpa=np.round(drop, 2).astype(np.float16),
    )


if __name__ == "__main__":
    main()
