"""A store and a receiver that fail as told: by status, by slowness, by reset, for some lines."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifeline.torture.servers import NO_ANSWER, Receiver, StoreServer
from lifeline.torture.site import TOKEN

if TYPE_CHECKING:
    from lifeline.torture.servers import Point

MEASUREMENT: Final = b"gas,"
LEAST_BYTES: Final = 600  # a 413's limit: a line is shorter
HALF_READ: Final = 300
OURS: Final = {"Authorization": f"Token {TOKEN}"}  # headers of a request of ours
RETRY_AFTER: Final = {"Retry-After": "2"}


class Arrival(NamedTuple):
    """One write that was taken: when, and the oldest and newest reading in it."""

    at_s: float
    oldest_ns: int
    newest_ns: int


class FaultyStore(StoreServer):
    """``fault`` is "", "slow", "reset", "lines" (400 where one is ``marked``), or a status.

    413 is for what is larger than LEAST_BYTES, 422 drops the marked lines and stores the others.
    """

    def __init__(self, *, marked: bytes, slow_s: float = 2.0) -> None:
        super().__init__()
        self.fault = ""
        self.marked = marked
        self.slow_s = slow_s
        self.arrivals: list[Arrival] = []
        self.dropped: dict[bytes, None] = {}  # lines
        self._ending = threading.Event()

    def fail(self, fault: str) -> None:
        """Fail so from now on; "" works again."""
        self.most_read = HALF_READ if fault == "reset" else 1 << 40
        self.headers = RETRY_AFTER if fault == "429" else {}
        self.fault = fault

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Fail, or take a write."""
        fault = self.fault
        lines = body.splitlines()
        if fault == "reset":
            return NO_ANSWER, ""
        if fault == "slow":
            self._ending.wait(self.slow_s)
        elif fault == "lines":
            if bad := [line for line in lines if self.marked in line]:
                return 400, f"unable to parse {bad[0].decode(errors='replace')!r}"
        elif fault == "413":
            if len(body) > LEAST_BYTES:
                return 413, "request body too large"
        elif fault == "422":
            if bad := [line for line in lines if self.marked in line]:
                self.dropped |= dict.fromkeys(bad)
                rest = b"".join(line + b"\n" for line in lines if self.marked not in line)
                self._take(path, headers, rest)
                return 422, f"partial write: field type conflict dropped={len(bad)}"
        elif fault:
            return int(fault), f"told to answer {fault}"
        return self._take(path, headers, body)

    def _take(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        told = super().answer(path, headers, body)
        times = [
            int(line.rpartition(b" ")[2])
            for line in body.splitlines()
            if line.startswith(MEASUREMENT) and b",late=1," not in line
        ]
        if times:
            self.arrivals.append(Arrival(time.monotonic(), min(times), max(times)))
        return told

    @property
    def contradicted(self) -> list[str]:
        """Return the points that came again with other fields.

        The state of an asset at an instant is no such point: of several events of one instant the
        last says it.
        """
        return [told for told in self.overwritten if "asset_state," not in told.partition(" ")[2]]

    def points_beside(self, lines: list[bytes]) -> list[Point]:
        """Return the readings held, and those in lines that it was right not to hold.

        One that was refused may have been taken later: what was answered for within the last second
        is written again where an outage follows. It is one point.
        """
        beside = StoreServer()
        beside.server_close()
        query = "/api/v2/write?bucket=b"
        told = StoreServer.answer(beside, query, OURS, b"".join(x + b"\n" for x in lines))
        if told[0] >= 300:
            raise ValueError(f"refused lines that are none: {told[1]}")
        beside.forget(self.held())
        return self.points() + beside.points()


class FaultyReceiver(Receiver):
    """``status`` other than 0 is answered to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 0

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Fail, or take a notification."""
        if self.status:
            return self.status, "told to"
        return super().answer(path, headers, body)
