"""Corrections of recorded readings: what a person mended afterwards, beside what was journaled.

The journal stays as it was; a correction is a file ``corrections/<SHA-256>.parquet`` that a Control
record names (type ``correction``), as registry and rules are. The engine passes over that record:
a corrected value raises nothing and clears nothing. The store writes the corrected points anew, the
page and a re-judging lay the corrections over what they read, in the order of their records.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.store.errors import CorrectionMissing
from rules.readings import QC_FAIL, Readings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from rules.engine.taking import Columns
    from rules.readings import Control

TYPE: Final = "correction"
FOLDER: Final = "corrections"
REDECODE, BAD, GOOD = "redecode", "bad", "good"
KINDS: Final = (REDECODE, BAD, GOOD)
_parquet: Any = pq

COLUMNS: Final[dict[str, Any]] = {
    "g": np.int64,  # position of the row in the journal
    "channel": np.int32,
    "judged_ns": np.int64,
    "receive_ns": np.int64,
    "value": np.float64,
    "qc_flag": np.uint8,
    "usable": np.bool_,
    "late": np.bool_,
    "crossed": np.bool_,  # it was a measurement and is none any more, or the other way
}


@dataclass(frozen=True, slots=True)
class Corrected:
    """Rows with the values they should have had, sorted by ``g``; all columns of one length."""

    g: NDArray[np.int64]
    channel: NDArray[np.int32]
    judged_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    qc_flag: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    late: NDArray[np.bool_]
    crossed: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.g)

    @classmethod
    def of(cls, columns: dict[str, NDArray[Any]]) -> Corrected:
        """Build from columns by name, sorted by position."""
        order = np.argsort(columns["g"], kind="stable")
        return cls(**{k: np.ascontiguousarray(columns[k][order], t) for k, t in COLUMNS.items()})

    def readings(self) -> Readings:
        """Return the rows as readings, as the store encodes them."""
        names = ("channel", "judged_ns", "receive_ns", "value", "qc_flag", "usable")
        return Readings.of({name: getattr(self, name) for name in names})

    def save(self, data: Path) -> str:
        """Put the file into a data folder, durably; return the hash a Control record names."""
        folder = data / FOLDER
        folder.mkdir(exist_ok=True)
        aside = folder / f".{os.getpid()}.new"
        table = pa.table({name: pa.array(getattr(self, name)) for name in COLUMNS})
        _parquet.write_table(table, aside, compression="zstd", write_statistics=False)
        with aside.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        aside.replace(path_of(data, name))
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        return name


def path_of(data: Path, name: str) -> Path:
    """Return where the correction of a hash stands."""
    return data / FOLDER / f"{name}.parquet"


def check(data: Path, name: str) -> None:
    """See that a correction can be used, before a record names it for ever.

    Raises
    ------
    ValueError
        There is no such file, or it is another one.
    """
    path = path_of(data, name)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; lifeline redecode or mark makes it") from error
    if found != name:
        raise ValueError(f"{path}: is another text than its name says; make it again")


def load(data: Path, name: str) -> Corrected:
    """Return a correction.

    Raises
    ------
    CorrectionMissing
        The data folder lost the file.
    """
    path = path_of(data, name)
    try:
        check(data, name)
    except ValueError as error:
        raise CorrectionMissing(
            f"{error}. The journal names it: restore {FOLDER}/ of the data folder from a backup"
        ) from error
    return _read(path)


@lru_cache(maxsize=32)
def _read(path: Path) -> Corrected:
    table = _parquet.read_table(path)
    return Corrected.of({name: table[name].to_numpy() for name in COLUMNS})


class Corrections:
    """The corrections in force, in the order of their records; later ones over earlier ones."""

    def __init__(self, data: Path, names: Iterable[tuple[str, str]] = ()) -> None:
        self._data = data
        self.names: list[tuple[str, str]] = list(names)  # (hash, kind)

    @classmethod
    def named_by(cls, data: Path, controls: Iterable[Control]) -> Corrections:
        """Return those that Control records name."""
        held = cls(data)
        for control in controls:
            held.take(control)
        return held

    def take(self, control: Control) -> bool:
        """Follow a record; return whether it is a correction that was not known."""
        if control.type != TYPE:
            return False
        name = (str(control.data["hash"]), str(control.data.get("kind", REDECODE)))
        if name in self.names:
            return False
        self.names.append(name)
        return True

    def on_columns(self, columns: Columns, *, leave_out: str = "") -> Columns:
        """Return columns of the journal with the values, flags and usability they should have."""
        rows, g = columns.rows, columns.g
        value, qc_flag, usable = rows.value.copy(), rows.qc_flag.copy(), rows.usable.copy()
        changed = False
        for name, kind in self.names:
            held = load(self._data, name)
            if kind == leave_out or not len(held) or not len(g):
                continue
            first, last = np.searchsorted(held.g, [g[0], g[-1] + 1])
            at = np.searchsorted(g, held.g[first:last])
            found = g[np.minimum(at, len(g) - 1)] == held.g[first:last]
            to, of = at[found], np.arange(first, last)[found]
            value[to], qc_flag[to], usable[to] = (
                held.value[of], held.qc_flag[of], held.usable[of],
            )  # fmt: skip
            changed |= bool(len(to))
        if not changed:
            return columns
        mended = replace(rows, value=value, qc_flag=qc_flag, usable=usable)
        return replace(columns, rows=mended)

    def touch(self, channel: int, from_ns: int, to_ns: int) -> bool:
        """Say whether any row of a channel with from_ns ≤ judged time ≤ to_ns is corrected."""
        return any(len(self._of(name, channel, from_ns, to_ns)) for name, _ in self.names)

    def on_points(
        self,
        channel: int,
        times: tuple[NDArray[np.int64], NDArray[np.int64]],
        value: NDArray[np.float64],
        qc_flag: NDArray[np.uint8],
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return value and flag of a channel's points as they should be.

        ``times`` are judged and receive times, by which a point is known where its position is not.
        What is no measurement has the flag QC_FAIL.
        """
        value, qc_flag = value.copy(), qc_flag.copy()
        if not len(value):
            return value, qc_flag
        place = {pair: n for n, pair in enumerate(zip(*(t.tolist() for t in times), strict=True))}
        for name, _ in self.names:
            held = load(self._data, name)
            rows = self._of(name, channel, int(times[0].min()), int(times[0].max()))
            for row in rows.tolist():
                at = place.get((int(held.judged_ns[row]), int(held.receive_ns[row])))
                if at is not None:
                    value[at] = held.value[row]
                    qc_flag[at] = held.qc_flag[row] if held.usable[row] else QC_FAIL
        return value, qc_flag

    def _of(self, name: str, channel: int, from_ns: int, to_ns: int) -> NDArray[np.intp]:
        held = load(self._data, name)
        found = (held.channel == channel) & (held.judged_ns >= from_ns) & (held.judged_ns <= to_ns)
        return np.flatnonzero(found)
