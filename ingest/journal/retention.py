"""Remove old segments, never past the slowest reader unless the disk leaves no choice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.journal.record import HEADER_BYTES, parse_header
from ingest.journal.segments import Segment, segments

if TYPE_CHECKING:
    from pathlib import Path

ALL_READ = 1 << 62
"""``keep_from`` of a folder that nobody needs to have read (raw log, quarantine)."""


@dataclass(frozen=True, slots=True)
class Retained:
    """What ``retain`` did. ``forced`` is (first, last) offset taken from a required reader."""

    removed: tuple[Path, ...]
    removed_bytes: int
    oldest_offset: int  # the first one still held
    forced: tuple[int, int] | None

    def __str__(self) -> str:
        """Return one line, loud where readers lose something."""
        said = f"removed {len(self.removed)} segments, {self.removed_bytes} bytes"
        if self.forced is None:
            return said
        return (
            f"{said}; THE DISK IS FULL: records {self.forced[0]}..{self.forced[1]} were removed "
            "before every reader had them"
        )


def retain(
    folder: Path,
    *,
    keep_from: int,
    max_bytes: int | None = None,
    max_age_ns: int | None = None,
    now_ns: int | None = None,
    min_free_bytes: int = 0,
    spare_from: int = ALL_READ,
) -> Retained:
    """Remove whole segments, oldest first, and say what went.

    A segment may go when all its offsets are below ``keep_from`` (the slowest required reader,
    and the second-newest snapshot) and the folder holds more than ``max_bytes`` or the segment's
    newest record is older than ``max_age_ns`` before ``now_ns``. With neither limit nothing goes.
    While the disk has less than ``min_free_bytes`` free, the oldest below ``spare_from`` go whoever
    needs them. The last segment always stays.

    Raises
    ------
    ValueError
        ``max_age_ns`` without ``now_ns``.
    """
    if max_age_ns is not None and now_ns is None:
        raise ValueError("retain: max_age_ns needs now_ns, the Clock's time")
    held = segments(folder)
    sizes = {s.first: s.path.stat().st_size for s in held}
    total = sum(sizes.values())
    removed: list[Segment] = []
    forced: tuple[int, int] | None = None
    for segment, following in pairwise(held):
        too_much = max_bytes is not None and total > max_bytes
        too_old = (
            max_age_ns is not None
            and now_ns is not None
            and _begins_ns(following, now_ns) < now_ns - max_age_ns
        )
        needed = following.first > keep_from
        no_room = following.first <= spare_from and _free_bytes(folder) < min_free_bytes
        if not (no_room or ((too_much or too_old) and not needed)):
            break
        if needed:
            first = max(segment.first, keep_from) if forced is None else forced[0]
            forced = (first, following.first - 1)
        segment.path.unlink()
        total -= sizes[segment.first]
        removed.append(segment)
    oldest = held[len(removed)].first if held else 0
    return Retained(
        tuple(s.path for s in removed), sum(sizes[s.first] for s in removed), oldest, forced
    )


def _begins_ns(segment: Segment, default_ns: int) -> int:
    """Return the time of a segment's first record: nothing before the segment is newer."""
    with segment.path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES))
    return default_ns if header is None else header.time_ns


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
