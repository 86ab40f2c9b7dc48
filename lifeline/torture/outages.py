"""The campaign of outages: one after the other, each in a city of its own with real traffic.

Before, during and after it, two gateways publish through a real mosquitto and two modules post
CoAP; then everything acknowledged is compared as after kills, and it is measured how long alarms
took, how fast the store filled up, and who said what was wrong since when.
"""

from __future__ import annotations

import random
import re
import socket
import threading
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.journal import Cursor, JournalReader, durable_end
from lifeline.broker import free_port
from lifeline.doctor import examine
from lifeline.errors import Crashed
from lifeline.torture.catalogue import OUTAGES, World
from lifeline.torture.compare import compare
from lifeline.torture.faults import Faults
from lifeline.torture.faulty import FaultyReceiver, FaultyStore
from lifeline.torture.kills import EVERY_S, Tortured, is_heard, settle
from lifeline.torture.links import Link
from lifeline.torture.processes import City
from lifeline.torture.senders import Gateway, Module
from lifeline.torture.servers import Mosquitto, scratch
from lifeline.torture.site import GATEWAYS, MODULES, Ports, write_site
from rules.events import EventType, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lifeline.torture.catalogue import Outage

CALM_S: Final = 2.0  # before an outage
QUIET_S: Final = 1.0  # after it, before the senders end
DENSE: Final = 60  # samples of a port in a message of the gateways
RECOVER_S: Final = 60.0
LOOK_S: Final = 0.1
ASK_BEFORE_S: Final = 1.5  # before the end of an outage: what is told then
LIVE_S: Final = 1.5  # what a live write is older than at most
SETTLED_S: Final = 1.0  # after the first write that is taken again: from then live data count
LEAST_FILL_S: Final = 0.02
LEAST_MISSED_S: Final = 2.0  # less is no backlog
MARKED: Final = b"channel=410100-gas-mh-000002/ch4-01/vol"  # of the first module
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
        self._watched = Watched()
        self._left = Tortured(self._data, seed, kills=Counter())

    def row(self, stop: threading.Event) -> dict[str, Any]:
        """Run it and return its figures."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            enter = stack.enter_context
            broker = enter(Mosquitto(self._folder / "broker"))
            store, receiver = enter(FaultyStore()), enter(FaultyReceiver())
            links = [
                enter(Link(port)) for port in (broker.port, broker.port, store.port, receiver.port)
            ]
            ports = Ports(
                links[0].port,
                free_port(socket.SOCK_DGRAM),
                free_port(),
                f"http://127.0.0.1:{links[2].port}",
                f"http://127.0.0.1:{links[3].port}/alarms",
            )
            write_site(self._site, ports)
            city = enter(City(self._site, self._data))
            world = World(
                broker=broker, ours=links[0], gateways=links[1], store_link=links[2],
                hook_link=links[3], store=store, receiver=receiver, faults=Faults(self._data),
                draw=random.Random(f"{self._seed}/{self._name}"),
            )  # fmt: skip
            alarms = Alarms(self._data / "events")
            alarms.start()
            self._live(city, world, ports, stop)
            alarms.finish()
            self._left.wall_s = time.monotonic() - began_s
            return self._figures(world, alarms)

    def _live(self, city: City, world: World, ports: Ports, stop: threading.Event) -> None:
        for process in city.processes.values():
            process.start()
        gateways = [
            Gateway(d, world.gateways.port, seed=self._seed, every_s=EVERY_S, most=DENSE)
            for d in GATEWAYS
        ]
        modules = [Module(d, ports.coap, seed=self._seed, every_s=EVERY_S) for d in MODULES]
        self._until(city, lambda: is_heard(gateways[0], self._data), "ingest hears the broker")
        senders: list[Gateway | Module] = [*gateways, *modules]
        for sender in senders:
            sender.start()
        world.store.marked = MARKED
        stop.wait(CALM_S)
        self._suffer(city, world, ports, stop)
        self._recover(city, world)
        time.sleep(QUIET_S)
        for sender in senders:
            sender.finish()
        self._left.kept = {sender.name: sender.kept for sender in senders}
        settle(city, self._left)

    def _suffer(self, city: City, world: World, ports: Ports, stop: threading.Event) -> None:
        """Let the outage happen; ask, shortly before its end, what is told about it."""
        self._watched.began_s = time.time()
        until_s = time.monotonic() + self._seconds
        self._outage.begin(world)
        asked = False
        while time.monotonic() < until_s and not stop.wait(LOOK_S):
            self._outage.meanwhile(world)
            city.check()
            if not asked and time.monotonic() > until_s - ASK_BEFORE_S:
                asked = True
                self._watched.told = self._ask(ports)
        self._outage.end(world)
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

    def _recover(self, city: City, world: World) -> None:
        """Wait until the store has all that was journaled by the outage's end; measure how."""
        store, watched = world.store, self._watched
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

        self._until(city, done, "the store has what was journaled")
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

    def _until(self, city: City, is_so: Callable[[], bool], what: str) -> None:
        give_up_s = time.monotonic() + RECOVER_S
        while not is_so():
            city.check()
            if time.monotonic() > give_up_s:
                raise Crashed(f"{self._name}: after {RECOVER_S:g} s still not so: {what}")
            time.sleep(0.05)

    def _figures(self, world: World, alarms: Alarms) -> dict[str, Any]:
        refused = refused_lines(self._data)
        beside = [*refused, *world.store.dropped]
        unsigned, world.receiver.unsigned = world.receiver.unsigned, 0
        compared = compare(self._left, world.store.points_beside(beside), world.receiver)
        delays = np.array(alarms.delays(self._watched.began_s))
        during = sum(m <= self._watched.ended_s for m, _ in alarms.seen) if len(delays) else 0
        watched = self._watched
        return {
            "outage": self._name,
            "seconds": round(watched.ended_s - watched.began_s, 1),
            "alarms": len(delays),
            "alarms_during": int(during),
            "alarm_delay_p50_s": _rounded(np.median(delays) if len(delays) else None),
            "alarm_delay_p99_s": _rounded(np.quantile(delays, 0.99) if len(delays) else None),
            "acknowledged": compared["acknowledged"],
            "lost": compared["lost"],
            "twice": compared["twice"] + len(world.store.overwritten),
            "what_twice": compared["what_twice"]
            | {"point overwritten": len(world.store.overwritten)},
            "refused": len(set(refused)) + len(world.store.dropped),
            "notifications": compared["notifications"],
            "notifications_missing": compared["notifications_missing"],
            "signatures_refused": unsigned,
            "log_equal": compared["log_equal"],
            "backfill_x": _rounded(watched.backfill_x),
            "live_lag_s": _rounded(watched.live_lag_s),
            "recovered_s": round(watched.recovered_s, 1),
            "told": watched.told,
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


def late(row: dict[str, Any], outage: Outage) -> list[str]:
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
