"""Computed channels stand in a bucket of their own: what asks for readings asks there too."""

from __future__ import annotations

import re
from typing import Any, Final

from ingest.store.schema import GROUPS, OTHER

_NAME: Final = "|".join((*GROUPS, OTHER))
_FROM: Final = re.compile(rf'FROM ((?:"(?:{_NAME})"(?:, )?)+)')


def asking_both(held: Any, bucket: str) -> Any:
    """Return a dashboard's JSON with each query of readings widened to ``bucket``.

    Values of a tag can be asked of one database only: there the limits name the channels that
    rules judge.
    """
    if isinstance(held, dict):
        return {
            key: _widened(value, bucket)
            if key == "query" and isinstance(value, str)
            else asking_both(value, bucket)
            for key, value in held.items()
        }
    return [asking_both(each, bucket) for each in held] if isinstance(held, list) else held


def _widened(query: str, bucket: str) -> str:
    def both(found: re.Match[str]) -> str:
        names = found[1].split(", ")
        if query.startswith("SHOW"):
            return f'FROM {found[1]}, "limits"'
        there = [f'"{bucket}"."autogen".{name}' for name in names]
        return f"FROM {', '.join([*names, *there])}"

    return _FROM.sub(both, query)
