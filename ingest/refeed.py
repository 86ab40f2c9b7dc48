"""Frames out of quarantine, admitted after all, once what refused them is mended.

They keep their own times and numbers and get the journal's newest receive time, all of a request
the same: so they are judged by the ordinary rules. What is newer than its channel's last reading
is judged as such, what is older is late: a red in it is announced as "was red at", nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.admission import Admission, Admitted
from ingest.frame import Frame
from ingest.journal import JournalReader, OffsetGone, durable_end
from ingest.quarantine import MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ingest.journal import Frames

PART = "part/"
MOST = 2_000  # frames of one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One entry of quarantine; ``frame_id`` is ``<offset>.<row>``."""

    frame_id: str
    reason: str
    detail: str
    frame: Frame

    @property
    def key(self) -> tuple[int, str, bytes]:
        """Return what is the same for all entries of one frame."""
        return self.frame.receive_ns, self.frame.path, self.frame.payload


def entries(folder: Path, *, start: int = 0, most: int | None = None) -> Iterator[Refused]:
    """Yield quarantine's entries from a record on, in order, of at most ``most`` records."""
    end = durable_end(folder) if folder.is_dir() else 0
    reader = JournalReader(folder, start=start)
    with reader:
        while reader.next_offset < end and most != 0:
            try:
                records = reader.frames(until=end, max_rows=1 if most == 1 else 1_000)
            except OffsetGone as gone:
                if most is not None:
                    return
                reader.next_offset = gone.oldest
                continue
            if not records:
                return
            for offset, record in records:
                yield from _of(offset, record)
            most = None if most is None else most - len(records)


def frames_of(record: Frames) -> Iterator[Frame]:
    """Yield the frames of a record of the raw log or of quarantine."""
    columns = (record.receive_ns.tolist(), record.content_format.tolist())
    named = zip(*columns, record.transport, record.path, record.payload, strict=True)
    for receive_ns, content, transport, path, payload in named:
        yield Frame(payload, transport, path, receive_ns, None if content < 0 else content)


def _of(offset: int, record: Frames) -> Iterator[Refused]:
    for row, frame in enumerate(frames_of(record)):
        yield Refused(
            frame_id=f"{offset}.{row}",
            reason=record.reason[row],
            detail=record.detail[row],
            frame=frame,
        )


def entry(folder: Path, frame_id: str) -> Refused:
    """Return one entry.

    Raises
    ------
    ValueError
        There is none of this name (any more).
    """
    offset, _, row = frame_id.partition(".")
    if offset.isdecimal() and row.isdecimal():
        for held in entries(folder, start=int(offset), most=1):
            if held.frame_id == frame_id:
                return held
    raise ValueError(f"{folder}: holds no frame {frame_id!r} (any more); lifeline quarantine list")


def fed(
    data: dict[str, Any],
    folder: Path,
    admission: Admission,
    *,
    before: AbstractSet[str],
    receive_ns: int,
) -> tuple[list[str], Admitted]:
    """Return which frames of a request are admitted now, and what they give.

    ``data["frames"]`` are ids; those fed ``before`` are left out. ``data["without"]`` names by id
    the channels of a frame of which a part was refused that were admitted when it came.

    Raises
    ------
    ValueError
        One of them is still refused, or nothing is left; says which and why.
    """
    asked = data.get("frames")
    without = data.get("without", {})
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise ValueError('refeed needs {"frames": ["<offset>.<row>", …]}')
    if len(asked) > MOST:
        raise ValueError(f"{len(asked)} frames at once, at most {MOST}")
    fresh = [entry(folder, each) for each in dict.fromkeys(asked) if each not in before]
    if not fresh:
        raise ValueError("all of these were fed already")
    parts: list[Admitted] = []
    told: set[tuple[int, str, bytes]] = set()
    for each in fresh:
        if each.key not in told:
            told.add(each.key)
            parts.append(_admitted(each, admission, without.get(each.frame_id, []), receive_ns))
    return [each.frame_id for each in fresh], Admitted.joined(parts)


def _admitted(
    each: Refused, admission: Admission, without: Sequence[str], receive_ns: int
) -> Admitted:
    if len(each.frame.payload) >= MAX_PAYLOAD_BYTES:
        raise ValueError(f"{each.frame_id}: was cut to {MAX_PAYLOAD_BYTES} bytes; it is not whole")
    admitted = admission.admit([each.frame._replace(receive_ns=receive_ns)])
    if admitted.quarantined:
        why = admitted.quarantined[0]
        said = f"{each.frame_id}: still refused: {why.reason}: {why.detail}"
        raise ValueError(f"{said}; mend the registry first, or feed the others")
    if not without:
        return admitted
    row_of = admission.table.registry.channel_row
    held = np.array([row_of[c] for c in without if c in row_of], np.int32)
    keep = ~np.isin(admitted.readings.channel, held)
    blocks = [(row, b) for row, b in admitted.blocks if not np.isin(b.channel, held).any()]
    places = np.r_[0, np.cumsum(keep)]
    return Admitted(
        admitted.readings.take(keep),
        tuple((int(places[row]), block) for row, block in blocks),
        (),
        admitted.counters,
    )
