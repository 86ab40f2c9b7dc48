"""The ledger of a city's folder, for whoever reads or orders beside the city or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.errors import Missing
from lifeline.ledger.ledger import Ledger
from lifeline.settings.config import FILE_NAME, load_config
from rules.problems import Invalid

if TYPE_CHECKING:
    from pathlib import Path


def open_ledger(folder: Path) -> Ledger:
    """Open the ledger of a city's folder or of its data folder, in PostgreSQL where it is there.

    Raises
    ------
    Missing
        There is none.
    lifeline.ledger.Unavailable
        It does not answer.
    """
    url = _in_a_server(folder) or _in_a_server(folder.parent)
    if url:
        return Ledger(url)
    for place in (folder / "data" / "ledger.sqlite", folder / "ledger.sqlite"):
        if place.exists():
            return Ledger(f"sqlite:///{place}")
    raise Missing(f"{folder}: no ledger.sqlite in it or its data/; has a city run here?")


def open_or_make(folder: Path) -> Ledger:
    """Open the ledger of a city's folder, or make it where the city has not run yet.

    Raises
    ------
    Missing
        The folder is no city's.
    Invalid
        ``city.toml`` has mistakes: which ledger is meant cannot be told.
    lifeline.ledger.Unavailable
        It does not answer.
    """
    if not (folder / FILE_NAME).is_file():
        return open_ledger(folder)
    config = load_config(folder)
    if not config.ledger_url:
        config.data.mkdir(exist_ok=True)
    return Ledger(config.ledger_url or f"sqlite:///{config.data / 'ledger.sqlite'}")


def _in_a_server(folder: Path) -> str:
    """Return the server's address that a city's folder names, "" where it names none."""
    if not (folder / FILE_NAME).is_file():
        return ""
    try:
        return load_config(folder).ledger_url
    except Invalid:  # who runs the city is told; a ledger beside its data can be read all the same
        return ""
