"""The ingest process: sources → intake → admission → journal → one commit → acknowledgements.

The next group begins when the last commit returned, so a group is as large as the disk is slow.
Nothing is acknowledged before the journal, and for refused frames quarantine, are on disk.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import structlog

from ingest import metrics
from ingest.admission import Admission
from ingest.control import ControlServer, recover
from ingest.crash_points import reach
from ingest.frame import Frame
from ingest.intake import Clock, Intake, Metronome, Request
from ingest.journal import OS_FILES, BufferFull, FileLayer, JournalFull, JournalWriter, WakeServer
from ingest.limits import IngestLimits
from ingest.overload import Overload
from ingest.quarantine import Quarantined, quarantine_record
from ingest.raw_log import RawLog
from ingest.refeed import fed
from ingest.room import Room
from ingest.site_change import registry_named
from ingest.sources import Source, SourceDied
from ingest.sources.chosen import CoapSettings, MqttSettings, PullSettings, sources_of
from ingest.store.corrections import TYPE as CORRECTION
from ingest.store.corrections import check as check_correction
from rules.problems import Invalid
from rules.readings import Control, Tick, texts_named

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.codecs.json_mapping import Mapping
    from ingest.intake import Item
    from rules.readings import Body
    from rules.registry import Registry

log = structlog.get_logger("ingest")

_IDLE_S = 0.25
_DRAIN_S = 3.0
_TIDY_S = 10.0


def run_ingest(
    *,
    data: Path,
    registry: Registry,
    rules_hash: str,
    clock: Clock,
    stop: threading.Event,
    mqtt: MqttSettings | None = None,
    coap: CoapSettings | None = None,
    pulls: Sequence[PullSettings] = (),
    tick_s: float = 1.0,
    mappings: Sequence[Mapping] = (),
    limits: IngestLimits | None = None,
    load_site: Callable[[dict[str, str]], Registry] | None = None,
    ready: threading.Event | None = None,
    files: FileLayer = OS_FILES,
) -> None:
    """Run until ``stop``; then what was received is journaled and acknowledged within 5 s.

    ``load_site`` returns the registry of the hashes a Control record would put in force. It raises
    where the engine could not use them: the record would end the engine at every start.

    Raises
    ------
    OSError
        The CoAP port cannot be had.
    SourceDied
        A source's thread ended: a restart is the remedy.
    JournalError
        The journal cannot be opened, or failed in a way that only a restart may mend.
    """
    limits = limits or IngestLimits()
    intake = Intake(clock, limit_bytes=limits.queue_bytes)
    admission = Admission(registry, mappings=mappings)
    sources = sources_of(mqtt, coap, admission, intake, pulls)
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True)
    with WakeServer(run / "journal.sock") as wake, ExitStack() as ending:
        ingest = _opened(data, intake, admission, limits=limits, wake=wake, stop=stop, files=files)
        if ingest is None:
            return
        ending.callback(ingest.close)
        ingest.load_site = load_site
        ingest.begin(clock, registry_hash=registry.content_hash, rules_hash=rules_hash)
        for source in sources:
            ending.callback(source.close)
        ending.callback(ControlServer(run / "control.sock", intake).close)
        for source in sources:
            source.start()
        if ready is not None:
            ready.set()
        ingest.serve(Metronome(tick_s), sources)
        ingest.drain(sources)


def _opened(
    data: Path,
    intake: Intake,
    admission: Admission,
    *,
    limits: IngestLimits,
    wake: WakeServer,
    stop: threading.Event,
    files: FileLayer,
) -> Ingest | None:
    """Open the journals; while the disk is full try again, None if stopped meanwhile."""
    while True:
        try:
            return Ingest(data, intake, admission, limits=limits, wake=wake, stop=stop, files=files)
        except JournalFull as error:
            metrics.DISK_FULL.set(1)
            log.warning("disk full: ingest cannot begin", cause=str(error))
            if stop.wait(limits.full_retry_s):
                return None


class _StoppedFull(Exception):  # noqa: N818 - a way out, not an error
    """Stopped while the disk is full: the group is given up unacknowledged."""


class Ingest:
    """Owns the journal, quarantine and the raw log; single-threaded."""

    def __init__(
        self,
        data: Path,
        intake: Intake,
        admission: Admission,
        *,
        limits: IngestLimits,
        wake: WakeServer | None,
        stop: threading.Event,
        files: FileLayer = OS_FILES,
    ) -> None:
        self.intake = intake
        self.admission = admission
        self.limits = limits
        self.stop = stop
        self.load_site: Callable[[dict[str, str]], Registry] | None = None
        self._data = data
        self._cursor = data / "cursors" / "ingest"
        self._uncommitted: list[tuple[int, Control]] = []
        self.overload = Overload(data / "run", limits.overload)
        with ExitStack() as opened:
            self.journal = opened.enter_context(
                closing(
                    JournalWriter(
                        data / "journal",
                        segment_bytes=limits.segment_bytes,
                        reserve_bytes=limits.reserve_bytes,
                        files=files,
                        wake=wake,
                    )
                )
            )
            self.quarantine = opened.enter_context(
                closing(
                    JournalWriter(
                        data / "quarantine",
                        segment_bytes=16 << 20,
                        reserve_bytes=limits.reserve_bytes // 16,
                        files=files,
                    )
                )
            )
            self.raw = opened.enter_context(closing(RawLog(data / "raw")))
            durable = self.journal.durable_offset
            self.known = recover(self._cursor, self.journal.folder, durable=durable)
            self._opened = opened.pop_all()
        self.room = Room(
            self.journal,
            self.quarantine,
            intake=intake,
            raw=self.raw,
            stop=stop,
            retry_s=limits.full_retry_s,
        )
        for damage in self.journal.damage:
            log.error("the journal lost records before this start", damage=str(damage))

    # -------------------------------------------------------------- starting, stopping

    def begin(self, clock: Clock, *, registry_hash: str, rules_hash: str) -> None:
        """Journal the start: a Tick, then what changed while we were away."""
        clock.not_before(self.journal.last_receive_ns)
        self._take_down(Tick(clock.now_ns()))
        named = {"registry": registry_hash, "rules": rules_hash}
        if self.known.hashes != named:
            self._journal_control(Control("site", named))
        self._commit()

    def serve(self, metronome: Metronome, sources: Sequence[Source] = ()) -> None:
        """Take groups until the stop event."""
        next_tidy_s = 0.0
        while not self.stop.is_set():
            for source in sources:
                if not source.alive:
                    raise SourceDied(f"{type(source).__name__} ended by itself; see the log")
            if metronome.due():
                self.intake.put_tick()
            wait_s = min(metronome.remaining_s(), _IDLE_S)
            self.group(self.intake.take(max_bytes=self.limits.group_bytes, timeout_s=wait_s))
            self.overload.look(self.intake.share)
            if time.monotonic() >= next_tidy_s:
                next_tidy_s = time.monotonic() + _TIDY_S
                self.tidy()

    def drain(self, sources: Sequence[Source]) -> None:
        """Journal and acknowledge what was received before the stop."""
        for source in sources:
            source.stop_reading()
        deadline_s = time.monotonic() + _DRAIN_S
        while not self.intake.empty() and time.monotonic() < deadline_s:
            self.group(self.intake.take(max_bytes=self.limits.group_bytes, timeout_s=0.0))
        if not self.intake.empty():
            log.warning("stopped with frames not journaled; their senders keep them")

    def close(self) -> None:
        """Give the folders free; what was not committed is not acknowledged either."""
        self.journal.discard()
        self.quarantine.discard()
        with self._opened:
            self._save_known()

    def tidy(self) -> None:
        """Keep side logs within their bounds and the control state fresh."""
        self.raw.tidy(
            max_bytes=self.limits.raw_bytes,
            max_age_ns=self.limits.raw_age_ns,
            now_ns=self.journal.last_receive_ns,
        )
        RawLog.bound(self.quarantine.folder, max_bytes=self.limits.quarantine_bytes)
        self._save_known()

    def _save_known(self) -> None:
        durable = self.journal.durable_offset
        if self.known.next_offset == durable:
            return
        try:
            self.known.save(self._cursor, durable=durable)
        except OSError as error:  # it only shortens the next start
            log.warning("control state not saved", path=str(self._cursor), cause=str(error))

    # -------------------------------------------------------------- one group

    def group(self, items: list[Item]) -> None:
        """Journal a group, commit, answer; on a full disk wait for room and say so."""
        if not items:
            return
        frames = [item for item in items if isinstance(item, Frame)]
        refused: list[Quarantined] = []
        try:
            answers = self._take_group(items, refused)
            if frames:
                age_ns = self.intake.now_ns() - frames[0].receive_ns
                metrics.JOURNAL_LAG.set(max(0.0, age_ns / 1e9))
                self.raw.append(frames, but=self._unread)
            if not self._durable(refused):
                return
        except _StoppedFull:
            return
        reach("before-ack")
        whole = {id(each.frame): each.reason for each in refused if each.whole}
        for frame in frames:
            if frame.token is not None:
                frame.token.answer(whole.get(id(frame)))
                reach("half-acked")
        self.intake.release(sum(frame.size for frame in frames))
        for request, result in answers:
            if isinstance(result, ValueError):
                request.done.set_exception(result)
            else:
                request.done.set_result(result)

    def _take_group(
        self, items: list[Item], refused: list[Quarantined]
    ) -> list[tuple[Request, int | ValueError]]:
        """Append everything in order; return what requests get."""
        answers: list[tuple[Request, int | ValueError]] = []
        run: list[Frame] = []
        self._unread = set[int]()
        for item in items:
            if isinstance(item, Frame):
                run.append(item)
                continue
            self._admit(run, refused)
            run = []
            if isinstance(item, Tick):
                self._take_down(item)
            else:
                answers.append((item, self._requested(item.control)))
        self._admit(run, refused)
        return answers

    def _admit(self, frames: list[Frame], refused: list[Quarantined]) -> None:
        """Append a run of frames."""
        if not frames:
            return
        self.admission.shed_step = self.overload.step
        admitted = self.admission.admit(frames)
        for body in admitted.bodies():
            self._take_down(body)
        refused += admitted.quarantined
        self._unread.update(map(id, admitted.unread))
        self.overload.received(admitted.readings)
        metrics.admitted(len(admitted.readings), len(admitted.blocks), admitted.counters)

    def _take_down(self, body: Body) -> int:
        """Append one record; where the buffer is full its beginning is committed first."""
        try:
            return self.journal.append(body)
        except BufferFull:
            if not self._commit():
                raise _StoppedFull from None
            return self.journal.append(body)

    def _requested(self, control: Control) -> int | ValueError:
        """Journal what the control socket asked for, once."""
        command = control.data.get("command")
        for offset, waiting in self._uncommitted:
            if command is not None and waiting.data.get("command") == command:
                return offset
        if isinstance(command, str) and command in self.known.commands:
            return self.known.commands[command]
        named = texts_named(control)
        try:
            if named:
                self._change_site(named, control.data.get("instead_of"))
            elif control.type == CORRECTION:
                check_correction(self._data, str(control.data["hash"]))
            elif control.type == "refeed":
                return self._refeed(control)
        except (OSError, ValueError, LookupError, Invalid) as error:
            said = ", ".join(f"{kind} {name}" for kind, name in named.items())
            return ValueError(f"{said or control.type}: {error}")
        return self._journal_control(control)

    def _refeed(self, control: Control) -> int:
        """Journal frames out of quarantine behind a record that says so, in one commit with it."""
        waiting = {each for _, c in self._uncommitted for each in c.data.get("frames", ())}
        before = waiting | self.known.refed.keys()
        names, admitted = fed(
            control.data, self.quarantine.folder, self.admission,
            before=before, receive_ns=self.journal.last_receive_ns,
        )  # fmt: skip
        offset = self._journal_control(Control(control.type, control.data | {"frames": names}))
        for body in admitted.bodies():
            self._take_down(body)
        return offset

    def _change_site(self, named: dict[str, str], instead_of: object) -> None:
        """Go on with the texts a record names, where the engine could use them too."""
        held = dict(self.known.hashes)
        for _, waiting in self._uncommitted:
            held |= texts_named(waiting)
        now = self.admission.table.registry
        registry = registry_named(named, instead_of, held, self.load_site, now)
        if registry is not None:
            self.admission = self.admission.with_registry(registry)
            log.info("registry changed", hash=registry.content_hash)

    def _journal_control(self, control: Control) -> int:
        offset = self._take_down(control)
        self._uncommitted.append((offset, control))  # known once it is durable, not before
        return offset

    # -------------------------------------------------------------- committing

    def _durable(self, refused: list[Quarantined]) -> bool:
        """Bring quarantine and journal to disk; False only when stopped while the disk is full."""
        if refused:
            self.quarantine.append(quarantine_record(refused))
            if not self.room.commit(self.quarantine):
                return False
            for each in refused:
                (metrics.REFUSED if each.whole else metrics.PARTS_REFUSED).labels(each.reason).inc()
        return self._commit()

    def _commit(self) -> bool:
        began_s = time.perf_counter()
        if done := self.room.commit(self.journal):
            for offset, control in self._uncommitted:
                self.known.note(offset, control)
            self._uncommitted.clear()
            self.overload.committed(self.journal.durable_offset)
            metrics.committed(time.perf_counter() - began_s, self.journal.durable_offset)
        return done
