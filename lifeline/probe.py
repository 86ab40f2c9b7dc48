"""The synthetic reading: sent like any device's, so that the whole chain is seen to work.

It goes out by MQTT (or CoAP where there is no broker), is journaled, judged by the engine, and
comes back from the event log as a HEARTBEAT, which the watchdog waits for (lifeline/watchdog.py).
A probe that cannot be sent is no error of ours: its absence is the message.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiocoap
import numpy as np
import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import Counter

from ingest.codecs import compact

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from ingest.sources.mqtt import MqttSettings
    from lifeline.clock import Clock
    from lifeline.site import Site

LOG: Any = structlog.get_logger("probe")
SENT = Counter("lifeline_probe_sent_total", "Synthetic readings sent")
FAILED = Counter("lifeline_probe_failed_total", "Synthetic readings that could not be sent")
ANSWER_S = 10.0
LEAST_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """Which way the probe goes: the site's broker, else its CoAP endpoint."""

    mqtt: MqttSettings | None = None
    coap: tuple[str, int] | None = None


class Probe:
    """Sends one reading per probe channel of the site and interval, until stopped."""

    def __init__(
        self, site: Callable[[], Site | None], settings: ProbeSettings, clock: Clock
    ) -> None:
        self._site, self._settings, self._clock = site, settings, clock
        self._boot = int(time.time()) & 0xFFFFFFFF
        self._sequence = 0
        self._client: Client | None = None

    def run(self, stop: threading.Event) -> None:
        """Go on until ``stop``; where no rule watches a probe, only look for one now and then."""
        try:
            while not stop.wait(self._interval_s()):
                site = self._site()
                if site is None or not site.plan.probe_channels.size:
                    continue
                self._sequence += 1
                for row in site.plan.probe_channels.tolist():
                    self._send(*self._frame(site, row))
        finally:
            if self._client is not None:
                self._client.disconnect()
                self._client.loop_stop()

    def _interval_s(self) -> float:
        site = self._site()
        if site is None or not site.plan.probe_channels.size:
            return 1.0
        shortest_ns = int(site.registry.channels.interval_ns[site.plan.probe_channels].min())
        return max(self._clock.wall_s(shortest_ns), LEAST_INTERVAL_S)

    def _frame(self, site: Site, row: int) -> tuple[str, bytes]:
        """Return the device and the frame of one probe reading: a counter."""
        channels = site.registry.channels
        device = site.registry.devices.id[int(channels.device[row])]
        block = compact.Series(
            port=int(channels.port[row]),
            encoding=compact.FLOAT64,
            offsets_ms=np.zeros(1, np.int32),
            values=np.array([float(self._sequence)]),
        )
        frame = compact.encode(
            device=device,
            boot=self._boot,
            sequence=self._sequence,
            time_base_ms=self._clock.now_ns() // 1_000_000,
            blocks=[block],
            simulation=site.registry.simulation,
        )
        return device, frame

    def _send(self, device: str, frame: bytes) -> None:
        try:
            if self._settings.mqtt is not None:
                self._publish(self._settings.mqtt, device, frame)
            elif self._settings.coap is not None:
                asyncio.run(_post(*self._settings.coap, device, frame))
            else:
                return
        except (OSError, ValueError, RuntimeError, aiocoap.error.Error) as error:
            FAILED.inc()
            LOG.warning("the probe could not be sent", device=device, reason=str(error))
            return
        SENT.inc()

    def _publish(self, settings: MqttSettings, device: str, frame: bytes) -> None:
        """Publish at QoS 1 without waiting: what comes back is what counts."""
        if self._client is None:
            client = Client(CallbackAPIVersion.VERSION2, client_id=f"{settings.client_id}-probe")
            client.max_queued_messages_set(1)  # an old heartbeat proves nothing
            if settings.username is not None:
                client.username_pw_set(settings.username, settings.password)
            if settings.tls:
                client.tls_set(settings.ca_file, settings.certificate_file, settings.key_file)
            client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
            client.loop_start()
            self._client = client
        self._client.publish(f"lifeline/v1/{device}/up", frame, qos=1)


async def _post(host: str, port: int, device: str, frame: bytes) -> None:
    """Post one frame as a module does."""
    context = await aiocoap.Context.create_client_context()
    try:
        request = aiocoap.Message(
            code=aiocoap.POST,
            uri=f"coap://{host}:{port}/up/{device}",
            payload=frame,
            content_format=42,
        )
        async with asyncio.timeout(ANSWER_S):
            answer = await context.request(request).response
        if not answer.code.is_successful():
            raise RuntimeError(f"the endpoint answered {answer.code}")
    finally:
        await context.shutdown()
