"""The table's entries as the loader takes a file; what it finds wrong comes back to the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.fields import FIELDS
from lifeline.registry_import.present import LISTS
from rules.yaml_text import Document, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.registry_import.gathering import Rows
    from rules.problems import Severity

_FIELD: Final[dict[tuple[str, str], str]] = {
    **{(str(field.of), field.key): field.name for field in FIELDS.values()},
    ("channel", "range"): "range_high",
    ("asset", "at"): "longitude",
    ("sensor", "device"): "device",
}
_MISSING: Final = "is missing"


class TableDocument(Document):
    """Problems at paths of the composed value become problems of cells."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows, value: dict[str, Any]) -> None:
        super().__init__(rows.mapped.table.file, value, Place(1 << 20 | 1))
        self._rows = rows

    def at(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return (row of the file, 1): where an id that stands twice stood first."""
        del key
        noun, name, _ = self._told_of(path)
        row = self._rows.first.get((noun, name))
        return (self._rows.mapped.table.rows[row] if row is not None else 0), 1

    def problem(
        self,
        path: Sequence[str | int],
        message: str,
        *,
        who: str = "",
        noun: str = "rule",
        severity: Severity = "error",
        key: bool = False,
    ) -> None:
        """Note a problem at the cell that says what stands at ``path``."""
        del noun, severity, key
        rows = self._rows
        if rows.broken_ids and "unknown " in message:
            return  # it may be what the id that could not be read would have been
        what, name, word = self._told_of(path, message)
        row = rows.first.get((what, name))
        if row is None:
            said = f"{what} {who or name}, which stands in the present registry: {message}"
            rows.findings.whole(said, "present registry")
            return
        field = _FIELD.get((what, word), what)
        held: dict[Any, dict[str, tuple[Any, int]]] = getattr(rows, what)
        if field in held.get(name, {}):
            row = held[name][field][1]
        elif field not in rows.mapped.at:
            field = what if what in rows.mapped.at else "asset"
        if message.endswith(_MISSING):
            message = f"{who} is new, and {word} {_MISSING}: fill in the column {field}"
            field = _FIELD.get((what, word), what)
            field = field if field in rows.mapped.at else what
        rows.note(field, row, message, f"{what} {word}".strip())

    def _told_of(self, path: Sequence[str | int], message: str = "") -> tuple[str, Any, str]:
        """Return (noun, key of Rows, key of the entry) of a path."""
        steps = list(path)
        if len(steps) < 2 or not isinstance(steps[1], int):
            return "file", "", ""
        noun = next((n for n, name in LISTS.items() if name == steps[0]), "file")
        entry = self.value[steps[0]][steps[1]]
        name: Any = entry["id"]
        rest = steps[2:]
        for inner in ("sensors", "channels"):
            if len(rest) >= 2 and rest[0] == inner and isinstance(rest[1], int):
                entry = entry[inner][rest[1]]
                noun = inner.removesuffix("s")
                name = (*((name,) if isinstance(name, str) else name), entry["id"])
                rest = rest[2:]
        word = str(rest[0]) if rest else ""
        first = message.partition(":")[0]
        if not word and (noun, first) in _FIELD:
            word = first
        return noun, name, word
