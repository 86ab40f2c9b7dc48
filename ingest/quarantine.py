"""What was refused, why, and the bytes, so that it can be looked at and fed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.journal import Frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.frame import Frame

MAX_PAYLOAD_BYTES = 256 << 10
"""A longer payload is kept cut to this; its detail says how long it was."""
MAX_DETAIL = 500
MAX_PATH = 500


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refusal: of the whole frame, or of a part of it while the rest counts (``whole`` False)."""

    reason: str
    frame: Frame
    detail: str = ""
    whole: bool = True


def quarantine_record(refused: Iterable[Quarantined]) -> Frames:
    """Return the refusals as one record; a part's reason stands as ``part/<reason>``."""
    return Frames.of(
        (
            each.frame.receive_ns,
            each.frame.content_format,
            each.frame.transport,
            _printable(each.frame.path, MAX_PATH),
            each.reason if each.whole else f"part/{each.reason}",
            _printable(_detail(each), MAX_DETAIL),
            each.frame.payload[:MAX_PAYLOAD_BYTES],
        )
        for each in refused
    )


def raw_record(frames: Sequence[Frame]) -> Frames:
    """Return frames as they came as one record of the raw side log."""
    return Frames.of(
        (
            frame.receive_ns,
            frame.content_format,
            frame.transport,
            _printable(frame.path, MAX_PATH),
            "",
            "",
            frame.payload[:MAX_PAYLOAD_BYTES],
        )
        for frame in frames
    )


def _detail(each: Quarantined) -> str:
    size = len(each.frame.payload)
    if size <= MAX_PAYLOAD_BYTES:
        return each.detail
    return f"[{size} bytes, cut to {MAX_PAYLOAD_BYTES}] {each.detail}"


def _printable(text: str, limit: int) -> str:
    return text[:limit].encode("utf-8", "backslashreplace").decode()
