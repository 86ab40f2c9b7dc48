"""Alertmanager: an alert for each alarm, kept alive while it stands (API v2, ``/api/v2/alerts``).

Alertmanager forgets what is not sent again: an alert ends at its ``endsAt``. As Prometheus does, we
send each one that stands every ``every_s`` with an end four such times ahead, so if we die its
alerts end by themselves; that we live is watched otherwise (docs/security.md). What it was told is
read from the outbox, so a restart goes on. An alert is its labels: when an alarm's level changes,
the alert with the old labels is ended in the same request.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx

from ingest.secret_words import without_secrets
from lifeline.ledger import Outlet
from lifeline.ledger.outbox import Told, told
from lifeline.notify.sending import (
    TAKEN,
    Answer,
    Fate,
    Limits,
    Message,
    by_status,
    http_client,
    unanswered,
)
from rules.alarms import Condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.ledger import Ledger
    from rules.alarms import Alarm

AHEAD: Final = 4  # resends that may fail before an alert ends by itself
BATCH: Final = 200  # alerts a request
AGAIN_S: Final = 5.0  # after a resend that failed
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerSettings:
    """Where it is, and how often what stands is sent again."""

    name: str
    url: str  # of Alertmanager, without /api/…
    page: str = ""  # where people see the alarm
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    min_severity: int = 2
    every_s: float = 60.0

    @property
    def outlet(self) -> Outlet:
        """Return the outlet; escalations and floods are no alerts."""
        return Outlet(name=self.name, min_severity=self.min_severity, calls=False, floods=False)

    @property
    def limits(self) -> Limits:
        """Return how hard it is tried."""
        return Limits()

    def sender(self, ledger: Ledger) -> Alertmanager:
        """Return the way out."""
        return Alertmanager(ledger, self)

    def client(self) -> httpx.Client:
        """Return a client that may speak to it."""
        client = http_client(ca_file=self.ca_file)
        if self.user:
            client.auth = httpx.BasicAuth(self.user, self.password)
        return client

    def probe(self) -> str:
        """Return why it does not answer its status, "" if it does."""
        with self.client() as client:
            try:
                answer = client.get(f"{self.url.rstrip('/')}/api/v2/status", timeout=3)
            except httpx.HTTPError as error:
                return f"{self.url}: {unanswered(error, self.url).reason}"
        if answer.is_success:
            return ""
        said = without_secrets(answer.text[:4_000])[:120]
        return f"{self.url}/api/v2/status: HTTP {answer.status_code} {said}; is url right?"


class Alertmanager:
    """Sends alarms as they stand now, whatever the row was about: repeats and order do no harm."""

    def __init__(self, ledger: Ledger, settings: AlertmanagerSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._url = f"{settings.url.rstrip('/')}/api/v2/alerts"
        self._client = settings.client()
        self._due_s = 0.0
        self._firing: set[str] = set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def deliver(self, message: Message) -> Answer:
        """Send the alarm of a row as it stands."""
        body = message.told
        found = self._ledger.alarm(body.get("alarm", ""))
        if found is None or "labels" not in body:
            return TAKEN  # about no alarm: nothing an alert could say
        before = told(self._ledger, self._settings.name, alarm_id=body["alarm"])
        bodies = sorted([body, *(before[0].bodies if before else ())], key=lambda b: int(b["id"]))
        answer = self._post(list(self._alerts(Told(found[0], tuple(bodies)))))
        if answer.fate is Fate.DELIVERED:
            (self._firing.add if stands(found[0]) else self._firing.discard)(body["alarm"])
        return answer

    def turn(self) -> str:
        """Send what stands again when it is time, and end what no longer does."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return ""
        self._due_s = now_s + min(self._settings.every_s, AGAIN_S)
        held = told(self._ledger, self._settings.name)
        standing = {each.alarm.alarm_id: each for each in held if stands(each.alarm)}
        gone = self._firing - standing.keys()
        for alarm_id in gone:  # its end was not announced: held back, or folded by a flood
            held += told(self._ledger, self._settings.name, alarm_id=alarm_id)
        wanted = {**standing, **{t.alarm.alarm_id: t for t in held if t.alarm.alarm_id in gone}}
        alerts = [alert for each in wanted.values() for alert in self._alerts(each)]
        for at in range(0, len(alerts), BATCH):
            answer = self._post(alerts[at : at + BATCH])
            if answer.fate is not Fate.DELIVERED:
                return f"what stands was not sent again: {answer.reason}"
        self._firing = set(standing)
        self._due_s = now_s + self._settings.every_s
        return ""

    def _alerts(self, each: Told) -> Iterator[dict[str, Any]]:
        """Yield the alert of an alarm, and the ends of those it was before."""
        now_ns, alarm = self._ledger.wall_ns(), each.alarm
        newest = each.bodies[-1]
        starts_ns = min(alarm.raised_ns or now_ns, now_ns)
        if stands(alarm):
            ends_ns = now_ns + int(AHEAD * self._settings.every_s * 1e9)
        else:
            ends_ns = min(max(alarm.cleared_ns, starts_ns), now_ns)
        now = named(newest["labels"])
        yield self._alert(now, _annotations(alarm, newest), starts_ns, ends_ns)
        for labels in _distinct(named(b["labels"]) for b in each.bodies[:-1] if "labels" in b):
            if labels != now:
                yield self._alert(labels, {}, starts_ns, now_ns)

    def _alert(
        self, labels: dict[str, str], notes: dict[str, str], starts_ns: int, ends_ns: int
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"labels": labels, "annotations": notes}
        said |= {"startsAt": rfc3339(starts_ns), "endsAt": rfc3339(ends_ns)}
        return said | ({"generatorURL": self._settings.page} if self._settings.page else {})

    def _post(self, alerts: list[dict[str, Any]]) -> Answer:
        if not alerts:
            return TAKEN
        try:
            answer = self._client.post(self._url, json=alerts)
        except httpx.HTTPError as error:
            return unanswered(error, self._url)
        return by_status(answer)


def stands(alarm: Alarm) -> bool:
    """Tell whether an alert fires: active, held or not; late findings until they are seen.

    What was told and is shelved later still stands, and is never said to be resolved.
    """
    return not alarm.ended and (alarm.condition is Condition.ACTIVE or alarm.late)


def named(labels: dict[str, str]) -> dict[str, str]:
    """Return labels by names that Prometheus takes."""
    held = {_NOT_IN_NAMES.sub("_", name): value for name, value in labels.items()}
    return {f"_{name}" if name[:1].isdigit() else name: value for name, value in held.items()}


def rfc3339(ns: int) -> str:
    """Return a time in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(ns / 1e9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _annotations(alarm: Alarm, body: dict[str, Any]) -> dict[str, str]:
    said = body.get("sentence", {})
    notes = {"summary": said.get("en", alarm.subject), "summary_zh": said.get("zh", "")}
    notes |= {"runbook": body.get("runbook", ""), "acknowledged_by": alarm.acked_by}
    notes["held"] = ", ".join(s.hold.value for s in alarm.suppression)
    return {name: text for name, text in notes.items() if text}


def _distinct(labels: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    return [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(each.items())) for each in labels)]
