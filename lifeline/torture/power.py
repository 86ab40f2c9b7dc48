"""The campaign of power cuts and bad disks: journal, event log, snapshot and cursor of a city.

The real writer, engine, event log, snapshot folder and cursor work on a Disk (disk.py) in one
process. A life ends when the power goes or a call fails; then the folder becomes what a next start
may find, and everything that was promised is looked for.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingest.journal import (
    Cursor,
    CursorDamaged,
    JournalError,
    JournalFailed,
    JournalFull,
    JournalReader,
    JournalWriter,
    durable_end,
)
from lifeline.engine_process import EventLog, SiteTexts, empty_site, restored
from lifeline.errors import Crashed
from lifeline.preflight import read_site
from lifeline.settings.config import load_config
from lifeline.snapshots import SnapshotFolder
from lifeline.torture.disk import Disk, Fault, PowerLost
from lifeline.torture.journaled import read_journal
from lifeline.torture.site import LEVELS, Ports, write_site
from rules.engine import Engine
from rules.engine.snapshot import SnapshotDamagedError, from_bytes
from rules.events import encode
from rules.readings import Control, Readings, Tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.readings import Body

SEGMENT_BYTES: Final = 6_000
CHANNELS: Final = 8
LIVES_A_FOLDER: Final = 12
MOST_STEPS: Final = 12
BEGIN_NS: Final = 1_775_000_000 * 10**9
STEP_NS: Final = 150_000_000
PAUSE_NS: Final = 20 * 10**9
KINDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("cut", ()),
    ("cut", ("sync",)),
    ("cut", ("write",)),
    ("EIO", ()),
    ("EIO", ("sync",)),
    ("EIO", ("sync", "truncate")),  # then the end cannot be cut off again either
    ("EIO", ("write",)),
    ("EIO", ("rename",)),
    ("ENOSPC", ("write",)),
    ("ENOSPC", ("open",)),
    ("ENOSPC", ("sync",)),
)
NOWHERE: Final = Ports(1, 2, 3, "http://127.0.0.1:9", "http://127.0.0.1:9")


@dataclass
class Broken:
    """Promises that did not hold, with the place; and what was done."""

    cuts: int = 0
    lives: int = 0
    acknowledged: int = 0  # records whose commit returned
    events: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)

    def note(self, promise: str, said: str) -> None:
        """Take note of a broken promise."""
        self.broken.setdefault(promise, []).append(said)


class Rig:
    """One data folder through its lives; ``journal`` holds what was promised, record by record."""

    def __init__(self, folder: Path, seed: str, found: Broken) -> None:
        self._draw = random.Random(seed)
        self._seed = seed
        self.data = folder / "data"
        self._found = found
        write_site(folder / "site", NOWHERE)
        texts = read_site(load_config(folder / "site"), self.data)
        texts.store(self.data)
        self._hashes = {"registry": texts.registry_hash, "rules": texts.rules_hash}
        for room in ("journal", "events", "snapshots", "cursors"):
            (self.data / room).mkdir()
        self._disk = Disk(self.data, self._draw)
        self._promised: list[bytes] = []
        self._cursors = {0}  # one of these is on the disk: the last surely saved, and tries since
        self._now_ns = BEGIN_NS

    # -------------------------------------------------------------- one life

    def live(self) -> None:
        """Start, work until something fails, fall, and look at what is left."""
        kind, calls = self._draw.choice(KINDS)
        after, times = self._draw.randint(0, 14 if calls else 60), self._draw.choice((1, 2, 3))
        self._disk.fault = Fault(kind, calls, after, times)
        self._disk.short_writes = self._draw.random() < 0.5
        failed_before = self._disk.failed
        self._found.lives += 1
        with contextlib.suppress(PowerLost, JournalFull, JournalFailed, OSError):
            self._work()
        if self._disk.failed > failed_before:
            self._found.faults[f"{kind} at {' and '.join(calls) or 'any call'}"] += 1
        self._disk.fault = Fault()
        if kind == "cut" or self._draw.random() < 0.5:
            self._disk = self._disk.lose_power()
            self._found.cuts += 1
        self._look()

    def _work(self) -> None:
        stop = threading.Event()
        stop.set()  # nobody waits for room here
        with ExitStack() as ending:
            journal = JournalWriter(
                self.data / "journal", segment_bytes=SEGMENT_BYTES, files=self._disk
            )
            ending.callback(self._end, journal)
            if journal.damage:
                self._found.note("journal", f"{self._seed}: {journal.damage[0]}")
            texts = SiteTexts(self.data)
            snapshots = SnapshotFolder(self.data / "snapshots", files=self._disk)
            engine = restored(self.data, texts, snapshots)
            log = EventLog(self.data, files=self._disk)
            ending.callback(self._end, log)
            log.rerun_from(engine.next_offset)
            self._take_over(journal.durable_offset)
            for _ in range(MOST_STEPS):
                self._step(journal)
                with JournalReader(self.data / "journal", start=engine.next_offset) as reader:
                    if records := reader.read(until=journal.durable_offset):
                        log.append(engine.fold(records), records[-1].offset + 1, stop)
                if self._draw.random() < 0.3:
                    snapshots.write(engine, texts.hashes)
                if self._draw.random() < 0.5:
                    self._save_cursor(engine.next_offset)

    def _save_cursor(self, offset: int) -> None:
        self._cursors.add(offset)
        path = self.data / "cursors" / "engine"
        if Cursor(offset, {"name": "engine"}).save_if_room(path, files=self._disk):
            self._cursors = {offset}

    @staticmethod
    def _end(writer: JournalWriter | EventLog) -> None:
        with contextlib.suppress(PowerLost, JournalFull, JournalFailed, OSError):
            writer.close()

    def _take_over(self, durable: int) -> None:
        """Expect also what was not acknowledged and stands: from the start on it is durable."""
        for record in read_journal(self.data)[len(self._promised) : durable]:
            self._promised.append(content_of(record.body))

    def _step(self, journal: JournalWriter) -> None:
        """Append some records and commit: when that returns they are acknowledged."""
        bodies = [self._body(journal.next_offset + n) for n in range(self._draw.randint(1, 4))]
        for body in bodies:
            journal.append(body)
        try:
            journal.commit(use_reserve=True)
        except JournalFull:
            journal.discard()
            return
        except JournalFailed:
            self._must_refuse(journal)
            raise
        self._promised += [content_of(body) for body in bodies]
        self._found.acknowledged += len(bodies)

    def _must_refuse(self, journal: JournalWriter) -> None:
        """After a failed write or sync a writer pretends nothing."""
        for name in ("commit", "append"):
            with contextlib.suppress(JournalFailed):
                _ = journal.commit() if name == "commit" else journal.append(Tick(self._now_ns))
                self._found.note("stops after a failed sync", f"{self._seed}: {name} went well")

    def _body(self, offset: int) -> Body:
        """Return the next record: readings that cross limits both ways, or a tick."""
        self._now_ns += PAUSE_NS if self._draw.random() < 0.05 else STEP_NS
        for at, kind in enumerate(self._hashes):
            if offset == at:
                return Control(kind, {"hash": self._hashes[kind]})
        if self._draw.random() < 0.2:
            return Tick(self._now_ns)
        channels = self._draw.sample(range(CHANNELS), self._draw.randint(1, CHANNELS))
        count = len(channels)
        return Readings.of(
            {
                "channel": np.array(channels),
                "device": np.array([channel // 2 for channel in channels]),
                "event_ns": np.full(count, self._now_ns),
                "judged_ns": np.full(count, self._now_ns),
                "receive_ns": np.full(count, self._now_ns),
                "value": np.array([self._draw.choice(LEVELS) for _ in channels]),
                "boot": np.full(count, 1),
                "sequence": np.full(count, offset),
                "index": np.arange(count),
            }
        )

    # -------------------------------------------------------------- after it

    def _look(self) -> None:
        """Look for everything that was promised."""
        end = durable_end(self.data / "journal")
        with JournalReader(self.data / "journal") as reader:
            held = [content_of(r.body) for r in reader.read(until=end, max_rows=1 << 30)]
            if reader.damage:
                self._found.note("journal", f"{self._seed}: {reader.damage[0]}")
        if held[: len(self._promised)] != self._promised:
            self._found.note("journal", f"{self._seed}: {len(self._promised)} were acknowledged")
        for path in (self.data / "snapshots").glob("*.snap"):
            try:
                from_bytes(path.read_bytes())
            except SnapshotDamagedError as error:
                self._found.note("snapshot", f"{self._seed}: {path.name}: {error}")
        try:
            at = Cursor.load(self.data / "cursors" / "engine").offset
        except CursorDamaged as error:
            self._found.note("cursor", f"{self._seed}: {error}")
        else:
            if at not in self._cursors:
                self._found.note("cursor", f"{self._seed}: {at} is none of {self._cursors}")
            if self._disk.fresh:
                self._cursors = {at}

    def live_well(self) -> None:
        """Work with nothing failing."""
        self._disk.short_writes = False
        self._work()
        self._look()

    def finish(self) -> None:
        """Let a healthy life catch up; the event log must then be a fresh fold of the journal."""
        self.live_well()
        records = read_journal(self.data)
        texts = SiteTexts(self.data)
        engine = Engine(*empty_site(), resolve=texts.resolve, reads_out=True)
        fresh = [encode(event) for event in engine.fold(records)]
        with JournalReader(self.data / "events") as reader:
            end = durable_end(self.data / "events")
            lines = [x for _, r in reader.events(until=end, max_rows=1 << 30) for x in r.lines]
            if reader.damage:
                self._found.note("event log", f"{self._seed}: {reader.damage[0]}")
        if lines != fresh:
            self._found.note("event log", f"{self._seed}: {len(lines)} lines, not {len(fresh)}")
        self._found.events += len(lines)


def content_of(body: Body) -> bytes:
    """Return a record's content, to be compared."""
    if isinstance(body, Readings):
        return b"".join(getattr(body, name).tobytes() for name in Readings.__slots__)
    return repr(body).encode()


def run_power_cuts(
    *,
    cuts: int,
    seed: int,
    stop: threading.Event,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Cut the power ``cuts`` times and return the row of figures."""
    found = Broken()
    round_number = 0
    while found.cuts < cuts and not stop.is_set():
        round_number += 1
        with tempfile.TemporaryDirectory(prefix="lifeline-power-") as name:
            rig = Rig(Path(name), f"{seed}/{round_number}", found)
            try:
                for _ in range(LIVES_A_FOLDER):
                    rig.live()
                    told(min(found.cuts, cuts))
                rig.finish()
            except (Crashed, JournalError) as error:  # the next start is refused
                found.note("goes on", f"{seed}/{round_number}: {error}")
                found.cuts += 1
    return {
        "power_cuts": found.cuts,
        "seed": seed,
        "lives": found.lives,
        "faults": dict(sorted(found.faults.items())),
        "acknowledged": found.acknowledged,
        "events": found.events,
        "broken": {promise: len(said) for promise, said in found.broken.items()},
        "first": {promise: said[0] for promise, said in found.broken.items()},
    }
