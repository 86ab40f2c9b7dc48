"""The bounded queue between sources and the journal's writer, and where frames get their time.

Frames, ticks and control requests stand in one queue and are stamped while they enter it, under
one lock: so receive times and ticks never decrease along the journal, whoever sends them.
Bytes are charged from entry to commit. Full means: sources stop reading, nothing is dropped here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ingest import metrics
from ingest.crash_points import reach
from ingest.frame import FRAME_BYTES, Frame
from rules.readings import Control, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from ingest.frame import Receipt


class Clock(Protocol):
    """Who stamps: see lifeline/clock.py."""

    def now_ns(self) -> int:
        """Return Unix ns, never less than before."""

    def not_before(self, floor_ns: int) -> None:
        """Never answer less than this from now on."""


@dataclass(frozen=True, slots=True)
class Request:
    """A Control record somebody wants journaled; ``done`` gets its offset."""

    control: Control
    done: Future[int]


Item = Frame | Tick | Request
Message = tuple[str, bytes, "Receipt | None"]
"""Path, payload, and who is to be told."""


@dataclass
class Intake:
    """The queue. ``limit_bytes`` bounds what waits and what is being committed."""

    clock: Clock
    limit_bytes: int = 32 << 20
    limit_requests: int = 256
    on_room: list[Callable[[], None]] = field(default_factory=list)
    _items: deque[Item] = field(default_factory=deque)
    _bytes: int = 0
    _requests: int = 0
    _full: bool = False
    _blocked: str = ""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        metrics.QUEUE_LIMIT.set(self.limit_bytes)

    @property
    def accepts(self) -> bool:
        """Say whether sources may read on: neither full nor blocked by a full disk."""
        return not self._full and not self._blocked

    def put(
        self,
        payload: bytes,
        *,
        transport: str,
        path: str,
        content_format: int | None = None,
        token: Receipt | None = None,
    ) -> None:
        """Stamp and take a frame; ask ``accepts`` before, one frame over the limit is taken."""
        with self._changed:
            frame = Frame(payload, transport, path, self.clock.now_ns(), content_format, token)
            self._items.append(frame)
            self._bytes += frame.size
            if self._bytes >= self.limit_bytes and not self._full:
                self._full = True
                metrics.QUEUE_FULL.inc()
            self._changed.notify()
        reach("received")
        metrics.FRAMES.labels(transport).inc()

    def put_many(self, messages: Sequence[Message], *, transport: str, beyond: bool = False) -> int:
        """Stamp and take messages that came together, in order; return how many were taken.

        The one that makes the queue full is the last, unless they may go ``beyond``. The rest is
        its source's to keep, which reads no more until it is gone.
        """
        with self._changed:
            now_ns = self.clock.now_ns()
            taken = 0
            for path, payload, token in messages:
                if self._bytes >= self.limit_bytes and not beyond:
                    break
                frame = Frame(payload, transport, path, now_ns, None, token)
                self._items.append(frame)
                self._bytes += len(payload) + len(path) + FRAME_BYTES
                taken += 1
            if self._bytes >= self.limit_bytes and not self._full:
                self._full = True
                metrics.QUEUE_FULL.inc()
            self._changed.notify()
        reach("received")
        metrics.FRAMES.labels(transport).inc(taken)
        return taken

    def now_ns(self) -> int:
        """Return the Clock's time; the Clock is asked under the queue's lock only."""
        with self._changed:
            return self.clock.now_ns()

    def put_tick(self) -> None:
        """Stamp a tick behind everything received so far."""
        with self._changed:
            self._items.append(Tick(self.clock.now_ns()))
            self._changed.notify()

    def put_request(self, request: Request) -> bool:
        """Take a control request, or return False when too many wait."""
        with self._changed:
            if self._requests >= self.limit_requests:
                return False
            self._requests += 1
            self._items.append(request)
            self._changed.notify()
            return True

    def take(self, *, max_bytes: int, timeout_s: float) -> list[Item]:
        """Return what stands at the head, at least one item if any comes within the timeout."""
        taken: list[Item] = []
        size = 0
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            while self._items and size < max_bytes:
                item = self._items.popleft()
                taken.append(item)
                if isinstance(item, Frame):
                    size += item.size
                elif isinstance(item, Request):
                    self._requests -= 1
            metrics.QUEUE_BYTES.set(self._bytes)
        return taken

    def release(self, committed_bytes: int) -> None:
        """Give back the room of frames that are durable now."""
        with self._changed:
            self._bytes -= committed_bytes
            metrics.QUEUE_BYTES.set(self._bytes)
            # half empty before reading goes on, or every message would switch it
            room = self._full and self._bytes <= self.limit_bytes // 2
            self._full = self._full and not room
        if room:
            self._tell()

    def block(self, reason: str) -> None:
        """Make sources stop reading (``reason`` not empty) or go on (empty)."""
        with self._changed:
            changed, self._blocked = bool(self._blocked) != bool(reason), reason
        if changed and not reason:
            self._tell()

    @property
    def share(self) -> float:
        """Return how full it is, 0 to 1 and a little more."""
        return self._bytes / self.limit_bytes

    def empty(self) -> bool:
        """Say whether nothing waits."""
        return not self._items

    def _tell(self) -> None:
        for callback in self.on_room:
            callback()


class Metronome:
    """Says when the next tick is due, every ``tick_s`` of wall time; a late one is not made up."""

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self._next_s = time.monotonic() + tick_s

    def remaining_s(self) -> float:
        """Return how long until the next tick, 0 when it is due."""
        return max(0.0, self._next_s - time.monotonic())

    def due(self) -> bool:
        """Say whether a tick is due, and if so look forward to the next one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        missed = (now_s - self._next_s) // self.tick_s
        self._next_s += (missed + 1) * self.tick_s
        return True
