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
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.delete_predicate_request import DeletePredicateRequest
from influxdb_client.service.delete_service import DeleteService
from influxdb_client.service.write_service import WriteService
from isal import isal_zlib

from ingest.secret_words import without_secrets
from ingest.store import metrics
from ingest.store.asking import (
    SAY_EVERY_S,
    Asker,
    Misconfigured,
    Refused,
    Return,
    TooLarge,
    TryLater,
)
from ingest.store.errors import TokenUnreadable
from ingest.tls import tls_trouble

if TYPE_CHECKING:
    import threading

    from ingest.store.settings import InfluxSettings

log: Any = structlog.get_logger("store")

GZIP_LEVEL = 1  # as small as zlib's, in a quarter of its time; the client's own level 9 is slow


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

    def __init__(
        self,
        settings: InfluxSettings,
        *,
        stop: threading.Event,
        waits: bool = True,
        back: Return | None = None,
    ) -> None:
        self._settings = settings
        self._asker = Asker(settings, stop=stop, waits=waits, back=back or Return())
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
        self._said_drop_at = -SAY_EVERY_S
        self._unsaid = 0  # dropped points

    @property
    def down_since_s(self) -> float:
        """Return the Unix time since when no write succeeds, 0.0 when all is well."""
        return self._asker.down_since_s

    @property
    def rests(self) -> bool:
        """Say whether `write` would not even ask now: one that does not wait, after a failure."""
        return self._asker.rests

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def write(self, body: bytes, lines: int) -> Written:
        """Hand over ``lines`` lines, each ending in a newline, in order.

        Raises
        ------
        Stopped
            The stop event was set before the server had answered for all.
        NotNow
            From a writer that does not wait: some lines may be stored, write all of them later.
        """
        stored = dropped = 0
        reasons: list[str] = []
        bad: list[BadLine] = []
        waiting: list[tuple[bytes, int]] = [(body, lines)] if lines else []
        asked = False
        while waiting:
            part, n = waiting.pop()
            try:
                lost, reason = self._asker.until_answered(partial(self._post, part))
            except (Refused, TooLarge) as error:
                if isinstance(error, Refused) and not asked:
                    asked = True
                    self._asker.until_answered(
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
            return self._asker.until_answered(partial(self._delete, span))[1]
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
