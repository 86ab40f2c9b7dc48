"""What a back-test reads: a data folder's archive and journal, a recording, or a CSV."""

from __future__ import annotations

import heapq
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ingest.journal import JournalReader, durable_end
from ingest.journal.segments import segments
from ingest.store.manifest import Manifest
from ingest.store.past import END_NS, Piece, Span, archived, archived_controls, of_records
from lifeline.errors import Missing
from rules.readings import Control, Record, Tick, texts_named
from rules.registry_codec import registry_from_bytes
from rules.registry_file import load_registry
from simulators.recording import Recording, open_mapping, open_recording, write_recording
from simulators.recording.exchange import exported_steps
from simulators.recording.mapping import is_mapping
from simulators.recording.steps import step_time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rules.registry import Registry
    from simulators.recording.steps import Step

READ_ROWS = 50_000


class Given(TypedDict):
    """The one source that was named; the other two are empty."""

    data: Path | None
    recording: Path | None
    csv: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something that can be read again and again, each time the same records.

    ``registry`` holds at its begin; None where a Control record of it will say. ``texts`` gives the
    registry such a record names.
    """

    name: str
    registry: Registry | None
    latest: Registry  # the last one that is known, for what is named by people
    read: Callable[[Span], Iterator[Piece]]
    texts: Callable[[str], Registry]
    rows: int = 0  # about how many there are, for progress; 0 = unknown
    tick_ns: int = 0  # how far apart ticks that were put in stand
    rules: Path | None = None  # that came with it
    truth: list[dict[str, Any]] = field(default_factory=list)  # incidents a recording tells of


@contextmanager
def opened(
    *,
    data: Path | None = None,
    recording: Path | None = None,
    csv: Sequence[Path] = (),
    registry: Path | None = None,
    from_ns: int = 0,
) -> Iterator[Source]:
    """Open the one source that is named; what was unpacked for it goes at the end.

    Raises
    ------
    rules.problems.Invalid, Missing
        It cannot be read; says what is wrong with which file.
    """
    with ExitStack() as stack:
        if data is not None:
            yield _data_folder(data, registry, from_ns)
        elif recording is not None:
            yield _recording(stack.enter_context(open_recording(recording)), recording)
        elif csv:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeline-backtest-"))
            yield _csv(csv, Path(name) / "recording", registry)
        else:
            raise Missing("nothing to read: give --data, --recording or --csv")


# ------------------------------------------------------------------ a data folder


def _data_folder(folder: Path, registry: Path | None, from_ns: int) -> Source:
    data = folder / "data" if (folder / "data" / "journal").is_dir() else folder
    if not (data / "journal").is_dir():
        raise Missing(f"{folder}: holds no journal/: give a city's folder or its data folder")
    texts = _Texts(data)
    first = _first_offset(data)
    found = None
    if first > 0 or from_ns > 0:
        found = texts.newest(from_ns)
    if registry is not None:
        given = load_registry(registry)
        texts.stand_in(given)
        found = given if found is not None else None
    manifest = Manifest.load(data / "archive")
    return Source(
        name=str(folder),
        registry=found,
        latest=texts.newest(END_NS),
        read=lambda span: _read(data, span),
        texts=texts.by_hash,
        rows=sum(manifest.counts()[name] for name in ("rows", "ticks")),
    )


def _first_offset(data: Path) -> int:
    files = Manifest.load(data / "archive").files
    held = segments(data / "journal")
    return files[0].first if files else (held[0].first if held else 0)


def _read(data: Path, span: Span) -> Iterator[Piece]:
    """Return the archive, then what it does not hold yet: by one manifest, so nothing twice.

    Where it begins later than the past does, the official warnings said before come first.
    """
    manifest = Manifest.load(data / "archive")
    tail = _journal(data / "journal", _begin_after(data, manifest))
    pieces = chain(archived(data / "archive", span, manifest), of_records(tail, span))
    return chain(_said_before(data, span), pieces) if span.from_ns > 0 else pieces


def _said_before(data: Path, span: Span) -> Iterator[Piece]:
    """Yield the warnings of the archive that were said before a span; the same again is nothing."""
    for at_ns, control in archived_controls(data / "archive"):
        if control.type == "warning" and at_ns < span.from_ns:
            yield Piece(control=Record(0, control))


def _begin_after(data: Path, manifest: Manifest) -> int:
    held = segments(data / "journal")
    return max(manifest.next_offset, held[0].first if held else 0)


def _journal(journal: Path, start: int) -> Iterator[Record]:
    end = durable_end(journal)
    with JournalReader(journal, start=start) as reader:
        while records := reader.read(until=end, max_rows=READ_ROWS):
            yield from records


def journaled_controls(data: Path) -> Iterator[tuple[int, Control]]:
    """Yield (received before it, command) of the Control records the archive does not hold yet."""
    journal = data / "journal"
    end = durable_end(journal)
    with JournalReader(
        journal, start=_begin_after(data, Manifest.load(data / "archive"))
    ) as reader:
        passed = -1
        while passed < reader.next_offset < end:
            passed = reader.next_offset
            yield from ((at_ns, control) for _, at_ns, control in reader.controls(until=end))


def registry_at(data: Path, time_ns: int) -> Registry:
    """Return the registry that held in a data folder at a time, or the oldest that is known.

    Raises
    ------
    Missing
        The data folder lost its text.
    """
    return _Texts(data).newest(time_ns)


def all_controls(data: Path) -> Iterator[tuple[int, Control]]:
    """Yield (received before it, command) of all Control records held; some may come twice.

    The journal is looked at first: what is archived meanwhile is then seen twice, not never.
    """
    tail = list(journaled_controls(data))
    return chain(archived_controls(data / "archive"), tail)


class _Texts:
    """Registries by the hashes Control records name; one given by hand may stand in for all."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._given: Registry | None = None

    def stand_in(self, registry: Registry) -> None:
        """Use this registry, whatever the records name; its rows must mean the same."""
        self._given = registry

    def by_hash(self, digest: str) -> Registry:
        """Return the registry a record names."""
        path = self._data / "registry" / f"{digest}.json"
        try:
            found = registry_from_bytes(path.read_bytes())
        except OSError as error:
            said = f"{path}: {error.strerror}: the journal's rows have no names without it;"
            raise Missing(f"{said} restore it from a backup of the data folder") from error
        if self._given is None:
            return found
        for one, other, noun in (
            (found.channels.id, self._given.channels.id, "channel"),
            (found.devices.id, self._given.devices.id, "device"),
        ):
            if other[: len(one)] != one:
                said = f"--registry: its {noun}s do not begin with those the data were recorded"
                raise Missing(f"{said} with ({path.name}): add new ones at the end, remove none")
        return self._given

    def newest(self, until_ns: int) -> Registry:
        """Return the registry that held at a time, or the oldest that is known."""
        named = [
            (at, digest)
            for at, control in all_controls(self._data)
            if (digest := texts_named(control).get("registry"))
        ]
        before = [digest for at, digest in named if at <= until_ns]
        if before or named:
            return self.by_hash(before[-1] if before else named[0][1])
        kept = sorted((self._data / "registry").glob("*.json"), key=lambda p: p.stat().st_mtime)
        if not kept:
            raise Missing(f"{self._data / 'registry'}: empty; restore it from a backup")
        return self.by_hash(kept[-1].stem)


# ------------------------------------------------------------ a recording, a CSV


def _recording(recording: Recording, path: Path) -> Source:
    return Source(
        name=str(path),
        registry=recording.registry,
        latest=recording.registry,
        read=lambda span: of_records(_as_replayed(recording), span),
        texts=lambda _: recording.registry,
        rows=int(recording.meta.get("readings", 0)),
        truth=list(recording.meta.get("incidents", [])),
    )


def _as_replayed(recording: Recording) -> Iterator[Record]:
    """Yield the records of the journal a replay of the recording writes, offset by offset."""
    offset = 0
    for number, body in enumerate(recording.admitted()):
        if number == 0:
            yield Record(0, body if isinstance(body, Tick) else Tick(step_time_ns(body)))
            offset = 3  # after which registry and which rules hold
            if isinstance(body, Tick):
                continue
        yield Record(offset, body)
        offset += 1


def _csv(paths: Sequence[Path], folder: Path, registry: Path | None) -> Source:
    """Make one recording of CSVs by their mappings, or of exported files, and read that."""
    given = load_registry(registry) if registry else None
    name, files = " ".join(map(str, paths)), [_csv_file(path, given) for path in paths]
    first = files[0]
    for path, file in zip(paths, files, strict=True):
        if _means(file.registry) != _means(first.registry):
            said = f"{path}: other channels than in {paths[0]}: several files are read as one only"
            raise Missing(f"{said} if their channels are the same; give --registry, or one mapping")
    steps = [file.steps(number) for number, file in enumerate(files, start=1)]
    write_recording(folder, first.registry, heapq.merge(*steps, key=step_time_ns), {})
    made = _recording(open_recording(folder), paths[0])
    tick_ns = max(file.tick_ns for file in files)
    return replace(made, name=name, tick_ns=tick_ns, rules=first.rules)


@dataclass(frozen=True, slots=True)
class _CsvFile:
    """One file; ``steps`` takes its number: the messages of two files are never the same ones."""

    registry: Registry
    steps: Callable[[int], Iterator[Step]]
    tick_ns: int = 0
    rules: Path | None = None


def _csv_file(path: Path, registry: Registry | None) -> _CsvFile:
    if is_mapping(path):
        mapped = open_mapping(path)
        return _CsvFile(mapped.registry, mapped.steps, mapped.tick_ns, mapped.rules)
    held, steps = exported_steps(path, registry=registry)
    return _CsvFile(held, lambda _number: steps)


def _means(registry: Registry) -> tuple[tuple[object, ...], ...]:
    """Return what rows of two registries must share to be rows of one."""
    channels = registry.channels
    return (
        channels.id, channels.quantity, channels.unit, registry.devices.id,
        tuple(channels.range_lo.tolist()), tuple(channels.range_hi.tolist()),
        tuple(channels.interval_ns.tolist()),
    )  # fmt: skip
