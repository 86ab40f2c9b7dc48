"""CSV files: the encoding is found out and told, or the file is refused."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from lifeline.registry_import.table import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_ROWS,
    Table,
    Unreadable,
    letters,
)

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 64 << 20
LEAST_CHINESE: Final = 0.9  # of what is not ASCII, for a text to pass as GB 18030


def read_csv(path: Path) -> Table:
    """Return the table of a CSV file whose first row are headers.

    Raises
    ------
    Unreadable
        Too large, in no encoding we can tell, or no table.
    """
    text, said = _decoded(path)
    first = text[: text.find("\n")] if "\n" in text else text
    comma = max(",;\t", key=first.count)
    csv.field_size_limit(MAX_CELL * 8)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        for line in lines:
            if rows and not any(line):
                continue
            if len(line) > MAX_COLUMNS or len(rows) > MAX_ROWS:
                said_ = f"more than {MAX_COLUMNS} columns or {MAX_ROWS} rows: split the file"
                raise Unreadable(f"{path.name}: line {lines.line_num}: {said_}")
            rows.append(line)
            numbers.append(lines.line_num)
    except csv.Error as error:
        told = f"{path.name}: line {lines.line_num}: not CSV: {error}; save it as CSV UTF-8 again"
        raise Unreadable(told) from error
    if not rows:
        raise Unreadable(f"{path.name}: is empty: the first row must name the columns")
    return _table(path.name, rows, numbers, said)


def _table(name: str, rows: list[list[str]], numbers: list[int], said: list[str]) -> Table:
    headers = [header.strip() for header in rows[0]]
    width = max(len(line) for line in rows)
    headers += [""] * (width - len(headers))
    columns: list[list[str | None]] = [[] for _ in headers]
    for line in rows[1:]:
        for column, cells in enumerate(columns):
            text = line[column] if column < len(line) else ""
            cells.append(text if text.strip() else None)
            if len(text) > MAX_CELL:
                raise Unreadable(f"{name}: a cell in column {letters(column)} is a text too long")
    return Table(
        file=name,
        headers=headers,
        columns=list(columns),
        rows=numbers[1:],
        cell=lambda row, column: f"{letters(column)}{row}",
        said=said,
    )


def _decoded(path: Path) -> tuple[str, list[str]]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unreadable(f"{path.name}: {size >> 20} MiB, more than {MAX_BYTES >> 20}: split it")
    held = path.read_bytes()
    if held.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in held:
        raise Unreadable(f"{path.name}: UTF-16 or no text at all: save it as CSV UTF-8")
    try:
        return held.decode("utf-8-sig"), [f"{path.name}: read as UTF-8"]
    except UnicodeDecodeError as error:
        line = held.count(b"\n", 0, error.start) + 1
    try:
        text = held.decode("gb18030")
    except UnicodeDecodeError as error:
        line = held.count(b"\n", 0, error.start) + 1
        told = f"{path.name}: line {line}: neither UTF-8 nor GB 18030 (GBK): save it as CSV UTF-8"
        raise Unreadable(told) from error
    beyond = [c for c in text if c > "\x7f"]
    chinese = sum(map(_chinese, beyond))
    if chinese < LEAST_CHINESE * len(beyond):
        told = f"{path.name}: line {line}: not UTF-8, and as GB 18030 it is no Chinese: save it as"
        raise Unreadable(told + " CSV UTF-8")
    return text, [f"{path.name}: not UTF-8, read as GB 18030 (GBK); check the names below"]


def _chinese(c: str) -> bool:
    """Tell whether a character is in GB 2312, the everyday part of GB 18030.

    Latin text read as GB 18030 becomes Chinese characters too, but rare ones.
    """
    try:
        c.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
