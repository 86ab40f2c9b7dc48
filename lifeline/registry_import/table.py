"""A table as it was read, and what is wrong with its cells: each once, a bounded number."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifeline.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeline.registry_import.fields import Field

MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 200
MAX_CELL: Final = 8_192  # characters
MAX_HELD: Final = 10_000  # findings with their cells; more are only counted


class Unreadable(Failure):
    """A file that is no table, or more than one may be."""


@dataclass(frozen=True, slots=True)
class CellProblem:
    """One finding: where it stands, what stands there, what is wrong and what to do."""

    place: str  # devices.xlsx Sheet1!B17
    row: int  # as the file counts, 0: the whole file
    column: str  # its header, "" if the problem is of the whole row
    value: str
    message: str
    kind: str  # what sort of mistake, for the counts

    def __str__(self) -> str:
        """Return ``file sheet!B17: "value": what is wrong; remedy``."""
        shown = f'"{self.value}": ' if self.value else ""
        return f"{self.place}: {shown}{self.message}"

    def to_json(self) -> dict[str, str | int]:
        """Return plain values."""
        return asdict(self)


@dataclass(slots=True)
class Table:
    """Columns of raw cells: None where nothing stands, text, numbers, booleans or dates."""

    file: str
    headers: list[str]
    columns: list[list[Any]]
    rows: list[int]  # the number of each row in the file
    cell: Callable[[int, int], str]  # (row number in the file, column index) → its name there
    said: list[str] = field(default_factory=list)  # what the operator should know of the reading


@dataclass(slots=True)
class Findings:
    """All problems of one file."""

    table: Table
    problems: list[CellProblem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    bad: set[tuple[int, int]] = field(default_factory=set)  # cells that have one

    def note(self, row: int, column: int, message: str, kind: str, value: Any = None) -> None:
        """Note a problem of the cell in row index ``row`` and column index ``column``.

        A row of −1 is the header; a column of −1 the whole row.
        """
        if column >= 0 and row >= 0:
            if (row, column) in self.bad:
                return  # the first thing wrong with a cell is the one to mend
            self.bad.add((row, column))
        self.counts[kind] += 1
        if len(self.problems) >= MAX_HELD:
            return
        table = self.table
        number = table.rows[row] if row >= 0 else 1
        header = table.headers[column] if column >= 0 else ""
        if value is None and column >= 0:
            value = table.columns[column][row] if row >= 0 else header
        place = f"{table.file} {table.cell(number, max(column, 0))}"
        shown = "" if value is None else str(value)[:80]
        self.problems.append(CellProblem(place, number, header, shown, message, kind))

    def whole(self, message: str, kind: str) -> None:
        """Note a problem of the whole file."""
        self.counts[kind] += 1
        self.problems.append(CellProblem(self.table.file, 0, "", "", message, kind))


def letters(column: int) -> str:
    """Return the name of a column as spreadsheets show it: 0 is A, 26 is AA."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


@dataclass(slots=True)
class Mapped:
    """A table whose columns are known: field → index of its column."""

    table: Table
    at: dict[str, int]
    fields: dict[str, Field]
