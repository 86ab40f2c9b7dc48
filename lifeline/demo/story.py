"""Tells a person what happens in the city, as it happens, in city time and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lifeline.demo.watch import RAISING, shown_severity
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifeline.demo.watch import Seen
    from rules.events import Event
    from rules.registry import Registry

COLOURS = {1: "blue", 2: "yellow", 3: "dark_orange", 4: "red"}
NAMES = {1: "blue", 2: "yellow", 3: "orange", 4: "red"}
MOST_LINES_A_TURN = 12  # a storm of alarms is summed up, the page lists them


@dataclass(slots=True)
class Story:
    """Remembers what was told, so that each thing is told once."""

    registry: Registry
    say: Callable[[str], None]
    told: set[str] = field(default_factory=set)
    met: dict[str, int] = field(default_factory=dict)  # incident → level told

    def tell_city(self, city: dict[str, Any], now_ns: int) -> None:
        """Tell the incidents that have begun."""
        for incident in city.get("incidents", ()):
            if incident["begin_ns"] > now_ns or incident["id"] in self.told:
                continue
            self.told.add(incident["id"])
            what = incident["kind"].replace("_", " ")
            self._line(incident["begin_ns"], f"[bold]{what} begins[/] at {incident['name']}")

    def tell_events(self, new: Sequence[Seen], city: dict[str, Any]) -> None:
        """Tell alarms as they are raised, get worse and clear; above blue, or of an incident."""
        lines = 0
        for seen in new:
            event = seen.event
            incident = self._incident_of(event, city)
            if event.type is EventType.CLEARED and incident is not None:
                text = f"cleared: {event.rule} at {self.place(event.subject)}"
            elif event.type in RAISING and (incident is not None or shown_severity(event) > 1):
                text = self._alarm(event, incident)
            else:
                continue
            lines += 1
            if text and lines <= MOST_LINES_A_TURN:
                self._line(event.receive_ns, text)
        if lines > MOST_LINES_A_TURN:
            self.say(f"          … and {lines - MOST_LINES_A_TURN} more, see the page")

    def place(self, subject: str) -> str:
        """Return where a channel or device is, in words."""
        registry = self.registry
        if subject in registry.channel_row:
            row = registry.channel_row[subject]
            asset = int(registry.channels.asset[row])
            return f"{registry.assets.name[asset]} ({subject.split('/', 1)[-1]})"
        if subject in registry.device_row:
            return subject
        return "the system"

    def _alarm(self, event: Event, incident: dict[str, Any] | None) -> str:
        level = max(shown_severity(event), 1)
        name = f"[{COLOURS[level]}]■ {NAMES[level]}[/]"
        value = "" if event.value is None else f", value {event.value:.3g}"
        text = f"{name} {event.rule} at {self.place(event.subject)}{value}"
        if incident is None:
            return text
        if self.met.get(incident["id"], 0) >= level:
            return ""
        self.met[incident["id"]] = level
        after_s = (event.receive_ns - incident["begin_ns"]) / 1e9
        return f"{text}: {incident['kind'].replace('_', ' ')} seen after {after_s:.0f} s city time"

    def _incident_of(self, event: Event, city: dict[str, Any]) -> dict[str, Any] | None:
        for incident in city.get("incidents", ()):
            if event.receive_ns >= incident["begin_ns"] and event.subject in incident["subjects"]:
                held: dict[str, Any] = incident
                return held
        return None

    def _line(self, at_ns: int, text: str) -> None:
        at = datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone(ZoneInfo("Asia/Shanghai"))
        self.say(f"  {at:%H:%M:%S}  {text}")
