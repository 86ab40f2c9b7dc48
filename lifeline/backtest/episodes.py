"""Alarms from their first raise to their end, as the event log tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.events import EventType, alarm_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.events import Event

OPEN_NS = 2**62
"""The end of an episode that was open when the records ended."""
_NEVER = (OPEN_NS,) * 5
_OPENING = (EventType.RAISED, EventType.ESCALATED)
_ENDING = (EventType.CLEARED, EventType.RULE_CHANGED)


@dataclass(slots=True)
class Episode:
    """One alarm from RAISED to CLEARED. Times are when it was known: receive times, Unix ns."""

    rule: str
    side: int
    subject: str
    onset_ns: int  # measured: the breach began
    raised_ns: int
    limit: float | None
    value: float | None  # that raised it
    end_ns: int = OPEN_NS
    severity: int = 0  # the highest
    reached_ns: tuple[int, ...] = _NEVER
    """When it first stood at severity 0, 1, … 4 or above."""

    @property
    def alarm_key(self) -> str:
        """Return rule, side and subject as one text."""
        return alarm_key(self.rule, self.side, self.subject)

    def overlaps(self, from_ns: int, to_ns: int) -> bool:
        """Tell whether it was open at some time of a span, ends included."""
        return self.raised_ns <= to_ns and self.end_ns >= from_ns

    def to_json(self) -> dict[str, Any]:
        """Return plain values; an open end is null."""
        end = None if self.end_ns == OPEN_NS else self.end_ns
        return {
            "rule": self.rule,
            "side": self.side,
            "subject": self.subject,
            "severity": self.severity,
            "onset_ns": self.onset_ns,
            "raised_ns": self.raised_ns,
            "end_ns": end,
            "value": self.value,
            "limit": self.limit,
        }


@dataclass(slots=True)
class Episodes:
    """Gathers episodes from events in log order, those raised from ``from_ns`` on."""

    from_ns: int = 0
    held: list[Episode] = field(default_factory=list)
    late_findings: int = 0  # that were announced
    _open: dict[str, Episode] = field(default_factory=dict, repr=False)

    def take(self, events: Iterable[Event]) -> None:
        """Take events up."""
        for event in events:
            if event.type in _OPENING:
                self._worse(event)
            elif event.type in _ENDING:
                over = self._open.pop(event.alarm_key, None)
                if over is not None:
                    over.end_ns = event.receive_ns
            elif event.type is EventType.LATE_FINDING and event.announce:
                self.late_findings += event.receive_ns >= self.from_ns

    def _worse(self, event: Event) -> None:
        key = event.alarm_key
        episode = self._open.get(key)
        if episode is None:
            episode = Episode(
                rule=event.rule, side=event.side, subject=event.subject, onset_ns=event.onset_ns,
                raised_ns=event.receive_ns, limit=event.limit, value=event.value,
            )  # fmt: skip
            self._open[key] = episode
            if event.receive_ns >= self.from_ns:
                self.held.append(episode)
        if event.severity > episode.severity:
            at = event.receive_ns
            episode.reached_ns = tuple(
                min(was, at) if severity <= event.severity else was
                for severity, was in enumerate(episode.reached_ns)
            )
            episode.severity = event.severity
