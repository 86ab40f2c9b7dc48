"""What brings an older data folder up to this program's version, a step a version.

Each step may be run again: VERSION is replaced after it, so a crash within repeats it. A step that
only adds is made at start, with a line in the log; one that rewrites what is there waits for
``lifeline migrate``, after a backup.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from lifeline.errors import NewerFolder, OlderFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG: Any = structlog.get_logger("data")
FILE: Final = "VERSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The step to version ``to`` from the one before it."""

    to: int
    says: str
    run: Callable[[Path], None]
    at_start: bool  # it only adds: no backup is needed before


def _corrections(data: Path) -> None:
    (data / "corrections").mkdir(exist_ok=True)


MIGRATIONS: Final = (
    Migration(
        to=2,
        says="corrections of recorded readings may stand in it (a program of version 1 would show "
        "the uncorrected ones)",
        run=_corrections,
        at_start=True,
    ),
)
VERSION: Final = MIGRATIONS[-1].to
OLDEST: Final = MIGRATIONS[0].to - 1


def version_of(path: Path) -> int:
    """Return a data folder's version; 0 where it has none yet.

    Raises
    ------
    NewerFolder
        It is newer than this program, no number, or missing beside a journal.
    OlderFolder
        It is older than any step begins at.
    """
    file = path / FILE
    if not file.exists():
        if (path / "journal").exists():
            said = f"{path}: holds a journal but no VERSION file; is this a data folder of ours?"
            raise NewerFolder(said)
        return 0
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    if not text.isdecimal() or int(text) > VERSION:
        raise NewerFolder(
            f"{file}: the data are of version {text[:20]!r}, this program knows {VERSION}; "
            "use the program that wrote them, or another data folder"
        )
    if int(text) < OLDEST:
        raise OlderFolder(
            f"{file}: the data are of version {text}, this program migrates from {OLDEST} on; "
            "migrate them first with an older program"
        )
    return int(text)


def steps_of(path: Path) -> list[Migration]:
    """Return the steps a folder still needs, in order."""
    held = version_of(path)
    return [step for step in MIGRATIONS if held and step.to > held]


def bring_up(path: Path, *, by_hand: bool) -> list[Migration]:
    """Make what steps are needed, each told in the log; ``by_hand`` those that rewrite too.

    Raises
    ------
    OlderFolder
        A step rewrites data: a person must say so.
    NewerFolder
        See version_of.
    """
    if not version_of(path):
        _write(path, VERSION)
        return []
    steps = steps_of(path)
    for step in steps:
        if not (step.at_start or by_hand):
            raise OlderFolder(
                f"{path}: the data are of version {version_of(path)}, this program needs "
                f"{VERSION} ({step.says}); first lifeline backup, then lifeline migrate {path}"
            )
        step.run(path)
        _write(path, step.to)
        LOG.info("data folder migrated", folder=str(path), version=step.to, change=step.says)
    return steps


def _write(path: Path, version: int) -> None:
    aside = path / f"{FILE}.new"
    with aside.open("w", encoding="utf-8") as file:
        file.write(f"{version}\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path / FILE)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
