"""The campaign of outages: one after the other, each in a city of its own with real traffic.

Before, during and after it, two gateways publish through a real mosquitto and two modules post
CoAP; then everything acknowledged is compared as after kills, and it is measured how long alarms
took, how fast the store filled up, and who said what was wrong since when.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.journal import Cursor, JournalReader, durable_end
from lifeline.doctor import examine
from lifeline.torture.catalogue import OUTAGES
from lifeline.torture.compare import compare
from lifeline.torture.kills import EVERY_S, Tortured
from lifeline.torture.servers import scratch
from lifeline.torture.stand import standing
from rules.events import EventType, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from lifeline.torture.catalogue import Outage, World
    from lifeline.torture.site import Ports
    from lifeline.torture.stand import Stand

CALM_S: Final = 2.0  # before an outage
QUIET_S: Final = 1.0  # after it, before the senders end
DENSE: Final = 60  # samples of a port in a message of the gateways
LOOK_S: Final = 0.1
ASK_BEFORE_S: Final = 1.5  # before the end of an outage: what is told then
LIVE_S: Final = 1.5  # what a live write is older than at most
SETTLED_S: Final = 1.0  # after the first write that is taken again: from then live data count
LEAST_FILL_S: Final = 0.02
LEAST_MISSED_S: Final = 2.0  # less is no backlog
NAMES_TOLD: Final = ("reader ", "InfluxDB", "broker")


@dataclass(slots=True)
class Watched:
    """What was seen from outside while a city ran."""

    began_s: float = 0.0  # Unix time of the outage
    ended_s: float = 0.0
    recovered_s: float = 0.0  # after its end
    backfill_x: float | None = None
    live_lag_s: float | None = None
    told: dict[str, Any] = field(default_factory=dict)


class Alarms(threading.Thread):
    """Follows an event log; ``seen`` holds (measured, in the log) in Unix seconds, of alarms."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[float, float]] = []
        self._folder = folder
        self._stopping = threading.Event()

    def run(self) -> None:
        """Follow until stopped."""
        while not self._folder.is_dir():
            if self._stopping.wait(0.05):
                return
        with JournalReader(self._folder) as reader:
            while not self._stopping.is_set():
                found = reader.events(until=durable_end(self._folder))
                now_s = time.time()
                for line in (line for _, lines in found for line in lines.lines):
                    event = decode(line)
                    raised = event.type in (EventType.RAISED, EventType.ESCALATED)
                    if raised and event.rule == "ch4-loud":
                        self.seen.append((event.event_ns / 1e9, now_s))
                if not found:
                    self._stopping.wait(0.01)

    def delays(self, from_s: float) -> list[float]:
        """Return the seconds from measured to logged, of those measured since."""
        return [seen - measured for measured, seen in self.seen if measured >= from_s]

    def finish(self) -> None:
        """Stop."""
        self._stopping.set()
        self.join(5)


def run_outages(
    names: Iterable[str],
    *,
    seed: int,
    seconds: float,
    stop: threading.Event,
    told: Callable[[str], None] = lambda _: None,
    keep: Path | None = None,
) -> list[dict[str, Any]]:
    """Return a row each, in the order the seed gives.

    Raises
    ------
    lifeline.errors.Failure
        It cannot be run, or a process of ours did not stand it.
    """
    order = sorted(names)
    random.Random(f"{seed}/outages").shuffle(order)
    rows = []
    for name in order:
        if stop.is_set():
            break
        told(name)
        with scratch(keep / name if keep else None) as folder:
            rows.append(_Run(folder, name, seed=seed, seconds=seconds).row(stop))
    return rows


class _Run:
    """One outage in one city."""

    def __init__(self, folder: Path, name: str, *, seed: int, seconds: float) -> None:
        self._folder, self._data, self._site = folder, folder / "data", folder / "site"
        self._name, self._outage = name, OUTAGES[name]
        self._seed, self._seconds = seed, seconds
        self._watched, self._sent_s = Watched(), 0.0
        self._left = Tortured(self._data, seed, kills=Counter())

    def row(self, stop: threading.Event) -> dict[str, Any]:
        """Run it and return its figures."""
        began_s = time.monotonic()
        draw = random.Random(f"{self._seed}/{self._name}")
        with standing(self._folder, draw=draw) as stand:
            alarms = Alarms(self._data / "events")
            alarms.start()
            stand.start(seed=self._seed, every_s=EVERY_S, most=DENSE)
            stop.wait(CALM_S)
            self._suffer(stand, stop)
            self._recover(stand)
            time.sleep(QUIET_S)
            self._sent_s = stand.finish(self._left)
            alarms.finish()
            self._left.wall_s = time.monotonic() - began_s
            return self._figures(stand.world, alarms)

    def _suffer(self, stand: Stand, stop: threading.Event) -> None:
        """Let the outage happen; ask, shortly before its end, what is told about it."""
        self._watched.began_s = time.time()
        until_s = time.monotonic() + self._seconds
        self._outage.begin(stand.world)
        asked = False
        while time.monotonic() < until_s and not stop.wait(LOOK_S):
            self._outage.meanwhile(stand.world)
            stand.city.check()
            if not asked and time.monotonic() > until_s - ASK_BEFORE_S:
                asked = True
                self._watched.told = self._ask(stand.ports)
        self._outage.end(stand.world)
        self._watched.ended_s = time.time()

    def _ask(self, ports: Ports) -> dict[str, Any]:
        """Return what /metrics and `lifeline doctor` say now."""
        url = f"http://127.0.0.1:{ports.page}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        told: dict[str, Any] = {}
        wanted = self._outage.tells
        for line in text.splitlines():
            found = re.fullmatch(r"([^#\s]+(?:\{.*\})?) (\S+)", line)
            if wanted and found and found[1].startswith(wanted) and float(found[2]):
                told |= {"metric": found[1].partition("{")[0], "value": float(found[2])}
        if told and "since" in told["metric"]:
            told["since_off_s"] = round(told["value"] - self._watched.began_s, 1)
        told["doctor"] = [
            f"{f.what}: {f.found}"
            for f in examine(self._site, self._data)
            if f.what.startswith(NAMES_TOLD)
            and not f.found.startswith(("has done all", "reachable"))
        ]
        return told

    def _recover(self, stand: Stand) -> None:
        """Wait until the store has all that was journaled by the outage's end; measure how."""
        store, watched = stand.world.store, self._watched
        end = durable_end(self._data / "journal")
        before = len(store.arrivals)
        newest_ns = max((a.newest_ns for a in store.arrivals), default=0)
        began_s = time.monotonic()
        worst_s = 0.0

        def done() -> bool:
            nonlocal worst_s
            after = store.arrivals[before:]
            if after and time.monotonic() - after[0].at_s > SETTLED_S:
                newest_ns = max(a.newest_ns for a in after)
                worst_s = max(worst_s, time.time() - newest_ns / 1e9)
            one = not (self._data / "cursors" / "store-live").exists()
            return one and Cursor.load(self._data / "cursors" / "store").offset >= end

        stand.until(done, "the store has what was journaled")
        watched.recovered_s = time.monotonic() - began_s
        time.sleep(SETTLED_S)
        done()
        missed_s = watched.ended_s - newest_ns / 1e9
        if not self._outage.backlog or missed_s < LEAST_MISSED_S:
            return
        after = store.arrivals[before:]
        edge_ns = int((watched.ended_s - LIVE_S) * 1e9)
        filled_s = max((a.at_s for a in after if a.oldest_ns < edge_ns), default=after[0].at_s)
        watched.backfill_x = missed_s / max(filled_s - after[0].at_s, LEAST_FILL_S)
        watched.live_lag_s = worst_s

    def _figures(self, world: World, alarms: Alarms) -> dict[str, Any]:
        refused = refused_lines(self._data)
        beside = [*refused, *world.store.dropped]
        unsigned, world.receiver.unsigned = world.receiver.unsigned, 0
        compared = compare(self._left, world.store.points_beside(beside), world.receiver)
        contradicted = world.store.contradicted
        delays = np.array(alarms.delays(self._watched.began_s))
        during = sum(m <= self._watched.ended_s for m, _ in alarms.seen) if len(delays) else 0
        watched = self._watched
        return {
            "outage": self._name,
            "seconds": round(watched.ended_s - watched.began_s, 1),
            "asked_s": self._seconds,
            "sent_s": round(self._sent_s, 1),
            "alarms": len(delays),
            "alarms_during": int(during),
            "alarm_delay_p50_s": _rounded(np.median(delays) if len(delays) else None),
            "alarm_delay_p99_s": _rounded(np.quantile(delays, 0.99) if len(delays) else None),
            "acknowledged": compared["acknowledged"],
            "lost": compared["lost"],
            "twice": compared["twice"] + len(contradicted),
            "what_twice": compared["what_twice"] | {"point overwritten": len(contradicted)},
            "first_overwritten": contradicted[:1],
            "refused": len(set(refused)) + len(world.store.dropped),
            "notifications": compared["notifications"],
            "notifications_missing": compared["notifications_missing"],
            "signatures_refused": unsigned,
            "log_equal": compared["log_equal"],
            "backfill_x": _rounded(watched.backfill_x),
            "live_lag_s": _rounded(watched.live_lag_s),
            "recovered_s": round(watched.recovered_s, 1),
            "told": watched.told,
            "load": round(os.getloadavg()[0], 1),
            "seed": self._seed,
            "wall_s": round(self._left.wall_s, 1),
        }


def _rounded(number: Any) -> float | None:
    return None if number is None else round(float(number), 2)


def refused_lines(data: Path) -> list[bytes]:
    """Return the lines in the store's quarantine, as they were."""
    folder = data / "quarantine" / "store"
    if not folder.is_dir():
        return []
    lines: list[bytes] = []
    with JournalReader(folder) as reader:
        end = durable_end(folder)
        while found := reader.frames(until=end):
            lines += [p for _, frames in found for p in frames.payload if p]
    return lines


def untrue(row: dict[str, Any], outage: Outage) -> list[str]:
    """Return which promises a row breaks, those about time left out."""
    said = [
        f"{name} {row[name]}" for name in ("lost", "twice", "notifications_missing") if row[name]
    ]
    if not row["log_equal"]:
        said.append("the event log is no fold of the journal")
    if not row["alarms_during"]:
        said.append("no alarm during it")
    if outage.tells and "metric" not in row["told"]:
        said.append(f"{outage.tells} did not tell")
    return said


BACKFILL_X: Final = 10.0
LIVE_LAG_S: Final = 10.0
ALARM_S: Final = 5.0  # p99 from sensor to event log; where the way was cut, after its end


def late(row: Mapping[str, Any], outage: Outage) -> list[str]:
    """Return which promises about time a row breaks."""
    said = []
    if row["backfill_x"] is not None and row["backfill_x"] < BACKFILL_X:
        said.append(f"back-fill at {row['backfill_x']} of real time")
    if row["live_lag_s"] is not None and row["live_lag_s"] >= LIVE_LAG_S:
        said.append(f"live data lag {row['live_lag_s']} s")
    allowed_s = ALARM_S + (row["seconds"] if outage.cuts else 0.0)
    if row["alarm_delay_p99_s"] is not None and row["alarm_delay_p99_s"] > allowed_s:
        said.append(f"alarms after {row['alarm_delay_p99_s']} s")
    return said
