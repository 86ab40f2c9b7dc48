"""Ingest as a process: the journal's only writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ingest.limits import IngestLimits
from ingest.service import run_ingest
from ingest.sources.coap import CoapSettings
from ingest.sources.mqtt import MqttSettings
from lifeline.reachable import broker_port
from lifeline.retention import Bounds, Retention
from lifeline.settings.weather_entries import pulls_of
from rules.language import compile_plan, rules_from_bytes
from rules.registry_codec import content_hash, registry_from_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.processes.context import Context
    from lifeline.settings.config import CityConfig
    from rules.registry import Registry

TICK_NS = (
    10 * 10**9
)  # at most so much city time between ticks; the engine calls 30 s a stop of ours


def tick_s(factor: float) -> float:
    """Return the wall seconds between ticks: one, or less in a city faster than the wall."""
    return min(1.0, max(TICK_NS / 1e9 / factor, 0.02))


def run(context: Context) -> None:
    """Take in, journal and acknowledge until stopped."""
    config = context.config()
    texts = context.texts(config)
    for warning in texts.warnings:
        structlog.get_logger("ingest").warning(str(warning))
    texts.store(context.data)

    def load_site(hashes: dict[str, str]) -> Registry:
        registry = registry_from_bytes(stored_text(context.data, "registry", hashes["registry"]))
        rules = rules_from_bytes(stored_text(context.data, "rules", hashes["rules"]))
        compile_plan(rules, registry)
        return registry

    journal, coap = config.entry.journal, config.entry.coap
    bounds = Bounds(
        keep_ns=journal.keep,
        max_bytes=journal.max_gb << 30 if journal.max_gb else None,
        store=config.entry.influx is not None,
    )
    with Retention(context.data, bounds, clock=context.origin.clock()):
        run_ingest(
            data=context.data,
            registry=registry_from_bytes(texts.registry_text),
            rules_hash=texts.rules_hash,
            clock=context.origin.clock(),
            stop=context.stop,
            mqtt=mqtt_settings(config),
            coap=CoapSettings(host=coap.bind, port=coap.port) if coap else None,
            pulls=pulls_of(config),
            tick_s=tick_s(context.origin.factor),
            limits=IngestLimits(
                segment_bytes=int(journal.segment_mb * 2**20), raw_age_ns=journal.raw_keep
            ),
            mappings=texts.mappings,
            load_site=load_site,
        )


def stored_text(data: Path, kind: str, name: str) -> bytes:
    """Return the text of a content hash from the data folder.

    Raises
    ------
    OSError, ValueError
        There is no such text, or it is not the one its name says.
    """
    text = (data / kind / f"{name}.json").read_bytes()
    if content_hash(text) != name:
        raise ValueError(f"the text in {data / kind} is another one; store it under its own hash")
    return text


def mqtt_settings(config: CityConfig) -> MqttSettings | None:
    """Return how to reach the broker, None where none is named."""
    entry = config.entry.mqtt
    if entry is None:
        return None
    password = config.secret(entry.password_file, entry.password_env)
    return MqttSettings(
        host=entry.host,
        port=broker_port(entry),
        client_id=entry.client_id,
        username=entry.user or None,
        password=password or None,
        tls=entry.tls,
        ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
        topics=tuple(entry.topics),
    )
