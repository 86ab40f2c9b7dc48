"""The watcher is watched: a synthetic reading must come out of the far end, or we are blind.

It travels source, journal, engine, event log; here it arrives as a HEARTBEAT event. No heartbeat
of a probe for longer than three of its intervals (wall time): the page and a gauge say BLIND.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeline import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeline.clock import Clock
    from lifeline.site import Site
    from rules.events import Event

BLIND_RULE = "watch-blind"  # of an alarm that the ledger itself raises
INTERVALS = 3
LEAST_LIMIT_S = 5.0
"""In a city faster than the wall, three intervals may be milliseconds; processes need not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the watchdog says now: ``watched`` is False where the rules name no probe."""

    watched: bool
    blind: bool
    age_s: float
    limit_s: float
    heard: bool = False  # all of them, since we started: before, nobody knows


class Watchdog:
    """Receives HEARTBEAT events; asked, it tells whether the chain still sees."""

    def __init__(self, clock: Clock, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._lock = threading.Lock()
        self._heard_s: dict[str, float] = {}
        self._limit_s: dict[str, float] = {}

    def follow(self, site: Site) -> None:
        """Expect the probes of this site's plan."""
        limits: dict[str, float] = {}
        channels = site.registry.channels
        for row in site.plan.probe_channels:
            interval_s = self._clock.wall_s(int(channels.interval_ns[row]))
            limits[channels.id[row]] = max(INTERVALS * interval_s, LEAST_LIMIT_S)
        with self._lock:
            self._limit_s = limits

    def hear(self, heartbeat: Event) -> None:
        """Note a heartbeat at the time it was received, not at the time we read it."""
        behind_s = self._clock.wall_s(max(0, self._clock.now_ns() - heartbeat.receive_ns))
        heard_s = self._monotonic_s() - behind_s
        with self._lock:
            before_s = self._heard_s.get(heartbeat.subject, heard_s)
            self._heard_s[heartbeat.subject] = max(before_s, heard_s)

    def sight(self) -> Sight:
        """Return the worst of all probes, and set the gauges."""
        now_s = self._monotonic_s()
        with self._lock:
            heard = self._limit_s.keys() <= self._heard_s.keys()
            late = [
                (now_s - max(self._heard_s.get(probe, self._began_s), 0.0), limit_s)
                for probe, limit_s in self._limit_s.items()
            ]
        if not late:
            return Sight(watched=False, blind=False, age_s=0.0, limit_s=0.0)
        age_s, limit_s = max(late, key=lambda pair: pair[0] / pair[1])
        metrics.BLIND.set(age_s > limit_s)
        metrics.HEARTBEAT_AGE.set(age_s)
        return Sight(watched=True, blind=age_s > limit_s, age_s=age_s, limit_s=limit_s, heard=heard)


def watch(
    dog: Watchdog, tell: Callable[[str, str], bool], stop: threading.Event, *, every_s: float = 1.0
) -> None:
    """Make an alarm of blindness, and end it, until stopped.

    ``tell`` gets the rule and what is wrong ("" = all is well) when that changes, and again until
    it says that it was taken.
    """
    said: bool | None = None  # an earlier run may have left one that stands: tell at once
    while not stop.is_set():
        sight = dog.sight()
        if sight.blind is not said:
            wrong = f"no heartbeat came through for {sight.age_s:.0f} s" if sight.blind else ""
            if (sight.blind or sight.heard) and tell(BLIND_RULE, wrong):
                said = sight.blind
        stop.wait(every_s)
