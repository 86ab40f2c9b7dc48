"""How far a reader is, and its small state with it: one file, replaced in one step."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import structlog

from ingest.journal.errors import CursorDamaged
from ingest.journal.files import FULL, OS_FILES, replace_file
from ingest.journal.record import CRC, crc32c

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.journal.files import FileLayer

log = structlog.get_logger("journal")

Extra = dict[str, "NDArray[np.generic] | int | str"]

_MAGIC = b"\xc1CUR"
_HEAD = struct.Struct("<4sIQI")  # magic, version, offset, length of the JSON that follows


@dataclass(slots=True)
class Cursor:
    """The reader has done everything below ``offset``; ``extra`` is its state at that place."""

    offset: int = 0
    extra: Extra = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Cursor:
        """Return the cursor kept at ``path``, or a new one at 0 where there is none.

        Raises
        ------
        CursorDamaged
            The file is not a whole cursor. It is never taken for a new one: that would do
            everything twice.
        """
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return cls()
        try:
            return _decode(raw)
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise CursorDamaged(
                f"{path}: not a whole cursor file ({error}); restore it, or remove it to read "
                "from the beginning"
            ) from error

    def save(self, path: Path, *, files: FileLayer = OS_FILES) -> None:
        """Replace the file so that after a crash the old or the new one is there, whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(files, path, _encode(self), what="cursor")

    def save_if_room(self, path: Path, *, files: FileLayer = OS_FILES) -> bool:
        """Save, or on a full disk say so and leave the old one: what it stands for is done again.

        For readers whose work may be done twice; a reader must go on, and lag is no loss.
        """
        try:
            self.save(path, files=files)
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.warning("disk full: cursor not saved", path=str(path))
            return False
        return True


def _encode(cursor: Cursor) -> bytes:
    names: dict[str, object] = {}
    arrays: list[bytes] = []
    for name, value in cursor.extra.items():
        if isinstance(value, np.ndarray):
            names[name] = {"dtype": value.dtype.str, "shape": value.shape}
            arrays.append(np.ascontiguousarray(value).tobytes())
        else:
            names[name] = value if isinstance(value, str) else int(value)
    text = json.dumps(names, ensure_ascii=False).encode()
    body = b"".join((_HEAD.pack(_MAGIC, 1, cursor.offset, len(text)), text, *arrays))
    return body + CRC.pack(crc32c(body))


def _decode(raw: bytes) -> Cursor:
    body, check = raw[: -CRC.size], raw[-CRC.size :]
    if len(body) < _HEAD.size or CRC.unpack(check)[0] != crc32c(body):
        raise ValueError("its checksum is wrong")
    magic, version, offset, length = _HEAD.unpack_from(body)
    if magic != _MAGIC or version != 1:
        raise ValueError(f"magic {magic!r}, version {version}")
    at = _HEAD.size + length
    extra: Extra = {}
    for name, value in json.loads(body[_HEAD.size : at]).items():
        if isinstance(value, dict):
            kind, shape = np.dtype(value["dtype"]), value["shape"]
            count = int(np.prod(shape, dtype=np.int64))
            extra[name] = np.frombuffer(body, kind, count, at).reshape(shape).copy()
            at += count * kind.itemsize
        else:
            extra[name] = value
    return Cursor(offset, extra)
