"""Lines on their way to one bucket: cut to requests, refused ones kept, all of them counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from ingest.crash_points import reach
from ingest.store import metrics
from ingest.store.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.store.influx import InfluxWriter
    from ingest.store.refused import RefusedLines

log: Any = structlog.get_logger("store")


class Tally:
    """Counts by name, added to by one thread and taken by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """Add to the counts."""
        with self._lock:
            self._counts.update(counts)

    def taken(self, names: Sequence[str]) -> dict[str, int]:
        """Return these counts, which begin anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return {name: counts[name] for name in names}


class Sender:
    """Hands lines to a writer."""

    def __init__(
        self,
        writer: InfluxWriter,
        refused: RefusedLines,
        *,
        bucket: str,
        most_lines: int,
        stop: threading.Event,
    ) -> None:
        self._writer, self._refused, self._stop = writer, refused, stop
        self._bucket, self._most_lines = bucket, most_lines
        self._told = Tally()

    @property
    def rests(self) -> bool:
        """Say whether the writer would not even ask now: see `InfluxWriter.rests`."""
        return self._writer.rests

    def send(self, lines: Lines, place: str) -> None:
        """Write lines made already; returns when all are answered for.

        Raises
        ------
        Stopped
            The program ends before the server has answered.
        """
        written = self._writer.write(lines.body, lines.count)
        reach("store-answered")
        self._refused.keep(written, path=f"{self._bucket} {place}", stop=self._stop)
        self._told.add(lines=written.stored, dropped=written.dropped, refused=len(written.bad))

    def remove(self, predicate: str, from_ns: int, to_ns: int) -> None:
        """Delete the points of a predicate with from_ns ≤ time < to_ns; what is refused is said.

        Raises
        ------
        Stopped
            The program ends before the server has answered.
        """
        why = self._writer.remove(predicate, from_ns, to_ns)
        if why:
            metrics.NOT_REMOVED.inc()
            log.error(
                "the store does not delete: corrected points stand beside the old ones",
                bucket=self._bucket,
                points=predicate,
                reason=why[:500],
                remedy="let the token write (which deletes too), then make the correction again",
            )

    def taken(self) -> dict[str, int]:
        """Return lines, dropped and refused since the last call."""
        return self._told.taken(("lines", "dropped", "refused"))

    def send_points(self, points: Sequence[bytes], place: str) -> None:
        """Write single points, as many requests as they need."""
        held = [each for each in points if each]
        for begin in range(0, len(held), self._most_lines):
            some = held[begin : begin + self._most_lines]
            self.send(Lines(b"".join(some), len(some)), place)
