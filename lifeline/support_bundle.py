"""``lifeline support-bundle``: what a maintainer needs to see, in one file, without secrets.

No readings go in unless they are asked for, no registry and no rules: only counts, places, times,
versions, logs. Whatever secret the configuration names is looked up and taken out of every text.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import tarfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any, Final

from ingest.control import recover
from ingest.journal import JournalError, JournalReader, durable_end
from ingest.journal.segments import read_marker, segments
from lifeline.doctor import examine
from lifeline.errors import Failure, Missing
from lifeline.metrics_files import all_metrics
from lifeline.settings.config import FILE_NAME, load_config
from rules.events import decode
from rules.problems import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOG_BYTES: Final = 512 << 10  # of the end of each log
TAIL_RECORDS: Final = 2_000
READINGS_BYTES: Final = 64 << 20
LOGS: Final = ("journal", "events", "series", "raw", "quarantine")
REMOVED: Final = "[removed]"
LEAST_SECRET: Final = 4  # a shorter one would be taken out of the middle of words
_SECRET_KEY: Final = re.compile(
    r"""(?im)^(?P<key>\s*["']?[\w.-]*(?:password|passwd|token|secret|api_?key)["']?\s*[=:]\s*).+$"""
)
_IN_URL: Final = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://)[^/\s@\"']+@")
_QUERY: Final = re.compile(r"(?P<head>\bhttps?://[^\s\"'?]+\?)[^\s\"']+")
_HEADER: Final = re.compile(r"(?i)(?P<head>\b(?:authorization|bearer|token)\b[:\s]+)[\w.~+/=-]{8,}")


@dataclass(slots=True)
class Cleaner:
    """Takes secrets out of texts: those the configuration names, and what looks like one."""

    secrets: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path | None) -> Cleaner:
        """Return one that knows the secrets a city's configuration names, as far as it can be read.

        A broken ``city.toml`` is looked through by its keys alone.
        """
        held: set[str] = set()
        text = (folder / FILE_NAME) if folder is not None else None
        if folder is not None and text is not None and text.is_file():
            words = text.read_text(encoding="utf-8", errors="replace")
            for name in re.findall(r"""_file\s*=\s*["']([^"']+)["']""", words):
                path = folder / name
                if path.is_file() and os.access(path, os.R_OK):
                    held.add(path.read_text(encoding="utf-8", errors="replace").strip())
            for name in re.findall(r"""_env\s*=\s*["']([^"']+)["']""", words):
                held.add(os.environ.get(name, "").strip())
        lines = {line for secret in held for line in (secret, *secret.splitlines())}
        return cls(sorted((x for x in lines if len(x) >= LEAST_SECRET), key=len, reverse=True))

    def clean(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, REMOVED)
        text = _SECRET_KEY.sub(rf"\g<key>{REMOVED}", text)
        text = _IN_URL.sub(rf"\g<head>{REMOVED}@", text)
        text = _QUERY.sub(rf"\g<head>{REMOVED}", text)
        return _HEADER.sub(rf"\g<head>{REMOVED}", text)


def write_bundle(
    to: Path,
    *,
    folder: Path | None,
    data: Path,
    readings: bool = False,
    logs: tuple[Path, ...] = (),
    tell: Callable[[str], None] = lambda _part: None,
) -> list[str]:
    """Write the bundle; return the names in it. What cannot be had is said in its place.

    Raises
    ------
    Missing
        The file cannot be written.
    """
    cleaner = Cleaner.of(folder)
    names: list[str] = []
    aside = to.with_name(to.name + ".new")
    try:
        with tarfile.open(aside, "w:gz") as bundle:
            for name, make in _parts(folder, data, logs):
                tell(name)
                text = cleaner.clean(_made(make))
                _add(bundle, name, text.encode())
                names.append(name)
            for path, size in _readings(data) if readings else ():
                tell(path.name)
                with path.open("rb") as file:
                    _add(bundle, f"readings/{path.name}", file.read(size))
                names.append(f"readings/{path.name}")
        aside.replace(to)
    except OSError as error:
        aside.unlink(missing_ok=True)
        said = f"{error.filename or to}: {error.strerror}; name a file that can be written"
        raise Missing(said) from error
    return names


def _parts(
    folder: Path | None, data: Path, logs: tuple[Path, ...]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "versions.json", _versions
    yield "doctor.json", lambda: [asdict(f) for f in examine(folder, data)]
    if folder is not None:
        yield FILE_NAME, (folder / FILE_NAME).read_text
        yield "configuration.txt", lambda: _configured(folder)
    yield "metrics.txt", lambda: all_metrics(data, own="support-bundle").decode()
    yield "data.json", lambda: _data(data)
    for name in LOGS:
        yield f"{name}.json", partial(_log, data / name)
    yield "events.json", lambda: _events(data / "events")
    for path in [*sorted((data / "log").glob("*.log")), *logs]:
        yield f"log/{path.name}", partial(_tail, path)


def _made(make: Callable[[], Any]) -> str:
    """Return a part as text; a part that fails says so and leaves the others."""
    try:
        made = make()
    except (OSError, ValueError, KeyError, Failure, Invalid, JournalError) as error:
        return f"cannot be told: {type(error).__name__}: {error}\n"
    if isinstance(made, str):
        return made
    return json.dumps(made, ensure_ascii=False, indent=1, default=str) + "\n"


def _add(bundle: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(f"lifeline-support/{name}")
    entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
    bundle.addfile(entry, io.BytesIO(content))


def _versions() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "packages": dict(sorted((d.name, d.version) for d in distributions())),
    }


def _configured(folder: Path) -> str:
    try:
        load_config(folder)
    except Invalid as error:
        return str(error)
    return "in order\n"


def _data(data: Path) -> dict[str, Any]:
    """Return the sizes of the rooms, and which texts are in force."""
    sizes: dict[str, dict[str, int]] = {}
    for room in sorted(p for p in data.iterdir() if p.is_dir()):
        files = [p.stat().st_size for p in room.rglob("*") if p.is_file()]
        sizes[room.name] = {"files": len(files), "bytes": sum(files)}
    disk = os.statvfs(data)
    known = recover(
        data / "cursors" / "ingest", data / "journal", durable=durable_end(data / "journal")
    )
    return {
        "rooms": sizes,
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "disk_bytes": disk.f_blocks * disk.f_frsize,
        "inodes_free": disk.f_favail,
        "in_force": known.hashes,
        "snapshots": sorted(p.name for p in (data / "snapshots").glob("*")),
        "cursors": {p.name: p.stat().st_mtime for p in (data / "cursors").glob("*")},
    }


def _log(folder: Path) -> dict[str, Any]:
    """Return head and tail of a journal: offsets, times, sizes, kinds of its last records."""
    held = segments(folder)
    if not held:
        return {"segments": 0}
    end = durable_end(folder)
    marker = read_marker(folder)
    begin_ns = _time_at(folder, held[0].first)
    last = max(held[0].first, end - TAIL_RECORDS)
    kinds: Counter[str] = Counter()
    with JournalReader(folder, start=last) as reader:
        if folder.name == "journal":
            while records := reader.read(until=end):
                kinds.update(type(r.body).__name__ for r in records)
        damage = [str(d) for d in reader.damage]
    return {
        "segments": len(held),
        "bytes": sum(s.path.stat().st_size for s in held),
        "first_offset": held[0].first,
        "end": end,
        "marker": marker.offset if marker else None,
        "first_time_ns": begin_ns,
        "last_time_ns": _time_at(folder, end - 1) if end > held[0].first else 0,
        "kinds_of_the_last": {"records": end - last, **kinds},
        "damage_in_the_last": damage,
    }


def _time_at(folder: Path, offset: int) -> int:
    with JournalReader(folder, start=offset) as reader:
        reader.controls(until=offset + 1, most=1)
        return reader.time_ns


def _events(folder: Path) -> dict[str, Any]:
    """Return how many events of which rule and type stand in the last records."""
    held = segments(folder)
    if not held:
        return {}
    end = durable_end(folder)
    counts: Counter[str] = Counter()
    with JournalReader(folder, start=max(held[0].first, end - TAIL_RECORDS)) as reader:
        while records := reader.events(until=end):
            for _, lines in records:
                for event in map(decode, lines.lines):
                    counts[f"{event.type.value} {event.rule}"] += 1
    return dict(counts.most_common())


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        return file.read().decode("utf-8", "replace")


def _readings(data: Path) -> Iterator[tuple[Path, int]]:
    """Yield the journal's newest segments and how much of each is durable."""
    folder = data / "journal"
    marker = read_marker(folder)
    taken = 0
    for segment in reversed(segments(folder)):
        size = segment.path.stat().st_size
        if marker is not None and segment.first >= marker.segment:
            size = marker.size if segment.first == marker.segment else 0
        if taken and taken + size > READINGS_BYTES:
            return
        taken += size
        if size:
            yield segment.path, size
