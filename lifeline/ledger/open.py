"""The ledger of a city's folder, for commands that run beside the city or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.errors import Missing
from lifeline.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


def open_ledger(folder: Path) -> Ledger:
    """Open the ledger of a city's folder or data folder.

    Raises
    ------
    Missing
        There is none.
    """
    for place in (folder / "data" / "ledger.sqlite", folder / "ledger.sqlite"):
        if place.exists():
            return Ledger(f"sqlite:///{place}")
    raise Missing(f"{folder}: no ledger.sqlite in it or its data/; has a city run here?")
