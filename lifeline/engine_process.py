"""The engine's process: journal in, event log out, snapshots beside; exactly once over any crash.

The event log says how far it goes (``through``). After a restart the engine is restored from the
newest whole snapshot and runs on from there; events below ``through`` are compared with what the
log holds and not written again. A difference is an event of its own: the promise "same journal,
same events" was broken, and somebody must look.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog
from prometheus_client import Counter, Gauge

from ingest.journal import (
    OS_FILES,
    Cursor,
    EventLines,
    JournalFull,
    JournalReader,
    JournalWriter,
    WakeServer,
    durable_end,
    last_events,
)
from ingest.journal.segments import segments
from ingest.overload import Progress
from ingest.store.follow import WAIT_S, Follower
from lifeline.errors import Missing
from lifeline.series_log import SeriesLog
from lifeline.shadow.counts import ShadowCounts
from lifeline.snapshots import SnapshotFolder
from rules.engine import Engine
from rules.events import Event, EventType, decode, encode
from rules.language import compile_plan, rules_from_bytes
from rules.plan import Plan
from rules.readings import Readings, texts_named
from rules.registry import Registry
from rules.registry_codec import registry_from_bytes

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from ingest.journal import FileLayer
    from rules.readings import Control, Record

LOG: Any = structlog.get_logger("engine")
BATCH_ROWS = 100_000  # larger reads are slower per row: the working set leaves the cache
GATHER_S = 0.05  # a fold costs a millisecond and more, however little there is to fold
SNAPSHOT_S = 30.0
CURSOR_S = 2.0
FULL_RETRY_S = 1.0
DIFFERS_RULE = "rerun-differs"
EVENTS = Counter("lifeline_engine_events_total", "Events written to the event log", ["type"])
ROWS = Counter("lifeline_engine_records_total", "Journal records folded")
LAG = Gauge("lifeline_engine_lag_records", "Durable journal records not yet folded")
UNKNOWN = Counter(
    "lifeline_engine_unknown_rows_total", "Readings of channels no registry record named"
)
DIFFERS = Counter("lifeline_engine_rerun_differences_total", "Re-run events unlike the log's")


class Texts(Protocol):
    """Who knows the rules and the registry in force; ``hashes`` names them in snapshots."""

    hashes: dict[str, str]

    def resolve(self, control: Control) -> tuple[Plan, Registry] | None:
        """Return what holds from this record on, None where nothing changes."""

    def load(self) -> tuple[Plan, Registry] | None:
        """Return what ``hashes`` name."""


class SiteTexts:
    """Registry and rules by the hashes Control records name, read from the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.hashes: dict[str, str] = {}

    def resolve(self, control: Control) -> tuple[Plan, Registry] | None:
        """Return the plan and registry from this record on, None while one is still unknown."""
        named = texts_named(control)
        if self.hashes | named == self.hashes:
            return None
        self.hashes |= named
        return self.load()

    def load(self) -> tuple[Plan, Registry] | None:
        """Read and compile both texts.

        Raises
        ------
        Missing, rules.language.Invalid
            A text is missing or damaged: the data folder lost what the journal relies on.
        """
        if set(self.hashes) < {"registry", "rules"}:
            return None
        registry = registry_from_bytes(self._read("registry"))
        plan, warnings = compile_plan(rules_from_bytes(self._read("rules")), registry)
        LOG.info(
            "rules take effect",
            rules=len(plan.channel_rules) + len(plan.deadman_rules),
            channels=len(registry.channels.id),
            warnings=len(warnings),
        )
        return plan, registry

    def _read(self, kind: str) -> bytes:
        path = self._data / kind / f"{self.hashes[kind]}.json"
        try:
            return path.read_bytes()
        except OSError as error:
            said = f"{path}: {error.strerror}; the journal relies on it: restore registry/ and"
            raise Missing(f"{said} rules/ of the data folder") from error


def empty_site() -> tuple[Plan, Registry]:
    """Return a site of nothing: what holds before the journal's first Control records."""
    return Plan(content_hash="", levels=()), Registry.empty()


class EventLog:
    """Appends events once: what the log already holds is compared, not written again."""

    def __init__(self, data: Path, *, files: FileLayer = OS_FILES) -> None:
        self.folder = data / "events"
        self.folder.mkdir(parents=True, exist_ok=True)
        (data / "run").mkdir(exist_ok=True)
        self._wake = WakeServer(data / "run" / "events.sock")
        try:
            self._writer = JournalWriter(self.folder, files=files, wake=self._wake)
        except BaseException:
            self._wake.close()
            raise
        newest = last_events(self.folder, until=self._writer.durable_offset)
        self.through = newest[1].through if newest else 0
        self.shadows = ShadowCounts()
        self._expected: list[bytes] = []

    def rerun_from(self, offset: int) -> None:
        """Remember what the log holds from a journal offset on, to compare a re-run with."""
        self._expected = []
        if offset >= self.through:
            return
        oldest = segments(self.folder)[0].first  # retention may have taken what came before
        with JournalReader(self.folder, start=oldest) as reader:
            while some := reader.events(until=self._writer.durable_offset):
                for _, record in some:
                    if record.through > offset:
                        self._expected += [x for x in record.lines if _is_rerun(x, offset)]

    def append(self, events: list[Event], through: int, stop: threading.Event) -> None:
        """Write the events of journal records below ``through``; durable when this returns."""
        again = [encode(event) for event in events if event.offset < self.through]
        fresh = [event for event in events if event.offset >= self.through] if again else events
        differing = self._compare(again)
        if through >= self.through and self._expected:
            differing = differing or self._expected[0]
            self._expected = []
        if differing is not None:
            fresh = [_differs(through, differing), *fresh]
        if fresh:
            lines = tuple(encode(event) for event in fresh)
            self._commit(EventLines(through=through, lines=lines), stop)
            for kind, count in Counts(event.type for event in fresh).items():
                EVENTS.labels(kind.value).inc(count)
            self.shadows.take(fresh)
        self.through = max(self.through, through)

    def _compare(self, lines: list[bytes]) -> bytes | None:
        """Take re-run lines off what the log holds; return the first that differs."""
        expected, self._expected = self._expected[: len(lines)], self._expected[len(lines) :]
        if lines == expected:
            return None
        pairs = zip([*lines, b""], [*expected, b""], strict=False)
        return next((x or y for x, y in pairs if x != y), lines[-1])

    def _commit(self, record: EventLines, stop: threading.Event) -> None:
        """Append and sync; on a full disk wait for room, since an alarm must not be lost."""
        self._writer.append(record)
        while True:
            try:
                self._writer.commit(use_reserve=True)
            except JournalFull as error:
                LOG.critical("the event log has no room: alarms wait", reason=str(error))
                if stop.wait(FULL_RETRY_S):
                    raise
                continue
            return

    def close(self) -> None:
        """Give the folder and the socket back."""
        try:
            self._writer.close()
        finally:
            self._wake.close()


def _is_rerun(line: bytes, offset: int) -> bool:
    event = decode(line)
    return event.offset >= offset and event.type is not EventType.RERUN_DIFFERS


def _differs(through: int, line: bytes) -> Event:
    """Say that a re-run gave another event than the log holds."""
    DIFFERS.inc()
    LOG.critical("a re-run of the journal gave other events", first=line.decode()[:300])
    offset, now_ns = max(through - 1, 0), decode(line).receive_ns
    return Event(
        type=EventType.RERUN_DIFFERS,
        offset=offset,
        row=0,
        stage=9,
        ordinal=9,
        rule=DIFFERS_RULE,
        severity=3,
        max_severity=3,
        klass="maintenance",
        episode=f"{offset}.0",
        onset_ns=now_ns,
        event_ns=now_ns,
        receive_ns=now_ns,
        evidence={"line": line.decode()[:1000]},
    )


def run_engine(
    *,
    data: Path,
    stop: threading.Event,
    snapshot_s: float = SNAPSHOT_S,
    cursor_s: float = CURSOR_S,
    texts: Texts | None = None,
) -> None:
    """Fold the journal of ``data`` until ``stop`` is set; then snapshot and return.

    ``texts`` says what is in force, by default the texts of the data folder.

    Raises
    ------
    Missing, rules.language.Invalid
        A registry or rules text the journal names cannot be read: restore ``registry/`` and
        ``rules/`` of the data folder.
    ingest.journal.JournalError
        The event log cannot be written any more.
    """
    texts, snapshots = texts or SiteTexts(data), SnapshotFolder(data / "snapshots")
    engine = restored(data, texts, snapshots)
    log, series = EventLog(data), SeriesLog(data)
    log.rerun_from(engine.next_offset)
    follower = Follower(
        data / "journal", start=engine.next_offset, wake=data / "run" / "journal.sock"
    )
    LOG.info("engine runs", journal_offset=engine.next_offset, event_log_through=log.through)
    cursor_path = data / "cursors" / "engine"
    progress, pace = Progress(data / "run"), Pace()
    progress.tell(follower.offset)
    next_snapshot_s = time.monotonic() + snapshot_s
    next_cursor_s = 0.0
    try:
        while not stop.is_set():
            _fold_waiting(engine, (log, series), follower, pace, stop)
            progress.tell(follower.offset)
            now_s = time.monotonic()
            if now_s >= next_cursor_s:
                LAG.set(follower.lag())
                Cursor(offset=follower.offset).save_if_room(cursor_path)
                next_cursor_s = now_s + cursor_s
            if now_s >= next_snapshot_s and engine.next_offset > snapshots.newest:
                series.commit()
                snapshots.fork(engine, texts.hashes)
                next_snapshot_s = now_s + snapshot_s
        series.commit()
        snapshots.write(engine, texts.hashes)
        Cursor(offset=follower.offset).save_if_room(cursor_path)
    finally:
        snapshots.close()
        progress.close()
        follower.close()
        series.close()
        log.close()


class Pace:
    """Lets records gather between two folds, where they are few and come fast.

    What comes after a pause is folded at once, and so is what waits behind a large batch.
    """

    def __init__(self) -> None:
        self._next_s = 0.0

    def keep(self, stop: threading.Event) -> None:
        """Wait until it is time for the next fold, or for the end."""
        left_s = self._next_s - time.monotonic()
        if left_s > 0:
            stop.wait(left_s)

    def folded(self, records: list[Record]) -> None:
        """Take note of what was folded just now."""
        rows = sum(len(r.body) for r in records if isinstance(r.body, Readings))
        self._next_s = time.monotonic() + GATHER_S if rows < BATCH_ROWS // 2 else 0.0


def _fold_waiting(
    engine: Engine,
    logs: tuple[EventLog, SeriesLog],
    follower: Follower,
    pace: Pace,
    stop: threading.Event,
) -> None:
    """Fold what is there, or wait for more."""
    log, series = logs
    if not follower.wait(WAIT_S):
        series.commit()
        return
    pace.keep(stop)
    records = follower.read(max_rows=BATCH_ROWS)
    if records:
        events = engine.fold(records)
        log.shadows.follow(engine.plan)
        log.append(events, records[-1].offset + 1, stop)
        series.append(engine.series(), records[-1].offset + 1)
        ROWS.inc(len(records))
        pace.folded(records)
        if engine.unknown_rows:
            UNKNOWN.inc(engine.unknown_rows)
            LOG.critical("readings of channels no registry record named", rows=engine.unknown_rows)
            engine.unknown_rows = 0


def restored(data: Path, texts: Texts, snapshots: SnapshotFolder) -> Engine:
    """Return the engine at the newest snapshot that is whole and not ahead of the journal."""
    journal = data / "journal"
    end = durable_end(journal) if journal.is_dir() else 0
    found = snapshots.load(until=end)
    if found is None:
        return Engine(*empty_site(), resolve=texts.resolve, reads_out=True)
    state, hashes = found
    texts.hashes = hashes
    engine = Engine(*(texts.load() or empty_site()), resolve=texts.resolve, reads_out=True)
    for event in engine.restore(state):
        LOG.error("an alarm's rule is not in the snapshot's own rules", key=event.alarm_key)
    if state["numpy"] != np.__version__:
        LOG.warning("numpy changed since the snapshot", was=state["numpy"], now=np.__version__)
    return engine
