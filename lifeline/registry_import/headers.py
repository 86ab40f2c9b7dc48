"""Which column is which field: names in two languages, a mapping by the user, the nearest name."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import yaml

from lifeline.registry_import.fields import FIELDS, IGNORE, IGNORED_HEADERS
from lifeline.registry_import.table import Findings, Mapped, Unreadable
from rules.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BRACKETS: Final = re.compile(r"[(\[].*?[)\]]")


def plain(header: str) -> str:
    """Return a header as it is compared: ``量程上限（%LEL）`` and ``Range High`` have one form."""
    text = unicodedata.normalize("NFKC", header).casefold()
    return re.sub(r"[\s_\-*：:]+", "", _BRACKETS.sub("", text))


_KNOWN: Final[dict[str, str]] = {
    plain(word): name for name, field in FIELDS.items() for word in (name, *field.also)
}
_IGNORED: Final = frozenset(map(plain, IGNORED_HEADERS))


def read_mapping(pairs: Sequence[str], file: Path | None) -> dict[str, str]:
    """Return header → field of ``--map HEADER=FIELD`` and of a mapping file; pairs win.

    Raises
    ------
    Unreadable
        Every pair that names no field, or does not have the form.
    """
    wanted: dict[str, Any] = {}
    if file is not None:
        try:
            held = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise Unreadable(f"{file}: cannot be read: {str(error).splitlines()[0]}") from error
        if not isinstance(held, dict):
            raise Unreadable(f"{file}: must be a mapping, one HEADER: FIELD a line")
        wanted |= {str(k): v for k, v in held.items()}
    lines = []
    for pair in pairs:
        header, equals, name = pair.partition("=")
        if not equals or not header or not name:
            lines.append(
                f'--map "{pair}": write --map "HEADER=FIELD", such as --map "Lng=longitude"'
            )
        wanted[header] = name
    for header, name in wanted.items():
        if name != IGNORE and name not in FIELDS and name:
            told = nearest(name, (*FIELDS, IGNORE))
            lines.append(f'mapping of "{header}": no field "{name}"{told}')
    if lines:
        raise Unreadable(*lines)
    return {plain(k): str(v) for k, v in wanted.items()}


def match_headers(findings: Findings, mapping: dict[str, str]) -> Mapped:
    """Return the fields of a table's columns; unknown and repeated headers are problems."""
    table = findings.table
    at: dict[str, int] = {}
    unused = dict(mapping)
    for column, header in enumerate(table.headers):
        form = plain(header)
        unused.pop(form, None)
        name = mapping.get(form) or _KNOWN.get(form)
        if name == IGNORE or (name is None and form in _IGNORED):
            continue
        if name is None:
            _unknown(findings, column)
        elif name in at:
            first = table.cell(1, at[name])
            said = f"is {name}, and so is {first}; leave one away: --map with {IGNORE}"
            findings.note(-1, column, said, "column twice")
        else:
            at[name] = column
    for form in unused:
        findings.whole(f'--map names a column "{form}", which the table does not have', "column")
    if "asset" not in at and "device" not in at:
        said = "no column says which asset (资产编号) or device (设备编号) a row is of"
        findings.whole(said, "column missing")
    return Mapped(table, at, {name: FIELDS[name] for name in at})


def _unknown(findings: Findings, column: int) -> None:
    table = findings.table
    header = table.headers[column]
    if not header:
        filled = next((i for i, v in enumerate(table.columns[column]) if v is not None), None)
        if filled is not None:
            findings.note(filled, column, "stands in a column without a header", "column unnamed")
        return
    words = [word for name, field in FIELDS.items() for word in (name, *field.also)]
    said = f'unknown column{nearest(header, words)}; --map "{header}=FIELD" names its field, '
    findings.note(-1, column, said + f'--map "{header}={IGNORE}" leaves it out', "column unknown")
