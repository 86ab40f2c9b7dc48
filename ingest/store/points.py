"""Points one by one, for series that have few: events, limits, states, figures.

Readings and scores, of which there are many, are made by whole columns (lines.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ingest.store.schema import escape_string, tags

if TYPE_CHECKING:
    from collections.abc import Mapping

Field = bool | int | float | str | None


def point(
    measurement: str, tagged: Mapping[str, str], fields: Mapping[str, Field], time_ns: int
) -> bytes:
    """Return a line; fields without a value and numbers that are not finite are left out.

    b"" where no field is left: InfluxDB has no points without one.
    """
    said = {name: _field(value) for name, value in sorted(fields.items())}
    text = ",".join(f"{name}={value}" for name, value in said.items() if value)
    if not text:
        return b""
    return f"{measurement}{tags(tagged)} {text} {time_ns}\n".encode()


def _field(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return f'"{escape_string(value)}"'
