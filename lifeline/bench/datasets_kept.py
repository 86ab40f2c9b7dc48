"""Results of replayed data sets as a JSON file, kept set by set: replaying all takes long."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from lifeline.bench.datasets import Raised, Row
from lifeline.bench.datasets_why import why
from lifeline.bench.heat_station import Score
from lifeline.bench.settlement import Told
from simulators.datasets import SETS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Kept:
    """What is known of all sets: rows in the sets' order, and the two experiments."""

    rows: dict[str, Row] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)

    def ordered(self) -> list[Row]:
        """Return the rows in the order of the sets."""
        return [self.rows[name] for name in SETS if name in self.rows]

    def save(self, file: Path) -> None:
        """Write all of it."""
        plain = {
            "bench": "replay-datasets",
            "rows": [row.as_json() for row in self.ordered()],
            "settlement": [one.as_json() for one in self.told],
            "heat_station": {name: score.as_json() for name, score in self.scores.items()},
        }
        file.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def load(file: Path) -> Kept:
    """Return what an earlier run wrote; nothing where there is no file.

    Reasons are today's: they are said in the program, not measured.
    """
    if not file.is_file():
        return Kept()
    plain = json.loads(file.read_text(encoding="utf-8"))
    kept = Kept()
    for row in plain["rows"]:
        raised = [Raised(**r | {"why": why(row["name"], r["rule"])}) for r in row["raised"]]
        kept.rows[row["name"]] = Row(**row | {"raised": raised})
    kept.told = [
        Told(**one | {"after_s": np.nan if one["after_s"] is None else one["after_s"]})
        for one in plain["settlement"]
    ]
    kept.scores = {name: _score(score) for name, score in plain["heat_station"].items()}
    return kept


def _score(plain: dict[str, Any]) -> Score:
    held = {one.name: plain[one.name] for one in fields(Score)}
    counted = {name: Counter(held[name]) for name in ("found", "missed", "by_rule")}
    return Score(**held | counted)
