"""The texts of a registry's folder, read so that a change of several files is seen whole or not.

Who changes several files puts the new ones aside and then writes ``.import``, which says what is
to take whose place. From that moment on the folder says what the new files say, whether they have
been moved already or not; a reader needs no lock and mends nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from rules.problems import Invalid, Problem
from rules.yaml_text import Document, Place, raise_errors, read_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEST_SUFFIXES: Final = (".test.yaml", ".test.yml")
"""Names of files that test the files beside them: no part of what a folder says."""
PENDING: Final = ".import"
TRIES: Final = 20


def read_texts(folder: Path, *, most: int | None = None) -> dict[str, str]:
    """Return the YAML files of a folder (or of one file) as name → text, without tests of them.

    A file of more than ``most`` bytes is refused unread.

    Raises
    ------
    Invalid
        The folder or a file cannot be read, or is not UTF-8.
    """
    if not folder.is_dir():
        if not folder.is_file():
            raise Invalid([Problem(str(folder), 0, 0, "", "no such file or folder")])
        return _decoded({folder.name: folder}, most)
    for _ in range(TRIES):
        seen = _stamps(folder)
        try:
            texts = _decoded(_paths(folder), most)
        except Invalid:
            if _stamps(folder) == seen:
                raise
            continue
        if _stamps(folder) == seen:
            return texts
    raise Invalid([Problem(str(folder), 0, 0, "", "changes while it is read: try again later")])


def pending(folder: Path) -> dict[str, str | None]:
    """Return what a change that was begun says: file → the file that takes its place, or None.

    Raises
    ------
    Invalid
        ``.import`` is not what we write.
    """
    path = folder / PENDING
    try:
        held = json.loads(path.read_bytes())
        files = held["files"]
        if not all(isinstance(v, str | None) for v in files.values()):
            raise TypeError("names are texts")  # noqa: TRY301
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"is damaged ({error}): restore the folder from a backup, then remove this file"
        raise Invalid([Problem(str(path), 0, 0, "", said)]) from error
    return dict(files)


def _paths(folder: Path) -> dict[str, Path]:
    every = {p.name: p for p in folder.iterdir() if p.suffix in (".yaml", ".yml")}
    for name, aside in pending(folder).items():
        if aside is None:
            every.pop(name, None)
        elif (folder / aside).exists():
            every[name] = folder / aside
    kept = {
        name: path
        for name, path in sorted(every.items())
        if not name.endswith(TEST_SUFFIXES) and not name.startswith(".")
    }
    if not kept:
        raise Invalid([Problem(str(folder), 0, 0, "", "holds no .yaml file")])
    return kept


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Return what changes when a file of the folder does."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            held = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.name, held.st_ino, held.st_mtime_ns))
    return found


def _decoded(paths: dict[str, Path], most: int | None) -> dict[str, str]:
    texts, problems = {}, []
    for name, path in paths.items():
        try:
            size = path.stat().st_size
            if most is not None and size > most:
                said = f"is {size / 1e6:.0f} MB, more than {most >> 20} MiB: split it"
                problems.append(Problem(name, 0, 0, "", said))
                continue
            texts[name] = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(_not_utf8(name, error))
        except OSError as error:
            problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"))
    raise_errors(problems)
    return texts


def _not_utf8(name: str, error: UnicodeDecodeError) -> Problem:
    """Return the place of the first byte that is no UTF-8; columns count characters before it."""
    before = error.object[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
    said = f"byte 0x{error.object[error.start]:02X} is not UTF-8 text: save the file as UTF-8"
    return Problem(name, line, column, "", said)


class JsonDocument(Document):
    """A text that is JSON, and so YAML too: where things stand is found when somebody asks."""

    __slots__ = ("_text",)

    def __init__(self, name: str, text: str, value: Any) -> None:
        super().__init__(name, value, Place(0))
        self._text = text

    def at(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return (line, column), as Document does."""
        if not self.place.at:
            self.place = read_yaml(self.name, self._text).place
        return super().at(path, key=key)


def read_registry_text(name: str, text: str) -> Document:
    """Return the document of one file; JSON, as an import writes it, is read 30 times faster."""
    if text.startswith("{"):
        try:
            return JsonDocument(name, text, from_json(text, allow_inf_nan=False))
        except ValueError:
            pass  # YAML that begins with a brace
    return read_yaml(name, text)
