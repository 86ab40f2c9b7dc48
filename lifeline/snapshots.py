"""Snapshots on disk: one file an offset, the newest two kept, written by a fork.

A fork copies nothing and takes milliseconds; the child writes and syncs at its own pace while the
engine goes on.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import structlog

from ingest.journal.files import ASIDE, OS_FILES, replace_file
from lifeline.parent import end_with
from rules.engine.snapshot import SnapshotDamagedError, from_bytes, take, to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ingest.journal import FileLayer
    from rules.engine import Engine

LOG: Any = structlog.get_logger("snapshots")
KEPT = 2
_FIRST_OF_OURS = 3  # descriptors below are stdin, stdout, stderr


class SnapshotFolder:
    """``<offset, 20 digits>.snap`` files; the offset is the first one not in the snapshot."""

    def __init__(self, folder: Path, *, files: FileLayer = OS_FILES) -> None:
        self._folder = folder
        self._files = files
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{ASIDE}"):  # a crash in the middle of writing one
            left.unlink()
        self._child = 0
        self.newest = max((int(p.stem) for p in folder.glob("*.snap")), default=-1)

    def load(self, *, until: int) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return the newest whole snapshot at or below ``until`` and the texts' hashes."""
        for path in sorted(self._folder.glob("*.snap"), reverse=True):
            if int(path.stem) > until:
                LOG.error("a snapshot is ahead of the journal and is not used", file=str(path))
                continue
            try:
                state = from_bytes(path.read_bytes())
            except SnapshotDamagedError:
                LOG.exception("a snapshot is damaged, an older one is used", file=str(path))
                continue
            return state, dict(state["texts"])
        return None

    def fork(self, engine: Engine, hashes: Mapping[str, str]) -> bool:
        """Let a child write the engine's state of this moment; False while one still writes."""
        if self._busy():
            return False
        engine_process = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            code = 1
            try:
                # An orphan would write beside the engine that is started next, and hold the event
                # log's lock and socket: that engine could not begin, and the supervisor would stop.
                os.closerange(_FIRST_OF_OURS, os.sysconf("SC_OPEN_MAX"))
                end_with(engine_process, signal.SIGKILL)
                self._save(engine, hashes)
                code = 0
            finally:
                os._exit(code)
        self.newest = engine.next_offset
        return True

    def write(self, engine: Engine, hashes: Mapping[str, str]) -> None:
        """Write the state here and now, after a child that still writes."""
        self.close()
        try:
            self._save(engine, hashes)
        except OSError as error:  # it only makes the next start longer
            LOG.warning("a snapshot could not be written; the older one stands", cause=str(error))

    def _save(self, engine: Engine, hashes: Mapping[str, str]) -> None:
        data = to_bytes(take(engine) | {"texts": [list(pair) for pair in hashes.items()]})
        path = self._folder / f"{engine.next_offset:020}.snap"
        replace_file(self._files, path, data, what="snapshot")
        for old in sorted(self._folder.glob("*.snap"))[:-KEPT]:
            old.unlink()

    def _busy(self) -> bool:
        if not self._child:
            return False
        done, status = os.waitpid(self._child, os.WNOHANG)
        if not done:
            return True
        self._ended(status)
        return False

    def close(self) -> None:
        """Wait for a child that still writes."""
        if self._child:
            _, status = os.waitpid(self._child, 0)
            self._ended(status)

    def _ended(self, status: int) -> None:
        self._child = 0
        if status != 0:
            LOG.error("a snapshot could not be written; the older one stands", status=status)
            self.newest = -1
