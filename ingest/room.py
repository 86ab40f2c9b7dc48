"""A full disk: go on from the reserve, then stop acknowledging, say both, go on with room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ingest import metrics
from ingest.journal import JournalFull

if TYPE_CHECKING:
    import threading

    from ingest.intake import Intake
    from ingest.journal import JournalWriter
    from ingest.raw_log import RawLog

log = structlog.get_logger("ingest")


class Room:
    """Commits journals. ``writers`` are those whose reserves say how much room there is."""

    def __init__(
        self,
        *writers: JournalWriter,
        intake: Intake,
        raw: RawLog,
        stop: threading.Event,
        retry_s: float,
    ) -> None:
        self._writers = writers
        self._intake = intake
        self._raw = raw
        self._stop = stop
        self._retry_s = retry_s
        self._told = ""
        metrics.DISK_FULL.set(0)

    def commit(self, writer: JournalWriter) -> bool:
        """Commit; wait while there is no room at all. False only when stopped meanwhile.

        Every frame may use the reserve, not safety channels alone: they stand behind the others in
        a broker's one queue, and where those wait nothing of theirs arrives.
        """
        blocked = False
        try:
            while True:
                try:
                    writer.commit(use_reserve=True)
                except JournalFull as error:
                    blocked = True
                    self._intake.block("disk full")
                    self._tell("disk full: nothing is acknowledged", cause=str(error))
                    self._raw.give_up_room()
                else:
                    whole = all(each.reserve_whole() for each in self._writers)
                    self._tell("" if whole else "disk full: going on from the reserve")
                    return True
                if self._stop.wait(self._retry_s):
                    log.warning("stopped on a full disk; senders keep what was not acknowledged")
                    return False
        finally:
            if blocked:
                self._intake.block("")

    def _tell(self, state: str, **more: str) -> None:
        """Say once what has changed; "" is plenty of room."""
        metrics.DISK_FULL.set(1 if state else 0)
        if state == self._told:
            return
        self._told = state
        if state:
            log.warning(state, **more)
        else:
            log.info("the disk has room again")
