"""Where backups stand: each file once, by the hash of its bytes, and a manifest a generation.

``objects/<2 digits>/<SHA-256>`` hold the bytes; ``generations/<UTC>.json`` says which path each of
them stands for. A manifest is written last, in one step, so an interrupted backup leaves the older
generations whole, and what it had copied need not be copied again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import structlog

from lifeline.errors import BackupDamaged, Missing, Occupied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LOG: Any = structlog.get_logger("backup")
FORMAT: Final = 1
CHUNK_BYTES: Final = 4 << 20
_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file: its path from the city's folder, and what identified it when it was copied."""

    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int = 0  # of a file that never changes again; 0 = look at its bytes next time too


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One backup. ``journal_end`` is the first journal offset that is not in it."""

    made: str  # UTC, also its name
    program: str
    data_version: int
    journal_end: int
    events_end: int
    items: tuple[Item, ...]
    copied_bytes: int = 0  # what was new in it

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all its files."""
        return sum(item.size_bytes for item in self.items)


class Shelf:
    """A folder of generations. ``add`` and ``prune`` need it to be locked, by ``with``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1

    def __enter__(self) -> Self:
        """Make the folder and hold its lock.

        Raises
        ------
        Occupied
            Another backup writes to it.
        """
        for room in ("objects", "generations"):
            (self.folder / room).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            said = f"{self.folder}: another backup writes here; wait for it or name another folder"
            raise Occupied(said) from None
        for aside in (self.folder / "objects").glob(".new-*"):  # of a run that was cut off
            aside.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    # -------------------------------------------------------------- generations

    def names(self) -> list[str]:
        """Return the generations, oldest first."""
        return sorted(path.stem for path in (self.folder / "generations").glob(f"*{_SUFFIX}"))

    def load(self, name: str = "") -> Generation:
        """Return a generation, the newest without a name.

        Raises
        ------
        Missing
            There is none, or not that one.
        BackupDamaged
            Its manifest is not as it was written.
        """
        held = self.names()
        if not held:
            raise Missing(f"{self.folder}: holds no backup; lifeline backup {self.folder}")
        if name and name not in held:
            raise Missing(f"{self.folder}: no generation {name!r}; it has {', '.join(held[-8:])}")
        path = self.folder / "generations" / f"{name or held[-1]}{_SUFFIX}"
        try:
            raw: dict[str, Any] = json.loads(path.read_bytes())
            body = raw["generation"]
            if raw["sha256"] != _digest(body):
                raise ValueError("its checksum differs")  # noqa: TRY301 - one way to refuse
            if raw["format"] != FORMAT:
                raise ValueError(f"format {raw['format']}, this program reads {FORMAT}")  # noqa: TRY301
            items = tuple(Item(**item) for item in body.pop("items"))
            return Generation(**body, items=items)
        except (ValueError, KeyError, TypeError) as error:
            others = [n for n in held if n != path.stem]
            remedy = f"; use --at {others[-1]}" if others else "; use another backup"
            raise BackupDamaged(f"{path}: not a whole manifest ({error}){remedy}") from error

    def add(self, generation: Generation) -> None:
        """Name a generation: from here on it counts."""
        body = asdict(generation)
        text = json.dumps({"format": FORMAT, "sha256": _digest(body), "generation": body})
        path = self.folder / "generations" / f"{generation.made}{_SUFFIX}"
        aside = path.with_suffix(".new")
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync(path.parent)

    def prune(self, keep: int) -> int:
        """Keep the newest ``keep`` generations; return how many bytes of others went.

        Where a manifest that stays cannot be read nothing is removed, since it may need anything.
        """
        names = self.names()
        try:
            stays = [self.load(name) for name in names[-keep:]]
        except BackupDamaged as error:
            LOG.error("nothing old is removed from the backups", reason=str(error))  # noqa: TRY400
            return 0
        for name in names[:-keep]:
            (self.folder / "generations" / f"{name}{_SUFFIX}").unlink()
        needed = {item.sha256 for generation in stays for item in generation.items}
        gone = 0
        for path in (self.folder / "objects").glob("??/*"):
            if path.name not in needed:
                gone += path.stat().st_size
                path.unlink()
        return gone

    # -------------------------------------------------------------- objects

    def object(self, sha256: str) -> Path:
        """Return where bytes of this hash stand."""
        return self.folder / "objects" / sha256[:2] / sha256

    def holds(self, item: Item) -> bool:
        """Say whether an item's bytes are there, by size; their hash is looked at when they go."""
        try:
            return self.object(item.sha256).stat().st_size == item.size_bytes
        except FileNotFoundError:
            return False

    def put(
        self, source: BinaryIO, *, limit: int, tell: Callable[[int], None]
    ) -> tuple[str, int, bool]:
        """Take at most ``limit`` bytes of a file; return hash, size, and whether they were new.

        ``tell`` hears of bytes as they go. On disk when it returns.
        """
        aside = self.folder / "objects" / f".new-{os.getpid()}"
        digest, size = hashlib.sha256(), 0
        with aside.open("wb") as file:
            for chunk in chunks(source, limit):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                tell(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        name = digest.hexdigest()
        place = self.object(name)
        if place.exists() and place.stat().st_size == size:
            aside.unlink()
            return name, size, False
        place.parent.mkdir(exist_ok=True)
        aside.replace(place)
        _sync(place.parent)
        return name, size, True

    def copy_out(self, item: Item, to: Path | None, *, tell: Callable[[int], None]) -> None:
        """Write an item's bytes to a new file; with None only look at them.

        Raises
        ------
        BackupDamaged
            They are missing or not those that were taken; names both files.
        """
        path = self.object(item.sha256)
        digest = hashlib.sha256()
        with contextlib.ExitStack() as stack:
            try:
                source = stack.enter_context(path.open("rb"))
            except FileNotFoundError as error:
                raise self._damaged(item, "is missing") from error
            target = None
            if to is not None:
                to.parent.mkdir(parents=True, exist_ok=True)
                target = stack.enter_context(to.open("xb"))
            try:
                for chunk in chunks(source, item.size_bytes + 1):
                    digest.update(chunk)
                    if target is not None:
                        target.write(chunk)
                    tell(len(chunk))
            except OSError as error:
                raise self._damaged(item, f"cannot be read ({error.strerror})") from error
            if digest.hexdigest() != item.sha256:
                raise self._damaged(item, "is not what was backed up (its hash differs)")
            if target is not None:
                target.flush()
                os.fsync(target.fileno())

    def _damaged(self, item: Item, what: str) -> BackupDamaged:
        return BackupDamaged(
            f"{self.object(item.sha256)}: {what}; it stands for {item.path}. "
            "Nothing was restored: take another generation (--at) or another backup"
        )


def chunks(source: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield a file's bytes from where it stands, at most ``limit`` of them."""
    while limit > 0 and (chunk := source.read(min(CHUNK_BYTES, limit))):
        limit -= len(chunk)
        yield chunk


def reusable(items: Sequence[Item]) -> dict[str, Item]:
    """Return by path what need not be read again if its size and time are the same."""
    return {item.path: item for item in items if item.mtime_ns}


def _digest(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
