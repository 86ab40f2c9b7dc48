"""The data folder: one instance at a time, of a version this program knows."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final, Self

from lifeline.errors import Missing, Occupied
from lifeline.migrations import bring_up

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

ROOMS: Final = (
    "run",
    "journal",
    "events",
    "raw",
    "quarantine",
    "cursors",
    "snapshots",
    "registry",
    "rules",
    "corrections",
    "archive",
    "log",
    "photos",
)


class DataFolder:
    """Holds ``lock`` for as long as it is open.

    Raises
    ------
    Occupied
        Another process holds it; with its pid.
    NewerFolder
        VERSION is newer than this program, or not a number.
    OlderFolder
        It must be migrated first, which rewrites data; ``migrating`` says that it may.
    Missing
        The folder cannot be made or written.
    """

    def __init__(self, path: Path, *, migrating: bool = False) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            said = f"{path}: cannot be written ({error.strerror}); choose another with --data"
            raise Missing(said) from error
        try:
            self._hold()
            bring_up(path, by_hand=migrating)
        except BaseException:
            os.close(self._lock)
            raise
        for room in ROOMS:
            (path / room).mkdir(exist_ok=True)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip()
            raise _occupied(self.path, holder) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def refuse_second(path: Path) -> None:
    """Raise Occupied where an instance works in a data folder; before its ports are looked at."""
    pid = holder_pid(path)
    if pid is not None:
        raise _occupied(path, str(pid))


def _occupied(path: Path, holder: str) -> Occupied:
    return Occupied(
        f"{path}: process {holder or 'unknown'} works in this data folder; "
        f"stop it first (kill -TERM {holder}), or choose another with --data"
    )


def holder_pid(path: Path) -> int | None:
    """Return the pid of the instance that works in a data folder, None if none does."""
    try:
        with (path / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = (path / "lock").read_text(encoding="utf-8", errors="replace").strip()
        return int(text) if text.isdigit() else 0
    except OSError:
        return None
    return None
