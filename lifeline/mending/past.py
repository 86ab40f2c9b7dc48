"""What the archive holds of some channels, with the corrections that are in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from ingest.store import tables
from ingest.store.corrections import TYPE, Corrected, Corrections, load
from ingest.store.manifest import Manifest
from lifeline.backtest.sources import all_controls
from lifeline.errors import Missing
from rules.judge import JUDGED, LATE
from rules.readings import QC_FAIL, ROW_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_parquet: Any = pq
IDENTITY = ("boot", "sequence", "index", "device")
TAKEN = ("g", "channel", "judged_ns", "receive_ns", "value", "qc_flag", "usable", "late")


def corrections_of(data: Path) -> Corrections:
    """Return the corrections that records of a data folder's archive and journal name."""
    return Corrections.named_by(data, (c for _, c in all_controls(data) if c.type == TYPE))


@dataclass(slots=True)
class Past:
    """Judged and late rows of some channels by name, in the order of ``g``.

    Beside those of a correction it has boot, sequence, index and device, which say what row of
    which message each was.
    """

    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["g"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def lay_over(self, data: Path, corrections: Corrections, *, kinds: Sequence[str]) -> None:
        """Put the corrections of some kinds over the rows, in their order."""
        g = self["g"]
        for name, kind in corrections.names:
            if kind not in kinds or not len(g):
                continue
            held = load(data, name)
            at = np.minimum(np.searchsorted(g, held.g), len(g) - 1)
            found = g[at] == held.g
            for column in ("value", "qc_flag", "usable"):
                self.columns[column][at[found]] = getattr(held, column)[found]

    def crossed(self, was: Past) -> NDArray[np.bool_]:
        """Return which rows became a measurement, or none any more; ``was`` has the same rows."""
        crossed: NDArray[np.bool_] = self._faulty() != was._faulty()
        return crossed

    def _faulty(self) -> NDArray[np.bool_]:
        faulty: NDArray[np.bool_] = ~self["usable"] | (self["qc_flag"] == QC_FAIL)
        return faulty

    def corrected(self, rows: NDArray[np.bool_], was: Past) -> Corrected:
        """Return some rows as a correction of ``was``, which holds the same rows as shown now."""
        columns = {name: self[name][rows] for name in TAKEN}
        return Corrected.of(columns | {"crossed": self.crossed(was)[rows]})

    def copy(self) -> Past:
        """Return the rows apart from these."""
        return Past({name: column.copy() for name, column in self.columns.items()})


def read_past(
    data: Path, channels: NDArray[np.int32], span_ns: tuple[int, int], *, by: str
) -> Past:
    """Return what the archive holds of ``channels`` with from ≤ ``by`` < to (a column of times).

    Raises
    ------
    Missing
        The archive holds nothing yet.
    """
    folder = data / "archive"
    files = Manifest.load(folder).files
    if not files:
        raise Missing(f"{folder}: holds nothing yet; it is written once a minute, try again then")
    wanted = [("channel", "in", channels.tolist()), (by, ">=", span_ns[0]), (by, "<", span_ns[1])]
    names = ["offset", "row", "verdict", *IDENTITY, "channel", "judged_ns", "receive_ns"]
    names += ["value", "qc_flag", "usable"]
    parts: list[dict[str, NDArray[Any]]] = []
    for file in files:
        if by == "judged_ns" and (file.to_ns < span_ns[0] or file.from_ns >= span_ns[1]):
            continue
        table = _parquet.read_table(folder / file.name, columns=names, filters=wanted)
        part = {name: tables.column(table, name) for name in names}
        keep = np.isin(part["verdict"], (JUDGED, LATE))
        parts.append({name: column[keep] for name, column in part.items()})
    if not parts:
        parts.append({name: np.empty(0, np.int64) for name in names})
    whole = {name: np.concatenate([part[name] for part in parts]) for name in names}
    whole["g"] = (whole.pop("offset").astype(np.int64) << ROW_BITS) | whole.pop("row")
    whole["late"] = whole.pop("verdict") == LATE
    whole["usable"] = whole["usable"].astype(np.bool_)
    order = np.argsort(whole["g"])
    return Past({name: column[order] for name, column in whole.items()})
