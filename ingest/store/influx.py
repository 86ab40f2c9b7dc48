"""The one wrapper of influxdb-client's writing: lines in, an answer for every line out.

``InfluxWriter.write`` returns only when the server has answered for all lines, or the program
stops (`Stopped`): nothing is lost in between, since the caller's cursor moves only after it.

What an answer means (InfluxDB 2.x; 1.x and VictoriaMetrics give fewer kinds):

| answer | what is done |
|---|---|
| 2xx | done |
| 400 | nothing was stored: halved until the bad lines are alone; those are refused |
| 422 | the rest was stored: counted, with the server's reason |
| 413 | halved |
| 401, 403, 404, other 4xx | a person must act: tried again slowly, said once a minute |
| 429, 5xx, timeouts, resets | tried again with jittered backoff, not before Retry-After |
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
import tenacity
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.delete_predicate_request import DeletePredicateRequest
from influxdb_client.service.delete_service import DeleteService
from influxdb_client.service.write_service import WriteService
from isal import isal_zlib

from ingest.secret_words import without_secrets
from ingest.store import metrics
from ingest.store.errors import TokenUnreadable
from ingest.tls import tls_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.store.settings import InfluxSettings

log: Any = structlog.get_logger("store")

GZIP_LEVEL = 1  # as small as zlib's, in a quarter of its time; the client's own level 9 is slow
SAY_EVERY_S = 60.0
STOP_WAIT_S = 2.0  # how long a stop waits for an answer that is under way
STOP_LOOK_S = 0.25
MOST_RETRY_AFTER_S = 600.0  # what we believe of a server's Retry-After


class Stopped(Exception):  # noqa: N818 - not an error
    """The program ends; the lines handed over may or may not be stored. Write them again."""


class TryLater(Exception):  # noqa: N818 - says what to do
    """The server cannot take it now; ``after_s`` is what it asked for, 0 if nothing."""

    def __init__(self, reason: str, *, kind: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.after_s = after_s


class Misconfigured(TryLater):
    """The server refuses us, not the lines: a person must act, then it goes on."""


class Refused(Exception):  # noqa: N818 - says what happened
    """400: at least one line is malformed and none is stored."""


class TooLarge(Exception):  # noqa: N818 - says what happened
    """413: fewer lines at a time."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line the server will never take, and its reason."""

    line: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the lines: ``stored`` of them, ``dropped`` by a 422, and the bad ones."""

    stored: int
    dropped: int
    drop_reasons: tuple[str, ...]
    bad: tuple[BadLine, ...]


class InfluxWriter:
    """Writes batches to one bucket, one at a time, for as long as it takes."""

    def __init__(self, settings: InfluxSettings, *, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        client: Any = InfluxDBClient
        self._client = client(
            url=settings.url,
            token=settings.secret(),
            org=settings.org,
            timeout=int(settings.timeout_s * 1000),
            retries=False,  # decided here, by what the answer means
            verify_ssl=settings.verify_tls,
            ssl_ca_cert=str(settings.ca_file) if settings.ca_file else None,
        )
        service: Any = WriteService
        self._service = service(self._client.api_client)
        self._token_refused = False
        self._said_at = self._said_drop_at = -SAY_EVERY_S
        self._unsaid = 0  # dropped points
        self._down_since_s = 0.0
        self._down_since = metrics.DOWN_SINCE.labels(settings.bucket)
        self._down_since.set(0)

    @property
    def down_since_s(self) -> float:
        """Return the Unix time since when no write succeeds, 0.0 when all is well."""
        return self._down_since_s

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def write(self, body: bytes, lines: int) -> Written:
        """Hand over ``lines`` lines, each ending in a newline, in order.

        Raises
        ------
        Stopped
            The stop event was set before the server had answered for all.
        """
        stored = dropped = 0
        reasons: list[str] = []
        bad: list[BadLine] = []
        waiting: list[tuple[bytes, int]] = [(body, lines)] if lines else []
        asked = False
        while waiting:
            part, n = waiting.pop()
            try:
                lost, reason = self._until_answered(partial(self._post, part))
            except (Refused, TooLarge) as error:
                if isinstance(error, Refused) and not asked:
                    asked = True
                    self._until_answered(
                        partial(self._post, b"")
                    )  # refused even then: not the lines, but we
                if n == 1:
                    bad.append(BadLine(part.rstrip(b"\n"), str(error)))
                else:
                    waiting += _halves(part, n)
                continue
            lost = min(lost, n)
            stored += n - lost
            dropped += lost
            if reason:
                reasons.append(reason)
        self._report(stored, dropped, reasons, bad)
        return Written(stored, dropped, tuple(reasons), tuple(bad))

    def _report(self, stored: int, dropped: int, reasons: list[str], bad: list[BadLine]) -> None:
        metrics.WRITTEN.inc(stored)
        metrics.BAD_LINES.inc(len(bad))
        metrics.DROPPED.inc(dropped)
        self._unsaid += dropped
        if reasons and time.monotonic() - self._said_drop_at >= SAY_EVERY_S:
            log.warning(
                "the store dropped points; the archive has them",
                bucket=self._settings.bucket,
                dropped=self._unsaid,
                reason=reasons[0][:500],
                remedy=_drop_remedy(reasons[0]),
            )
            self._said_drop_at, self._unsaid = time.monotonic(), 0
        if bad:
            log.warning(
                "the store refused lines; they are in quarantine",
                lines=len(bad),
                first=bad[0].line[:200].decode(errors="replace"),
                reason=bad[0].reason[:500],
            )

    def remove(self, predicate: str, from_ns: int, to_ns: int) -> str:
        """Delete the points of a predicate with from_ns ≤ time < to_ns; return why not, "" if done.

        Raises
        ------
        Stopped
            The program ends before the server has answered.
        """
        span = {"start": _rfc3339(from_ns), "stop": _rfc3339(to_ns), "predicate": predicate}
        try:
            return self._until_answered(partial(self._delete, span))[1]
        except Refused as error:
            return str(error)

    def _delete(self, span: dict[str, str]) -> tuple[int, str]:
        settings = self._settings
        request: Any = DeletePredicateRequest
        service: Any = DeleteService
        try:
            service(self._client.api_client).post_delete(
                request(**span), org=settings.org, bucket=settings.bucket
            )
        except InfluxDBError as error:
            status = int(getattr(error, "status", 0) or 0)
            if status in (401, 403, 404, 405):
                return 0, f"{status}: {_text(error)}"
            return self._meaning(error, empty=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TryLater(f"no answer: {error}", kind="no answer") from error
        return 0, ""

    def _until_answered(self, post: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            wait=self._wait_s,
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=self._say,
        )
        try:
            lost, reason = retrying(self._post_or_stop, post)
        except tenacity.RetryError as error:
            raise Stopped from error
        if self._down_since_s:
            log.info("the store answers again", url=self._settings.url)
        self._down_since_s = 0.0
        self._said_at = -SAY_EVERY_S
        self._down_since.set(0)
        return lost, reason

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        if isinstance(error, Misconfigured):
            return self._settings.refused_retry_s
        backoff = tenacity.wait_random_exponential(
            multiplier=self._settings.first_retry_s, max=self._settings.most_retry_s
        )
        wait = max(float(backoff(state)), self._settings.first_retry_s / 2)
        return max(wait, min(error.after_s, MOST_RETRY_AFTER_S))

    def _say(self, state: tenacity.RetryCallState) -> None:
        error = _error_of(state)
        metrics.RETRIES.labels(error.kind).inc()
        self._down_since_s = self._down_since_s or time.time()
        self._down_since.set(self._down_since_s)
        now = time.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return
        self._said_at = now
        log.error(
            "the store does not take points; nothing is lost, the journal holds them",
            url=self._settings.url,
            reason=str(error)[:500],
            next_try_s=round(state.next_action.sleep if state.next_action else 0.0, 1),
        )

    def _post_or_stop(self, post: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        """Post in a thread of its own, which a stop does not wait for longer than STOP_WAIT_S.

        A server that hangs would otherwise hold up the program's end for a whole time-out.
        """
        outcome: Future[tuple[int, str]] = Future()

        def run() -> None:
            try:
                outcome.set_result(post())
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                outcome.set_exception(error)

        threading.Thread(target=run, name="store-post", daemon=True).start()
        stopping_at: float | None = None
        while not wait([outcome], timeout=STOP_LOOK_S).done:
            if self._stop.is_set():
                stopping_at = stopping_at or time.monotonic()
                if time.monotonic() - stopping_at >= STOP_WAIT_S:
                    raise Stopped
        return outcome.result()

    def _post(self, body: bytes) -> tuple[int, str]:
        """Post once; return (lines the server dropped, why). Other answers raise."""
        settings = self._settings
        if self._token_refused:
            self._read_token_again()
        options = {"content_encoding": "gzip"} if settings.compresses else {}
        sent = _gzip(body) if settings.compresses else body
        try:
            self._service.post_write(
                settings.org,
                settings.bucket,
                sent,
                precision="ns",
                content_type="text/plain; charset=utf-8",
                **options,
            )
        except InfluxDBError as error:
            return self._meaning(error, empty=not body)
        except (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError) as error:
            metrics.REQUESTS.labels("no answer").inc()
            remedy = f"no answer from {settings.url}: {error}. Is it running and reachable?"
            raise TryLater(remedy, kind="no answer") from error
        metrics.REQUESTS.labels("stored").inc()
        return 0, ""

    def _meaning(self, error: InfluxDBError, *, empty: bool) -> tuple[int, str]:
        status = int(getattr(error, "status", 0) or 0)
        # the client tells a failure of TLS as an answer with status 0
        reason = tls_trouble(error, urlsplit(self._settings.url).hostname or "") or _text(error)
        metrics.REQUESTS.labels(str(status)).inc()
        if status == 400 and not empty:
            raise Refused(reason)
        if status == 413:
            raise TooLarge(f"413: one line is larger than the server takes ({reason})")
        if status == 422:
            found = re.search(r"dropped=(\d+)", reason)
            return (int(found[1]) if found else 1), reason
        if status == 429 or status >= 500 or status == 0:
            after_s = _seconds(error.retry_after)
            raise TryLater(f"{status}: {reason}", kind=str(status), after_s=after_s)
        self._token_refused = status in (401, 403)
        remedy = self._settings.remedy(status)
        raise Misconfigured(
            f"{status} from {self._settings.url}: {reason}. {remedy}", kind=str(status)
        )

    def _read_token_again(self) -> None:
        try:
            secret = self._settings.secret()
        except TokenUnreadable as error:
            raise Misconfigured(str(error), kind="token") from error
        self._client.api_client.set_default_header("Authorization", f"Token {secret}")
        self._token_refused = False


def _error_of(state: tenacity.RetryCallState) -> TryLater:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryLater):
        raise TypeError(f"not a failure to be tried again: {error!r}")
    return error


def _halves(body: bytes, lines: int) -> list[tuple[bytes, int]]:
    """Cut at a line's end; the later half comes first, for a stack that is worked from its end."""
    each = [line + b"\n" for line in body.split(b"\n")[:-1]]
    half = lines // 2
    return [(b"".join(each[half:]), lines - half), (b"".join(each[:half]), half)]


def _rfc3339(time_ns: int) -> str:
    """Return a time as the delete request wants it, to the nanosecond."""
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _drop_remedy(reason: str) -> str:
    """Return what a person can do about points that a 422 dropped."""
    if "retention policy" in reason:
        return "older than the bucket keeps: lengthen keep in [influx], run lifeline influx setup"
    if "type conflict" in reason:
        return "another program wrote that field with another type: lifeline influx check names it"
    return "see the server's reason"


def _gzip(body: bytes) -> bytes:
    packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, isal_zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


def _seconds(retry_after: str | None) -> float:
    """Return the seconds a Retry-After header asks for; dates and nonsense count as none."""
    try:
        return max(float(retry_after or 0), 0.0)
    except ValueError:
        return 0.0


def _text(error: InfluxDBError) -> str:
    message: Any = error.message if error.response is not None else getattr(error, "reason", "")
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return without_secrets(text)
