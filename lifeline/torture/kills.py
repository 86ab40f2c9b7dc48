"""The campaign of kills: our processes under real traffic, each of their lives ended by SIGKILL.

All five are tortured at once, each by its own list of lives (schedule.py), while two gateways
publish at QoS 1 through a real mosquitto and two modules post confirmable CoAP. At the end nobody
is killed any more, what is on its way arrives, and compare.py looks at what is left.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Protocol

from ingest.journal import Cursor, JournalReader, durable_end
from lifeline.broker import free_port
from lifeline.errors import Crashed
from lifeline.ledger import Ledger
from lifeline.torture.journaled import said, seen
from lifeline.torture.processes import City, until
from lifeline.torture.schedule import draw_schedule
from lifeline.torture.senders import Gateway, Module
from lifeline.torture.servers import Mosquitto, Receiver
from lifeline.torture.site import GATEWAYS, MODULES, Ports, write_site
from rules.readings import Readings

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from lifeline.torture.processes import Process
    from lifeline.torture.schedule import Life
    from lifeline.torture.senders import Message
    from lifeline.torture.servers import Point

EVERY_S: Final = 0.06  # between messages of a sender
NEVER_REACHED_S: Final = 15.0  # then the life ends anyhow, and that is counted
QUIET_S: Final = 1.0  # after the last kill, before the senders end


class Store(Protocol):
    """Where the store process writes to."""

    @property
    def url(self) -> str:
        """Return what ``[influx] url`` names."""

    def points(self) -> list[Point]:
        """Return the readings it holds."""


@dataclass
class Tortured:
    """What is left of a city after its kills, for compare.py."""

    data: Path
    seed: int
    kills: Counter[str] = field(default_factory=Counter)  # by "process/point", "process/random"
    never_reached: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[Message]] = field(default_factory=dict)  # by device
    wall_s: float = 0.0


def run_kills(
    folder: Path,
    *,
    kills: int,
    seed: int,
    store: Store,
    receiver: Receiver,
    stop: threading.Event,
    told: Callable[[int], None] = lambda _: None,
) -> Tortured:
    """Torture a city in ``folder`` through its kills to a clean end; ``told`` hears of each kill.

    Raises
    ------
    Crashed
        A process of ours ended by itself, or what was acknowledged does not arrive.
    Missing, Unreachable
        There is no broker.
    ValueError
        Too few kills.
    """
    schedule = draw_schedule(kills=kills, seed=seed)
    data = folder / "data"
    left = Tortured(data, seed)
    began_s = time.monotonic()
    with Mosquitto(folder / "broker") as broker:
        coap = free_port(socket.SOCK_DGRAM)
        ports = Ports(broker.port, coap, free_port(), store.url, receiver.url)
        write_site(folder / "site", ports)
        with City(folder / "site", data) as city:
            for process in city.processes.values():
                process.start()
            gateways = [Gateway(d, broker.port, seed=seed, every_s=EVERY_S) for d in GATEWAYS]
            modules = [Module(d, coap, seed=seed, every_s=EVERY_S) for d in MODULES]
            until(lambda: is_heard(gateways[0], data), "ingest hears the broker")
            senders: list[Gateway | Module] = [*gateways, *modules]
            for sender in senders:
                sender.start()
            _Torture(city, schedule, left, told).run(stop)
            time.sleep(QUIET_S)
            for sender in senders:
                sender.finish()
            left.kept = {sender.name: sender.kept for sender in senders}
            settle(city, left)
    left.wall_s = time.monotonic() - began_s
    return left


def is_heard(gateway: Gateway, data: Path) -> bool:
    """Say hello; return whether the journal heard one.

    The broker keeps messages only for a session it knows: what comes before is nobody's.
    """
    gateway.say_hello()
    with JournalReader(data / "journal") as reader:
        records = reader.read(until=durable_end(data / "journal"))
    return any(isinstance(record.body, Readings) for record in records)


class _Torture:
    """Ends lives. One thread: the standard library's children are nothing for several."""

    def __init__(
        self,
        city: City,
        schedule: dict[str, list[Life]],
        left: Tortured,
        told: Callable[[int], None],
    ) -> None:
        self._city, self._left, self._told = city, left, told
        self._lives = {name: iter(lives) for name, lives in schedule.items()}
        self._now: dict[str, Life | None] = {}  # of those that run; None = to live on
        self._due_s: dict[str, float] = {}  # end of a life, or of being dead

    def run(self, stop: threading.Event) -> None:
        """Return when every list of lives is at its end, all processes running."""
        for name, process in self._city.processes.items():  # those of the beginning
            process.kill()
            self._due_s[name] = 0.0
        while not stop.is_set() and (len(self._now) < len(self._lives) or any(self._now.values())):
            self._begin()
            self._wait()
            self._end()
        for name, process in self._city.processes.items():
            if self._now.get(name) is not None:  # stopped early
                process.kill()
            if self._now.get(name) is not None or not process.runs:
                process.start()

    def _begin(self) -> None:
        """Start those whose time of being dead is over."""
        now_s = time.monotonic()
        for name, process in self._city.processes.items():
            if name in self._now or self._due_s[name] > now_s:
                continue
            life = self._now[name] = next(self._lives[name], None)
            process.start(f"{life.point}:{life.count}" if life and life.point else "")
            lasts_s = NEVER_REACHED_S if life is None or life.point else life.after_s
            self._due_s[name] = time.monotonic() + lasts_s

    def _wait(self) -> None:
        """Wait until somebody ends, or something is due."""
        busy = [name for name in self._lives if self._now.get(name, True) is not None]
        left_s = min(self._due_s[name] for name in busy) - time.monotonic() if busy else 0.0
        alive = [self._city.processes[name].sentinel for name in self._now]
        wait(alive, max(left_s, 0.0))

    def _end(self) -> None:
        """Note who ended, and kill whose time is over."""
        ended = wait([self._city.processes[name].sentinel for name in self._now], 0.0)
        for name, life in list(self._now.items()):
            process = self._city.processes[name]
            if process.sentinel in ended:
                process.ended_by_kill()
                if life is None or not life.point:
                    said = f"{name} was killed, but not by this campaign; its log ends:"
                    raise Crashed(said, process.tail())
                self._count(name, life, f"{name}/{life.point}")
            elif life is not None and time.monotonic() >= self._due_s[name]:
                process.kill()
                if life.point:
                    self._left.never_reached[f"{name}/{life.point}"] += 1
                self._count(name, life, f"{name}/random")

    def _count(self, name: str, life: Life, how: str) -> None:
        del self._now[name]
        self._left.kills[how] += 1
        self._due_s[name] = time.monotonic() + life.dead_s
        self._told(self._left.kills.total())


def settle(city: City, left: Tortured) -> None:
    """Let everything arrive, then end the processes one after another, cleanly."""
    data = left.data
    wanted = said(message for messages in left.kept.values() for message in messages)
    until(lambda: wanted <= seen(data), "every acknowledged reading is in the journal")
    _stop(city.processes["ingest"])
    end = durable_end(data / "journal")

    def reached(name: str, target: int) -> bool:
        return Cursor.load(data / "cursors" / name).offset >= target

    until(lambda: reached("engine", end), "the engine has folded the journal")
    _stop(city.processes["engine"])
    told = durable_end(data / "events")
    ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    until(lambda: ledger.cursor("events").position >= told, "the ledger has all events")
    until(lambda: not ledger.counts().get("outbox_pending"), "the outbox is empty")
    ledger.close()
    until(lambda: reached("store", end), "the store has the journal")
    until(lambda: reached("store-events", told), "the store has the events")
    for name in ("serve", "store", "archive"):
        _stop(city.processes[name])


def _stop(process: Process) -> None:
    code = process.stop()
    if code != 0:
        raise Crashed(
            f"{process.name} ended with {code} when it was stopped; its log ends:", process.tail()
        )
