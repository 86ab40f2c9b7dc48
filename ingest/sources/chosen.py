"""Which transports a city listens to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.sources.coap import CoapSettings, CoapSource
from ingest.sources.mqtt import MqttSettings, MqttSource
from ingest.sources.pull import PullSettings, PullSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.admission import Admission
    from ingest.intake import Intake
    from ingest.sources import Source

__all__ = ["CoapSettings", "MqttSettings", "PullSettings", "sources_of"]


def sources_of(
    mqtt: MqttSettings | None,
    coap: CoapSettings | None,
    admission: Admission,
    intake: Intake,
    pulls: Sequence[PullSettings] = (),
) -> list[Source]:
    """Return the sources asked for; the broker is asked for the mappings' topics too."""
    sources: list[Source] = []
    if mqtt is not None:
        topics = dict.fromkeys((*mqtt.topics, *admission.routing.subscriptions))
        sources.append(MqttSource(replace(mqtt, topics=tuple(topics)), intake))
    if coap is not None:
        sources.append(CoapSource(coap, intake))
    sources += [PullSource(each, intake) for each in pulls]
    return sources
