"""Rows → what they say of each asset, device, sensor and channel; rows that disagree are named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.registry_import.table import Findings, Mapped

Said = dict[str, tuple[Any, int]]  # field → (value, index of the first row that says it)
IDS: Final = ("asset", "device", "sensor", "channel")


@dataclass(slots=True)
class Rows:
    """What a table says, by the ids of what it speaks of."""

    mapped: Mapped
    findings: Findings
    site: dict[str, Said] = field(default_factory=dict)
    asset: dict[str, Said] = field(default_factory=dict)
    device: dict[str, Said] = field(default_factory=dict)
    sensor: dict[tuple[str, str], Said] = field(default_factory=dict)
    channel: dict[tuple[str, str, str], Said] = field(default_factory=dict)
    first: dict[tuple[str, Any], int] = field(default_factory=dict)  # (noun, id) → row
    mount: dict[str, str] = field(default_factory=dict)  # device → the asset of its row
    broken_ids: bool = False  # an id could not be read, so references may dangle

    def cell(self, name: str, row: int) -> str:
        """Return the name of a field's cell."""
        table = self.mapped.table
        return table.cell(table.rows[row], self.mapped.at[name])

    def note(self, name: str, row: int, message: str, kind: str) -> None:
        """Note a problem of a field's cell; of the row where the table has no such column."""
        self.findings.note(row, self.mapped.at.get(name, -1), message, kind)


def gather(findings: Findings, mapped: Mapped, values: dict[str, list[Any]]) -> Rows:
    """Return what the rows say, by id; incomplete rows and repeated channels are noted."""
    rows = Rows(mapped, findings)
    count = len(mapped.table.rows)
    nothing: list[Any] = [None] * count
    ids = {name: _text_ids(values.get(name, nothing)) for name in (*IDS, "site")}
    whole = [_usable(rows, row, ids) for row in range(count)]
    keys = _keys(rows, ids, whole)
    alone = [row for row in range(count) if ids["channel"][row] is None]  # a device's own row
    for row in (*alone, *range(count)):
        asset, device = ids["asset"][row], ids["device"][row]
        if whole[row] and asset is not None and device is not None:
            rows.mount.setdefault(device, asset)
    for name, column in values.items():
        of = FIELDS[name].of
        if name in IDS or name == "replaces":
            continue
        _take(rows, getattr(rows, of), keys[of], name, column)
    _take(rows, rows.sensor, keys["sensor"], "device", ids["device"])
    for name in ("replaces",):
        if name in values:
            _take(rows, rows.sensor, keys["sensor"], name, values[name])
    return rows


def _text_ids(column: Sequence[Any]) -> list[str | None]:
    return [v if isinstance(v, str) else None for v in column]


def _usable(rows: Rows, row: int, ids: dict[str, list[str | None]]) -> bool:
    """Tell whether a row says what it is of; else note what is missing."""
    at = rows.mapped.at
    if any((row, at[name]) in rows.findings.bad for name in IDS if name in at):
        rows.broken_ids = True
        return False
    asset, device, sensor, channel = (ids[name][row] for name in IDS)
    said = ""
    if asset is None and (device is None or sensor is not None or channel is not None):
        name, said = "asset", "the row names no asset (资产编号): fill it in"
    elif (sensor is None) != (channel is None):
        name = "sensor" if sensor is None else "channel"
        said = f"the row names no {name}: a channel needs sensor and channel"
    if said:
        rows.broken_ids = True
        rows.note(name, row, said, "id missing")
    return not said


def _keys(rows: Rows, ids: dict[str, list[str | None]], whole: list[bool]) -> dict[str, list[Any]]:
    """Return, by noun, what each row speaks of; a channel that stands twice is noted."""
    asset, device, sensor, channel = (ids[name] for name in IDS)
    count = range(len(whole))
    keys: dict[str, list[Any]] = {
        "asset": [asset[i] if whole[i] else None for i in count],
        "device": [device[i] if whole[i] else None for i in count],
        "site": [ids["site"][i] if whole[i] else None for i in count],
        "sensor": [(asset[i], sensor[i]) if whole[i] and sensor[i] else None for i in count],
        "channel": [
            (asset[i], sensor[i], channel[i]) if whole[i] and channel[i] else None for i in count
        ],
    }
    for noun, column in keys.items():
        held: dict[Any, Said] = getattr(rows, noun)
        for row, key in enumerate(column):
            if key is None:
                continue
            if key not in held:
                held[key] = {}
                rows.first[noun, key] = row
            elif noun == "channel":
                first = rows.cell("channel", rows.first[noun, key])
                name = "/".join(key)
                rows.note("channel", row, f"{name} stands twice, first at {first}", "id twice")
                column[row] = None
    return keys


def _take(rows: Rows, held: dict[Any, Said], keys: list[Any], name: str, column: list[Any]) -> None:
    """Put a column's values under the ids of their rows; where rows disagree, most are right."""
    differing: dict[Any, None] = {}
    for row, (key, value) in enumerate(zip(keys, column, strict=True)):
        if value is None or key is None:
            continue
        said = held[key]
        before = said.get(name)
        if before is None:
            said[name] = (value, row)
        elif before[0] != value:
            differing[key] = None
    if not differing:
        return
    own: dict[Any, list[tuple[Any, int]]] = {key: [] for key in differing}
    for row, (key, value) in enumerate(zip(keys, column, strict=True)):
        if value is not None and key in own:
            own[key].append((value, row))
    for key, those in own.items():
        _settle(rows, held[key], key, name, those)


def _settle(rows: Rows, said: Said, key: Any, name: str, own: list[tuple[Any, int]]) -> None:
    usual = Counter(repr(v) for v, _ in own).most_common(1)[0][0]
    said[name] = next((v, row) for v, row in own if repr(v) == usual)
    what = key if isinstance(key, str) else "/".join(key)
    for value, row in own:
        if repr(value) != usual:
            at = rows.cell(name, said[name][1])
            told = f'of {what} is "{said[name][0]}" in {at}: all rows of it must agree'
            rows.note(name, row, told, "rows disagree")
