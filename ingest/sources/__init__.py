"""Where frames come from: see `Source`."""

from __future__ import annotations

from typing import Protocol


class SourceDied(RuntimeError):  # noqa: N818 - says what happened
    """A source stopped by itself: without it the process would be deaf and look well."""


class Source(Protocol):
    """What brings frames and takes answers."""

    @property
    def alive(self) -> bool:
        """Say whether it still works; a dead one makes the process end, to be started again."""

    def start(self) -> None:
        """Begin; OSError where it cannot."""

    def stop_reading(self) -> None:
        """Bring no more frames."""

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Send the answers due and end."""
