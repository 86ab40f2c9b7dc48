"""Files that hold secrets: readable for their owner alone from their first byte, whole or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE: Final = 0o600


def write_private(path: Path, text: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file aside, sync and rename it; its mode holds before there is anything in it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    number = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(number, "wb") as file:
        os.fchmod(number, mode)
        file.write(text)
        file.flush()
        os.fsync(number)
    aside.replace(path)
