"""Tells which dashboards' files are not what registry and rules would make now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana.build import files, own

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.grafana.city import City


def findings(city: City, folder: Path) -> list[str]:
    """Return a line a file that is missing, stale, edited by hand or not one of ours."""
    again = "write it anew: lifeline grafana build"
    held: list[str] = []
    wanted = dict(files(city))
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file():
            held.append(f"{path}: missing; {again}")
            continue
        found = path.read_text(encoding="utf-8", errors="replace")
        if found == text:
            continue
        if own(found):
            held.append(f"{path}: stale, registry or rules have changed; {again}")
        else:
            held.append(
                f"{path}: edited by hand; keep a dashboard of your own under another folder and"
                f" uid, then {again}"
            )
    held += [
        f"{path}: foreign, no dashboard of ours has this name; move it to another folder"
        for path in sorted(folder.glob("*.json"))
        if path.name not in wanted
    ]
    return held
