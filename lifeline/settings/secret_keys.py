"""Keys that would hold a secret in ``city.toml``: taken out, with the way to give it instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifeline.settings.outlet_entries import ROBOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.settings.toml_text import TomlDocument

ROBOT_TABLES: Final = tuple(("outlet", kind) for kind in ROBOTS)
"""Whose address is a secret as well."""
_SECRETS: Final = {"password": "password_file", "token": "token_file", "secret": "secret_file"}


def refuse_secrets(document: TomlDocument, file: str) -> None:
    """Take secrets out with a word of their own: "unknown key" would invite a guess."""
    for path, table in _tables(document.value, ()):
        robot = path[:2] in ROBOT_TABLES
        for key in [k for k in table if k in _SECRETS or (robot and k == "url")]:
            instead = _SECRETS.get(key, "url_file")
            said = f'"{key}": secrets do not stand in {file}; put it into a file and '
            said += f'name that file: {instead} = "…" (or a variable: {key}_env = "…")'
            document.problem((*path, key), said, noun="key", key=True)
            del table[key]


def _tables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every table of a file, those of an outlet too."""
    if isinstance(value, dict):
        if path:
            yield path, value
        for key, below in list(value.items()):
            yield from _tables(below, (*path, key))
