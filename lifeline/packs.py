"""The rules that ship with the program, as files for a site to own and edit."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from lifeline.errors import Missing

if TYPE_CHECKING:
    from pathlib import Path


def copy_packs(folder: Path) -> list[Path]:
    """Write every shipped rule file and its tests into ``folder``; return what was written.

    Raises
    ------
    Missing
        The installation has lost them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    shipped = resources.files("rules") / "packs"
    found = shipped.iterdir() if shipped.is_dir() else iter(())
    for entry in sorted(found, key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            path = folder / entry.name
            path.write_bytes(entry.read_bytes())
            written.append(path)
    if not written:
        raise Missing("the shipped rules are not installed; reinstall City Lifeline")
    return written
