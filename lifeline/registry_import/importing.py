"""An import from file to registry: read, check everything, compare, apply."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifeline.errors import Missing
from lifeline.registry_import.apply import alone, apply, finish, new_files
from lifeline.registry_import.cells import parse
from lifeline.registry_import.compose import Changes, compose
from lifeline.registry_import.document import TableDocument
from lifeline.registry_import.gathering import gather
from lifeline.registry_import.headers import match_headers
from lifeline.registry_import.places import take_places
from lifeline.registry_import.present import read_present
from lifeline.registry_import.read_csv import read_csv
from lifeline.registry_import.read_geojson import read_geojson
from lifeline.registry_import.read_xlsx import read_xlsx
from lifeline.registry_import.table import Findings, Table, Unreadable
from rules.problems import Invalid
from rules.registry_file import gathered_of, read_texts, registry_of_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifeline.registry_import.places import Box
    from lifeline.registry_import.present import Present
    from rules.registry import Registry

SUFFIXES: Final = (".xlsx", ".csv", ".geojson", ".json")


@dataclass(slots=True)
class Asked:
    """How a table is to be read."""

    mapping: dict[str, str] = field(default_factory=dict)  # header → field
    crs: str = "wgs84"
    box: Box | None = None


@dataclass(slots=True)
class Outcome:
    """What an import found: ``registry`` and ``value`` only where nothing is wrong."""

    findings: Findings
    present: Present
    changes: Changes
    value: dict[str, Any] | None = None
    registry: Registry | None = None

    @property
    def wrong(self) -> int:
        """Return the number of problems."""
        return sum(self.findings.counts.values())


def read_table(path: Path, sheet: str | None = None) -> Table:
    """Return the table of a file by its suffix.

    Raises
    ------
    Unreadable, Missing
        It is not there, of another kind, or no table.
    """
    if not path.is_file():
        raise Missing(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable(f"{path.name}: write .xlsx, .csv or .geojson; save it as one of them")
    if suffix == ".xlsx":
        return read_xlsx(path, sheet)
    if sheet is not None:
        raise Unreadable(f"{path.name}: --sheet is for .xlsx")
    return read_csv(path) if suffix == ".csv" else read_geojson(path)


def check_table(
    table: Table, folder: Path, asked: Asked, *, previous: Registry | None = None
) -> Outcome:
    """Check a table against the registry in ``folder``; nothing is written.

    ``previous`` is the registry in force, whose rows are kept.

    Raises
    ------
    Invalid
        The files in ``folder`` have errors of their own.
    """
    with _no_collection():
        present = read_present(folder)
        findings = Findings(table)
        mapped = match_headers(findings, asked.mapping)
        outcome = Outcome(findings, present, Changes())
        if not mapped.at:
            return outcome
        rows = gather(findings, mapped, parse(findings, mapped))
        take_places(rows, present, crs=asked.crs, box=asked.box)
        value, outcome.changes = compose(rows, present)
        document = TableDocument(rows, value)
        gathered = gathered_of([document], previous=previous)
        if not outcome.wrong:
            outcome.value = value
            outcome.registry = registry_of_entries(gathered, previous=previous)
        return outcome


def apply_outcome(
    outcome: Outcome, folder: Path, *, reached: Callable[[str], None] = lambda _: None
) -> dict[str, str | None]:
    """Write what a check found; return the files that changed.

    Raises
    ------
    Unreadable
        The files were changed since they were checked, or another import is under way.
    """
    if outcome.value is None:
        raise ValueError("an outcome with problems cannot be applied")
    files = new_files(outcome.value, outcome.changes, outcome.present)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        now = read_texts(folder) if outcome.present.texts else {}
        if now != outcome.present.texts:
            raise Unreadable(f"{folder}: was changed since it was compared: run the import again")
        apply(folder, files, reached=reached)
    return files


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let millions of small objects be made without the collector walking them again and again.

    It halves the time of an import; there are no cycles among them, so nothing is kept for long.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


__all__ = ["Asked", "Invalid", "Outcome", "apply_outcome", "check_table", "finish", "read_table"]
