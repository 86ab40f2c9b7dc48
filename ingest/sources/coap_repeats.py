"""Messages that came again (RFC 7252, 4.5), told from those that came lately, within bounds.

aiocoap keeps request, answer, timer and context of each message, 2.4 KB for 247 s, however many
come: more than half a gigabyte at a thousand a second, and anybody who reaches the port may send
them. Here an answer is kept as its bytes, 640 of them in all, and of so many messages only. One
that comes again after that is taken like a new one, and the engine tells it by its sequence.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from aiocoap import CON, Message
from aiocoap.message import Direction

MOST: Final = 16_384
"""At 100 messages a second more than two minutes; a sender is through with its repeats after 45 s
(MAX_TRANSMIT_SPAN)."""
FORGET_S: Final = 247.0  # EXCHANGE_LIFETIME: later the number may be another message's


class _Heard(NamedTuple):
    since_s: float
    answer: bytes | None  # None: not given yet
    to: Any


class Repeats:
    """In the place of what an aiocoap message manager remembers; see `take_over`."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._heard: OrderedDict[tuple[Any, int], _Heard] = OrderedDict()  # by sender and number

    @classmethod
    def take_over(cls, manager: Any) -> Repeats:
        """Let a message manager ask us; it has no public way."""
        repeats = cls(manager)
        manager._deduplicate_message = repeats.is_repeat  # noqa: SLF001
        manager._store_response_for_duplicates = repeats.answered  # noqa: SLF001
        return repeats

    def __len__(self) -> int:
        """Return how many messages are remembered."""
        return len(self._heard)

    def is_repeat(self, message: Any) -> bool:
        """Say whether a request came before; a confirmable one then gets its answer again."""
        self._forget()
        key = (message.remote, message.mid)
        heard = self._heard.get(key)
        if heard is None:
            self._heard[key] = _Heard(time.monotonic(), None, None)
            return False
        if message.mtype is CON and heard.answer is not None:
            again = Message.decode(heard.answer, heard.to)
            again.direction = Direction.OUTGOING
            self._manager.message_interface.send(again)
        return True

    def answered(self, message: Any) -> None:
        """Keep what goes out, if it answers a request that is remembered."""
        key = (message.remote, message.mid)
        heard = self._heard.get(key)
        if heard is not None:
            self._heard[key] = heard._replace(answer=message.encode(), to=message.remote)

    def _forget(self) -> None:
        """Drop what is too old, and the oldest of too many."""
        oldest_s = time.monotonic() - FORGET_S
        while self._heard:
            first = next(iter(self._heard))
            if len(self._heard) < MOST and self._heard[first].since_s > oldest_s:
                return
            del self._heard[first]
