"""A new text takes the place of registry files: all of them or none, wherever the power goes.

New files are written aside and synced; then ``.import`` is renamed into its place, which decides:
`rules.registry_texts` reads the folder as it says from then on. What is left, moving files and
removing ``.import``, is only tidying, and goes on at the next import.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.present import LISTS, NOUNS
from lifeline.registry_import.table import Unreadable
from rules.registry_texts import PENDING, pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifeline.registry_import.compose import Changes
    from lifeline.registry_import.present import Entry, Present

FILE: Final = "imported.yaml"


def new_files(value: dict[str, Any], changes: Changes, present: Present) -> dict[str, str | None]:
    """Return file → its new text (None: gone); files nothing of which changes stay as they are.

    A file written by hand of which something changes is taken into ``imported.yaml`` whole.
    """
    touched = changes.touched()
    taken = {present.file[key] for key in touched if key in present.file} | {FILE}
    kept = {
        LISTS[noun]: [
            entry
            for entry in value[LISTS[noun]]
            if present.file.get((noun, entry["id"]), FILE) in taken
        ]
        for noun in NOUNS
    }
    gone: dict[str, str | None] = {name: None for name in present.files if name in taken}
    gone.pop(FILE, None)
    # the new file first: there is no moment without one
    return {FILE: _text(kept, simulation=bool(value["simulation"])), **gone}


def _text(kept: dict[str, list[Entry]], *, simulation: bool) -> str:
    """Return JSON, which is YAML too, an entry a line: quick to load, and to compare by diff."""
    parts = []
    for name, entries in kept.items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        parts.append(f'"{name}": [\n{lines}\n]')
    head = '{"version": 1,' + (' "simulation": true,' if simulation else "")
    return head + "\n" + ",\n".join(parts) + "}\n"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one import at a time change a folder.

    Raises
    ------
    Unreadable
        Another one is at it.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise Unreadable(f"{folder}: another import is under way: wait for its end") from error
    try:
        yield
    finally:
        os.close(held)


def apply(folder: Path, files: dict[str, str | None], *, reached: Callable[[str], None]) -> None:
    """Make ``files`` what the folder says. ``reached`` is told each step once it is done.

    Raises
    ------
    OSError
        The folder cannot be written; nothing has changed unless the step "decided" was reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finish(folder)
    for left in folder.glob(".*.new"):  # of an import that ended before it had decided
        left.unlink()
    moves: dict[str, str | None] = {}
    for name, text in files.items():
        _keep_old(folder, name)
        moves[name] = None if text is None else _aside(folder, name, text.encode())
        reached(f"aside {name}")
    decided = json.dumps({"files": moves}).encode()
    aside = folder / _aside(folder, PENDING, decided)
    reached("plan aside")
    aside.replace(folder / PENDING)
    _sync(folder)
    reached("decided")
    for step in _tidied(folder):
        reached(step)


def finish(folder: Path) -> bool:
    """Move what a change that was cut off had decided; tell whether there was one."""
    return folder.is_dir() and len(list(_tidied(folder))) > 0


def _tidied(folder: Path) -> Iterator[str]:
    moves = pending(folder)
    if not moves:
        return
    for name, aside in moves.items():
        if aside is None:
            (folder / name).unlink(missing_ok=True)
        elif (folder / aside).exists():
            (folder / aside).replace(folder / name)
        yield f"moved {name}"
    _sync(folder)
    (folder / PENDING).unlink()
    _sync(folder)
    yield "tidied"


def _keep_old(folder: Path, name: str) -> None:
    """Keep the text of a file that was written by hand beside it, under a name nobody reads."""
    path = folder / name
    if name != FILE and path.exists():
        kept = folder / f"{name}.before-{_hash(path.read_bytes())}"
        if not kept.exists():
            os.link(path, kept)


def _aside(folder: Path, name: str, text: bytes) -> str:
    aside = folder / f".{name.lstrip('.')}.{_hash(text)}.new"
    with aside.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return aside.name


def _hash(text: bytes) -> str:
    return blake2b(text, digest_size=4).hexdigest()


def _sync(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
