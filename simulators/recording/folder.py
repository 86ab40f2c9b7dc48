"""A recording: a folder (or a .zip of it) with journal, raw frames, registry text and meta.json.

::

    meta.json        what it is: mark (simulation or replay), name, city time range, incidents
    registry.json    the registry's canonical text
    journal/ raw/ quarantine/    as in a data folder

A data folder of the program is accepted as a recording too.
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from ingest.frame import Frame
from ingest.journal import Damage, Frames, JournalReader, durable_end
from ingest.journal.segments import segments
from rules.problems import Invalid, Problem
from rules.quantities import QUANTITIES
from rules.readings import Body, Control, Tick, texts_named
from rules.registry_file import registry_bytes, registry_from_bytes
from simulators.recording.steps import Sink, Step, step_time_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from rules.registry import Registry

FORMAT: Final = 1
_READ_ROWS: Final = 50_000


def refuse(place: Path | str, message: str) -> Invalid:
    """Return the error of something that cannot be used, with its place."""
    return Invalid([Problem(str(place), 0, 0, "", message)])


@dataclass(frozen=True, slots=True)
class Recording:
    """An opened recording; ``steps`` yields it in journal order."""

    folder: Path
    meta: dict[str, Any]
    registry: Registry
    damage: list[Damage] = field(default_factory=list)  # found while reading, and skipped
    _unpacked: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._unpacked is not None:
            self._unpacked.cleanup()

    def steps(self) -> Iterator[Step]:
        """Yield what a replay takes in: frames as they came, or what was admitted; and ticks.

        A data folder gives what was admitted: its raw log reaches back less far than its journal.
        """
        return self.arrivals() if self.meta.get("frames") else self.admitted()

    def arrivals(self) -> Iterator[Step]:
        """Yield frames as they came and ticks, in order of time."""
        return _merged(self._ticks(), self._groups())

    @property
    def has_frames(self) -> bool:
        """Whether frames are kept as they came."""
        return _has_records(self.folder / "raw")

    def admitted(self) -> Iterator[Body]:
        """Yield what was admitted, ticks and operators' commands, in journal order.

        Registry and rules are left out: a replay says itself which ones hold.
        """
        return (
            body
            for body in self._bodies()
            if not isinstance(body, Control) or not texts_named(body)
        )

    def unit(self, channel: int) -> str:
        """Return the canonical unit of a channel's values, "" for row −1."""
        held = QUANTITIES.get(self.registry.channels.quantity[channel]) if channel >= 0 else None
        return held.unit if held else ""

    def _bodies(self) -> Iterator[Body]:
        folder = self.folder / "journal"
        end = durable_end(folder)
        with JournalReader(folder, start=_oldest(folder)) as reader:
            while records := reader.read(until=end, max_rows=_READ_ROWS):
                for record in records:
                    yield record.body
            self.damage.extend(reader.damage)

    def _ticks(self) -> Iterator[Tick]:
        return (body for body in self._bodies() if isinstance(body, Tick))

    def _groups(self) -> Iterator[list[Frame]]:
        folder = self.folder / "raw"
        end = durable_end(folder)
        with JournalReader(folder, start=_oldest(folder)) as reader:
            while records := reader.frames(until=end, max_rows=_READ_ROWS):
                for _, frames in records:
                    yield _frames(frames)
            self.damage.extend(reader.damage)


def _frames(held: Frames) -> list[Frame]:
    return [
        Frame(payload, transport, path, int(receive_ns), None if form < 0 else int(form))
        for payload, transport, path, receive_ns, form in zip(
            held.payload,
            held.transport,
            held.path,
            held.receive_ns.tolist(),
            held.content_format.tolist(),
            strict=True,
        )
    ]


def _merged(ticks: Iterator[Tick], groups: Iterator[list[Frame]]) -> Iterator[Step]:
    """Merge by time; a group that ends with a tick comes before it, the first tick before all."""
    tick, group = next(ticks, None), next(groups, None)
    if tick is not None:
        yield tick
        tick = next(ticks, None)
    while tick is not None or group is not None:
        if tick is None or (group is not None and step_time_ns(group) <= tick.tick_ns):
            if group is not None:
                yield group
            group = next(groups, None)
        else:
            yield tick
            tick = next(ticks, None)


def _oldest(folder: Path) -> int:
    """Return the first offset retention has left."""
    held = segments(folder)
    return held[0].first if held else 0


def _has_records(folder: Path) -> bool:
    return folder.is_dir() and durable_end(folder) > 0


def open_recording(path: Path) -> Recording:
    """Open a recording's folder or zip, or a data folder.

    Raises
    ------
    Invalid
        It is none; the message says what is missing.
    """
    unpacked = None
    folder = path
    if path.is_file() and zipfile.is_zipfile(path):
        unpacked = tempfile.TemporaryDirectory(prefix="lifeline-recording-")
        folder = Path(unpacked.name)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    if not (folder / "journal").is_dir():
        what = "no such file or folder" if not path.exists() else "holds no journal"
        raise refuse(path, f"{what}: a recording is a folder or .zip with journal/ and meta.json")
    meta: dict[str, Any] = {}
    if (folder / "meta.json").exists():
        try:
            meta = orjson.loads((folder / "meta.json").read_bytes())
        except orjson.JSONDecodeError as error:
            raise refuse(path / "meta.json", f"is not JSON ({error})") from error
        if meta.get("format") != FORMAT:
            said = f"format {meta.get('format')!r}, this program knows {FORMAT}"
            raise refuse(path / "meta.json", said)
    return Recording(folder, meta, _registry(folder, path), _unpacked=unpacked)


def _registry(folder: Path, asked: Path) -> Registry:
    text = folder / "registry.json"
    if not text.exists():  # a data folder: the newest registry its journal names
        named = [texts_named(c).get("registry", "") for c in _controls(folder)]
        hashes = [digest for digest in named if digest]
        found = sorted((folder / "registry").glob(f"{hashes[-1]}*")) if hashes else []
        if not found:
            raise refuse(asked, "holds no registry.json, and its journal names no registry")
        text = found[0]
    try:
        return registry_from_bytes(text.read_bytes())
    except ValueError as error:
        raise refuse(text, str(error)) from error


def _controls(folder: Path) -> Iterator[Control]:
    end = durable_end(folder / "journal")
    with JournalReader(folder / "journal", start=_oldest(folder / "journal")) as reader:
        while records := reader.read(until=end, max_rows=_READ_ROWS):
            yield from (r.body for r in records if isinstance(r.body, Control))


def write_recording(
    out: Path, registry: Registry, steps: Iterable[Step], meta: dict[str, Any]
) -> dict[str, Any]:
    """Write steps as a recording (a .zip if ``out`` ends so); return its meta.

    Raises
    ------
    Invalid
        There is something at ``out`` already.
    """
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise refuse(out, "exists already: choose another name or remove it")
    if out.suffix != ".zip":
        return _write(out, registry, steps, meta)
    with tempfile.TemporaryDirectory(prefix="lifeline-recording-") as name:
        folder = Path(name)
        done = _write(folder, registry, steps, meta)
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = out.with_name(f".{out.name}.part")
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file() and file.suffix in (".seg", ".json"):
                    archive.write(file, file.relative_to(folder).as_posix())
        aside.replace(out)
    return done


def _write(
    folder: Path, registry: Registry, steps: Iterable[Step], meta: dict[str, Any]
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.json").write_bytes(registry_bytes(registry))
    sink = Sink(folder, registry)
    try:
        for step in steps:
            sink.take(step)
    finally:
        sink.close()
    held: dict[str, Any] = {
        "format": FORMAT,
        "mark": "simulation" if registry.simulation else "replay",
        "registry_hash": registry.content_hash,
        "begin_ns": sink.begin_ns,
        "end_ns": sink.end_ns,
        "readings": sink.counts["readings"],
        "frames": sink.counts["frames"],
        "quarantined": sink.counts["quarantined"],
    } | meta
    (folder / "meta.json").write_bytes(orjson.dumps(held, option=orjson.OPT_INDENT_2))
    return held
