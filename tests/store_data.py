"""Makes data folders for tests of the journal's readers, and runs a reader to be killed."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ingest.journal import EventLines, JournalWriter
from rules.events import Event, EventType, encode
from rules.readings import NO_SEQUENCE, Control, Readings, Tick
from rules.registry_file import registry_bytes

T0 = 1_700_000_000_000_000_000
ROOT = Path(__file__).parent.parent
SECOND = 1_000_000_000


def registry_text(data, registry):
    """Keep the registry's text as a Control record would name it."""
    folder = data / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{registry.content_hash}.json").write_bytes(registry_bytes(registry))


def stream(*, seed, records, rows, channels=2):
    """Bodies of a stream with ticks, duplicates, late rows, conflicts, and devices only heard."""
    random = np.random.default_rng(seed)
    now = T0
    last = None
    sequence = 0
    for k in range(records):
        now += SECOND
        if k % 5 == 4:
            yield Tick(now)
            continue
        if last is not None and k % 7 == 6:  # the whole record once more
            yield Readings(
                **{n: getattr(last, n) for n in last.__slots__ if n != "receive_ns"},
                receive_ns=np.full(len(last), now),
            )
            continue
        each = np.arange(rows)
        judged = now - (rows - each) * 1_000
        if k % 11 == 10:
            judged = judged - 30 * SECOND  # late, all of it
        channel = (each % channels).astype(np.int32)
        if rows > 3:
            channel[-1] = -1
        last = Readings.of(
            {
                "channel": channel,
                "judged_ns": judged,
                "value": np.round(random.normal(20, 5, rows), 3),
                "receive_ns": np.full(rows, now),
                "boot": np.ones(rows, np.int64),
                "sequence": np.full(rows, sequence),
                "index": each,
            }
        )
        sequence += 1
        yield last


def conflicting(at_ns, receive_ns, value):
    """One row of channel 0 without a sequence."""
    return Readings.of(
        {
            "channel": [0], "judged_ns": [at_ns], "value": [value], "receive_ns": [receive_ns],
            "sequence": [NO_SEQUENCE],
        }
    )  # fmt: skip


def write_journal(data, bodies, *, commit_every=20):
    """Append bodies to the journal of a data folder; returns the records that were written."""
    with JournalWriter(data / "journal", segment_bytes=1 << 20) as journal:
        for i, body in enumerate(bodies):
            journal.append(body)
            if i % commit_every == commit_every - 1:
                journal.commit()
        journal.commit()
        return journal.next_offset


def write_events(data, many):
    """Append an event log of alarms going on and off."""
    with JournalWriter(data / "events") as log:
        for k in range(many):
            kind = EventType.RAISED if k % 2 == 0 else EventType.CLEARED
            event = Event(
                type=kind, offset=k, row=0, rule="gas/high", subject="410100-gas-mh-000001/s00/ch4",
                severity=3 if k % 2 == 0 else 0, event_ns=T0 + k * SECOND, value=1.5, limit=1.0,
            )  # fmt: skip
            log.append(EventLines(through=k + 1, lines=(encode(event),)))
        log.commit()


def change(registry):
    """The Control record that puts a registry in force."""
    return Control("registry", {"hash": registry.content_hash})


def run_and_kill(program, *, when, timeout_s=30.0):
    """Run a Python program and kill -9 it as soon as ``when()`` is true."""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        until(lambda: process.poll() is not None or when(), timeout_s=timeout_s, what="the kill")
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait(10)


def until(true, *, timeout_s=15.0, what="it"):
    """Wait until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s} s"
        time.sleep(0.01)
