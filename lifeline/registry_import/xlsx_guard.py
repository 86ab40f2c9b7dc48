"""What a workbook may be before any library opens it: sizes, no DTD, no formulas in the sheet.

Sizes in a zip's directory are claims. So every part is inflated here once, at most as far as its
claim and the limits go, which is also where formulas are found: the reader gives only values.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from lifeline.registry_import.table import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES: Final = 64 << 20
MAX_INFLATED: Final = 512 << 20
MAX_RATIO: Final = 200  # of a part larger than 1 MiB; a sheet of equal cells reaches 60
MAX_PARTS: Final = 2_000
CHUNK: Final = 1 << 20
_LOCAL_HEADER: Final = 30
_DTD: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s/>]")
_CELL: Final = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br=\"([A-Z]{1,3}[0-9]{1,7})\"")
_OVERLAP: Final = 4_096
MAX_FORMULAS: Final = 1_000
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def guard(path: Path, sheet: str | None) -> tuple[str, list[str]]:
    """Return the name of the sheet to read and the cells of it that hold formulas.

    Raises
    ------
    Unreadable
        The workbook is too large, a bomb, encrypted, or not a workbook.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unreadable(f"{path.name}: {size >> 20} MiB, more than {MAX_BYTES >> 20}: split it")
    try:
        with ZipFile(path) as archive:
            parts = _checked(path, archive)
            name, part = _sheet(path, archive, sheet)
            formulas: list[str] = []
            for info in parts:
                cells = _scan(path, archive, info, formulas=info.filename == part)
                formulas += cells
    except (BadZipFile, KeyError, zlib.error, EOFError, ParseError, DefusedXmlException) as error:
        told = f"{path.name}: not an .xlsx workbook ({str(error) or type(error).__name__}); "
        raise Unreadable(told + "a password, or another format? save it as .xlsx again") from error
    return name, formulas[:MAX_FORMULAS]


def _checked(path: Path, archive: ZipFile) -> list[ZipInfo]:
    parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    if len(parts) > MAX_PARTS or total > MAX_INFLATED:
        said = f"{len(parts)} parts that unfold to {total >> 20} MiB, more than "
        raise Unreadable(f"{path.name}: {said}{MAX_PARTS} or {MAX_INFLATED >> 20} MiB: split it")
    for part in parts:
        if part.file_size > max(CHUNK, part.compress_size * MAX_RATIO):
            said = f"{part.filename} unfolds to more than {MAX_RATIO} times its size: a zip bomb?"
            raise Unreadable(f"{path.name}: {said} save the sheet anew")
        if part.flag_bits & 1 or part.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise Unreadable(f"{path.name}: is encrypted, or packed in a way workbooks are not")
    return parts


def _sheet(path: Path, archive: ZipFile, wanted: str | None) -> tuple[str, str]:
    """Return the name of the sheet and of its part."""
    book = fromstring(_small(path, archive, "xl/workbook.xml"), forbid_dtd=True)
    links = fromstring(_small(path, archive, "xl/_rels/workbook.xml.rels"), forbid_dtd=True)
    target = {link.get("Id"): str(link.get("Target")) for link in links}
    sheets = {str(s.get("name")): s.get(_LINK) for s in book.iter() if s.tag.endswith("}sheet")}
    name = wanted if wanted is not None else next(iter(sheets), "")
    if name not in sheets:
        raise Unreadable(f'{path.name}: no sheet "{name}"; it has: {", ".join(sheets)}')
    held = target.get(sheets[name], "")
    return name, held.lstrip("/") if held.startswith("/") else f"xl/{held}"


def _small(path: Path, archive: ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > CHUNK:
        raise Unreadable(f"{path.name}: {name} is larger than {CHUNK >> 20} MiB")
    return b"".join(_inflated(path, archive, info))


def _scan(path: Path, archive: ZipFile, info: ZipInfo, *, formulas: bool) -> list[str]:
    found: list[str] = []
    held = b""
    xml = info.filename.endswith((".xml", ".rels"))
    for chunk in _inflated(path, archive, info):
        if not xml:
            continue
        fresh = len(held)
        held += chunk
        if _DTD.search(held):
            said = "defines entities (a DTD), which no spreadsheet program writes: save it anew"
            raise Unreadable(f"{path.name}: {info.filename} {said}")
        if formulas and len(found) <= MAX_FORMULAS:
            found += _formulas(held, fresh)
        held = held[-_OVERLAP:]
    return list(dict.fromkeys(found))


def _formulas(text: bytes, fresh: int) -> Iterator[str]:
    """Yield the cells of formulas; those that end before ``fresh`` were told before."""
    for match in _FORMULA.finditer(text):
        if match.end() <= fresh:
            continue
        before = text.rfind(b"<c ", 0, match.start())
        before = before if before >= 0 else text.rfind(b":c ", 0, match.start()) - 2
        cell = _CELL.match(text, max(before, 0))
        yield cell[1].decode() if cell else "?"


def _inflated(path: Path, archive: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    """Yield a part's bytes, and refuse it where they are more than it claims."""
    file = archive.fp
    if file is None:
        raise BadZipFile("closed")
    file.seek(info.header_offset)
    head = file.read(_LOCAL_HEADER)
    if len(head) < _LOCAL_HEADER or head[:4] != b"PK\x03\x04":
        raise BadZipFile(f"{info.filename} is not where the directory says")
    skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    file.seek(info.header_offset + _LOCAL_HEADER + skip)
    left, came = info.compress_size, 0
    unpack = zlib.decompressobj(-15) if info.compress_type == ZIP_DEFLATED else None
    data = b""
    while left or data:
        if not data:
            data = file.read(min(CHUNK, left))
            if not data:
                raise EOFError("ends in the middle")
            left -= len(data)
        if unpack is None:
            out, data = data, b""
        else:
            out = unpack.decompress(data, CHUNK)
            data = unpack.unconsumed_tail
        came += len(out)
        if came > info.file_size:
            raise Unreadable(f"{path.name}: {info.filename} unfolds to more than it claims")
        yield out
    if unpack is not None and not unpack.eof:
        tail = unpack.flush(CHUNK)
        if came + len(tail) > info.file_size:
            raise Unreadable(f"{path.name}: {info.filename} unfolds to more than it claims")
        yield tail
