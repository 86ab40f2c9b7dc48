"""Asking a server until it answers: what is tried again, when, and what is said meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

import structlog
import tenacity

from ingest.store import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.store.settings import InfluxSettings

log: Any = structlog.get_logger("store")

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


class NotNow(Exception):  # noqa: N818 - says what happened
    """The server did not take it at once, and this writer does not wait."""


class Refused(Exception):  # noqa: N818 - says what happened
    """400: at least one line is malformed and none is stored."""


class TooLarge(Exception):  # noqa: N818 - says what happened
    """413: fewer lines at a time."""


class Return:
    """A server's return, told by who notices it to all that wait for the same bucket."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.number = 0
        self.down_since_s = 0.0  # Unix time of the first failure since anything succeeded

    def tell(self) -> None:
        """Wake who waits."""
        with self._changed:
            self.number += 1
            self._changed.notify_all()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait so long, or until it has returned or the program stops."""
        until_s, began = time.monotonic() + seconds, self.number
        with self._changed:
            while self.number == began and not stop.is_set():
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return
                self._changed.wait(min(left_s, STOP_LOOK_S))


class Asker:
    """Calls what asks the server; with ``waits`` until it is answered, else once (`NotNow`).

    What is called returns (lines the server dropped, why), or raises `TryLater`.
    """

    def __init__(
        self, settings: InfluxSettings, *, stop: threading.Event, waits: bool, back: Return
    ) -> None:
        self._settings, self._stop, self._waits, self._back = settings, stop, waits, back
        self._failures = 0  # in a row, of one that does not wait
        self._rests_until_s, self._rests_since = 0.0, 0
        self._said_at = -SAY_EVERY_S
        self.down_since_s = 0.0  # Unix time since when nothing succeeds, 0.0 when all is well
        self._down_since = metrics.DOWN_SINCE.labels(settings.bucket)
        self._down_since.set(0)

    @property
    def rests(self) -> bool:
        """Say whether it would not even ask now: one that does not wait, after a failure."""
        returned = self._back.number != self._rests_since
        return not returned and time.monotonic() < self._rests_until_s

    def until_answered(self, post: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        """Return the answer.

        Raises
        ------
        Stopped
            The stop event was set before there was one.
        NotNow
            There is none now, and this one does not wait.
        """
        if not self._waits:
            return self._answered_at_once(post)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            wait=self._wait_s,
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=lambda seconds: self._back.wait(seconds, self._stop),
            before_sleep=self._say,
        )
        try:
            lost, reason = retrying(self._post_or_stop, post)
        except tenacity.RetryError as error:
            raise Stopped from error
        self._is_up()
        return lost, reason

    def _answered_at_once(self, post: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        if self.rests:
            raise NotNow
        try:
            told = self._post_or_stop(post)
        except TryLater as error:
            if self._stop.is_set():
                raise Stopped from error
            self._failures += 1
            state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
            state.attempt_number = self._failures
            pause_s = self._pause_s(error, state)
            self._rests_until_s = time.monotonic() + pause_s
            self._rests_since = self._back.number
            self._say_of(error, pause_s)
            raise NotNow from error
        self._failures = 0
        self._is_up()
        return told

    def _is_up(self) -> None:
        if self.down_since_s:
            log.info("the store answers again", url=self._settings.url)
            self._back.tell()
        self.down_since_s = 0.0
        self._said_at = -SAY_EVERY_S
        self._back.down_since_s = 0.0
        self._down_since.set(0)

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        return self._pause_s(_error_of(state), state)

    def _pause_s(self, error: TryLater, state: tenacity.RetryCallState) -> float:
        if isinstance(error, Misconfigured):
            return self._settings.refused_retry_s
        backoff = tenacity.wait_random_exponential(
            multiplier=self._settings.first_retry_s, max=self._settings.most_retry_s
        )
        wait = max(float(backoff(state)), self._settings.first_retry_s / 2)
        return max(wait, min(error.after_s, MOST_RETRY_AFTER_S))

    def _say(self, state: tenacity.RetryCallState) -> None:
        self._say_of(_error_of(state), state.next_action.sleep if state.next_action else 0.0)

    def _say_of(self, error: TryLater, pause_s: float) -> None:
        metrics.RETRIES.labels(error.kind).inc()
        self.down_since_s = self.down_since_s or time.time()
        self._back.down_since_s = self._back.down_since_s or self.down_since_s
        self._down_since.set(self._back.down_since_s)
        now = time.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return
        self._said_at = now
        log.error(
            "the store does not take points; nothing is lost, the journal holds them",
            url=self._settings.url,
            reason=str(error)[:500],
            next_try_s=round(pause_s, 1),
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


def _error_of(state: tenacity.RetryCallState) -> TryLater:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryLater):
        raise TypeError(f"not a failure to be tried again: {error!r}")
    return error
