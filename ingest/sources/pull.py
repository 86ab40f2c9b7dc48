"""Pulled source: JSON from an HTTPS address, every so often, read by a mapping like a message.

For what publishes nothing by itself: a weather service's station, an agency's open data. What comes
is a frame of path ``pull/<name>/<device>``; a file of ``mappings/`` says where its values stand.
The same document again is a duplicate, which the journal's readers know. What does not come is
counted, logged, and shows as a silent device.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_random_exponential

from ingest import metrics
from ingest.codecs import PULLED
from ingest.secret_words import without_secrets
from ingest.tls import tls_trouble, trusting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.intake import Intake

log = structlog.get_logger("ingest.pull")

MAX_BYTES: Final = 1 << 20
ATTEMPTS: Final = 3  # of one turn; the next turn comes anyway
_FULL_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSettings:
    """Where from and how often; ``url`` and ``headers`` may hold a key and are never shown."""

    name: str
    device: str
    url: str = field(repr=False)
    every_s: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    timeout_s: float = 10.0

    @property
    def path(self) -> str:
        """Return the path of its frames, as mappings name it."""
        return f"{PULLED}{self.name}/{self.device}"


class NotServed(Exception):  # noqa: N818 - says what happened
    """There is no document to be had; ``passing``: asking again soon may help."""

    def __init__(self, reason: str) -> None:
        super().__init__(without_secrets(reason)[:300])


class Passing(NotServed):
    """Nothing came for now."""


def fetched(client: httpx.Client, url: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return what stands at an address; redirects are not followed.

    Raises
    ------
    Passing
        Nobody answers, or with 429 or 5xx.
    NotServed
        Another answer, or more than ``max_bytes``.
    """
    try:
        with client.stream("GET", url) as answer:
            if answer.status_code != 200:
                kind = Passing if answer.status_code in (408, 425, 429) else NotServed
                kind = Passing if answer.status_code >= 500 else kind
                raise kind(f"HTTP {answer.status_code}")
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > max_bytes:
                    raise NotServed(f"more than {max_bytes} bytes")
            return bytes(body)
    except httpx.HTTPError as error:
        host = httpx.URL(url).host
        raise Passing(tls_trouble(error, host) or f"{type(error).__name__}: {error}") from error


def asked(
    client: httpx.Client, url: str, stop: threading.Event, *, max_bytes: int = MAX_BYTES
) -> bytes:
    """Return what stands at an address, tried three times while nothing comes; see fetched."""
    for attempt in Retrying(
        retry=retry_if_exception_type(Passing),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=5.0),
        sleep=sleep_using_event(stop),
        reraise=True,
    ):
        with attempt:
            return fetched(client, url, max_bytes=max_bytes)
    raise AssertionError  # reraise leaves no other way


class PullSource:
    """One address in a thread of its own."""

    def __init__(self, settings: PullSettings, intake: Intake) -> None:
        self._settings, self._intake = settings, intake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pull {settings.name}", daemon=True)
        self._came = metrics.PULLED_AT.labels(settings.name)
        self.trouble = ""

    @property
    def alive(self) -> bool:
        """Say whether it still asks."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Ask for the first time, and then every so often."""
        self._thread.start()

    def stop_reading(self) -> None:
        """Ask no more."""
        self._stop.set()

    def close(self, *, timeout_s: float = 2.0) -> None:
        """End; a request under way is left to its own timeout."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        settings = self._settings
        with httpx.Client(
            timeout=settings.timeout_s,
            verify=trusting(settings.ca_file),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "city-lifeline", **settings.headers},
        ) as client:
            while not self._stop.is_set():
                began_s = time.monotonic()
                self.turn(client)
                self._stop.wait(max(0.0, settings.every_s - (time.monotonic() - began_s)))

    def turn(self, client: httpx.Client) -> None:
        """Ask once, with retries, and hand over what came; ``trouble`` says why nothing did."""
        while not self._intake.accepts:  # full: what would come is asked for when there is room
            if self._stop.wait(_FULL_S):
                return
        name = self._settings.name
        try:
            body = asked(client, self._settings.url, self._stop)
        except NotServed as error:
            if str(error) != self.trouble:
                log.warning("nothing was pulled", source=name, reason=str(error))
            self.trouble = str(error)
            metrics.PULLS.labels(name, "failed").inc()
            return
        if self.trouble:
            log.info("pulled again", source=name)
        self.trouble = ""
        metrics.PULLS.labels(name, "came").inc()
        self._came.set(time.time())
        self._intake.put(body, transport="pull", path=self._settings.path)
