"""Tells a person what happens in the city, as it happens, in city time and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.markup import escape

from lifeline.console.sentences import words
from lifeline.demo.watch import RAISING, shown_severity
from rules.alarm_fold import AlarmFold
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifeline.demo.watch import Seen
    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.events import Event

COLOURS = {1: "blue", 2: "yellow", 3: "dark_orange", 4: "red"}
SHAPES = {1: "○", 2: "△", 3: "◇", 4: "■"}
ZONE = "Asia/Shanghai"
TOLD = (*RAISING, EventType.CLEARED)
MOST_LINES_A_TURN = 12  # a storm of alarms is summed up, the page lists them


@dataclass(slots=True)
class Story:
    """Remembers what was told, so that each thing is told once."""

    site: Site
    say: Callable[[str], None]
    alarms: AlarmFold = field(default_factory=AlarmFold)
    told: set[str] = field(default_factory=set)
    met: dict[str, int] = field(default_factory=dict)  # incident → level told
    folded: int = 0

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
            self.folded += 1
            changed = self.alarms.apply(event, self.folded).changed
            incident = self._incident_of(event, city)
            worth_telling = incident is not None or shown_severity(event) > 1
            if not changed or not worth_telling or event.type not in TOLD:
                continue
            text = self._alarm(event, changed[-1], incident)
            lines += bool(text)
            if text and lines <= MOST_LINES_A_TURN:
                self._line(event.receive_ns, text)
        if lines > MOST_LINES_A_TURN:
            self.say(f"            … and {lines - MOST_LINES_A_TURN} more, see the page")

    def _alarm(self, event: Event, alarm: Alarm, incident: dict[str, Any] | None) -> str:
        said = words(alarm, self.site, "en", zone=ZONE)
        if event.type is EventType.CLEARED:
            text = f"cleared: {said.what}, {said.place}"
            fresh = text not in self.told  # once for all the sensors of one span
            self.told.add(text)
            return text if fresh else ""
        level = min(max(shown_severity(event), 1), 4)
        sentence = said.sentence.removesuffix(f"; {said.why}")  # the page tells why
        text = f"[{COLOURS[level]}]{SHAPES[level]}[/] {escape(sentence)}"
        if incident is None:
            return text
        if self.met.get(incident["id"], 0) >= level:
            return ""
        self.met[incident["id"]] = level
        after_s = (event.receive_ns - incident["begin_ns"]) / 1e9
        kind = incident["kind"].replace("_", " ")
        return f"{text} [dim]({kind} seen after {after_s:.0f} s of city time)[/]"

    def _incident_of(self, event: Event, city: dict[str, Any]) -> dict[str, Any] | None:
        for incident in city.get("incidents", ()):
            if event.receive_ns >= incident["begin_ns"] and event.subject in incident["subjects"]:
                held: dict[str, Any] = incident
                return held
        return None

    def _line(self, at_ns: int, text: str) -> None:
        at = datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone(ZoneInfo(ZONE))
        self.say(f"  {at:%H:%M:%S}  {text}")
