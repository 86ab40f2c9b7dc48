"""The folder of a journal: its segment files, the durable marker, and how damage is searched."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ingest.journal.record import (
    ALIGNMENT,
    CRC,
    HEADER_BYTES,
    MAGIC,
    Header,
    crc32c,
    parse_header,
    payload_is_good,
)

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".seg"
LOCK_NAME = "lock"
MARKER_NAME = "durable"
_MARKER = struct.Struct("<4sIQQQQ")  # magic, version, offset, segment, bytes, journal
_MARKER_MAGIC = b"\xc1DUR"
_EVERY_OFFSET = 1 << 63


class Segment(NamedTuple):
    """One segment file; its name is the offset of its first record."""

    first: int
    folder: Path
    name: str = ""

    @property
    def path(self) -> Path:
        """Return where it is; made when asked: pathlib keeps books on each name it has seen."""
        return self.folder / self.name


@dataclass(frozen=True, slots=True)
class Damage:
    """Offsets ``first`` to ``last`` that were written and cannot be read any more."""

    path: Path
    at: int  # byte in the file where the damage begins
    first: int
    last: int
    reason: str

    def __str__(self) -> str:
        """Return one line naming the place and what is missing."""
        return f"{self.path}:{self.at}: {self.reason}; records {self.first}..{self.last} are lost"


class Marker(NamedTuple):
    """What was surely on disk when the marker was written, shortly after each commit."""

    offset: int  # every record below is durable
    segment: int  # where the next record goes
    size: int
    journal: int


def segments(folder: Path) -> list[Segment]:
    """Return the segments in order; other files are none of ours."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only, and a list at once
    except FileNotFoundError:
        return []
    found = [n for n in names if n.endswith(SUFFIX) and n[: -len(SUFFIX)].isdigit()]
    return [Segment(int(n[: -len(SUFFIX)]), folder, n) for n in sorted(found)]


def segment_path(folder: Path, first: int) -> Path:
    """Return the path of the segment that begins with offset ``first``."""
    return folder / f"{first:020d}{SUFFIX}"


def marker_bytes(marker: Marker) -> bytes:
    """Return the marker as it stands in its file."""
    fields = _MARKER.pack(_MARKER_MAGIC, 1, *marker)
    return fields + CRC.pack(crc32c(fields))


def read_marker(folder: Path) -> Marker | None:
    """Return the durable marker, or None where there is none or it is not whole.

    It is written after each sync and not itself synced, so it may lag behind after a power
    loss; it is never ahead. A read may meet a write half done, hence more than one try.
    """
    for _ in range(3):
        try:
            raw = (folder / MARKER_NAME).read_bytes()
        except FileNotFoundError:
            return None
        fields, check = raw[: _MARKER.size], raw[_MARKER.size :]
        if len(raw) == _MARKER.size + CRC.size and CRC.unpack(check)[0] == crc32c(fields):
            magic, version, *numbers = _MARKER.unpack(fields)
            if magic == _MARKER_MAGIC and version == 1:
                return Marker(*numbers)
    return None


def identity(folder: Path) -> int | None:
    """Return the journal's number, which every record of it carries; None before the first.

    It is drawn when a journal is made and known to nobody outside, so bytes that a device sent
    cannot pass for a record, and a segment of another journal is not one of this.
    """
    marker = read_marker(folder)
    if marker is not None:
        return marker.journal
    for segment in segments(folder):
        with segment.path.open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES))
        if header is not None:
            return header.journal
    return None


def has_writer(folder: Path) -> bool:
    """Return whether a writer holds the folder's lock now."""
    try:
        handle = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def next_good(
    data: bytes, at: int, *, journal: int | None, lowest: int, below: int = _EVERY_OFFSET
) -> tuple[int, Header] | None:
    """Return place and header of the next whole record with ``lowest <= offset < below``.

    First only what is plausible counts: on the alignment, and with an offset that the bytes passed
    over have room for. The second pass takes any good record, for a file that has lost bytes.
    """
    for strict in (True, False):
        place = data.find(MAGIC, at)
        while place >= 0:
            header = parse_header(data, place, journal=journal)
            if (
                header is not None
                and lowest <= header.offset < below
                and (not strict or _is_plausible(place, place - at, header.offset - lowest))
                and payload_is_good(data, place, header)
            ):
                return place, header
            place = data.find(MAGIC, place + 1)
    return None


def _is_plausible(place: int, passed: int, missing: int) -> bool:
    return place % ALIGNMENT == 0 and missing <= passed // HEADER_BYTES + 1


def behind(data: bytes, at: int, offset: int, *, journal: int | None) -> int:
    """Return where to search on from a damaged record at ``at``.

    When its header is whole and the next record stands where it says, nothing within its payload
    can be taken for a record.
    """
    header = parse_header(data, at, journal=journal)
    if header is None or header.offset != offset:
        return at + 1
    end = at + header.total
    following = parse_header(data, end, journal=journal)
    is_next = following is not None and following.offset == offset + 1
    return end if is_next or end == len(data) else at + 1


class Stretch(NamedTuple):
    """A run of good records without a hole between them."""

    at: int
    end: int
    first: int
    next: int  # the offset after its last
    durable: int  # the newest durable offset its records speak of
    time_ns: int  # of its last record


def stretches(data: bytes, *, first: int, journal: int | None) -> list[Stretch]:
    """Return the good stretches of a whole segment's bytes whose first offset is ``first``."""
    found: list[Stretch] = []
    at, offset = 0, first
    while at < len(data):
        begin, begin_offset, durable, time_ns = at, offset, 0, 0
        while (header := _good(data, at, offset, journal)) is not None:
            durable, time_ns = max(durable, header.durable), header.time_ns
            at, offset = at + header.total, offset + 1
        if offset > begin_offset:
            found.append(Stretch(begin, at, begin_offset, offset, durable, time_ns))
        further = next_good(
            data, behind(data, at, offset, journal=journal), journal=journal, lowest=offset
        )
        if further is None:
            break
        at, offset = further[0], further[1].offset
    return found


def _good(data: bytes, at: int, offset: int, journal: int | None) -> Header | None:
    if len(data) - at < HEADER_BYTES:
        return None
    header = parse_header(data, at, journal=journal)
    if header is None or header.offset != offset or not payload_is_good(data, at, header):
        return None
    return header


class Tail(NamedTuple):
    """What a journal's last segment holds, before anything is done about it."""

    segment: Segment | None
    size: int  # bytes of the file
    keep: int  # bytes up to the end of the last record to keep
    next_offset: int  # the offset the next record gets
    damage: tuple[Damage, ...]  # durable records that are lost: nothing of it may be cut
    lost_end: bool  # durable records are lost at the very end: go on in a new segment
    time_ns: int
    journal: int | None  # None: there is none yet


def examine(folder: Path) -> Tail:
    """Read the last segment and say where the journal ends.

    A broken end is cut only where no durable record can have stood there: a record counts as
    durable when the marker or a later record says so. All else is damage and stays.
    """
    marker = read_marker(folder)
    known = marker.offset if marker else 0
    journal = identity(folder)
    held = segments(folder)
    if not held:
        return Tail(None, 0, 0, known, (), lost_end=False, time_ns=0, journal=journal)
    last = held[-1]
    data = last.path.read_bytes()
    good = stretches(data, first=last.first, journal=journal)
    proven = max([known, *(s.durable for s in good)])
    keep, offset, time_ns = 0, last.first, 0
    damage: list[Damage] = []
    for stretch in good:
        if stretch.first > offset:
            if offset >= proven:
                break
            damage.append(
                Damage(last.path, keep, offset, stretch.first - 1, "damage in a synced record")
            )
        keep, offset, time_ns = stretch.end, stretch.next, stretch.time_ns
    if lost_end := offset < proven:
        damage.append(Damage(last.path, keep, offset, proven - 1, "the synced end is damaged"))
    for earlier in reversed(held[:-1]):
        if time_ns:
            break
        whole = earlier.path.read_bytes()
        found = stretches(whole, first=earlier.first, journal=journal)
        time_ns = max((s.time_ns for s in found), default=0)
    end = max(offset, proven)
    return Tail(last, len(data), keep, end, tuple(damage), lost_end, time_ns, journal)


def durable_end(folder: Path) -> int:
    """Return the first offset that is not durable.

    With a writer at work this is its marker; without one, what a scan of the last segment finds
    (a writer that opens the folder will keep exactly those records).
    """
    if has_writer(folder):
        marker = read_marker(folder)
        return marker.offset if marker else 0
    held = segments(folder)
    if not held:
        return examine(folder).next_offset
    try:
        now = held[-1].path.stat()
    except FileNotFoundError:  # a recovery between the two looks
        return durable_end(folder)
    return _scanned(folder, held[-1], read_marker(folder), now.st_size, now.st_mtime_ns)


@lru_cache(maxsize=16)
def _scanned(
    folder: Path, _last: Segment, _marker: Marker | None, _size: int, _changed_ns: int
) -> int:
    """Scan once for as long as nothing changes: readers ask often while a writer is away."""
    return examine(folder).next_offset
