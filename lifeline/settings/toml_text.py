"""TOML with the place of every key, so that a configuration error can name its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rules.problems import Problem
from rules.yaml_text import Document, read_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_TABLE: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_ARRAY: Final = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_KEY: Final = re.compile(r"(\s*)([A-Za-z0-9_-]+)(\s*=\s*)")
_AT: Final = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@dataclass(slots=True)
class TomlDocument(Document):
    """A Document whose places come from the lines ``[table]``, ``[[table]]``, ``key = value``."""

    keys: dict[tuple[str, ...], tuple[int, int, int]] = field(default_factory=dict)

    def at(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return (line, column) of the deepest part of ``path`` that stands in the text."""
        names = [str(step) for step in path]
        while names:
            found = self.keys.get(tuple(names))
            if found is not None:
                line, key_column, value_column = found
                return line, key_column if key else value_column
            names.pop()
        return 0, 0


def read_toml(name: str, text: str) -> TomlDocument:
    """Return the document of ``text``; a syntax error stands in its ``problems``."""
    document = TomlDocument(name, {}, read_yaml(name, "").place)
    try:
        document.value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        found = _AT.search(said)
        line, column = (int(found[1]), int(found[2])) if found else (0, 0)
        message = f"not TOML: {_AT.sub('', said)}; strings stand in quotes, lists in [ ]"
        document.problems.append(Problem(name, line, column, "", message, noun="key"))
    document.keys = _places(text)
    return document


def _places(text: str) -> dict[tuple[str, ...], tuple[int, int, int]]:
    held: dict[tuple[str, ...], tuple[int, int, int]] = {}
    table: tuple[str, ...] = ()
    counts: dict[str, int] = {}  # of [[table]]: the next one's number
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _ARRAY.match(line):
            at = counts.get(found[1], 0)
            counts[found[1]] = at + 1
            table = (*found[1].split("."), str(at))
            held.setdefault(table, (number, line.index("[") + 1, line.index("[") + 1))
        elif found := _TABLE.match(line):
            table = tuple(found[1].split("."))
            for depth in range(1, len(table) + 1):  # [a.b] is where a begins, too
                held.setdefault(table[:depth], (number, line.index("[") + 1, line.index("[") + 1))
        elif found := _KEY.match(line):
            column = len(found[1]) + 1
            held.setdefault((*table, found[2]), (number, column, found.end() + 1))
    return held
