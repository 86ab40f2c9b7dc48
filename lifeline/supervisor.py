"""Starts the processes of a city, starts a fallen one again, and stops them all in order.

A process that ends with exit code 2 needs a person: everything stops and its last words are told.
Any other end is a crash: it is started again after a pause that doubles.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

import structlog
from prometheus_client import CollectorRegistry, Counter

from lifeline.allocation import environment
from lifeline.errors import EXIT_CODE, Crashed
from lifeline.metrics_files import MetricsFile
from lifeline.processes import command
from lifeline.reload.outcome import begin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from lifeline.processes import Context

log = structlog.get_logger("supervisor")

STOP_WITHIN_S: Final = 5.0
STOP_ORDER: Final = (
    ("city", "probe"),
    ("ingest",),
    ("engine", "store", "archive", "serve"),
    ("broker",),
)
"""First what makes data, then what takes it in, then what reads it: nothing is cut in two."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0  # up for so long, a process has earned its first pause back
MOST_CRASHES: Final = 20  # in a row; then a person must look

# A registry of its own: the modules the supervisor imports have metrics it never counts.
COUNTED: Final = CollectorRegistry()
RESTARTS: Final = Counter(
    "lifeline_process_restarts_total",
    "Processes that ended by themselves and were started again",
    ["name"],
    registry=COUNTED,
)


@dataclass(slots=True)
class Child:
    """One process and how it has fared."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    crashes: int = 0
    restarts: int = 0
    due_s: float = 0.0  # when to start it again
    wanted: bool = True


@dataclass(slots=True)
class Supervisor:
    """Use it in a ``with``: leaving it stops everything, within STOP_WITHIN_S."""

    context: Context
    names: Sequence[str]
    log_folder: Path | None = None  # None: the children write to our stderr
    json_logs: bool = False
    children: dict[str, Child] = field(default_factory=dict)
    on_restart: Callable[[str, int, float], None] | None = None
    _left: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, *, again: bool = False) -> None:
        """Start one process now; ``again`` after it fell, with the site that held then."""
        child = self.children.setdefault(name, Child(name))
        context = replace(self.context, again=again)
        words = command(name, context, parent=os.getpid(), json_logs=self.json_logs)
        stream = None
        if self.log_folder is not None:
            self.log_folder.mkdir(parents=True, exist_ok=True)
            stream = (self.log_folder / f"{name}.log").open("ab")
        try:
            # A session of its own: the terminal's Ctrl-C comes to us alone, and we stop in order.
            child.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env=environment(),
            )
        finally:
            if stream is not None:
                stream.close()
        child.started_s, child.wanted = time.monotonic(), True
        RESTARTS.labels(name)  # told as 0 from the first start on, so that the first crash is seen

    def start_all(self) -> None:
        """Start what is not running."""
        for name in self.names:
            if name not in self.children:
                self.start(name)

    def alive(self, name: str) -> bool:
        """Return whether a process is up now."""
        process = self.children[name].process if name in self.children else None
        return process is not None and process.poll() is None

    def watch(self) -> None:
        """Look at every process once; start again what has crashed and had its pause.

        Raises
        ------
        Crashed
            A process needs a person, or crashed MOST_CRASHES times in a row.
        """
        now_s = time.monotonic()
        for child in self.children.values():
            if not child.wanted:
                continue
            if child.process is not None and (code := child.process.poll()) is not None:
                self._ended(child, code, now_s)
            if child.process is None and now_s >= child.due_s:
                child.restarts += 1
                RESTARTS.labels(child.name).inc()
                self.start(child.name, again=True)

    def _ended(self, child: Child, code: int, now_s: float) -> None:
        child.process = None
        if code == EXIT_CODE:
            raise Crashed(f"{child.name} cannot run; it said:", *self.last_words(child.name))
        child.crashes = 1 if now_s - child.started_s > STEADY_AFTER_S else child.crashes + 1
        if child.crashes >= MOST_CRASHES:
            said = f"{child.name} ended {child.crashes} times in a row (exit code {code}):"
            raise Crashed(said, *self.last_words(child.name))
        pause_s = min(FIRST_PAUSE_S * 2 ** (child.crashes - 1), LONGEST_PAUSE_S)
        child.due_s = now_s + pause_s
        log.warning("process ended; starting it again", name=child.name, code=code, in_s=pause_s)
        if self.on_restart is not None:
            self.on_restart(child.name, code, pause_s)

    def last_words(self, name: str, *, lines: int = 8) -> tuple[str, ...]:
        """Return the end of a process's log, nothing where it shares our stderr."""
        if self.log_folder is None:
            return ("see its lines above",)
        path = self.log_folder / f"{name}.log"
        if not path.exists():
            return ()
        text = path.read_text(encoding="utf-8", errors="replace")
        return tuple(text.splitlines()[-lines:])

    def stop(self, *names: str, within_s: float = 2.0) -> None:
        """Ask some processes to end and wait; what has not ended by then is killed and told."""
        held = [self.children[name] for name in names if name in self.children]
        for child in held:
            child.wanted = False
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + within_s
        for child in held:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process does not stop; killing it", name=child.name)
                child.process.kill()
                child.process.wait()

    def stop_all(self) -> None:
        """Stop everything, in STOP_ORDER, each group at most as long as the rest of the time."""
        deadline_s = time.monotonic() + STOP_WITHIN_S - 0.5
        for group in STOP_ORDER:
            left_s = deadline_s - time.monotonic()
            self.stop(*group, within_s=max(0.3, min(left_s, 2.0)))

    def run(self, stop: threading.Event) -> None:
        """Watch until ``stop``."""
        while not stop.wait(0.2):
            self.watch()

    def __enter__(self) -> Self:
        begin(self.context.data)
        MetricsFile(self.context.data, "supervisor", stop=self._left, registry=COUNTED).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self.stop_all()
