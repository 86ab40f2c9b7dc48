"""Workbooks out, by openpyxl: our wrapper. Cells are text or numbers, never formulas."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

if TYPE_CHECKING:
    from collections.abc import Sequence


def workbook_bytes(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a workbook of one sheet; text that begins with ``=`` stays text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("registry")
    sheet.append(list(headers))
    for row in rows:
        cells: list[Any] = list(row)
        for i, value in enumerate(cells):
            if isinstance(value, str) and value.startswith("="):
                cells[i] = WriteOnlyCell(sheet, value)
                cells[i].data_type = "s"
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
