"""Our processes under torture, forked from one that has imported everything: a start takes 50 ms.

Each is the process the supervisor would start, by the same command line; only Python's start and
the imports, a second or two each, are done once for all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

from ingest.crash_points import VARIABLE
from lifeline.allocation import environment
from lifeline.data_folder import DataFolder
from lifeline.errors import Crashed
from lifeline.processes.__main__ import main as run_process
from lifeline.processes.context import Context, command
from lifeline.torture import forked
from lifeline.torture.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from types import TracebackType

NAMES: Final = ("ingest", "engine", "serve", "archive", "store")
CHECKPOINT_S: Final = 0.4
_FORKS: Final = multiprocessing.get_context("forkserver")
_PRELOAD: Final = [
    "__main__",
    forked.__name__,
    "lifeline.torture.processes",
    "paho.mqtt.client",
    "aiocoap",
]
_KILLED: Final = -signal.SIGKILL


def become(name: str, site: Path, data: Path, crash_at: str) -> None:
    """Turn this fresh fork into one of our processes; its output goes to its log."""
    with log_of(name, data).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    Faults(data).arm()
    if crash_at:
        os.environ[VARIABLE] = crash_at
    context = Context(site=site, data=data, checkpoint_s=CHECKPOINT_S)
    words = command(name, context, parent=os.getppid(), json_logs=True)
    sys.exit(run_process(words[3:]))


def log_of(name: str, data: Path) -> Path:
    """Return where a process of a data folder says what it does."""
    return data / "log" / f"{name}.log"


class Process:
    """One of our processes, started, killed and started again."""

    def __init__(self, name: str, site: Path, data: Path) -> None:
        self.name = name
        self.log = log_of(name, data)
        self.starts = 0
        self._folders = (site, data)
        self._process: Any = None

    @property
    def runs(self) -> bool:
        """Say whether it lives."""
        return self._process is not None and self._process.is_alive()

    def start(self, crash_at: str = "") -> None:
        """Start it; with ``crash_at`` it kills itself there."""
        told = (self.name, *self._folders, crash_at)
        self._process = _FORKS.Process(target=become, args=told, daemon=True)
        self._process.start()
        self.starts += 1

    @property
    def sentinel(self) -> int:
        """Return what becomes readable when it ends."""
        return int(self._process.sentinel)

    def ended_by_kill(self) -> None:
        """Take note that it ended.

        Raises
        ------
        Crashed
            Nobody had killed it.
        """
        self._process.join()
        if self._process.exitcode != _KILLED:
            said = f"{self.name} ended by itself with {self._process.exitcode}; its log ends:"
            raise Crashed(said, self.tail())

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.join()

    def stop(self, timeout_s: float = 15.0) -> int:
        """End it by SIGTERM and return its exit code.

        Raises
        ------
        Crashed
            It does not end.
        """
        self._process.terminate()
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise Crashed(f"{self.name} does not stop within {timeout_s:g} s", self.tail())
        return int(self._process.exitcode)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return int(self._process.pid)

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


class City:
    """The processes over one data folder; a block ends them whatever happened."""

    def __init__(self, site: Path, data: Path) -> None:
        self.data = data
        with DataFolder(data):  # makes the rooms
            pass
        imported = [f"lifeline.processes.{name}" for name in NAMES]
        os.environ.update(environment())  # as the supervisor starts them
        _FORKS.set_forkserver_preload([*_PRELOAD, *imported])
        self.processes = {name: Process(name, site, data) for name in NAMES}

    def check(self, *, but: Collection[str] = ()) -> None:
        """Look whether all live, ``but`` those who were killed.

        Raises
        ------
        Crashed
            One has ended by itself; with the end of its log.
        """
        for process in self.processes.values():
            if process.name not in but and not process.runs:
                raise Crashed(f"{process.name} ended by itself; its log ends:", process.tail())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes.values():
            if process.runs:
                process.kill()


def until(is_so: Callable[[], bool], what: str, *, timeout_s: float = 60.0) -> None:
    """Wait until something is so.

    Raises
    ------
    Crashed
        It is not so after ``timeout_s``.
    """
    give_up_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > give_up_s:
            raise Crashed(f"after {timeout_s:g} s still not so: {what}")
        time.sleep(0.05)
