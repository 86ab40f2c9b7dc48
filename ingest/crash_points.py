"""Named moments of the write path at which a process may be told to die (`lifeline torture`).

``LIFELINE_CRASH_AT=after-fsync:3`` makes a process kill itself with SIGKILL the third time it is
there. Nothing else sets a point; without one, ``reach`` looks at an empty list and returns.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "LIFELINE_CRASH_AT"

POINTS: Final[dict[str, str]] = {
    "received": "a frame stands in the queue, nothing of it is on disk",
    "segment-begun": "a new segment stands empty in the folder, which is not synced",
    "before-fsync": "a group is written and not synced",
    "after-fsync": "a group is on disk, and nobody has been told: not even the marker",
    "before-ack": "a group is journaled, none of it acknowledged",
    "half-acked": "the first frame of a group is acknowledged, the others are not",
    "after-ack": "a PUBACK has gone to the broker",
    "cursor-aside": "a reader's new cursor is written beside the old one",
    "cursor-renamed": "a reader's new cursor has taken the old one's place",
    "snapshot-aside": "a snapshot is written aside, under no name that counts",
    "snapshot-renamed": "a snapshot has its name, older ones are not removed",
    "ledger-before-commit": "events, alarms, outbox and cursor are written, not committed",
    "ledger-after-commit": "they are committed, and serve does not know it yet",
    "notified": "the receiver took a notification, the outbox does not say so",
    "store-answered": "the store took points, the cursor has not moved",
    "archive-aside": "a Parquet file is written aside",
    "archive-renamed": "a Parquet file has its name, the manifest does not name it",
}
"""What is true at each point."""


@dataclass(slots=True)
class _Fuse:
    point: str
    left: int
    owner: int  # the process that was told; a child of it takes it along


_FUSES: list[_Fuse] = []


def arm(text: str) -> None:
    """Die at ``point:count``; "" disarms.

    Raises
    ------
    ValueError
        There is no such point, or the count is not 1 or more.
    """
    _FUSES.clear()
    if not text:
        return
    point, _, count = text.partition(":")
    if point not in POINTS or not count.isdigit() or int(count) < 1:
        raise ValueError(
            f'{VARIABLE}="{text}": write point:count with a count of 1 or more and one of the '
            f"points {', '.join(POINTS)}; or unset it"
        )
    _FUSES.append(_Fuse(point, int(count), os.getpid()))


def reach(point: str) -> None:
    """Say that this is the moment ``point``; does not return where it is the one to die at."""
    if _FUSES:
        _burn(point)


def _burn(point: str) -> None:
    fuse = _FUSES[0]
    if fuse.point != point:
        return
    fuse.left -= 1
    if fuse.left > 0:
        return
    if fuse.owner != os.getpid():  # a fork that writes a snapshot: a crash takes both
        os.kill(fuse.owner, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
