"""One record on disk: our own frame round an Arrow message, a tick, or JSON (docs/journal.md).

The frame carries two CRC-32Cs: one over the payload, one over the header, which holds the first.
So a good header says what was lost even when its payload is damaged, and a bad length cannot
lead a reader astray. The offset is part of validity: a record in the wrong place is not one.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import google_crc32c
import numpy as np

from ingest.journal import columns
from ingest.journal.columns import Frames
from ingest.journal.errors import RecordTooLarge, UnknownFormat
from rules.readings import Block, Control, Readings, Tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.series import Series

    Buffer = bytes | bytearray | memoryview

MAGIC = b"\xc1JRN"
VERSION = 1
FIELDS = struct.Struct("<4sBBHIIQQqQI")  # magic … payload CRC; the header's own CRC follows
CRC = struct.Struct("<I")
HEADER_BYTES = FIELDS.size + CRC.size
ALIGNMENT = 8  # records start at multiples of it, so Arrow buffers can be viewed in place
MAX_PAYLOAD_BYTES = 256 << 20

READINGS, BLOCK, TICK, CONTROL, EVENT_LINES, FRAMES, SERIES = 1, 2, 3, 4, 5, 6, 7

assert HEADER_BYTES == 56  # noqa: S101 - the format


@dataclass(frozen=True, slots=True)
class EventLines:
    """Event log record: the events of journal records below ``through``, one JSON line each."""

    through: int
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """Series log record: scores and features of journal records below ``through``."""

    through: int
    series: Series


Entry = Readings | Block | Tick | Control | EventLines | Frames | SeriesRows


class Header(NamedTuple):
    """What a frame says of itself; only made from bytes whose header CRC is right."""

    kind: int
    length: int  # payload bytes without padding
    rows: int
    offset: int
    durable: int  # every offset below it was on disk before this record was appended
    time_ns: int  # newest receive or tick time up to and with this record
    journal: int  # the number of the journal it belongs to
    payload_crc: int

    @property
    def total(self) -> int:
        """Return the bytes of the whole record with padding."""
        return HEADER_BYTES + padded(self.length)


def padded(length: int) -> int:
    """Return ``length`` rounded up to the alignment."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """Return the CRC-32C (Castagnoli) of ``data``."""
    return int(google_crc32c.value(data))


def octets(data: Buffer, at: int = 0, size: int = -1) -> NDArray[np.uint8]:
    """Return a piece of ``data`` without copying it; without ``size`` all from ``at`` on."""
    return np.frombuffer(data, np.uint8, size, at)


# ------------------------------------------------------------------ payloads


def _event_payload(body: EventLines) -> bytes:
    whole = b"\n".join((b"%d" % body.through, *body.lines))
    if whole.count(b"\n") != len(body.lines):
        raise ValueError("an event line holds a newline; encode the event as one line")
    return whole


def _control_payload(body: Control) -> bytes:
    whole = {"type": body.type, "data": body.data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def _payload(body: Entry) -> tuple[int, int, Buffer]:
    """Return kind, rows and payload bytes; those of Readings behind room for a header."""
    if isinstance(body, Readings):
        return READINGS, len(body), columns.readings_behind(HEADER_BYTES, body)
    if isinstance(body, Tick):
        return TICK, 1, struct.pack("<q", body.tick_ns)
    if isinstance(body, Block):
        return BLOCK, len(body.channel), columns.block_message(body)
    if isinstance(body, Control):
        return CONTROL, 1, _control_payload(body)
    if isinstance(body, EventLines):
        return EVENT_LINES, max(1, len(body.lines)), _event_payload(body)
    if isinstance(body, SeriesRows):
        message = columns.series_message(body.through, body.series)
        return SERIES, max(1, len(body.series)), message
    return FRAMES, max(1, len(body)), columns.frames_message(body)


def encode(body: Entry, *, offset: int, durable: int, time_ns: int, journal: int) -> bytearray:
    """Return the whole record, padded.

    Raises
    ------
    RecordTooLarge
        The payload is over MAX_PAYLOAD_BYTES.
    """
    kind, rows, payload = _payload(body)
    in_place = kind == READINGS  # the bulk of all there is: not copied once more for its header
    length = len(payload) - (HEADER_BYTES if in_place else 0)
    if length > MAX_PAYLOAD_BYTES:
        raise RecordTooLarge(
            f"record {offset}: {length} bytes, the limit is {MAX_PAYLOAD_BYTES}; cut the batch"
        )
    padding = bytes(padded(length) - length)
    if in_place:
        whole = cast("bytearray", payload)
        whole += padding
    else:
        whole = bytearray().join((bytes(HEADER_BYTES), payload, padding))
    checksum = crc32c(octets(whole, HEADER_BYTES))
    numbers = (length, rows, offset, durable, time_ns, journal, checksum)
    FIELDS.pack_into(whole, 0, MAGIC, VERSION, kind, 0, *numbers)
    CRC.pack_into(whole, FIELDS.size, crc32c(octets(whole, 0, FIELDS.size)))
    return whole


# ------------------------------------------------------------------ decoding


def parse_header(data: bytes, at: int = 0, *, journal: int | None = None) -> Header | None:
    """Return the header at ``at`` if one stands there with a good CRC, else None.

    With ``journal`` a header of another journal is none either.

    Raises
    ------
    UnknownFormat
        The CRC is good but version, kind or flags are not ours: a newer program wrote it.
    """
    raw = data[at : at + HEADER_BYTES]
    if len(raw) < HEADER_BYTES or not raw.startswith(MAGIC):
        return None
    if CRC.unpack_from(raw, FIELDS.size)[0] != crc32c(raw[: FIELDS.size]):
        return None
    _, version, kind, flags, length, *rest = FIELDS.unpack_from(raw)
    if version != VERSION or kind not in _DECODERS or flags:
        raise UnknownFormat(
            f"record {rest[1]}: version {version}, kind {kind}, flags {flags} are unknown to this "
            f"program (it knows version {VERSION}); use the version that wrote the journal"
        )
    header = Header(kind, length, *rest)
    return header if journal in (None, header.journal) else None


def payload_is_good(data: bytes, at: int, header: Header) -> bool:
    """Return whether the record at ``at`` is whole and its payload (with padding) unharmed."""
    if at + header.total > len(data):
        return False
    held = octets(data, at + HEADER_BYTES, header.total - HEADER_BYTES)
    return crc32c(held) == header.payload_crc


def _event_lines(data: bytes, at: int, length: int, _rows: int) -> EventLines:
    through, *lines = data[at : at + length].split(b"\n")
    return EventLines(int(through), tuple(lines))


def _control(data: bytes, at: int, length: int, _rows: int) -> Control:
    whole = json.loads(data[at : at + length])
    return Control(whole["type"], whole["data"])


def _tick(data: bytes, at: int, _length: int, _rows: int) -> Tick:
    return Tick(struct.unpack_from("<q", data, at)[0])


def _series_rows(data: bytes, at: int, length: int, _rows: int) -> SeriesRows:
    return SeriesRows(*columns.series(data, at, length))


_DECODERS: dict[int, Callable[[bytes, int, int, int], Entry]] = {
    READINGS: columns.readings,
    BLOCK: columns.block,
    TICK: _tick,
    CONTROL: _control,
    EVENT_LINES: _event_lines,
    FRAMES: columns.frames,
    SERIES: _series_rows,
}


def decode(data: bytes, at: int, header: Header) -> Entry:
    """Return what the record at ``at`` holds; its payload must have been found good.

    Numbers are read-only views of ``data``, which they keep alive; nothing is copied.
    """
    return _DECODERS[header.kind](data, at + HEADER_BYTES, header.length, header.rows)
