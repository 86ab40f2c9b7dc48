"""Who asks a running city for a reload without a person at hand: SIGHUP, and a watched folder."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from watchfiles import watch

from lifeline.errors import Failure
from lifeline.reload.folder import reload_folder
from rules.problems import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchfiles import Change

    from lifeline.reload.outcome import How

LOG: Any = structlog.get_logger("reload")
DEBOUNCE_MS = 1_000
"""Editors and `git checkout` write several files; it begins when none was written for so long."""


@contextmanager
def reloading(folder: Path, data: Path, *, watched: tuple[Path, ...] = ()) -> Iterator[None]:
    """Reload on SIGHUP, and when a YAML file in a watched folder changes."""
    asked = _Asked(folder, data)
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: asked.ask("signal"))
    threads = [threading.Thread(target=asked.work, name="reload", daemon=True)]
    if watched:
        threads.append(
            threading.Thread(target=asked.look, args=(watched,), name="watch", daemon=True)
        )
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        asked.end()
        signal.signal(signal.SIGHUP, before)
        for thread in threads:
            thread.join(2.0)


class _Asked:
    """One thread reloads, so that neither signals nor a slow folder hold the supervisor up.

    What is asked for while it works gives one more reload after it.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder, self._data = folder, data
        self._asked: dict[How, threading.Event] = {
            "signal": threading.Event(),
            "watch": threading.Event(),
        }
        self._any, self._stop = threading.Event(), threading.Event()

    def ask(self, how: How) -> None:
        """Ask for a reload; safe in a signal handler."""
        self._asked[how].set()
        self._any.set()

    def end(self) -> None:
        """Let both threads end."""
        self._stop.set()
        self._any.set()

    def work(self) -> None:
        """Reload as often as it is asked for."""
        while self._any.wait() and not self._stop.is_set():
            self._any.clear()
            for how, event in self._asked.items():
                if event.is_set():
                    event.clear()
                    self._reload(how)

    def look(self, watched: tuple[Path, ...]) -> None:
        """Ask for a reload when files have changed and then were left alone for a while."""
        for changes in watch(
            *watched,
            watch_filter=_is_yaml,
            debounce=10 * DEBOUNCE_MS,
            step=DEBOUNCE_MS,
            stop_event=self._stop,
            raise_interrupt=False,
        ):
            LOG.info("files changed", files=sorted({path for _, path in changes})[:20])
            self.ask("watch")

    def _reload(self, how: How) -> None:
        try:
            reload_folder(self._folder, self._data, how=how)
        except (Invalid, Failure):
            return  # told, counted and kept by reload_folder
        except Exception:
            LOG.exception("reload failed by a mistake of ours; what held still holds", how=how)


def _is_yaml(_change: Change, path: str) -> bool:
    return path.endswith((".yaml", ".yml"))
