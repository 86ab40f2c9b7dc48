"""What stands round our processes: a real mosquitto, a store, a receiver of notifications."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
from abc import ABC, abstractmethod
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from lifeline.broker import wait_until_up
from lifeline.errors import Missing
from lifeline.notify.webhook import verify
from lifeline.torture.links import quiet_port
from lifeline.torture.site import SECRET, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

PROGRAM: Final = "mosquitto"
START_S: Final = 20.0
NO_ANSWER: Final = 0  # a status: the connection is reset
_SPACE: Final = re.compile(rb"(?<!\\) ")

Point = tuple[str, str, int, float]
"""(channel, "1" of a late one else "", Unix ns, value) as the store holds it."""


class Mosquitto:
    """Debian's mosquitto in a folder of its own, with persistence; a block starts and ends it.

    Raises
    ------
    Missing
        It is not installed.
    Unreachable
        It does not come up.
    """

    def __init__(self, folder: Path, *, inflight: int = 400) -> None:
        program = shutil.which(PROGRAM, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            raise Missing(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
        folder.mkdir(parents=True)
        self.port = quiet_port()
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nlog_dest stderr\n"
            f"max_inflight_messages {inflight}\nmax_queued_messages 100000\n"
            # Started by root it would become a user of its own, who may not write here.
            + ("user root\n" if os.geteuid() == 0 else ""),
            encoding="utf-8",
        )
        self._log, self._command = folder / "log", [program, "-c", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._process = process
        wait_until_up(
            self.port, timeout_s=START_S, alive=lambda: process.poll() is None, what=PROGRAM
        )

    def stop(self) -> None:
        """End it by SIGTERM: it saves what it keeps."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Take points or a notification."""
        wanted = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(wanted, self.server.most_read))
        if len(body) < min(
            wanted, self.server.most_read
        ):  # its sender was killed while it spoke: nobody waits, nothing counts
            self.server.cut_short += 1
            self.close_connection = True
            return
        status, said = self.server.answer(self.path, self.headers, body)
        if status == NO_ANSWER:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        text = json.dumps({"message": said}).encode() if said else b""
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class _Server(ThreadingHTTPServer, ABC):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.cut_short = 0  # requests
        self.headers: dict[str, str] = {}  # sent with every answer
        self.most_read = 1 << 40  # bytes of a body
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that was killed is what this is about."""

    @abstractmethod
    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Return the HTTP status and what is said with it."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(5)


class StoreServer(_Server):
    """Keeps points as InfluxDB 2.x does: the same series and time again is the same point.

    ``overwritten`` tells of those that came again with other fields.
    """

    def __init__(self) -> None:
        super().__init__()
        self._points: dict[tuple[bytes, int], bytes] = {}
        self.overwritten: list[str] = []
        self.again = 0  # came again as they were: allowed

    @property
    def url(self) -> str:
        """Return what ``[influx] url`` names."""
        return self.address

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Take a write; a line that is none is refused as InfluxDB refuses it."""
        if headers.get("Authorization") != f"Token {TOKEN}":
            return 401, "unauthorized access"
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
        bucket = query.get("bucket", "").encode()
        held: dict[tuple[bytes, int], bytes] = {}
        for line in body.splitlines():
            head, _, when = line.rpartition(b" ")
            parts = _SPACE.split(head, maxsplit=1)
            if len(parts) != 2 or not when.lstrip(b"-").isdigit():
                return 400, f"unable to parse {line.decode(errors='replace')!r}"
            held[bucket + b" " + parts[0], int(when)] = parts[1]
        with self.lock:
            for key, fields in held.items():
                before = self._points.get(key)
                self.again += before == fields
                if before not in (None, fields):
                    self.overwritten.append(f"{key[0]!r} {key[1]}: {before!r}, then {fields!r}")
            self._points |= held
        return 204, ""

    def held(self) -> dict[tuple[bytes, int], bytes]:
        """Return the fields of every point, by bucket and series, and Unix ns."""
        with self.lock:
            return dict(self._points)

    def forget(self, points: dict[tuple[bytes, int], bytes]) -> None:
        """Hold none of these points any longer; one with other fields stays."""
        with self.lock:
            self._points = dict(self._points.items() - points.items())

    def points(self) -> list[Point]:
        """Return the readings of the channels."""
        found = []
        for (series, when), fields in self.held().items():
            measurement, *tags = series.decode().split(",")
            if measurement != "b gas":
                continue
            tagged = dict(tag.split("=", 1) for tag in tags)
            value = dict(field.split("=", 1) for field in fields.decode().split(","))["value"]
            found.append((tagged["channel"], tagged.get("late", ""), when, float(value)))
        return found


class Receiver(_Server):
    """Takes notifications as a receiver should: by their id, the signature compared.

    ``bodies`` are the different messages that came under an id, ``repeats`` counts those that
    came again, ``unsigned`` what was not ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[int, set[str]] = {}
        self.times: Counter[int] = Counter()
        self.unsigned = 0

    @property
    def url(self) -> str:
        """Return what ``[webhook] url`` names."""
        return f"{self.address}/alarms"

    @property
    def repeats(self) -> int:
        """Return how many deliveries there were beyond one an id."""
        return self.times.total() - len(self.times)

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:  # noqa: ARG002
        """Take a notification."""
        with self.lock:
            if not verify(SECRET.encode(), headers, body, now_s=time.time()):
                self.unsigned += 1
                return 401, "not signed by you"
            number = int(headers["Lifeline-Id"])
            self.bodies.setdefault(number, set()).add(body.decode())
            self.times[number] += 1
        return 204, ""


@contextlib.contextmanager
def scratch(kept: Path | None) -> Iterator[Path]:
    """Give a folder: ``kept``, made now, or a temporary one that is removed again.

    Raises
    ------
    Missing
        ``kept`` is there and holds something.
    """
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="lifeline-torture-") as name:
            yield Path(name)
        return
    kept.mkdir(parents=True, exist_ok=True)
    if any(kept.iterdir()):
        raise Missing(f"{kept}: not empty; name a folder that is not there yet")
    yield kept
