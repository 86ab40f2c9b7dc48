"""Messages of our own topics read many at once, where nothing of them is to be refused.

A message with anything wrong, or anything that only its codec knows, is left to be opened by
itself: only then is it said what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.codecs import compact_bulk, json_bulk
from ingest.rows import hashed
from rules.readings import HEARD_ONLY, NO_SEQUENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingest.channels import ChannelTable
    from ingest.frame import Frame

_LONG = 64  # rows a message, above which it is worth to compare its keys as a whole
_REMEMBERED_DEVICES = 1 << 12
_NONE = np.empty(0, np.int32)


class Sender(NamedTuple):
    """Whom a topic of ours names: row and name of a living device, and the codec of the topic."""

    device: int
    name: str
    codec: str


class Opened(NamedTuple):
    """What was read: messages by their ``number`` in the group, and their rows, in that order.

    ``heads`` are (device row, boot, sequence) of each message. ``message[n]`` counts through them;
    ``rows`` are channel, event_ns, value and status, [n] each.
    """

    number: NDArray[np.int64]
    heads: list[tuple[int, int, int]]
    message: NDArray[np.int64]
    rows: tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]


def read_json(
    table: ChannelTable,
    frames: Sequence[Frame],
    senders: Sequence[Sender | None],
    asked: Sequence[int],
) -> Opened:
    """Read those of the ``asked`` frames, all of known senders, that are in our own spelling."""
    read = json_bulk.read([frames[number].payload for number in asked])
    numbers = np.array(asked, np.int64)[read.number]
    named = [who for number in numbers.tolist() if (who := senders[number])]
    welcome = table.registry.simulation
    good = np.array(
        [
            head.device in ("", who.name) and (welcome or not head.simulation)
            for head, who in zip(read.heads, named, strict=True)
        ],
        np.bool_,
    )
    device = np.array([who.device for who in named], np.int32)
    channel = _channels(table, device, read)
    good[read.message[channel == HEARD_ONLY]] = False
    channel = channel[good[read.message]]
    read, device = read.only(good, numbers), device[good]
    heads = [
        (who, head.boot, head.seq)
        if head.seq >= 0
        else (who, hashed(frames[number].payload), NO_SEQUENCE)
        for who, head, number in zip(device.tolist(), read.heads, read.number.tolist(), strict=True)
    ]
    status = np.zeros(len(channel), np.uint8)
    return Opened(read.number, heads, read.message, (channel, read.event_ns, read.value, status))


def _channels(
    table: ChannelTable, device: NDArray[np.int32], read: json_bulk.Bulk
) -> NDArray[np.int32]:
    """Return the channel of each row; long messages mostly name what the one before them named."""
    if len(read.key) <= _LONG * len(device):
        return table.of_key_words(device[read.message], read.key)
    ends = np.searchsorted(read.message, np.arange(len(device)), side="right").tolist()
    parts: list[NDArray[np.int32]] = []
    begin = 0
    for row, end in zip(device.tolist(), ends, strict=True):
        words = read.key[begin:end]
        raw = words.tobytes()
        said, channel = table.named_before.get(row, (b"", _NONE))
        if said != raw:
            channel = table.of_key_words(np.full(end - begin, row, np.int32), words)
            if len(table.named_before) >= _REMEMBERED_DEVICES:
                table.named_before.clear()
            table.named_before[row] = raw, channel
        parts.append(channel)
        begin = end
    return np.concatenate(parts)


def read_compact(
    table: ChannelTable,
    frames: Sequence[Frame],
    senders: Sequence[Sender | None],
    asked: Sequence[int],
    least: int,
) -> Opened:
    """Read those of the ``asked`` compact frames, all of known senders, whose layout is frequent.

    ``least``: see ``compact_bulk.read``.
    """
    read = compact_bulk.read([frames[number].payload for number in asked], least=least)
    numbers = np.array(asked, np.int64)[read.number]
    named = [who for number in numbers.tolist() if (who := senders[number])]
    good = np.array(
        [name == who.name for name, who in zip(read.device, named, strict=True)], np.bool_
    )
    if not table.registry.simulation:
        good &= ~read.simulation
    device = np.array([who.device for who in named], np.int32)
    channel = table.of_ports(device[read.message], read.port)
    good[read.message[channel == HEARD_ONLY]] = False
    channel = channel[good[read.message]]
    read, device = read.only(good, numbers), device[good]
    heads = zip(device.tolist(), read.boot.tolist(), read.sequence.tolist(), strict=True)
    rows = (channel, read.event_ns, read.value, read.status)
    return Opened(read.number, list(heads), read.message, rows)
