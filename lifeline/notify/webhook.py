"""A signed webhook: outbox rows go to one URL, at least once, each under one id.

Headers of every request:

    Lifeline-Id          number of the event in the ledger; the same in every repeat
    Lifeline-Timestamp   Unix seconds of this attempt
    Lifeline-Signature   v1=<hex of HMAC-SHA256(secret, "<timestamp>.<body>")>

The receiver computes the same over the bytes it got, compares in constant time, refuses old
timestamps, and drops an id it has seen. 2xx means taken. 400, 410, 413 and 422 are about this
message and are given up at once; all else (also 401: a key can be put right) is tried again.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from tenacity import RetryCallState, Retrying, wait_exponential_jitter

from ingest.crash_points import reach
from ingest.secret_words import without_secrets
from ingest.tls import tls_trouble, trusting
from lifeline import metrics
from lifeline.ledger import Outlet

if TYPE_CHECKING:
    from lifeline.ledger import Ledger

LOG = structlog.get_logger("webhook")
CHANNEL = "webhook"
_FINAL = (400, 410, 413, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where to, signed with what. ``secret`` comes from the environment or a file."""

    url: str
    secret: bytes = field(repr=False)
    ca_file: str | None = None  # an authority beside the machine's
    min_severity: int = 2
    timeout_s: float = 10.0
    max_attempts: int = 2_000  # a week of longest waits: a receiver may be gone for days
    longest_wait_s: float = 300.0

    @property
    def outlet(self) -> Outlet:
        """Return the outlet the ledger writes outbox rows for."""
        return Outlet(name=CHANNEL, min_severity=self.min_severity)


def sign(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """Return the value of the Lifeline-Signature header."""
    signed = hmac.new(secret, f"{timestamp_s}.".encode() + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


def verify(
    secret: bytes, headers: Any, body: bytes, *, now_s: float, tolerance_s: float = 300.0
) -> bool:
    """Tell whether a request is ours and fresh: what a receiver should do."""
    try:
        timestamp_s = int(headers["Lifeline-Timestamp"])
        given = str(headers["Lifeline-Signature"])
    except (KeyError, TypeError, ValueError):  # some servers' headers give None for what is missing
        return False
    same = hmac.compare_digest(given.encode(), sign(secret, timestamp_s, body).encode())
    return same and abs(now_s - timestamp_s) <= tolerance_s


class Webhook:
    """Sends what the ledger's outbox holds; ``deliver_due`` is called in a loop.

    ``trouble`` says in a line why the newest attempt was not taken, "" if it was.
    """

    def __init__(self, ledger: Ledger, settings: WebhookSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._waiting = False  # something was put off since the receiver last took a message
        self.trouble = ""
        self._wait = wait_exponential_jitter(initial=1, max=settings.longest_wait_s, jitter=1)
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            verify=trusting(settings.ca_file),
            follow_redirects=False,  # a signed body goes to the address that was configured
            headers={"Content-Type": "application/json", "User-Agent": "city-lifeline"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def deliver_due(self, *, limit: int = 50, ledger: Ledger | None = None) -> int:
        """Try every row that is due, oldest first; return how many were delivered.

        After a failure that may pass (server away), the rest of this round waits too. As soon as
        the receiver takes something again, all that was put off is due, and goes out in order.
        ``ledger`` is the one in force, where another stands in.
        """
        self._ledger = ledger or self._ledger
        delivered = 0
        for row in self._ledger.due(limit=limit):
            reason, final = self._post(row.seq, row.body.encode())
            if not reason:
                reach("notified")
                self._settle(row, "delivered")
                delivered += 1
                if self._waiting:
                    self._waiting = False
                    self._ledger.due_again(row.channel)
                    break
            elif final or row.attempts + 1 >= self._settings.max_attempts:
                LOG.warning("webhook given up", seq=row.seq, reason=reason)
                self._settle(row, "given_up", reason=reason)
            else:
                metrics.OUTBOX_RETRIES.inc()
                wait_ns = int(self._wait_s(row.attempts + 1) * 1e9)
                self._settle(row, "pending", reason=reason, wait_ns=wait_ns)
                self._waiting = True
                break
        return delivered

    def _settle(self, row: Any, status: str, *, reason: str = "", wait_ns: int = 0) -> None:
        self.trouble = f"event {row.seq} {status}: {reason}" if reason else ""
        next_ns = self._ledger.wall_ns() + wait_ns
        self._ledger.settle(
            row.seq, row.channel, status=status, reason=reason, next_wall_ns=next_ns
        )
        if status != "pending":
            metrics.OUTBOX.labels(status).inc()

    def _wait_s(self, attempt: int) -> float:
        """Return tenacity's jittered wait; the attempts live in the outbox and survive us."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        return float(self._wait(state))

    def _post(self, seq: int, body: bytes) -> tuple[str, bool]:
        """Return (why it was not taken or "", whether trying again is useless)."""
        timestamp_s = self._ledger.wall_ns() // 10**9
        try:
            answer = self._client.post(
                self._settings.url,
                content=body,
                headers={
                    "Lifeline-Id": str(seq),
                    "Lifeline-Timestamp": str(timestamp_s),
                    "Lifeline-Signature": sign(self._settings.secret, timestamp_s, body),
                },
            )
        except httpx.HTTPError as error:
            said = tls_trouble(error, httpx.URL(self._settings.url).host)
            return without_secrets(said or f"{type(error).__name__}: {error}")[:300], False
        if answer.is_success:
            return "", False
        said = without_secrets(answer.text[:4_000])[:200]
        return f"HTTP {answer.status_code} {said}", answer.status_code in _FINAL
