"""The few JSON paths a mapping needs: ``$.a.b[0]`` from the payload, ``@.a`` from the row."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class Missing:
    """What a path gives that leads nowhere (None is a value in JSON)."""


MISSING = Missing()


class JsonPath:
    """A compiled path. ``$[*]`` or ``$.a[*]`` (``many``) leads to a list of rows.

    Raises
    ------
    ValueError
        The text is not a path: it says what one looks like.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.many = text.endswith("[*]")
        rest = text[1:-3] if self.many else text[1:]
        steps = _STEP.findall(rest)
        if text[:1] not in ("$", "@") or "".join(_spelled(s) for s in steps) != rest:
            raise ValueError(f"{text!r} is no path: write $.name, @.name[0] or $.list[*]")
        self.of_row = text[0] == "@"
        self.steps: tuple[str | int, ...] = tuple(name or int(at) for name, at in steps)

    def find(self, payload: Any, row: Any) -> Any:
        """Return what the path leads to, or MISSING; never raises."""
        here = row if self.of_row else payload
        for step in self.steps:
            if isinstance(step, str):
                here = here.get(step, MISSING) if isinstance(here, dict) else MISSING
            else:
                there = isinstance(here, list) and step < len(here)
                here = here[step] if there else MISSING
            if here is MISSING:
                break
        return here


def _spelled(step: tuple[str, str]) -> str:
    return f".{step[0]}" if step[0] else f"[{step[1]}]"
