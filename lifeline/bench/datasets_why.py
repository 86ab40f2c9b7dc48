"""Why rules raise what they do on public data sets, as found by looking; silence is a surprise."""

from __future__ import annotations

from typing import Final

WHY: Final[dict[tuple[str, str], str]] = {}


def why(name: str, rule: str) -> str:
    """Return what was found, of the set or of the rule on any set; empty if nobody looked."""
    return WHY.get((name, rule), WHY.get(("", rule), ""))
