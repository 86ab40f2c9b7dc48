"""Replay: any source of steps through admission, journal, engine and event log, at any speed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rules as rules_room
from ingest.journal import EventLines, JournalReader, JournalWriter, durable_end
from rules.engine import Engine
from rules.events import Event, encode
from rules.language.compiler import compile_plan
from rules.language.loader import load_rules, rules_bytes
from rules.problems import Problem
from rules.readings import Control, Tick
from rules.registry_codec import hashed
from rules.registry_file import registry_bytes
from simulators.recording.folder import open_recording, refuse
from simulators.recording.mapping import is_mapping, open_mapping
from simulators.recording.played import Play
from simulators.recording.steps import Sink, step_time_ns

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from rules.language.ruleset import RuleSet
    from rules.registry import Registry
    from simulators.recording.steps import Step

MAX_EVENTS_HELD: Final = 1_000_000  # returned; the event log has them all
_FOLD_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay gave. ``events`` are in log order, the same as of the live run."""

    events: list[Event]
    events_dropped: int  # beyond MAX_EVENTS_HELD: read them from the event log
    warnings: list[Problem]
    readings: int
    quarantined: int
    begin_ns: int
    end_ns: int
    wall_s: float
    registry: Registry
    rules: RuleSet
    data: Path | None  # the data folder that was kept, None if it was temporary

    @property
    def alarms(self) -> list[Event]:
        """Return the RAISED events."""
        return [event for event in self.events if event.type == "RAISED"]


def shipped_rules() -> Path:
    """Return the folder of the rules that come with the program."""
    return Path(next(iter(rules_room.__path__))) / "packs"


def replay(
    source: Path,
    *,
    speed: float | None = None,
    rules: Path | RuleSet | None = None,
    data: Path | None = None,
    file: Path | None = None,
    play: Play | None = None,
    stop: threading.Event | None = None,
    on_events: Callable[[list[Event]], None] | None = None,
) -> Replayed:
    """Replay a recording (folder, .zip, data folder) or a CSV by its mapping (.yaml).

    ``speed`` is how many seconds of the recording pass in one of the wall; None is as fast as
    possible. ``rules`` default to the mapping's own, else to the shipped ones. ``data`` is an
    empty folder that will hold journal and event log; without it they are temporary. ``file``
    replaces the file a mapping names. ``play`` says from when to when and how often; ``on_events``
    is told of events as they come.

    Raises
    ------
    rules.problems.Invalid
        Source, rules or mapping cannot be used; all problems with their places.
    """
    if is_mapping(source):
        mapped = open_mapping(source, file=file)
        return _replay(
            mapped.registry,
            mapped.steps,
            rules or mapped.rules,
            play=play or Play(),
            tick_ns=mapped.tick_ns,
            speed=speed,
            data=data,
            stop=stop,
            on_events=on_events,
        )
    with open_recording(source) as recording:
        done = _replay(
            recording.registry,
            recording.steps,
            rules,
            play=play or Play(),
            speed=speed,
            data=data,
            stop=stop,
            on_events=on_events,
        )
        lost = [
            Problem(source.name, 0, 0, "", f"damaged: {damage}", "warning")
            for damage in recording.damage
        ]
        return replace(done, warnings=[*done.warnings, *lost])


def _replay(
    registry: Registry,
    steps: Callable[[], Iterable[Step]],
    rules: Path | RuleSet | None,
    *,
    play: Play,
    tick_ns: int = 0,
    speed: float | None,
    data: Path | None,
    stop: threading.Event | None,
    on_events: Callable[[list[Event]], None] | None,
) -> Replayed:
    # what is replayed is marked, so that no sink takes it for the present
    marked = hashed(replace(registry, simulation=True))
    chosen = shipped_rules() if rules is None else rules
    ruleset = load_rules(chosen) if isinstance(chosen, Path) else chosen
    if data is not None and data.exists() and any(data.iterdir()):
        raise refuse(data, "is not empty: a replay needs a folder of its own")
    with tempfile.TemporaryDirectory(prefix="lifeline-replay-") as name:
        run = _Run(data or Path(name), marked, ruleset, on_events, tick_ns, play.begin_ns)
        began_s = time.monotonic()
        try:
            run.play(play.of(steps), speed=speed, stop=stop)
        finally:
            run.close()
        return Replayed(
            events=run.events,
            events_dropped=run.dropped,
            warnings=run.warnings,
            readings=run.sink.counts["readings"],
            quarantined=run.sink.counts["quarantined"],
            begin_ns=run.sink.begin_ns,
            end_ns=run.sink.end_ns,
            wall_s=time.monotonic() - began_s,
            registry=marked,
            rules=ruleset,
            data=data,
        )


class _Run:
    """One replay's files: a data folder with journal, raw log, event log and texts."""

    def __init__(
        self,
        folder: Path,
        registry: Registry,
        rules: RuleSet,
        on_events: Callable[[list[Event]], None] | None,
        tick_ns: int,
        told_from_ns: int,
    ) -> None:
        plan, self.warnings = compile_plan(rules, registry)
        # ticks that were put in by interval are no sign that anything of ours stood still
        plan = replace(plan, blind_after_ns=max(plan.blind_after_ns, 2 * tick_ns))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "VERSION").write_text("1\n", encoding="utf-8")
        for room, held, text in (
            ("registry", registry.content_hash, registry_bytes(registry)),
            ("rules", rules.content_hash, rules_bytes(rules)),
        ):
            (folder / room).mkdir(exist_ok=True)
            (folder / room / f"{held}.json").write_bytes(text)
        self._controls = (
            Control("registry", {"hash": registry.content_hash}),
            Control("rules", {"hash": rules.content_hash}),
        )
        self.sink = Sink(folder, registry)
        self._reader = JournalReader(folder / "journal")
        self._log = JournalWriter(folder / "events")
        self._engine = Engine(plan, registry)
        self._on_events = on_events
        self._told_from_ns = told_from_ns
        self.events: list[Event] = []
        self.dropped = 0

    def play(
        self, steps: Iterable[Step], *, speed: float | None, stop: threading.Event | None
    ) -> None:
        """Take the steps in; the engine reads only what is durable, as in a live run."""
        first_ns, began_s, rows = -1, time.monotonic(), 0
        for step in steps:
            if stop is not None and stop.is_set():
                break
            if first_ns < 0:
                first_ns = step_time_ns(step)
                self._open(step)
                if isinstance(step, Tick):
                    continue
            if speed is not None:
                self._fold()
                due_s = began_s + (step_time_ns(step) - first_ns) / 1e9 / speed
                _wait(due_s, stop)
            self.sink.take(step)
            rows += 1 if isinstance(step, Tick) else 1000
            if rows > _FOLD_ROWS:
                rows = 0
                self._fold()
        self._fold()

    def _open(self, step: Step) -> None:
        """Begin the journal as ingest does: a Tick, then which registry and rules hold."""
        self.sink.take(step if isinstance(step, Tick) else Tick(step_time_ns(step)))
        for control in self._controls:
            self.sink.take(control)

    def _fold(self) -> None:
        """Run the engine over everything durable, and log its events."""
        end = self.sink.commit()
        while records := self._reader.read(until=end, max_rows=_FOLD_ROWS):
            events = self._engine.fold(records)
            lines = tuple(encode(event) for event in events)
            self._log.append(EventLines(records[-1].offset + 1, lines))
            events = [event for event in events if event.receive_ns >= self._told_from_ns]
            room = max(0, MAX_EVENTS_HELD - len(self.events))
            self.events += events[:room]
            self.dropped += len(events[room:])
            if self._on_events is not None and events:
                self._on_events(events)
        self._log.commit()

    def close(self) -> None:
        """Close all files."""
        self._reader.close()
        self.sink.close()
        self._log.close()


def _wait(due_s: float, stop: threading.Event | None) -> None:
    """Sleep until ``due_s`` of the monotonic clock, or until ``stop``."""
    left_s = due_s - time.monotonic()
    if left_s <= 0:
        return
    if stop is not None:
        stop.wait(left_s)
    else:
        time.sleep(left_s)


def event_log(folder: Path) -> list[bytes]:
    """Return all event lines of a data folder."""
    held: list[bytes] = []
    end = durable_end(folder / "events")
    with JournalReader(folder / "events") as reader:
        while records := reader.events(until=end):
            held += [line for _, record in records for line in record.lines]
    return held
