"""Runs the real ingest service in a thread, for tests, and reads back what it journaled."""

import contextlib
import json
import socket
import threading
import time

from ingest.journal import JournalReader, durable_end
from ingest.service import run_ingest
from lifeline.clock import Clock
from rules.readings import Readings
from tests.intake_site import GATEWAY, site

PATIENCE_S = 15.0


class Running:
    """A running service over ``data``; ``stop`` ends it and raises what it raised."""

    def __init__(self, data, **options):
        self.data = data
        self.stopping = threading.Event()
        self.failure = None
        ready = threading.Event()
        options = {"registry": site(), "rules_hash": "rules-1", "tick_s": 0.1} | options

        def run():
            try:
                run_ingest(data=data, clock=Clock(), stop=self.stopping, ready=ready, **options)
            except BaseException as error:  # noqa: BLE001 - raised again where it can be seen
                self.failure = error
            finally:
                ready.set()

        self.thread = threading.Thread(target=run)
        self.thread.start()
        assert ready.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure

    def stop(self):
        began = time.monotonic()
        self.stopping.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure
        return time.monotonic() - began

    def records(self, folder="journal"):
        return records(self.data / folder)

    def control(self, **asked):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.data / "run" / "control.sock"))
            client.sendall(json.dumps(asked).encode() + b"\n")
            return json.loads(client.makefile().readline())


@contextlib.contextmanager
def running(data, **options):
    service = Running(data, **options)
    try:
        yield service
    finally:
        service.stop()


def records(folder):
    return JournalReader(folder).read(until=durable_end(folder), max_rows=1 << 30)


def quarantined(data):
    """Return (reason, path, payload) of everything refused."""
    folder = data / "quarantine"
    if not folder.exists():
        return []
    found = JournalReader(folder).frames(until=durable_end(folder))
    return [
        row
        for _, frames in found
        for row in zip(frames.reason, frames.path, frames.payload, strict=True)
    ]


def sequences(data):
    """Return the sequence of every journaled row, in journal order."""
    rows = [r.body for r in records(data / "journal") if isinstance(r.body, Readings)]
    return [int(s) for body in rows for s in body.sequence]


def until(condition, *, what="it", patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience_s} s"
        time.sleep(0.02)


def topic(device=GATEWAY, form="up"):
    return f"lifeline/v1/{device}/{form}"
