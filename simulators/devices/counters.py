"""What a fleet did, counted per transport, and the JSON file others read it from."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rules.registry import Registry
    from simulators.incidents import Incident


@dataclass(slots=True)
class Counts:
    """One transport's. ``readings_sent`` includes those lost by injection before sending."""

    readings_sent: int = 0
    readings_acked: int = 0  # each once, however often its frame was sent
    readings_lost: int = 0  # injected: never left the device
    readings_duplicated: int = 0  # injected: their frame was sent a second time on purpose
    readings_shed: int = 0  # a device's own buffer was full
    readings_refused: int = 0  # the receiver said no for good (CoAP 4.xx)
    frames_acked: int = 0
    frames_duplicated: int = 0  # injected
    frames_malformed: int = 0  # injected and answered
    frames_out_of_order: int = 0  # injected
    frames_stored: int = 0  # late batches
    frames_delayed: int = 0  # by a fault of the link
    retries: int = 0  # frames sent again because no answer came


@dataclass(slots=True)
class Stats:
    """Counts of a run and its incidents; ``document`` is what the stats file holds."""

    scenario: str
    begin_ns: int
    mqtt: Counts = field(default_factory=Counts)
    coap: Counts = field(default_factory=Counts)
    began_wall_ns: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)  # their ground truth
    clients: dict[str, int] = field(default_factory=dict)  # the most at once, by transport

    def of(self, transport: str) -> Counts:
        """Return the counts of ``mqtt`` or ``coap``."""
        return self.mqtt if transport == "mqtt" else self.coap

    def total(self, name: str) -> int:
        """Return a count over both transports."""
        return int(getattr(self.mqtt, name)) + int(getattr(self.coap, name))

    def document(
        self,
        incidents: Sequence[Incident],
        registry: Registry,
        *,
        city_ns: int,
        wall_ns: int,
        done: bool,
    ) -> dict[str, Any]:
        """Return plain data; incidents of the past and those that begin within a city day."""
        near = [i for i in incidents if i.begin_ns <= city_ns + 86_400_000_000_000]
        return {
            "scenario": self.scenario,
            "simulation": True,
            "begin_ns": self.begin_ns,
            "city_ns": city_ns,
            "wall_ns": wall_ns,
            "done": done,
            "readings_sent": self.total("readings_sent"),
            "readings_acked": self.total("readings_acked"),
            "readings_lost_injected": self.total("readings_lost"),
            "readings_duplicated_injected": self.total("readings_duplicated"),
            "readings_shed": self.total("readings_shed"),
            "readings_refused": self.total("readings_refused"),
            "frames_malformed_injected": self.total("frames_malformed"),
            "transports": {"mqtt": asdict(self.mqtt), "coap": asdict(self.coap)},
            "clients": dict(self.clients),
            "faults": self.faults,
            "incidents": [self._incident(i, registry, city_ns) for i in near],
        }

    def _incident(self, incident: Incident, registry: Registry, city_ns: int) -> dict[str, Any]:
        began = city_ns >= incident.begin_ns
        return {
            "id": incident.id,
            "kind": incident.kind,
            "place": incident.place,
            "name": incident.name,
            "name_zh": incident.name_zh,
            "at": list(incident.at),
            "begin_ns": incident.begin_ns,
            "end_ns": incident.end_ns,
            "began": incident.begin_ns if began else None,
            "began_wall_ns": self.began_wall_ns.get(incident.id),
            "deadline_s": incident.deadline_s,
            "deadline_why": incident.why,
            "severity": incident.severity,
            "subjects": incident.subjects(registry),
        }


def write_atomically(path: Path, document: dict[str, Any]) -> None:
    """Write JSON aside and rename, so that a reader never sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    aside.replace(path)
