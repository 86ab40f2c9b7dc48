"""The archive's manifest: what it names is the archive, everything else is a leftover.

Replaced in one step (written aside, synced, renamed), so a reader sees the old or the new one.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ingest.store.errors import ManifestDamaged
from rules.judge import CONFLICT, DUPLICATE, HEARD, JUDGED, LATE

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
NAME = "manifest.json"

TICK, CONTROL, BLOCK = 16, 17, 18
"""Verdicts of what is no reading; the others are those of rules.judge."""

COUNTED: dict[str, int] = {
    "judged": JUDGED,
    "duplicates": DUPLICATE,
    "late": LATE,
    "conflicts": CONFLICT,
    "heard": HEARD,
    "ticks": TICK,
    "controls": CONTROL,
    "blocks": BLOCK,
}


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One Parquet file: all records with first ≤ offset ≤ last that could be read."""

    name: str
    first: int
    last: int
    rows: int
    from_ns: int  # judged times within
    to_ns: int
    tier: int  # how often it was compacted
    counts: dict[str, int]  # by COUNTED


@dataclass(frozen=True, slots=True)
class Retired:
    """A file whose rows stand in a compacted one; removed when queries cannot hold it any more."""

    name: str
    since_s: float  # Unix time


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files by rising offset; ``state`` names the judge's state at ``next_offset``."""

    next_offset: int = 0
    state: str = ""
    files: tuple[ArchiveFile, ...] = ()
    retired: tuple[Retired, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Return the manifest of an archive folder, an empty one where there is none.

        Raises
        ------
        ManifestDamaged
            It is there and cannot be read.
        """
        path = folder / NAME
        try:
            raw: dict[str, Any] = json.loads(path.read_bytes())
            if raw["version"] != VERSION:
                raise ValueError(f"version {raw['version']}, this program reads {VERSION}")  # noqa: TRY301
            return cls(
                next_offset=int(raw["next_offset"]),
                state=str(raw["state"]),
                files=tuple(ArchiveFile(**f) for f in raw["files"]),
                retired=tuple(Retired(**f) for f in raw["retired"]),
            )
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestDamaged(
                f"{path}: cannot be read ({error}); restore it from a backup, or move the whole "
                f"folder {folder} away to archive again what the journal still holds"
            ) from error

    def save(self, folder: Path) -> None:
        """Replace the manifest in one step; on disk when it returns."""
        aside = folder / (NAME + ".new")
        with aside.open("wb") as file:
            file.write(self.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(folder / NAME)
        sync_folder(folder)

    def to_bytes(self) -> bytes:
        """Return the manifest as it stands in its file."""
        return json.dumps({"version": VERSION, **asdict(self)}, separators=(",", ":")).encode()

    def counts(self) -> dict[str, int]:
        """Return the rows by verdict; ``rows`` are the readings of known channels."""
        total = {name: sum(f.counts[name] for f in self.files) for name in COUNTED}
        readings = ("judged", "duplicates", "late", "conflicts")
        return {"rows": sum(total[name] for name in readings), **total}

    def with_rolled(self, file: ArchiveFile, *, next_offset: int, state: str) -> Manifest:
        """Return the manifest with one more file at its end."""
        return replace(self, next_offset=next_offset, state=state, files=(*self.files, file))

    def with_compacted(self, file: ArchiveFile, *, members: int, now_s: float) -> Manifest:
        """Return the manifest with its last ``members`` files replaced by one."""
        gone = tuple(Retired(f.name, now_s) for f in self.files[-members:])
        return replace(self, files=(*self.files[:-members], file), retired=(*self.retired, *gone))

    def without_oldest(self, count: int, *, now_s: float) -> Manifest:
        """Return the manifest without its first ``count`` files."""
        gone = tuple(Retired(f.name, now_s) for f in self.files[:count])
        return replace(self, files=self.files[count:], retired=(*self.retired, *gone))


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
