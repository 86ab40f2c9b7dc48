"""Photos from the field: nothing that came in is kept, only what Pillow sees in it, drawn anew.

So place, time, device and whatever else hides in a file (EXIF, GPS, comments, further frames, what
is appended) is gone, and what is stored is one JPEG by the hash of its bytes. The one place that
uses Pillow.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

import structlog
from PIL import Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = structlog.get_logger("photos")
FORMATS: Final = ("JPEG", "PNG", "WEBP")
MAX_BYTES: Final = 4 << 20
MAX_PIXELS: Final = 24_000_000
SIDE: Final = 2_048
"""The longest side that is kept."""
QUALITY: Final = 85
DAY_S: Final = 86_400
_BROKEN: Final = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow is known to raise over broken files."""


class PhotoRefused(Exception):  # noqa: N818 - reads as what it says
    """What came in is not kept; says why, and what to do."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoLimits:
    """How much is kept, for how long."""

    keep_s: int = 400 * DAY_S
    max_total_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One stored photo: SHA-256 of its bytes in hex, and its size in pixels."""

    digest: str
    width: int
    height: int


class Photos:
    """The photos of a data folder."""

    def __init__(self, folder: Path, limits: PhotoLimits) -> None:
        self._folder, self._limits = folder, limits
        self._lock = threading.Lock()  # also: one picture is drawn at a time, 100 MB at most
        self._total = -1  # bytes; −1 = not counted yet

    def take(self, raw: bytes) -> Photo:
        """Draw a picture anew and store it.

        Raises
        ------
        PhotoRefused
            It is too long, too large, of another kind, broken; or there is no room left.
        OSError
            It cannot be written.
        """
        if len(raw) > MAX_BYTES:
            raise PhotoRefused(
                f"the photo has {len(raw)} bytes, at most are {MAX_BYTES} 照片过大",
                remedy="take it smaller 请降低分辨率",
            )
        with self._lock:
            drawn, size = redrawn(raw)
            digest = hashlib.sha256(drawn).hexdigest()
            self._store(digest, drawn)
        return Photo(digest=digest, width=size[0], height=size[1])

    def path(self, digest: str) -> Path | None:
        """Return where a photo lies, None where it is kept no longer."""
        place = self._place(digest)
        return place if place.is_file() else None

    def sweep(self) -> int:
        """Remove what has been kept long enough; return how many went. Call it daily."""
        oldest, gone = time.time() - self._limits.keep_s, 0
        with self._lock:
            for path in list(self._files()):
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    gone += 1
            self._total = -1
        if gone:
            LOG.info("photos kept long enough are gone", photos=gone)
        return gone

    def _place(self, digest: str) -> Path:
        return self._folder / f"{digest}.jpg"

    def _files(self) -> Iterator[Path]:
        return self._folder.glob("*.jpg")

    def _store(self, digest: str, drawn: bytes) -> None:
        place = self._place(digest)
        if place.is_file():
            os.utime(place)  # shown anew: kept anew
            return
        if self._total < 0:
            self._total = sum(path.stat().st_size for path in self._files())
        if self._total + len(drawn) > self._limits.max_total_bytes:
            raise PhotoRefused(
                f"the photos have {self._total} bytes of {self._limits.max_total_bytes} already "
                "照片存储已满",
                remedy="raise [photos] max_gb in city.toml, or keep them for less time",
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(drawn)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
        self._total += len(drawn)


def redrawn(raw: bytes) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as a new JPEG without anything but its pixels, and (width, height).

    Raises
    ------
    PhotoRefused
        It is no JPEG, PNG or WebP by its content, is broken, or has too many pixels: told before
        any of them is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
            picture = Image.open(BytesIO(raw), formats=FORMATS)
        width, height = picture.size
        if not 0 < width * height <= MAX_PIXELS:
            raise _too_many(f"{width} × {height} pixels")
        picture.draft("RGB", (SIDE, SIDE))  # a JPEG is decoded at an eighth, a quarter or a half
        upright = ImageOps.exif_transpose(picture)
        plain = _flat(upright)
        plain.thumbnail((SIDE, SIDE))
        bare = Image.new("RGB", plain.size)
        bare.paste(plain)  # pixels only: no info, no profile, no EXIF comes along
        out = BytesIO()
        bare.save(out, "JPEG", quality=QUALITY, optimize=True)
    except UnidentifiedImageError as error:
        raise PhotoRefused(
            "this is no photo: neither JPEG, PNG nor WebP by its content 不是照片",
            remedy="take a photo with the camera 请用相机拍摄",
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many(str(error)) from error
    except _BROKEN as error:
        raise PhotoRefused(
            f"the photo is broken: {str(error)[:120]} 照片已损坏", remedy="take it again 请重新拍摄"
        ) from error
    return out.getvalue(), bare.size


def _too_many(found: str) -> PhotoRefused:
    said = f"the photo has too many pixels, at most are {MAX_PIXELS}: {found} 照片像素过多"
    return PhotoRefused(said, remedy="take it smaller 请降低分辨率")


def _flat(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB; what is transparent lies on white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        on_white = Image.new("RGBA", picture.size, "white")
        on_white.alpha_composite(picture.convert("RGBA"))
        return on_white.convert("RGB")
    return picture.convert("RGB")
