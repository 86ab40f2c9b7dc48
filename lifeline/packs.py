"""The rules and runbooks that ship with the program, as files for a site to own and edit."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from lifeline.errors import Missing
from rules.language.runbooks import FOLDER

if TYPE_CHECKING:
    from pathlib import Path


def copy_packs(folder: Path) -> list[Path]:
    """Write every shipped rule file, its tests and the runbooks into ``folder``.

    Returns the rule files and their tests; the runbooks lie in ``folder/runbooks``.

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
    books = folder / FOLDER
    books.mkdir(exist_ok=True)
    for entry in (shipped / FOLDER).iterdir():
        (books / entry.name).write_bytes(entry.read_bytes())
    return written
