"""Two data sets have an outcome to reach: a settled support, a heating substation with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.bench import heat_station, settlement
from simulators.datasets import Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifeline.bench.heat_station import Score
    from lifeline.bench.settlement import Told

SIZES = {"faults as drawn": 1.0, "half as large": 0.5}


def experiments(
    folder: Path, names: Sequence[str], *, seeds: int, tell: Callable[[str], None]
) -> tuple[list[Told], dict[str, Score]]:
    """Run those of the named sets that are below ``folder``; what is missing is told."""
    told: list[Told] = []
    scores: dict[str, Score] = {}
    if "munich_bridge" in names:
        try:
            told = settlement.judge(folder / "munich_bridge")
        except Absent as absent:
            tell(f"settlement: left out: {absent}")
        for one in told:
            right = {True: "as wanted", False: "NOT AS WANTED", None: "a part of it"}[one.right]
            tell(
                f"settlement: {one.record}: {one.shift_um_m:.1f} um/m: {one.raised} raised, {right}"
            )
    stations = sorted((folder / "xai4heat").glob("*.csv")) if "xai4heat" in names else []
    for path in stations:
        for name, size in SIZES.items():
            try:
                score = heat_station.judge(path, seeds=seeds, size=size)
            except ValueError as error:
                tell(f"heat station: left out: {error}")
                break
            label = name if len(stations) == 1 else f"{path.stem}, {name}"
            scores[label] = score
            reached = "reached" if score.f05 >= heat_station.WANTED else "NOT REACHED"
            tell(
                f"heat station, {label}: event F0.5 {score.f05:.2f} (precision "
                f"{score.precision:.2f}, recall {score.recall:.2f}), "
                f"{heat_station.WANTED} {reached}"
            )
    return told, scores
