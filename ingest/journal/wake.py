"""Tell readers in other processes how far the journal is durable, within a fraction of a ms.

A Unix socket of whole messages (SOCK_SEQPACKET); each is the durable end, 8 bytes little-endian.
A client is told on connecting and whenever the end moves; a slow one gets only the newest.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

from ingest.journal.errors import JournalLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_MESSAGE = struct.Struct("<Q")
_RETRY_S = 0.05
_DYING_S = 0.5
MAX_CLIENTS = 64


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Give an address for ``path`` that fits into the 107 bytes a Unix socket's name may have."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _take_over(path: Path) -> None:
    """Remove the socket of a dead server; one that answers is somebody else's.

    A server that is killed may answer for a moment still, hence more than one look.
    """
    give_up_s = time.monotonic() + _DYING_S
    while _answers(path):
        if time.monotonic() >= give_up_s:
            raise JournalLocked(f"{path}: another process wakes readers here; stop it first")
        time.sleep(_RETRY_S / 5)
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Return whether somebody listens there."""
    if not path.exists():
        return False
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with socket_address(path) as address:
            probe.connect(address)
    except OSError:  # nobody listens
        return False
    finally:
        probe.close()
    return True


class WakeServer:
    """Publishes the durable end on a socket; a thread of its own does the sending.

    ``refused_clients`` counts those beyond MAX_CLIENTS.

    Raises
    ------
    JournalLocked
        Another process serves this path.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _take_over(path)
        self.path = path
        self.refused_clients = 0
        self._durable = -1
        self._told: dict[socket.socket, int] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with socket_address(path) as address:
            self._listener.bind(address)
        self._listener.listen(MAX_CLIENTS)
        self._listener.setblocking(False)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="journal-wake", daemon=True)
        self._thread.start()

    def publish(self, durable: int) -> None:
        """Pass the durable end on; returns at once."""
        self._durable = durable
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Stop and take the socket away."""
        if self._stopping:
            return
        self._stopping = True
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._listener.close()
        os.close(self._bell)
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select():
                    if key.fileobj is self._listener:
                        self._accept(selector)
                    elif key.fileobj == self._bell:
                        os.eventfd_read(self._bell)
                    elif isinstance(key.fileobj, socket.socket):
                        self._hear(selector, key.fileobj)
                for client in list(self._told):
                    self._tell(selector, client)
            for client in self._told:
                client.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        if len(self._told) >= MAX_CLIENTS:
            self.refused_clients += 1
            client.close()
            return
        client.setblocking(False)
        self._told[client] = -1
        selector.register(client, selectors.EVENT_READ)

    def _hear(self, selector: selectors.BaseSelector, client: socket.socket) -> None:
        """Clients never speak: readable means gone."""
        try:
            gone = client.recv(1) == b""
        except BlockingIOError:
            gone = False  # it was only writable again
        except OSError:
            gone = True
        if gone:
            self._drop(selector, client)

    def _tell(self, selector: selectors.BaseSelector, client: socket.socket) -> None:
        durable = self._durable
        if durable < 0 or self._told[client] == durable:
            return
        try:
            client.send(_MESSAGE.pack(durable))
        except BlockingIOError:
            selector.modify(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        except OSError:
            self._drop(selector, client)
        else:
            self._told[client] = durable
            selector.modify(client, selectors.EVENT_READ)

    def _drop(self, selector: selectors.BaseSelector, client: socket.socket) -> None:
        selector.unregister(client)
        del self._told[client]
        client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class WakeClient:
    """Waits for the durable end to move; connects again by itself when the writer restarts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections = 0  # how often it connected: more than 1 means the writer restarted
        self._socket: socket.socket | None = None

    def wait(self, timeout_s: float) -> int | None:
        """Return the newest durable end as soon as one is told, or None after ``timeout_s``."""
        give_up = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, give_up - time.monotonic())
            if self._socket is None and not self._connect():
                if left_s == 0.0:
                    return None
                time.sleep(min(_RETRY_S, left_s))
                continue
            newest = self._receive(left_s)
            if newest is not None:
                return newest
            if self._socket is not None or left_s == 0.0:
                return None

    def _connect(self) -> bool:
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with socket_address(self.path) as address:
                fresh.connect(address)
        except OSError:  # no writer now: the caller's wait goes on
            fresh.close()
            return False
        self._socket = fresh
        self.connections += 1
        return True

    def _receive(self, timeout_s: float) -> int | None:
        """Return the newest message, None on time-out or when the connection is gone."""
        assert self._socket is not None  # noqa: S101 - wait connects first
        newest: int | None = None
        self._socket.settimeout(max(timeout_s, 1e-6))
        try:
            while message := self._socket.recv(_MESSAGE.size):
                newest = _MESSAGE.unpack(message)[0]
                self._socket.setblocking(False)
        except (BlockingIOError, TimeoutError):
            return newest
        except OSError:
            pass
        self.close()
        return newest

    def close(self) -> None:
        """Leave; a later wait connects again."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
