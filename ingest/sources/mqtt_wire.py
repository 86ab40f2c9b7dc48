"""MQTT 3.1.1 as bytes: the few packets a receiver sends, and a stream cut into packets in bulk.

No socket and no clock here. Many packets come with one read of the socket; they are cut in one
loop without an object a packet, and acknowledged by one piece of bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNACK, PUBLISH, SUBACK, PINGRESP = 2, 3, 9, 13
SUBSCRIBE_ID: Final = 1
MAX_PACKET_BYTES: Final = 268_435_455 + 5  # what four digits of the length can say
PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"
_FAILED: Final = 0x80
_REMEMBERED_TOPICS: Final = 65_536

REFUSALS: Final = {
    1: "unacceptable protocol version",
    2: "client id not allowed",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}
WRONG_PASSWORD: Final = (4, 5)


class Malformed(Exception):  # noqa: N818 - it says what the broker sent
    """The stream is not MQTT 3.1.1 as a broker may send it; the connection is of no use."""


# ------------------------------------------------------------------ what we send


def connect(
    *, client_id: str, username: str | None, password: str | None, keepalive_s: int
) -> bytes:
    """Return CONNECT of a session that is kept (clean session off)."""
    flags = 0x80 * (username is not None) | 0x40 * (password is not None)
    body = _text("MQTT") + struct.pack(">BBH", 4, flags, keepalive_s) + _text(client_id)
    body += b"".join(_text(each) for each in (username, password) if each is not None)
    return b"\x10" + _length(len(body)) + body


def subscribe(topics: Sequence[str]) -> bytes:
    """Return SUBSCRIBE to topic filters at QoS 1, as packet SUBSCRIBE_ID."""
    body = struct.pack(">H", SUBSCRIBE_ID) + b"".join(_text(topic) + b"\x01" for topic in topics)
    return b"\x82" + _length(len(body)) + body


def publish(topic: str, payload: bytes, *, packet_id: int) -> bytes:
    """Return PUBLISH at QoS 1, or at QoS 0 where ``packet_id`` is 0."""
    name = _text(topic) + (struct.pack(">H", packet_id) if packet_id else b"")
    return b"".join(
        (b"\x32" if packet_id else b"\x30", _length(len(name) + len(payload)), name, payload)
    )


def pubacks(packet_ids: Sequence[int]) -> bytes:
    """Return PUBACK of each packet id, in their order."""
    return (np.array(packet_ids, ">u4") | np.uint32(0x4002_0000)).astype(">u4").tobytes()


def _text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 0xFFFF:
        raise ValueError(f"{text[:40]!r}…: {len(raw)} bytes, MQTT carries at most 65535")
    return struct.pack(">H", len(raw)) + raw


def _length(size: int) -> bytes:
    digits = bytearray()
    while size > 127:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    digits.append(size)
    return bytes(digits)


# ------------------------------------------------------------------ what comes


class Inbox:
    """Cuts a stream into packets.

    ``messages`` are the PUBLISH packets of the last ``take`` as (topic, payload, packet id), the
    id 0 at QoS 0; ``others`` the rest as (type, body). Both in the order they came.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, int]] = []
        self.others: list[tuple[int, bytes]] = []
        self._pieces: list[bytes] = []  # the beginning of a packet whose end is not here yet
        self._held = 0
        self._wanted = 2  # bytes that this packet needs
        self._topics: dict[bytes, str] = {}

    def take(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises
        ------
        Malformed
            What the broker sent cannot be read; packets before it are in ``messages``, ``others``.
        """
        self.messages, self.others = [], []
        if self._held:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return  # a long packet comes in many pieces: joined once, not for each
            data = b"".join(self._pieces)
        rest = data[self._cut(data) :]
        self._pieces, self._held = [rest], len(rest)

    def _cut(self, data: bytes) -> int:
        """Cut whole packets off ``data``; return where the first one that is not whole begins."""
        at, end = 0, len(data)
        take = self.messages.append
        topics = self._topics
        while at + 2 <= end:
            first, size, body = data[at], data[at + 1], at + 2
            if size > 127:
                size, body = _long_size(data, at)
                if not body:
                    break
            stop = body + size
            if stop > end:
                self._wanted = stop - at
                return at
            if first >> 4 != PUBLISH:
                self.others.append((first >> 4, data[body:stop]))
                at = stop
                continue
            qos = first & 6
            name = body + 2
            begin = name + (data[body] << 8 | data[body + 1]) if size > 1 else stop + 1
            packet_id = 0
            after = begin
            if qos:
                after = begin + 2
                if after > stop or qos != 2:
                    raise Malformed(f"a message at QoS {qos >> 1} of {size} bytes")
                packet_id = data[begin] << 8 | data[begin + 1]
                if not packet_id:
                    raise Malformed("a message at QoS 1 without a packet id")
            elif begin > stop:
                raise Malformed(f"a topic longer than its packet of {size} bytes")
            raw = data[name:begin]
            topic = topics.get(raw)
            take((self._named(raw) if topic is None else topic, data[after:stop], packet_id))
            at = stop
        self._wanted = 2
        return at

    def _named(self, raw: bytes) -> str:
        if len(self._topics) >= _REMEMBERED_TOPICS:  # inventions must not fill the memory
            self._topics.clear()
        # 3.1.1 forbids what is not UTF-8, and so a broker may send it
        topic = self._topics[raw] = raw.decode("utf-8", "backslashreplace")
        return topic


def _long_size(data: bytes, at: int) -> tuple[int, int]:
    """Return (size, begin of the body) of a packet over 127 bytes; (0, 0) while not all is here."""
    size = 0
    for digit in range(4):
        here = at + 1 + digit
        if here >= len(data):
            return 0, 0
        size |= (data[here] & 0x7F) << 7 * digit
        if data[here] < 0x80:
            return size, here + 1
    raise Malformed("a packet's length of more than four digits")


def refusal(connack: bytes) -> str | None:
    """Return why the broker refused a connection, None where it welcomed us."""
    if len(connack) != 2:
        raise Malformed(f"CONNACK of {len(connack)} bytes")
    code = connack[1]
    if not code:
        return None
    remedy = "; check user and password" if code in WRONG_PASSWORD else ""
    return REFUSALS.get(code, f"code {code}") + remedy


def refused_topics(suback: bytes, topics: Sequence[str]) -> list[str]:
    """Return the topic filters a SUBACK refuses."""
    if len(suback) != 2 + len(topics) or suback[:2] != struct.pack(">H", SUBSCRIBE_ID):
        raise Malformed(f"SUBACK {suback[:8].hex()} for {len(topics)} topics")
    return [topic for topic, code in zip(topics, suback[2:], strict=True) if code >= _FAILED]
