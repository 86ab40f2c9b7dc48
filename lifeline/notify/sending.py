"""What an outlet is, seen from the outbox: it takes one row, and says what became of it.

To add an outlet: one file here with its settings and its Sender, one line in ``outlets.py``.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpx
import structlog
from tenacity import RetryCallState, Retrying, wait_exponential_jitter

from ingest.crash_points import reach
from ingest.secret_words import without_secrets
from ingest.tls import tls_trouble, trusting
from lifeline import metrics

if TYPE_CHECKING:
    from lifeline.ledger import Ledger, Outlet

LOG = structlog.get_logger("outlet")
LONGEST_HELD_S = 3_600.0
"""No server is believed that wants us to be quiet for longer."""
MINUTE_NS = 60 * 10**9
_FINAL = (400, 410, 413, 422)  # about this message; all else (also 401) can be put right


class Fate(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # this message will never be taken
    LATER = "later"


class Answer(NamedTuple):
    """Of one attempt; ``after_s`` is how long the other side wants us to be quiet."""

    fate: Fate
    reason: str = ""
    after_s: float = 0.0


TAKEN = Answer(Fate.DELIVERED)


def later(reason: str, after_s: float = 0.0) -> Answer:
    """Return that it is to be tried again, without any secret in the reason."""
    return Answer(Fate.LATER, without_secrets(reason)[:300], after_s)


def refused(reason: str) -> Answer:
    """Return that it is of no use to try again, without any secret in the reason."""
    return Answer(Fate.REFUSED, without_secrets(reason)[:300])


class Message(NamedTuple):
    """One outbox row: ``seq`` is its id, the same in every repeat; ``body`` a JSON object."""

    seq: int
    body: str

    @property
    def told(self) -> dict[str, Any]:
        """Return the body as values."""
        held: dict[str, Any] = json.loads(self.body)
        return held


class Sender(Protocol):
    """The way out of one outlet. Used by one thread."""

    def deliver(self, message: Message) -> Answer:
        """Try once; an exception is a defect of ours."""

    def turn(self) -> str:
        """Do what time asks for; return what is wrong in a line, "" if nothing is."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard an outlet is tried, and how much it may be told."""

    max_attempts: int = 2_000  # a week of longest waits: a receiver may be gone for days
    longest_wait_s: float = 300.0
    per_minute: int = 0  # 0 = as much as there is


class OutletSettings(Protocol):
    """What the settings of every outlet have."""

    @property
    def outlet(self) -> Outlet:
        """Return the outlet as the ledger knows it."""

    @property
    def limits(self) -> Limits:
        """Return how hard it is tried."""

    def sender(self, ledger: Ledger) -> Sender:
        """Return the way out; nothing is connected yet."""

    def probe(self) -> str:
        """Ask the other side without telling it anything; return what is wrong, "" if nothing."""


class Post:
    """Sends the rows of one outlet, at least once each; ``deliver_due`` is called in a loop.

    ``trouble`` says in a line why the newest attempt was not taken, "" if it was.
    """

    def __init__(self, ledger: Ledger, settings: OutletSettings) -> None:
        self._ledger, self.name, self._limits = ledger, settings.outlet.name, settings.limits
        self._sender = settings.sender(ledger)
        self._wait = wait_exponential_jitter(initial=1, max=self._limits.longest_wait_s, jitter=1)
        self._quiet_from_ns = self._quiet_until_ns = 0
        self._waiting = False  # something was put off since the other side last took a message
        self._sent_ns: deque[int] = deque()
        self._of_time = self._of_rows = ""

    @property
    def trouble(self) -> str:
        """Return what is wrong now."""
        return self._of_rows or self._of_time

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def deliver_due(self, *, limit: int = 50, ledger: Ledger | None = None) -> int:
        """Try every row that is due, oldest first; return how many were delivered.

        After a failure that may pass (server away), the rest of this round waits too; a server
        that asks to be left alone is left alone. As soon as it takes something again, all that was
        put off is due, and goes out in order. ``ledger`` is the one in force, where another stands
        in.
        """
        self._ledger = ledger or self._ledger
        self._of_time = self._sender.turn()
        delivered = 0
        if self._quiet_from_ns <= self._ledger.wall_ns() < self._quiet_until_ns:
            return 0  # a clock that was set back since does not make it longer
        for row in self._ledger.due(channel=self.name, limit=limit):
            if self._paced():
                break
            answer = self._sender.deliver(Message(row.seq, row.body))
            self._sent_ns.append(self._ledger.wall_ns())
            if answer.fate is Fate.DELIVERED:
                reach("notified")
                self._settle(row.seq, "delivered", answer.reason)
                delivered += 1
                if self._waiting:
                    self._waiting = False
                    self._ledger.due_again(self.name)
                    return delivered + self.deliver_due(limit=limit)
            elif answer.fate is Fate.REFUSED or row.attempts + 1 >= self._limits.max_attempts:
                LOG.warning("given up", outlet=self.name, seq=row.seq, reason=answer.reason)
                self._settle(row.seq, "given_up", answer.reason)
            else:
                metrics.OUTBOX_RETRIES.labels(self.name).inc()
                asked_s = min(answer.after_s, LONGEST_HELD_S)
                self._quiet_from_ns = self._ledger.wall_ns()
                self._quiet_until_ns = self._quiet_from_ns + int(asked_s * 1e9)
                wait_s = max(asked_s, self._wait_s(row.attempts + 1))
                self._settle(row.seq, "pending", answer.reason, wait_ns=int(wait_s * 1e9))
                self._waiting = True
                break
        return delivered

    def _paced(self) -> bool:
        """Tell whether this minute's messages are used up."""
        most, now_ns = self._limits.per_minute, self._ledger.wall_ns()
        while self._sent_ns and not now_ns - MINUTE_NS < self._sent_ns[0] <= now_ns:
            self._sent_ns.popleft()
        full = 0 < most <= len(self._sent_ns)
        if full:
            metrics.OUTBOX_PACED.labels(self.name).inc()
        return full

    def _settle(self, seq: int, status: str, reason: str, *, wait_ns: int = 0) -> None:
        self._of_rows = f"event {seq} {status}: {reason}" if reason else ""
        next_ns = self._ledger.wall_ns() + wait_ns
        self._ledger.settle(seq, self.name, status=status, reason=reason, next_wall_ns=next_ns)
        if status != "pending":
            metrics.OUTBOX.labels(status).inc()

    def _wait_s(self, attempt: int) -> float:
        """Return tenacity's jittered wait; the attempts live in the outbox and survive us."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        return float(self._wait(state))


def http_client(*, ca_file: str | None, timeout_s: float = 10.0) -> httpx.Client:
    """Return a client that follows nobody elsewhere: what is signed goes where it was sent."""
    return httpx.Client(
        timeout=timeout_s,
        verify=trusting(ca_file),
        follow_redirects=False,
        headers={"Content-Type": "application/json", "User-Agent": "city-lifeline"},
    )


def unanswered(error: httpx.HTTPError, url: str) -> Answer:
    """Return what becomes of a message whose server did not answer, in words."""
    said = tls_trouble(error, httpx.URL(url).host)
    return later(said or f"{type(error).__name__}: {error}")


def by_status(answer: httpx.Response) -> Answer:
    """Return what an HTTP status means for a message."""
    if answer.is_success:
        return TAKEN
    said = f"HTTP {answer.status_code} {without_secrets(answer.text[:4_000])[:200]}".rstrip()
    if answer.status_code in _FINAL:
        return refused(said)
    return later(said, retry_after_s(answer))


def retry_after_s(answer: httpx.Response) -> float:
    """Return the seconds of Retry-After; 0 where there is none, or a date."""
    asked = answer.headers.get("Retry-After", "").strip()
    return float(asked) if asked.isdigit() and len(asked) < 7 else 0.0
