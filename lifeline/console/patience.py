"""Connections that say nothing, or one byte a second, are ended: they would hold up the page.

uvicorn waits for a request as long as it takes. Here a request's head, and then its body, must
have come within PATIENCE_S; a connection between requests is uvicorn's own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

PATIENCE_S = 10.0
MAX_CONNECTIONS = 512  # then 503: the page's browsers need six each


class Patient(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit to how slowly a request may come."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a request begin the wait, its last end it."""
        if self._late is None:
            self._wait()
        super().data_received(data)
        if self._whole():
            self._no_longer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._no_longer()
        super().connection_lost(exc)

    def _whole(self) -> bool:
        """Say whether nothing of a request is outstanding."""
        state = str(self.conn.their_state)
        return state not in ("IDLE", "SEND_BODY")

    def _wait(self) -> None:
        self._late = self.loop.call_later(PATIENCE_S, self._give_up)

    def _no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.abort()
