"""An NB-IoT module's line: its own UDP socket, confirmable POST, again until answered 2.xx."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

import aiocoap
import aiocoap.error

from simulators.devices.mqtt import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.devices.device import Message

FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapTarget:
    """Where modules post."""

    host: str = "127.0.0.1"
    port: int = 5683
    answer_timeout_s: float = 15.0


class CoapLine:
    """One module's context. ``send`` returns when the server has answered 2.xx."""

    def __init__(self, device: str, target: CoapTarget, *, retried: Callable[[], None]) -> None:
        self._target = target
        self._retried = retried
        self._context: Any = None
        self._random = Random(device)

    @property
    def is_open(self) -> bool:
        """Whether it has its socket."""
        return self._context is not None

    async def open(self) -> None:
        """Take a socket of its own."""
        if self._context is None:
            self._context = await aiocoap.Context.create_client_context()

    async def send(self, message: Message) -> None:
        """POST until answered. 4.xx raises Refused; 5.xx and silence are tried again."""
        pause_s = FIRST_PAUSE_S
        while True:
            code = await self._post(message)
            if code is not None and code.is_successful():
                return
            if code is not None and code.class_ == 4:
                raise Refused(f"{code} for {message.path}")
            self._retried()
            await asyncio.sleep(pause_s * self._random.uniform(0.7, 1.3))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Close the socket."""
        context, self._context = self._context, None
        if context is not None:
            await context.shutdown()

    async def _post(self, message: Message) -> Any:
        """Return the response code, or None where none came."""
        await self.open()
        target = self._target
        request = aiocoap.Message(
            code=aiocoap.POST,
            uri=f"coap://{target.host}:{target.port}/{message.path}",
            payload=message.payload,
            content_format=message.content_format,
            transport_tuning=aiocoap.Reliable,
        )
        try:
            async with asyncio.timeout(target.answer_timeout_s):
                answer = await self._context.request(request).response
        except (TimeoutError, OSError, aiocoap.error.Error):
            return None
        return answer.code
