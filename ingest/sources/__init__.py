"""Where frames come from: see `Source`."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """What brings frames and takes answers."""

    def start(self) -> None:
        """Begin; OSError where it cannot."""

    def stop_reading(self) -> None:
        """Bring no more frames."""

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Send the answers due and end."""
