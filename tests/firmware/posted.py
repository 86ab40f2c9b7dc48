"""A CoAP server of ten lines for the device in C: takes each POST, answers 2.04, keeps frames."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from typing import Self

from ingest.codecs import compact

CHANGED = 0x44


class Posts:
    """``frames`` in order of first arrival; ``silent`` answers nothing, as out of reach."""

    def __init__(self, *, answer: bytes = b"") -> None:
        self.answer = answer
        self.silent = False
        self.frames: list[compact.Decoded] = []
        self.payloads: dict[tuple[int, int], bytes] = {}
        self.arrived_s: list[float] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.port: int = self.socket.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self.socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                datagram, sender = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            if self.silent:
                continue
            payload = datagram[datagram.index(b"\xffCL") + 1 :]
            frame = compact.decode(payload)
            key = (frame.boot, frame.sequence)
            if key not in self.payloads:
                self.frames.append(frame)
                self.arrived_s.append(time.monotonic())
            assert self.payloads.setdefault(key, payload) == payload
            tail = b"\xff" + self.answer if self.answer else b""
            self.socket.sendto(bytes([0x64, CHANGED]) + datagram[2:8] + tail, sender)


def until(true, what: str, *, within_s: float = 15) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


class Commanded:
    """A device that is told what to do by its stdin."""

    def __init__(self, firmware, role: str, device: str, port: int, **options: object) -> None:
        command = [firmware.program, role, "--device", device, "--port", str(port)]
        for name, value in ({"control": "-"} | options).items():
            command.append(f"--{name.replace('_', '-')}")
            command += [] if value is True else [str(value)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> str:
        """Write a command and return its answer."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def end(self, *, timeout_s: float = 30) -> str:
        """Wait for the end; return the last line of stdout."""
        out, err = self.process.communicate(timeout=timeout_s)
        assert "Sanitizer" not in err, err
        return out.splitlines()[-1]
