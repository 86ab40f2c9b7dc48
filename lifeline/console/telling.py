"""What goes down the streams: made once for all pages that see the same, and only what has changed.

A first screen of 500 alarms is 800 kB. Sent whole to 50 pages at each change it would cost a core
half a second; a page that says so (``changes=1``) gets the alarms and incidents that are new to it
and the order of all, some 10 kB, and the other pages get the same bytes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from lifeline.console import view
from lifeline.console.live import live

if TYPE_CHECKING:
    from lifeline.console.desk import Desk
    from lifeline.console.sight import Scopes, Sight

FRESH_S: Final = 0.3  # a pulse's clock may be so old
MOST_KEPT: Final = 64
Key = tuple[str, "Scopes", int, int]


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page has: the revision, and its alarms and incidents by id, as they were sent.

    An alarm is new to a page if it is another object, an incident if it is not equal.
    """

    revision: int = -1
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Made:
    at_s: float
    raw: bytes
    screen: Screen


class Telling:
    """Makes the events of streams; used by one event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one = asyncio.Lock()
        self._made: dict[Key, _Made] = {}

    async def state(self, sight: Sight, had: Screen, *, changes: bool) -> tuple[bytes, Screen]:
        """Return the event that brings a page from what it has to what is."""
        since = had.revision if changes else -1
        made = await self._shared(
            ("state", sight.scopes, since, self._desk.bell.revision), sight, had
        )
        return made.raw, made.screen

    async def pulse(self, sight: Sight) -> bytes:
        """Return the event of each second."""
        return (await self._shared(("pulse", sight.scopes, 0, 0), sight, Screen())).raw

    async def _shared(self, key: Key, sight: Sight, had: Screen) -> _Made:
        async with self._one:  # the first makes it, the others find it
            made = self._made.get(key)
            if made is None or time.monotonic() - made.at_s > FRESH_S:
                if len(self._made) >= MOST_KEPT:
                    self._made.clear()
                made = await asyncio.to_thread(self._make, key, sight, had)
                self._made[key] = made
            return made

    def _make(self, key: Key, sight: Sight, had: Screen) -> _Made:
        if key[0] == "pulse":
            told = view.pulse(self._desk, sight) | {"now": live(self._desk, sight)}
            return _Made(time.monotonic(), event("pulse", told), had)
        told = view.state(self._desk, sight)
        told |= {"now": live(self._desk, sight)}
        alarms: list[dict[str, Any]] = told["alarms"]
        incidents: list[dict[str, Any]] = told["incidents"]
        screen = Screen(
            told["revision"],
            {alarm["id"]: alarm for alarm in alarms},
            {incident["id"]: incident for incident in incidents},
        )
        if key[2] < 0:
            return _Made(time.monotonic(), event("state", told), screen)
        told["ids"] = list(screen.alarms)
        told["alarms"] = [a for a in alarms if had.alarms.get(a["id"]) is not a]
        told["incident_ids"] = list(screen.incidents)
        told["incidents"] = [i for i in incidents if had.incidents.get(i["id"]) != i]
        return _Made(time.monotonic(), event("change", told), screen)


def event(name: str, told: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(told) + b"\n\n"
