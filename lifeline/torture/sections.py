"""Sections of docs/reliability.md that have commands of their own: each between two marks."""

from __future__ import annotations

import re
from typing import Final

NAMES: Final = ("outages", "soak")


def with_section(text: str, name: str, body: str) -> str:
    """Return the page with a section put in place of the one it has, or before its last chapter."""
    whole = f"<!-- {name} -->\n{body.strip()}\n<!-- end of {name} -->\n"
    pattern = _pattern(name)
    if pattern.search(text):
        return pattern.sub(lambda _: whole, text)
    last = text.rfind("\n## ") + 1
    return f"{text[:last]}{whole}\n{text[last:]}" if last else f"{text}\n{whole}"


def carried_over(text: str, old: str) -> str:
    """Return a page written anew with the sections that the old one has."""
    for name in NAMES:
        if found := _pattern(name).search(old):
            text = with_section(text, name, found[1])
    return text


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->\n", re.DOTALL)
