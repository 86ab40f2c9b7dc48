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

from lifeline.ledger import Outlet
from lifeline.notify.probes import connects
from lifeline.notify.sending import Answer, Limits, Message, by_status, http_client, unanswered

if TYPE_CHECKING:
    from lifeline.ledger import Ledger

CHANNEL = "webhook"


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

    @property
    def limits(self) -> Limits:
        """Return how hard it is tried."""
        return Limits(max_attempts=self.max_attempts, longest_wait_s=self.longest_wait_s)

    def sender(self, ledger: Ledger) -> Webhook:
        """Return the way out."""
        return Webhook(ledger, self)

    def probe(self) -> str:
        """Return why nobody listens there, "" if somebody does."""
        return connects(self.url, self.ca_file)


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
    """Posts each row as it stands in the outbox."""

    def __init__(self, ledger: Ledger, settings: WebhookSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._client = http_client(ca_file=settings.ca_file, timeout_s=settings.timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def turn(self) -> str:
        """Nothing: it is told events, and they are all."""
        return ""

    def deliver(self, message: Message) -> Answer:
        """Post one row, signed."""
        body = message.body.encode()
        timestamp_s = self._ledger.wall_ns() // 10**9
        try:
            answer = self._client.post(
                self._settings.url,
                content=body,
                headers={
                    "Lifeline-Id": str(message.seq),
                    "Lifeline-Timestamp": str(timestamp_s),
                    "Lifeline-Signature": sign(self._settings.secret, timestamp_s, body),
                },
            )
        except httpx.HTTPError as error:
            return unanswered(error, self._settings.url)
        return by_status(answer)
