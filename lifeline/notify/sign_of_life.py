"""A sign of life to somebody outside, who calls people when it stays away (a dead man's switch).

It is sent only while the synthetic reading comes out at the far end: source, journal, engine,
event log and this process all work. A machine without power sends nothing, a chain that is stuck
sends nothing; both are seen by whoever waits for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import structlog

from ingest.secret_words import without_secrets
from ingest.tls import tls_trouble, trusting
from lifeline import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from lifeline.watchdog import Sight

LOG = structlog.get_logger("heartbeat")
TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOfLifeSettings:
    """Where to and how often. Whoever knows the address can send for us: it is a secret."""

    url: str = field(repr=False)
    every_s: float = 60.0
    city: str = ""
    simulation: bool = False
    ca_file: str | None = None


class SignOfLife:
    """Sends one when it is due and we see; ``trouble`` says why the last was not taken."""

    def __init__(self, settings: SignOfLifeSettings) -> None:
        self._settings = settings
        self._due_s = 0.0
        self.trouble = ""
        self._client = httpx.Client(
            timeout=TIMEOUT_S,
            verify=trusting(settings.ca_file),
            follow_redirects=False,
            headers={"User-Agent": "city-lifeline"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def beat(self, sight: Sight) -> bool:
        """Send one if it is due and the whole chain works; return whether it was taken."""
        now_s = time.monotonic()
        if now_s < self._due_s or not sight.watched or sight.blind or not sight.heard:
            return False
        self._due_s = now_s + self._settings.every_s
        self.trouble = self._post(sight)
        metrics.SIGNS_OF_LIFE.labels("failed" if self.trouble else "taken").inc()
        if self.trouble:
            LOG.warning("nobody outside took our sign of life", reason=self.trouble)
        return not self.trouble

    def _post(self, sight: Sight) -> str:
        told = {
            "alive": True,
            "city": self._settings.city,
            "simulation": self._settings.simulation,
            "time": int(time.time()),
            "heartbeat_age_s": round(sight.age_s, 1),
            "every_s": self._settings.every_s,
        }
        try:
            answer = self._client.post(self._settings.url, json=told)
        except httpx.HTTPError as error:
            said = tls_trouble(error, httpx.URL(self._settings.url).host)
            return without_secrets(said or f"{type(error).__name__}: {error}")[:300]
        return "" if answer.is_success else f"HTTP {answer.status_code}"


def send_signs(
    life: SignOfLife,
    sight: Callable[[], Sight],
    problems: dict[str, Any],
    stop: threading.Event,
) -> None:
    """Send signs of life until stopped; that nobody takes them is one of ``problems``."""
    try:
        while not stop.is_set():
            life.beat(sight())
            if life.trouble:
                problems["heartbeat"] = f"nobody outside watches us 外部心跳失败: {life.trouble}"
            else:
                problems.pop("heartbeat", None)
            stop.wait(LOOK_S)
    finally:
        life.close()
