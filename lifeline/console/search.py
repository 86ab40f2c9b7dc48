"""Finding an asset by its city code, by a sensor's, or by a part of its name, while one types.

All texts of a site lie in one string, so that the search is one of the C library's: 50 000 assets
are looked through in a millisecond, where a loop over them takes a tenth of a second a letter.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.console.sight import Sight
    from lifeline.site import Site

MOST_LOOKED_AT = 2_000  # rows that hold the text; the best of them are told


class Finder:
    """The texts of the newest site; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._site: Site | None = None
        self._texts: list[str] = []
        self._all = ""
        self._begins = np.zeros(0, np.int64)

    def find(self, site: Site, sight: Sight, text: str, *, most: int) -> list[int]:
        """Return asset rows, best first: the code itself, codes that begin or end so, the rest.

        A code may be a sensor's or channel's: what follows its asset's ``/`` must be on the asset.
        """
        wanted = " ".join(text.casefold().split())
        if not wanted:
            return []
        with self._lock:
            if site is not self._site:
                self._read(site)
            texts, every, begins = self._texts, self._all, self._begins
        alive, ids = site.registry.assets.alive, site.registry.assets.id
        ranked = [
            (_rank(ids[row].casefold(), wanted), row)
            for row in _rows(every, begins, wanted)
            if alive[row] and sight.asset(row) and wanted in texts[row]
        ]
        return [row for _, row in sorted(ranked)[:most]]

    def _read(self, site: Site) -> None:
        registry = site.registry
        assets, leaves = registry.assets, [""] * len(registry.assets.id)
        for channel, asset in zip(registry.channels.id, registry.channels.asset, strict=True):
            leaves[asset] += f"\t{channel}"
        columns = zip(assets.id, assets.name, assets.name_zh, leaves, strict=True)
        self._texts = ["\t".join(row).replace("\n", " ").casefold() for row in columns]
        self._all = "\n".join(self._texts)
        lengths = [len(one) + 1 for one in self._texts]
        self._begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._site = site


def _rows(
    every: str, begins: np.ndarray[tuple[int, ...], np.dtype[np.int64]], wanted: str
) -> Iterator[int]:
    """Yield the rows that hold a text, each once."""
    at, looked = every.find(wanted), 0
    while at >= 0 and looked < MOST_LOOKED_AT:
        row = int(np.searchsorted(begins, at, side="right")) - 1
        yield row
        looked += 1
        at = every.find(wanted, int(begins[row + 1]))


def _rank(code: str, wanted: str) -> int:
    asset = wanted.partition("/")[0]
    if code in (wanted, asset):
        return 0
    if code.startswith(wanted):
        return 1
    return 2 if code.endswith(wanted) else 3
