"""Requests that come in blocks (RFC 7959), put together within bounds.

aiocoap's own spool has none: it keeps what is half sent, and also what is complete, for minutes,
however long and however many. Anybody who reaches the port could fill the memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from aiocoap.blockwise import ContinueException, IncompleteException, _extract_block_key
from aiocoap.error import ConstructionRenderableError
from aiocoap.numbers.codes import Code

from ingest import metrics

if TYPE_CHECKING:
    from aiocoap import Message

MAX_BYTES: Final = 1 << 20  # of one request: what admission takes of a frame
MAX_HELD_BYTES: Final = 16 << 20  # of all together
MAX_HELD: Final = 2_000
FORGET_S: Final = 100.0  # since the last block; MAX_TRANSMIT_WAIT is 93 s


class TooLong(ConstructionRenderableError):  # type: ignore[misc]  # noqa: N818 - an answer; untyped
    """The request is longer than any frame."""

    code = Code.REQUEST_ENTITY_TOO_LARGE


class Blocks:
    """In the place of aiocoap's Block1Spool: at a limit, what waited longest is forgotten."""

    def __init__(self) -> None:
        self._held: OrderedDict[Any, tuple[float, Message]] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        """Return how many requests are half here."""
        return len(self._held)

    def feed_and_take(self, request: Message) -> Message:
        """Return a complete request; raise the answer that aiocoap gives to all others."""
        block = request.opt.block1
        if block is None:
            return request
        key = _extract_block_key(request)
        held = self._taken(key)
        if block.start + len(request.payload) > MAX_BYTES:
            raise TooLong
        if block.block_number == 0:
            whole = request
        elif held is None:
            raise IncompleteException
        else:
            whole = held
            try:
                whole._append_request_block(request)  # noqa: SLF001 - as aiocoap's spool does
            except ValueError as error:
                raise IncompleteException from error
        if not block.more:
            return whole
        self._held[key] = (time.monotonic(), whole)
        self.held_bytes += len(whole.payload)
        self._forget()
        raise ContinueException(block)

    def _taken(self, key: Any) -> Message | None:
        _, held = self._held.pop(key, (0.0, None))
        if held is not None:
            self.held_bytes -= len(held.payload)
        return held

    def _forget(self) -> None:
        """Drop what waits too long, and the oldest beyond the limits."""
        now_s = time.monotonic()
        while self._held:
            key, (since_s, _) = next(iter(self._held.items()))
            over = len(self._held) > MAX_HELD or self.held_bytes > MAX_HELD_BYTES
            if not over and now_s - since_s < FORGET_S:
                return
            self._taken(key)
            metrics.COAP_FORGOTTEN.inc()
