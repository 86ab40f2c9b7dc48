"""The control socket: serve asks for Control records, and gets their offset once they are durable.

One JSON object a line, ``{"type": "reset", "data": {…}}``, answered by ``{"offset": N}`` or
``{"error": "…"}``. A command is journaled once: ``data["command"]`` names it, and asking again
gives the offset it has.
"""

from __future__ import annotations

import json
import socketserver
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from ingest import metrics
from ingest.intake import Request
from ingest.journal import (
    Cursor,
    CursorDamaged,
    JournalReader,
    OffsetGone,
    socket_address,
)
from rules.readings import Control, texts_named

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.intake import Intake

log = structlog.get_logger("ingest.control")

MAX_LINE_BYTES = 64 << 10
ANSWER_WITHIN_S = 10.0
SITE_WITHIN_S = 55.0
"""A change of registry and rules is compiled before it is journaled: seconds for a large city."""
MAX_CONNECTIONS = 16
REMEMBERED = 10_000
REFED = 200_000
_NEEDED = {
    "registry": ("hash",),
    "rules": ("hash",),
    "site": ("registry", "rules"),
    "reset": ("rule", "channel", "command"),
    "ack": ("alarm", "command"),
    "operate": ("alarm", "event", "command"),
    "incident": ("incident", "event", "command"),
    "window": ("window", "command"),
    "field": ("asset", "event", "command"),
    "correction": ("hash", "kind", "by", "reason", "command"),
    "refeed": ("by", "command"),
    "warning": ("identifier", "sender", "kind", "command"),
}


def parse(line: bytes) -> Control:
    """Return the record asked for.

    Raises
    ------
    ValueError
        What is wrong with the line, for whoever sent it.
    """
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from error
    if not isinstance(asked, dict) or set(asked) != {"type", "data"}:
        raise ValueError('wanted {"type": …, "data": {…}}')
    kind, data = asked["type"], asked["data"]
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise ValueError(f"unknown type {str(kind)[:40]!r}: wanted {', '.join(_NEEDED)}")
    if not isinstance(data, dict):
        raise ValueError(f"data of {kind} is no object")  # noqa: TRY004 - one kind of refusal
    for name in _NEEDED[kind]:
        if not isinstance(data.get(name), str) or not data[name]:
            raise ValueError(f"data of {kind} needs the text {name!r}")
    return Control(kind, data)


class ControlServer:
    """Listens on a unix socket in a thread of its own, a thread per connection."""

    def __init__(self, path: Path, intake: Intake) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # the data folder's lock says that nobody else listens
        self._path = path
        with socket_address(path) as address:
            self._server = _Server(address, _Conversation, intake)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="control", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; conversations end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, address: str, handler: type[_Conversation], intake: Intake) -> None:
        self.intake = intake
        self.places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer line after line."""
        if not self.server.places.acquire(blocking=False):
            self._say({"error": f"more than {MAX_CONNECTIONS} connections, try again later"})
            return
        try:
            while line := self.rfile.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    self._say({"error": f"a line has at most {MAX_LINE_BYTES} bytes"})
                    return
                self._say(self._answered(line))
        except OSError as error:
            log.info("control connection ended", cause=str(error))
        finally:
            self.server.places.release()

    def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            control = parse(line)
        except ValueError as error:
            metrics.CONTROLS.labels("refused").inc()
            return {"error": str(error)}
        done: Future[int] = Future()
        if not self.server.intake.put_request(Request(control, done)):
            metrics.CONTROLS.labels("busy").inc()
            return {"error": "too many requests wait, try again later"}
        try:
            offset = done.result(SITE_WITHIN_S if texts_named(control) else ANSWER_WITHIN_S)
        except TimeoutError:
            metrics.CONTROLS.labels("late").inc()
            return {"error": "not durable yet (is the disk full?), ask again with the same command"}
        except ValueError as error:
            metrics.CONTROLS.labels("refused").inc()
            return {"error": str(error)}
        metrics.CONTROLS.labels("journaled").inc()
        return {"offset": offset}

    def _say(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")


@dataclass
class Known:
    """What the journal's Control records said so far: the hashes in force, commands' offsets."""

    hashes: dict[str, str]
    commands: dict[str, int]
    next_offset: int
    refed: dict[str, int] = field(default_factory=dict)  # frames of quarantine, by their ids

    def note(self, offset: int, control: Control) -> None:
        """Take note of a record at ``offset``."""
        self.hashes |= texts_named(control)
        if control.type == "refeed":
            self.refed |= dict.fromkeys(control.data.get("frames", ()), offset)
            while len(self.refed) > REFED:
                del self.refed[next(iter(self.refed))]
        command = control.data.get("command")
        if isinstance(command, str):
            self.commands[command] = offset
            while len(self.commands) > REMEMBERED:
                del self.commands[next(iter(self.commands))]

    def save(self, path: Path, *, durable: int) -> None:
        """Keep it, so that the next start need not read the whole journal; may raise OSError."""
        held = {"hashes": self.hashes, "commands": self.commands, "refed": self.refed}
        Cursor(durable, {name: json.dumps(each) for name, each in held.items()}).save(path)
        self.next_offset = durable


def recover(path: Path, journal: Path, *, durable: int) -> Known:
    """Return what was kept at ``path``, brought up to the journal's durable end."""
    try:
        cursor = Cursor.load(path)
    except CursorDamaged as error:
        log.warning("reading control records from the journal's beginning", cause=str(error))
        cursor = Cursor()
    if cursor.offset > durable:  # the journal is another one, or lost its tail
        cursor = Cursor()
    known = Known(
        json.loads(str(cursor.extra.get("hashes", "{}"))),
        json.loads(str(cursor.extra.get("commands", "{}"))),
        cursor.offset,
        json.loads(str(cursor.extra.get("refed", "{}"))),
    )
    reader = JournalReader(journal, start=cursor.offset)
    while reader.next_offset < durable:
        try:
            records = reader.read(until=durable)
        except OffsetGone as error:
            reader = JournalReader(journal, start=error.oldest)
            continue
        if not records:
            break
        for record in records:
            if isinstance(record.body, Control):
                known.note(record.offset, record.body)
    return known
