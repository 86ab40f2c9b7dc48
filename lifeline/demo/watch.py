"""What the demo sees while it runs: the event log as it grows, and what the city says it did."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.journal import durable_end
from ingest.store.follow import Follower
from lifeline.processes.city import STATS_FILE
from lifeline.processes.probe import STATS_FILE as PROBE_FILE
from rules.events import Event, EventType, decode

if TYPE_CHECKING:
    from pathlib import Path

RAISING = (EventType.RAISED, EventType.ESCALATED, EventType.CONFIRMED, EventType.LATE_FINDING)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and the wall time at which it could first be read from the event log."""

    event: Event
    wall_ns: int


def shown_severity(event: Event) -> int:
    """Return the level announced: one lower while a first dangerous sample stands alone."""
    return event.severity if event.confirmed or event.severity <= 1 else event.severity - 1


@dataclass(slots=True)
class Watcher:
    """Follows one data folder. ``seen`` holds every event so far, in log order."""

    data: Path
    start: int = 0  # of the event log: what an earlier run said is not told again
    seen: list[Seen] = field(default_factory=list)
    _follower: Follower | None = None

    @classmethod
    def after_the_last_run(cls, data: Path) -> Watcher:
        """Return one that tells nothing of an earlier run in the same folder."""
        (data / "run" / STATS_FILE).unlink(missing_ok=True)
        events = data / "events"
        return cls(data, start=durable_end(events) if events.is_dir() else 0)

    def poll(self, *, wait_s: float) -> list[Seen]:
        """Return the new events, after ``wait_s`` at the latest."""
        if self._follower is None:
            if not (self.data / "run" / "events.sock").exists():
                time.sleep(wait_s)
                return []
            wake = self.data / "run" / "events.sock"
            self._follower = Follower(self.data / "events", start=self.start, wake=wake)
        if not self._follower.wait(wait_s):
            return []
        now_ns = time.time_ns()
        new = [
            Seen(decode(line), now_ns)
            for _, lines in self._follower.events(max_rows=100_000)
            for line in lines.lines
        ]
        self.seen += new
        return new

    def city(self) -> dict[str, Any]:
        """Return what the simulated city says, {} before it said anything."""
        return _read(self.data / "run" / STATS_FILE)

    def heartbeats(self) -> int:
        """Return how many beats of our own probe were taken."""
        return int(_read(self.data / "run" / PROBE_FILE).get("readings_sent", 0))

    def close(self) -> None:
        """Let the event log go."""
        if self._follower is not None:
            self._follower.close()


def _read(path: Path) -> dict[str, Any]:
    try:
        held: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return held
