"""The engine's scores and computed channels as points, in the buckets they belong to.

Both stand in one log and are read from it apart, each with a cursor of its own: while one bucket is
missing, the other goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.journal import Cursor
from ingest.store import metrics
from ingest.store.follow import Follower
from ingest.store.points import point
from ingest.store.schema import FORECAST, QUALITIES, SCORE, prefix
from rules.series import FEATURE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ingest.store.sending import Sender
    from ingest.store.site_at import SiteAt
    from rules.series import Series

ROWS: Final = 10_000  # read at a time
SERIES_CURSOR: Final = "store-series"
FEATURES_CURSOR: Final = "store-features"


class SeriesInput:
    """Reads the series log for scores; ``newest_ns`` is the newest time written.

    ``site`` is followed by the reader of the Control records. What it does not know yet of a new
    channel is left out: the tags of scores, and the rows of computed channels, which are counted.
    """

    cursor = SERIES_CURSOR

    def __init__(self, data: Path, site: SiteAt) -> None:
        self._path = data / "cursors" / self.cursor
        self._site = site
        self.newest_ns = 0
        self.follower = Follower(data / "series", start=self._start().offset)

    def _start(self) -> Cursor:
        return Cursor.load(self._path)

    def close(self) -> None:
        """Give the files back."""
        self.follower.close()

    def pump(self, sender: Sender, wait_s: float) -> None:
        """Write what is new, or wait for more.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        if not self.follower.wait(wait_s):
            return
        first = self.follower.offset
        records = self.follower.series(max_rows=ROWS)
        place = f"series {first}..{self.follower.offset - 1}"
        told = [held.series for _, held in records]
        sender.send_points([line for part in told for line in self._lines(part)], place)
        for part in told:
            self.newest_ns = max(self.newest_ns, int(part.judged_ns.max(initial=0)))
        Cursor(self.follower.offset).save_if_room(self._path)

    def _lines(self, part: Series) -> Iterator[bytes]:
        """Yield the lines of scores; numbers that are not finite are left out of a line."""
        for at in _rows_of(part, computed=False):
            source = part.sources[part.source[at]]
            subject = part.subjects[part.subject[at]]
            tagged = self._site.tags(subject) | {
                "channel": subject,
                "kind": source.kind,
                "rule": source.rule,
            }
            extra = part.extra[at].tolist()
            fields = dict(
                zip(source.extra, extra, strict=False)
            )  # the widest source sets the width
            fields |= {"score": float(part.score[at]), "value": float(part.value[at])}
            measurement = FORECAST if source.kind == "forecast" else SCORE
            yield point(measurement, tagged, fields, int(part.judged_ns[at]))


class FeaturesInput(SeriesInput):
    """Reads the same log for computed channels, which go to a bucket of their own.

    In data folders of before, one cursor stood for both: it is where this one begins.
    """

    cursor = FEATURES_CURSOR

    def _start(self) -> Cursor:
        if not self._path.exists():
            # At once, not with the first batch: the cursor of scores moves on by itself.
            Cursor.load(self._path.with_name(SERIES_CURSOR)).save(self._path)
        return Cursor.load(self._path)

    def _lines(self, part: Series) -> Iterator[bytes]:
        """Yield the lines of computed channels: readings like any other."""
        registry = self._site.registry
        for at in _rows_of(part, computed=True):
            row = registry.channel_row.get(part.subjects[part.subject[at]], -1)
            value = float(part.value[at])
            if row < 0:
                metrics.SKIPPED.labels("unknown").inc()
            elif not math.isfinite(value):
                metrics.SKIPPED.labels("not_finite").inc()
            else:
                quality = min(int(part.extra[at, 0]), QUALITIES - 1)
                head = prefix(registry, row, quality=quality, late=False)
                yield b"%s%r %d\n" % (head, value, part.judged_ns[at])


def _rows_of(part: Series, *, computed: bool) -> list[int]:
    """Return the rows of computed channels, or of rules."""
    of = np.array([source.kind == FEATURE for source in part.sources], np.bool_)
    found: list[int] = np.flatnonzero(of[part.source] == computed).tolist()
    return found
