"""``lifeline rules new``: a commented rule of each kind with its tests, to begin with."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from lifeline.errors import Missing, Occupied
from rules.language.kinds import KINDS
from rules.problems import listed, nearest

if TYPE_CHECKING:
    from pathlib import Path


def starter(kind: str) -> str:
    """Return the text of a rule file with one rule of a kind and its tests.

    Raises
    ------
    Missing
        There is no such kind; with the names near it.
    """
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f": one of {listed(KINDS)}"
        raise Missing(f"unknown kind {kind[:64]!r}{hint}")
    place = resources.files("lifeline.workbench") / "starter_rules" / f"{kind}.yaml"
    return place.read_text(encoding="utf-8")


def write_starter(kind: str, path: Path) -> None:
    """Write the starter of a kind to a file that is not there yet.

    Raises
    ------
    Missing
        There is no such kind, or no such folder.
    Occupied
        The file is there already; it stays as it is.
    """
    text = starter(kind)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Occupied(f"{path}: is there already; name another by --out") from None
    except FileNotFoundError:
        raise Missing(f"{path.parent}: no such folder") from None
