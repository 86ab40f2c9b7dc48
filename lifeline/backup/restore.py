"""``lifeline restore``: a city's folder made of a backup, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.journal import durable_end
from lifeline.backup.shelf import Generation, Shelf
from lifeline.backup.take import LEDGER
from lifeline.errors import BackupDamaged, Failure, Missing, NewerFolder
from lifeline.ledger import Ledger
from lifeline.migrations import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rules.alarms import Alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What stands in the new folder. ``journal_end``: acknowledged readings below it are there."""

    generation: Generation
    open_alarms: tuple[Alarm, ...]
    journal_end: int
    has_site: bool


def restore(
    shelf_folder: Path,
    to: Path,
    *,
    at: str = "",
    tell: Callable[[str, int], None] = lambda _path, _size: None,
) -> Restored:
    """Make the folder ``to`` of a generation, the newest without ``at``; its data in ``to/data``.

    All bytes are compared with the hashes they were taken by, and the folder appears under its
    name only when all of them were right.

    Raises
    ------
    BackupDamaged
        Names the damaged file; nothing is left behind.
    Missing
        There is no such backup, or ``to`` is not empty or cannot be written.
    NewerFolder
        A newer program made the backup.
    """
    generation = _whole(shelf_folder, at)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Missing(f"{to}: exists and is not empty; restore into a folder that is not there")
    aside = to.with_name(f".{to.name}.restoring")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        _copy(generation, Shelf(shelf_folder), aside, tell)
        restored = _examined(generation, aside)
        if to.exists():
            to.rmdir()
        aside.rename(to)
        _sync(to.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise Missing(
            f"{error.filename or to}: {error.strerror}; nothing was restored: make room, or name "
            "a folder that can be written"
        ) from error
    except Failure:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return restored


def verify(
    shelf_folder: Path,
    *,
    at: str = "",
    tell: Callable[[str, int], None] = lambda _path, _size: None,
) -> Generation:
    """Read all bytes of a generation and compare them; writes nothing. Raises as restore does."""
    generation = _whole(shelf_folder, at)
    shelf = Shelf(shelf_folder)
    for item in generation.items:
        shelf.copy_out(item, None, tell=lambda size, item=item: tell(item.path, size))  # type: ignore[misc]
    return generation


def _whole(shelf_folder: Path, at: str) -> Generation:
    generation = Shelf(shelf_folder).load(at)
    if generation.data_version > VERSION:
        raise NewerFolder(
            f"{shelf_folder}: the backup's data are of version {generation.data_version}, this "
            f"program knows {VERSION}; use City Lifeline {generation.program} or newer"
        )
    return generation


def _copy(generation: Generation, shelf: Shelf, to: Path, tell: Callable[[str, int], None]) -> None:
    folders = {to}
    for item in generation.items:
        target = to / item.path.removeprefix("site/")
        shelf.copy_out(item, target, tell=lambda size, item=item: tell(item.path, size))  # type: ignore[misc]
        folders.add(target.parent)
    for folder in folders:
        _sync(folder)


def _examined(generation: Generation, folder: Path) -> Restored:
    """See that the copy holds what its manifest says; this needs no hash to be right."""
    data = folder / "data"
    end = durable_end(data / "journal")
    if end < generation.journal_end:
        raise BackupDamaged(
            f"{data / 'journal'}: ends at {end}, the backup went to {generation.journal_end}; "
            "its journal was damaged when it was taken: use another generation (--at)"
        )
    alarms: tuple[Alarm, ...] = ()
    if (data / LEDGER).exists():
        with contextlib.closing(Ledger(f"sqlite:///{data / LEDGER}")) as ledger:
            alarms = tuple(ledger.open_alarms())
    return Restored(
        generation=generation,
        open_alarms=alarms,
        journal_end=end,
        has_site=(folder / "city.toml").exists(),
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
