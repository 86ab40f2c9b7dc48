"""Times as answers have them."""

from __future__ import annotations


def ms(ns: int) -> int | None:
    """Return Unix milliseconds, None where there is no time."""
    return ns // 1_000_000 if ns else None
