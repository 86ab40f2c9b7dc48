"""A TCP link that fails as told: a proxy before a server, on a port that stays."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final, Self

from lifeline.errors import Unreachable

if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
LOOK_S: Final = 0.05
READ_BYTES: Final = 1 << 16
PORTS: Final = range(20_000, 32_000)  # below those the kernel gives to whoever asks for any
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


def quiet_port() -> int:
    """Return a free port that nobody else is given while its server is away."""
    for port in random.SystemRandom().sample(PORTS, 1_000):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise Unreachable(f"no port from {PORTS[0]} to {PORTS[-1]} is free: end what listens there")


class Link:
    """``port`` leads to ``target``. `cut` resets what is connected and refuses what comes."""

    def __init__(self, target: int) -> None:
        self.port = quiet_port()
        self._target = target
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.socket()  # it keeps the port, also while it does not listen
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._is_cut = True
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.bind((HOST, self.port))
        self.join()
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def join(self) -> None:
        """Let connections come (again)."""
        with self._lock:
            if self._is_cut:
                self._listener.listen(64)
                self._is_cut = False

    def cut(self) -> None:
        """Reset every connection; refuse new ones."""
        with self._lock:
            if not self._is_cut:
                self._listener.shutdown(socket.SHUT_RDWR)
                self._is_cut = True
        self.reset()

    def reset(self) -> None:
        """Reset every connection; new ones may come."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):  # it may be closed already
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if self._is_cut:
                self._stopping.wait(LOOK_S)
                continue
            try:
                if select.select([self._listener], [], [], LOOK_S)[0]:
                    self._join(self._listener.accept()[0])
            except OSError:
                continue  # cut in between

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection((HOST, self._target), 5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._is_cut:
                near.close()
                far.close()
                return
            self._pairs = [p for p in self._pairs if p[0].fileno() >= 0]
            self._pairs.append((near, far))
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes one way until an end is gone; then both are."""
    with contextlib.suppress(OSError):
        while data := one.recv(READ_BYTES):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
