"""Tokens with the least rights that do, each in a file that only its user can read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ingest.secret_words import noted
from lifeline.errors import Missing
from lifeline.influx.server import Refusal, Right

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lifeline.influx.layout import Layout
    from lifeline.influx.server import Server

GRAFANA_FILE: Final = "grafana-token"
PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class WantedToken:
    """A token by what it may do, by name: ``writes`` and ``reads`` buckets, sees ``tasks``."""

    description: str
    file: Path
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    tasks: tuple[str, ...]

    def rights(self, buckets: Mapping[str, str], tasks: Mapping[str, str]) -> list[Right]:
        """Return the rights on the ids that the names have on the server."""
        return [
            *(Right("write", "buckets", buckets[name]) for name in self.writes),
            *(Right("read", "buckets", buckets[name]) for name in self.reads),
            *(Right("read", "tasks", tasks[name]) for name in self.tasks),
        ]


def wanted_tokens(layout: Layout, store_file: Path) -> tuple[WantedToken, WantedToken]:
    """Return the store's token and Grafana's.

    The store's also reads: `lifeline influx check` runs with it, reads back what it wrote, and a
    server shows retention and mappings only to who may read the bucket. It sees our two tasks.
    """
    names = tuple(b.name for b in layout.buckets)
    store = WantedToken(
        description=f"City Lifeline store of {layout.main.name}",
        file=store_file,
        writes=tuple(b.name for b in layout.buckets if b.written),
        reads=names,
        tasks=tuple(t.name for t in layout.tasks),
    )
    grafana = WantedToken(
        description=f"City Lifeline Grafana of {layout.main.name}",
        file=store_file.parent / GRAFANA_FILE,
        writes=(),
        reads=names,
        tasks=(),
    )
    return store, grafana


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises
    ------
    Missing
        It cannot be read, or is empty; with the remedy.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "is not text"
        said = f"{path}: {reason}; write the token into it, for this user only (chmod 600)"
        raise Missing(said) from error
    if not token:
        raise Missing(f"{path}: is empty; write the token into it, or remove the file")
    return noted(token)


def write_token(path: Path, make: Callable[[], str]) -> None:
    """Write what ``make`` returns into a new file; where making fails there is no file.

    Raises
    ------
    Missing
        The file cannot be made (or is there already: nothing is overwritten).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except OSError as error:
        said = f"{path}: {error.strerror}; make room for a token there, or name another token_file"
        raise Missing(said) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        try:
            file.write(make() + "\n")
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise


def open_to_others(path: Path) -> bool:
    """Return whether others on this machine may read the file."""
    return bool(path.stat().st_mode & 0o077)


def lacking(server: Server, token: WantedToken, org_id: str) -> list[str]:
    """Return what the token that ``server`` is asked with may not do of what it should, tried."""
    tries: list[tuple[str, Callable[[], object]]] = [
        *((f"write to {name}", partial(_written, server, name)) for name in token.writes),
        *((f"read {name}", partial(server.bucket, name)) for name in token.reads),
        *((f"see task {name}", partial(server.task, org_id, name)) for name in token.tasks),
    ]
    return [what for what, attempt in tries if not _allowed(attempt)]


def _written(server: Server, bucket: str) -> bool:
    server.write(bucket, b"")
    return True


def _allowed(attempt: Callable[[], object]) -> bool:
    try:
        return attempt() is not None
    except Refusal as error:
        if error.of_rights or error.status == 404:
            return False
        raise
