"""Line protocol by whole columns: readings as bytes ready to be posted.

A line is three pieces: a prefix cached per (channel, quality, late), the value and the time. The
numbers of a batch are written by one call of orjson a column (shortest text that reads back as
the same float64), cut at the commas and joined with the prefixes: no Python code runs per row.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson

from ingest.store.schema import QUALITIES, UNUSABLE, prefix
from rules.judge import CONFLICT, DUPLICATE, HEARD, LATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from rules.readings import Readings
    from rules.registry import Registry


@dataclass(frozen=True, slots=True)
class Lines:
    """Encoded points: ``body`` ends every line with a newline; what was left out is counted."""

    body: bytes
    count: int
    not_finite: int = 0  # NaN and ±inf: InfluxDB has no such values
    unknown: int = 0  # channels the registry does not have
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0  # of ``count``

    @classmethod
    def sum(cls, parts: Iterable[Lines]) -> Lines:
        """Return the lines of all parts, in order."""
        held = [astuple(part) for part in parts]
        return cls(
            b"".join(h[0] for h in held), *(sum(n) for n in list(zip(*held, strict=True))[1:])
        )


class LineEncoder:
    """Encodes the rows of one registry; prefixes are made when a channel is first seen."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._channels = len(registry.channels.id)
        self._prefixes: NDArray[np.object_] = np.full(
            self._channels * 2 * QUALITIES, None, np.object_
        )

    def encode(self, rows: Readings, verdict: NDArray[np.uint8]) -> Lines:
        """Return the lines of the judged and late rows, in the rows' order.

        Parameters
        ----------
        verdict
            uint8[n] as rules.judge gives it; duplicates and conflicts are skipped and counted.
        """
        finite = np.isfinite(rows.value)
        known = (rows.channel >= 0) & (rows.channel < self._channels)
        wanted = (verdict != DUPLICATE) & (verdict != CONFLICT) & (verdict != HEARD)
        sent = finite & known & wanted
        counts = {
            "not_finite": int((~finite & known & wanted).sum()),
            "unknown": int((~known & wanted).sum()),
            "duplicates": int((verdict == DUPLICATE).sum()),
            "conflicts": int((verdict == CONFLICT).sum()),
        }
        n = int(sent.sum())
        if n == 0:
            return Lines(b"", 0, **counts)
        if n < len(sent):
            rows, verdict = rows.take(sent), verdict[sent]
        late = verdict == LATE
        body = self._join(rows, late)
        return Lines(body, n, late=int(late.sum()), **counts)

    def _join(self, rows: Readings, late: NDArray[np.bool_]) -> bytes:
        quality = np.where(rows.usable, np.minimum(rows.qc_flag, QUALITIES - 1), UNUSABLE)
        key = (rows.channel.astype(np.int64) * 2 + late) * QUALITIES + quality
        values = orjson.dumps(rows.value, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        pieces: list[bytes] = [b""] * (3 * len(rows))
        pieces[0::3] = self._prefixes_of(key)
        pieces[1::3] = values.split(b",")
        pieces[2::3] = _times(rows.judged_ns)
        return b"".join(pieces)

    def _prefixes_of(self, key: NDArray[np.int64]) -> list[bytes]:
        found: list[bytes] = self._prefixes[key].tolist()
        if None in found:
            for k in np.unique(key).tolist():
                if self._prefixes[k] is None:
                    channel, rest = divmod(k, 2 * QUALITIES)
                    late, quality = divmod(rest, QUALITIES)
                    made = prefix(self.registry, channel, quality=quality, late=bool(late))
                    self._prefixes[k] = made
            found = self._prefixes[key].tolist()
        return found


def _times(judged_ns: NDArray[np.int64]) -> list[bytes]:
    """Return the end of each line; rows of one instant, as a gateway sends them, share a text."""
    begins = np.flatnonzero(np.diff(judged_ns, prepend=judged_ns[0] - 1))
    times = orjson.dumps(judged_ns[begins], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    texts = (b" " + times.replace(b",", b"\n, ") + b"\n").split(b",")
    if len(texts) == len(judged_ns):
        return texts
    repeated: list[bytes] = []
    for text, length in zip(texts, np.diff(begins, append=len(judged_ns)).tolist(), strict=True):
        repeated += [text] * length
    return repeated
