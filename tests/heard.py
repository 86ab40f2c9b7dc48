"""The campaigns' city for tests that need it whole: started, and heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paho.mqtt import publish

from ingest.codecs.compact import encode
from ingest.journal import JournalReader, durable_end
from lifeline.torture.site import GATEWAYS
from rules.readings import Readings

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.torture.processes import City


def started(city: City) -> City:
    """Start what the city has; leaving it ends all."""
    for process in city.processes.values():
        process.start()
    return city


def is_subscribed(data: Path, port: int) -> bool:
    """Say once that a gateway lives; return whether the journal heard it.

    The broker keeps messages only for a session it knows: what comes before is nobody's.
    """
    alive = encode(device=GATEWAYS[0], boot=1, sequence=0, time_base_ms=0)
    publish.single(f"lifeline/v1/{GATEWAYS[0]}/up", alive, qos=1, hostname="127.0.0.1", port=port)
    if not (data / "journal").is_dir():
        return False
    with JournalReader(data / "journal") as reader:
        records = reader.read(until=durable_end(data / "journal"))
    return any(isinstance(record.body, Readings) for record in records)
