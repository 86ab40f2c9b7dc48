"""A city of our processes with everything that stands round it, each part able to fail."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifeline.broker import free_port
from lifeline.errors import Crashed
from lifeline.torture.catalogue import World
from lifeline.torture.faults import Faults
from lifeline.torture.faulty import FaultyReceiver, FaultyStore
from lifeline.torture.kills import is_heard, settle
from lifeline.torture.links import Link
from lifeline.torture.processes import City
from lifeline.torture.senders import Gateway, Module
from lifeline.torture.servers import Mosquitto
from lifeline.torture.site import GATEWAYS, MODULES, Ports, write_site

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifeline.torture.kills import Tortured

MARKED: Final = b"channel=410100-gas-mh-000002/ch4-01/vol"  # of the first module
WAIT_S: Final = 60.0


@dataclass(slots=True)
class Stand:
    """All of it, running; ``data`` and ``site`` are its folders."""

    city: City
    world: World
    ports: Ports
    data: Path
    site: Path
    began_s: float = 0.0
    _senders: list[Gateway | Module] = field(default_factory=list)

    def start(self, *, seed: int, every_s: float, most: int) -> None:
        """Start our processes and the senders; return when readings come out at the far end."""
        for process in self.city.processes.values():
            process.start()
        gateways = [
            Gateway(d, self.world.gateways.port, seed=seed, every_s=every_s, most=most)
            for d in GATEWAYS
        ]
        modules = [Module(d, self.ports.coap, seed=seed, every_s=every_s) for d in MODULES]
        self.until(lambda: is_heard(gateways[0], self.data), "ingest hears the broker")
        self._senders = [*gateways, *modules]
        self.began_s = time.monotonic()
        for sender in self._senders:
            sender.start()
        self.until(self.world.works, "points, alarms and notifications come")

    def finish(self, left: Tortured) -> float:
        """End the senders, let all arrive, stop our processes; return how long was sent, in s."""
        sent_s = time.monotonic() - self.began_s
        for sender in self._senders:
            sender.finish()
        left.kept = {sender.name: sender.kept for sender in self._senders}
        settle(self.city, left)
        return sent_s

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so.

        Raises
        ------
        Crashed
            It is not so after WAIT_S, or a process of ours ended by itself.
        """
        give_up_s = time.monotonic() + WAIT_S
        while not is_so():
            self.city.check()
            if time.monotonic() > give_up_s:
                raise Crashed(f"after {WAIT_S:g} s still not so: {what}")
            time.sleep(0.05)


@contextlib.contextmanager
def standing(folder: Path, *, draw: random.Random, inflight: int = 500) -> Iterator[Stand]:
    """Give a stand in an empty folder; nothing of ours runs yet. ``inflight`` is the broker's."""
    data, site = folder / "data", folder / "site"
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        broker = enter(Mosquitto(folder / "broker", inflight=inflight))
        store, receiver = enter(FaultyStore(marked=MARKED)), enter(FaultyReceiver())
        to = (broker.port, broker.port, store.port, receiver.port)
        ours, gateways, store_link, hook_link = (enter(Link(port)) for port in to)
        ports = Ports(
            ours.port,
            free_port(socket.SOCK_DGRAM),
            free_port(),
            f"http://127.0.0.1:{store_link.port}",
            f"http://127.0.0.1:{hook_link.port}/alarms",
        )
        write_site(site, ports)
        city = enter(City(site, data))
        world = World(
            broker=broker,
            ours=ours,
            gateways=gateways,
            store_link=store_link,
            hook_link=hook_link,
            store=store,
            receiver=receiver,
            faults=Faults(data),
            draw=draw,
        )
        yield Stand(city, world, ports, data, site)
