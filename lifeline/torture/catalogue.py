"""The outages by name: what begins one, what goes on meanwhile, what ends it, who must tell."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from lifeline.torture.faults import Faults
    from lifeline.torture.faulty import FaultyReceiver, FaultyStore
    from lifeline.torture.links import Link
    from lifeline.torture.servers import Mosquitto

HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
STORE_DOWN: Final = 'lifeline_store_down_since_seconds{bucket="b"'
MQTT_DOWN: Final = "lifeline_mqtt_down_since_seconds"
LEDGER_DOWN: Final = "lifeline_ledger_down_since_seconds"
NOTIFIER: Final = 'lifeline_reader_behind_since_seconds{process="serve",reader="notifier"'
STEP: Final = "lifeline_clock_last_step_seconds"
REFUSED: Final = "lifeline_store_bad_lines_total"
DROPPED: Final = "lifeline_store_dropped_lines_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What stands round our processes, and can fail."""

    broker: Mosquitto
    ours: Link  # between the broker and us
    gateways: Link  # between the gateways and the broker
    store_link: Link
    hook_link: Link
    store: FaultyStore
    receiver: FaultyReceiver
    faults: Faults
    draw: random.Random

    def works(self) -> bool:
        """Say whether readings and notifications have come out at the far end."""
        return bool(self.store.arrivals and self.receiver.times)


def nothing(_: World) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One of them. ``cuts``: readings cannot arrive meanwhile; ``tells``: the metric that says so.

    ``meanwhile`` is called about ten times a second.
    """

    what: str
    begin: Callable[[World], None]
    end: Callable[[World], None]
    meanwhile: Callable[[World], None] = nothing
    tells: str = ""
    cuts: bool = False
    backlog: bool = False  # the store misses everything


def _store(fault: str, what: str, *, tells: str = STORE_DOWN, backlog: bool = True) -> Outage:
    return Outage(
        what=what,
        begin=lambda w: w.store.fail(fault),
        end=lambda w: w.store.fail(""),
        tells=tells,
        backlog=backlog,
    )


def _flap(world: World, which: str) -> None:
    link: Link = getattr(world, which)
    if world.draw.random() < 0.15:
        link.cut()
        time.sleep(world.draw.uniform(0.0, 0.8))
        link.join()
    elif world.draw.random() < 0.1:
        link.reset()


def _flapping(which: str, what: str, *, tells: str = "", cuts: bool) -> Outage:
    return Outage(
        what=what,
        begin=lambda w: getattr(w, which).reset(),
        end=lambda w: getattr(w, which).join(),
        meanwhile=partial(_flap, which=which),
        tells=tells,
        cuts=cuts,
    )


def _clock(seconds: float, what: str) -> Outage:
    return Outage(
        what=what,
        begin=lambda w: w.faults.shift_clock(seconds),
        end=lambda w: w.faults.shift_clock(0.0),
        tells=STEP,
    )


def _answer(world: World, status: int) -> None:
    world.receiver.status = status


OUTAGES: Final[dict[str, Outage]] = {
    "influx-down": Outage(
        what="InfluxDB refuses connections",
        begin=lambda w: w.store_link.cut(),
        end=lambda w: w.store_link.join(),
        tells=STORE_DOWN,
        backlog=True,
    ),
    "influx-slow": _store("slow", "InfluxDB takes 2 s for each answer", tells="", backlog=False),
    "influx-reset": _store("reset", "InfluxDB resets in the middle of each body"),
    "influx-400": _store("400", "InfluxDB answers 400 to everything"),
    "influx-400-lines": _store(
        "lines", "InfluxDB answers 400 where one channel is in it", tells=REFUSED, backlog=False
    ),
    "influx-401": _store("401", "InfluxDB answers 401"),
    "influx-404": _store("404", "InfluxDB answers 404"),
    "influx-413": _store(
        "413", "InfluxDB answers 413 to more than 600 bytes", tells="", backlog=False
    ),
    "influx-422": _store("422", "InfluxDB drops one channel (422)", tells=DROPPED, backlog=False),
    "influx-429": _store("429", "InfluxDB answers 429, Retry-After: 2"),
    "influx-503": _store("503", "InfluxDB answers 503"),
    "broker-restart": Outage(
        what="mosquitto is stopped, and started again with what it had saved",
        begin=lambda w: w.broker.stop(),
        end=lambda w: w.broker.start(),
        tells=MQTT_DOWN,
        cuts=True,
    ),
    "ledger-read-only": Outage(
        what="the ledger is read-only",
        begin=lambda w: w.faults.ledger_read_only(on=True),
        end=lambda w: w.faults.ledger_read_only(on=False),
        tells=LEDGER_DOWN,
    ),
    "receiver-gone": Outage(
        what="the webhook's receiver refuses connections",
        begin=lambda w: w.hook_link.cut(),
        end=lambda w: w.hook_link.join(),
        tells=NOTIFIER,
    ),
    "receiver-503": Outage(
        what="the webhook's receiver answers 503",
        begin=lambda w: _answer(w, 503),
        end=lambda w: _answer(w, 0),
        tells=NOTIFIER,
    ),
    "our-link-flaps": _flapping("ours", "our link to the broker is cut and reset", cuts=True),
    "gateway-link-flaps": _flapping("gateways", "the gateways' links are cut and reset", cuts=True),
    "store-link-flaps": _flapping("store_link", "our link to InfluxDB flaps", cuts=False),
    "clock-back-1h": _clock(-HOUR_S, "our clock is set back by an hour, then right again"),
    "clock-ahead-1d": _clock(DAY_S, "our clock is set ahead by a day, then right again"),
}
