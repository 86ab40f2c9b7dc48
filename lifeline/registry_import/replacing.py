"""``lifeline registry replace``: the table an operator would have written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeline.registry_import.present import read_present
from lifeline.registry_import.table import Table, Unreadable, letters
from rules.problems import nearest

if TYPE_CHECKING:
    from pathlib import Path


def replacement(folder: Path, sensor: str, device: str) -> Table:
    """Return the table that lets ``device`` speak for ``sensor`` (asset/sensor).

    A device that is not registered yet becomes one like the one it replaces.

    Raises
    ------
    Unreadable
        There is no such sensor, or the device speaks for it already.
    """
    present = read_present(folder)
    asset, _, name = sensor.partition("/")
    known = {
        f"{a}/{s['id']}": s for a, entry in present.assets.items() for s in entry.get("sensors", ())
    }
    if sensor not in known:
        raise Unreadable(f"{folder}: no sensor {sensor!r}{nearest(sensor, known)}")
    held = known[sensor]
    old = held["device"]
    if old == device:
        raise Unreadable(f"{folder}: {device} speaks for {sensor} already: nothing to replace")
    row: dict[str, Any] = {
        "asset": asset, "sensor": name, "channel": held["channels"][0]["id"], "device": device,
        "replaces": old,
    }  # fmt: skip
    if device not in present.devices:
        like = present.devices[old]
        row |= {key: like[key] for key in ("kind", "transport", "codec")}
        row |= {"device_every": like["every"], "device_asset": like["asset"]}
    return Table(
        file=f"replace {sensor}",
        headers=list(row),
        columns=[[value] for value in row.values()],
        rows=[1],
        cell=lambda _, column: f"{list(row)[column]} ({letters(column)})",
    )
