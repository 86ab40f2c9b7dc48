"""Workbooks, by calamine: 85 000 rows in seconds where openpyxl needs half a minute.

Our wrapper of python-calamine. It gives values only and unfolds no entities; `xlsx_guard` has
looked at sizes, DTDs and formulas before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_calamine import CalamineError, CalamineWorkbook

from lifeline.registry_import.table import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_ROWS,
    Table,
    Unreadable,
    letters,
)
from lifeline.registry_import.xlsx_guard import guard

if TYPE_CHECKING:
    from pathlib import Path


def read_xlsx(path: Path, sheet: str | None = None) -> Table:
    """Return the table of a sheet (the first) whose first row are headers.

    Raises
    ------
    Unreadable
        Not a workbook, too large, with formulas or merged cells: all of them are named.
    """
    name, formulas = guard(path, sheet)
    where = f"{path.name} {name}"
    lines = [f"{where}!{cell}: a formula: paste its value instead" for cell in formulas]
    try:
        with CalamineWorkbook.from_path(path) as book:
            held = book.get_sheet_by_name(name)
            for (top, left), (bottom, right) in held.merged_cell_ranges or ():
                span = f"{letters(left)}{top + 1}:{letters(right)}{bottom + 1}"
                lines.append(f"{where}!{span}: merged cells: split them, each row stands alone")
            if held.total_height > MAX_ROWS + 1 or held.total_width > MAX_COLUMNS:
                lines.append(
                    f"{where}: more than {MAX_ROWS} rows or {MAX_COLUMNS} columns: split it"
                )
            if lines:
                raise Unreadable(*lines)
            rows = held.to_python(skip_empty_area=False)
    except CalamineError as error:
        raise Unreadable(f"{path.name}: not an .xlsx workbook ({error}): save it anew") from error
    if not rows or not any(cell != "" for cell in rows[0]):
        raise Unreadable(f"{where}!A1: is empty: the first row must name the columns")
    kept = [i for i, row in enumerate(rows) if i and any(cell != "" for cell in row)]
    columns: list[list[Any]] = []
    for column in range(len(rows[0])):
        cells = [rows[i][column] for i in kept]
        long = next(
            (
                i
                for i, v in zip(kept, cells, strict=True)
                if isinstance(v, str) and len(v) > MAX_CELL
            ),
            None,
        )
        if long is not None:
            raise Unreadable(
                f"{where}!{letters(column)}{long + 1}: a text of more than {MAX_CELL} characters"
            )
        columns.append([None if v == "" else v for v in cells])
    return Table(
        file=path.name,
        headers=[str(cell).strip() for cell in rows[0]],
        columns=columns,
        rows=[i + 1 for i in kept],
        cell=lambda row, column: f"{name}!{letters(column)}{row}",
        said=[f"{path.name}: sheet {name}, {len(kept)} rows"],
    )
