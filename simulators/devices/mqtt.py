"""A gateway's line to the broker: aiomqtt, QoS 1, persistent session, again until acknowledged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

import aiomqtt

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.devices.device import Message

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTarget:
    """Where gateways publish."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls_ca: str | None = None  # file of the authority's certificate; None = no TLS
    ack_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0


class Refused(Exception):  # noqa: N818 - reads as what it says
    """The receiver answered no, and asking again would not change it."""


class MqttLine:
    """One gateway's connection. ``send`` returns when the broker has the message."""

    def __init__(self, device: str, target: MqttTarget, *, retried: Callable[[], None]) -> None:
        self._device = device
        self._target = target
        self._retried = retried
        self._client: aiomqtt.Client | None = None
        self._random = Random(device)  # jitter, so that gateways do not come back in step

    @property
    def is_open(self) -> bool:
        """Whether it has a connection, as far as it knows."""
        return self._client is not None

    async def open(self) -> None:
        """Connect, once tried: what fails is tried again by the first message."""
        try:
            await self._connected()
        except aiomqtt.MqttError:
            self._retried()

    async def send(self, message: Message) -> None:
        """Publish until acknowledged; ends only by success or cancellation."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                client = await self._connected()
                await client.publish(
                    message.path, message.payload, qos=1, timeout=self._target.ack_timeout_s
                )
            except aiomqtt.MqttError:
                await self.close()
                self._retried()
                await asyncio.sleep(pause_s * self._random.uniform(0.7, 1.3))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return

    async def close(self) -> None:
        """Disconnect; the session stays with the broker."""
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.__aexit__(None, None, None)
            except aiomqtt.MqttError:
                self._retried()  # the line was already down; counted like any lost exchange

    async def _connected(self) -> aiomqtt.Client:
        if self._client is None:
            target = self._target
            client = aiomqtt.Client(
                target.host,
                target.port,
                username=target.username,
                password=target.password,
                identifier=self._device,
                clean_session=False,
                protocol=aiomqtt.ProtocolVersion.V311,
                timeout=target.ack_timeout_s,
                tls_params=aiomqtt.TLSParameters(ca_certs=target.tls_ca) if target.tls_ca else None,
                max_concurrent_outgoing_calls=8,
            )
            # its thread blocks so long, and a program that ends waits for the thread
            client._client.connect_timeout = target.connect_timeout_s  # noqa: SLF001 - no other way
            await client.__aenter__()
            self._client = client
        return self._client
