"""Ctrl-C and SIGTERM as an event, so that every command ends in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def ending_by_signal() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second Ctrl-C is Python's own."""
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
