"""What can go wrong with a journal, by who must act.

JournalError
├── JournalFull       make room on the disk; the same commit may be tried again
├── JournalFailed     look at the disk, then restart: nothing more is accepted by this writer
├── BufferFull        the caller: commit first
├── RecordTooLarge    the caller: cut the batch
├── TimeWentBack      the caller: stamp by the one Clock
├── JournalLocked     stop the other program
├── OffsetGone        the reader: retention has taken what it wanted, start at ``oldest``
├── CursorAhead       the reader: its journal lost its tail, compare before going on
├── CursorDamaged     restore or remove the cursor file
└── UnknownFormat     use the program version that wrote it
"""

# ruff: noqa: N818 - each name says what happened; the word Error would add nothing
from __future__ import annotations


class JournalError(Exception):
    """Any of the errors above."""


class JournalFull(JournalError):
    """The disk is full; nothing of the commit is visible, and it may be tried again."""


class JournalFailed(JournalError):
    """A write or sync failed in a way that leaves the file in doubt; the writer has stopped."""


class BufferFull(JournalError):
    """More was appended than may wait for one commit."""


class RecordTooLarge(JournalError):
    """One record is larger than the format allows."""


class TimeWentBack(JournalError):
    """A receive time or tick is older than one already appended."""


class JournalLocked(JournalError):
    """Another process writes to this folder."""


class OffsetGone(JournalError):
    """The wanted offset was removed by retention; ``oldest`` is the first one still held."""

    def __init__(self, message: str, *, oldest: int) -> None:
        super().__init__(message)
        self.oldest = oldest


class CursorAhead(JournalError):
    """A reader has seen offsets the journal does not hold any more."""


class CursorDamaged(JournalError):
    """A cursor file exists but is not a whole, valid one."""


class UnknownFormat(JournalError):
    """A record with a good checksum is of a version or kind this program does not know."""
