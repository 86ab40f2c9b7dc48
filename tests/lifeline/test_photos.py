"""Photos: only pixels are kept; what is no photo, broken or too much is refused in words."""

from __future__ import annotations

import os
import struct
import time
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from lifeline.photos import MAX_BYTES, SIDE, PhotoLimits, PhotoRefused, Photos, redrawn

SECRET = b"113.6233E 34.7550N of li's telephone"


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    return Image.fromarray(pixels, "RGB").convert(mode)


def written(kind: str = "JPEG", image: Image.Image | None = None, **more) -> bytes:
    out = BytesIO()
    (image or picture()).save(out, kind, **more)
    return out.getvalue()


def with_place() -> bytes:
    """A JPEG as a telephone makes it: place, maker, a comment, turned by its EXIF."""
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    return written(exif=exif, comment=SECRET, icc_profile=SECRET * 4) + SECRET


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.fixture
def photos(tmp_path):
    return Photos(tmp_path / "photos", PhotoLimits())


def test_place_maker_comments_and_what_is_appended_are_gone_and_it_stands_upright(photos):
    raw = with_place()
    assert SECRET in raw
    kept = photos.take(raw)
    stored = photos.path(kept.digest).read_bytes()
    assert SECRET not in stored
    assert SECRET[:8] not in stored
    held = Image.open(BytesIO(stored))
    assert held.format == "JPEG"
    assert not dict(held.getexif())
    assert set(held.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert (kept.width, kept.height) == held.size == (48, 64), "turned as it was held"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_what_telephones_make_is_kept_as_one_kind(kind, mode):
    if (kind, mode) in (("JPEG", "RGBA"), ("JPEG", "P")):
        mode = "CMYK"
    drawn, size = redrawn(written(kind, picture(mode=mode)))
    assert size == (64, 48)
    assert Image.open(BytesIO(drawn)).format == "JPEG"
    before = np.asarray(picture(mode=mode).convert("RGB"), float)
    after = np.asarray(Image.open(BytesIO(drawn)), float)
    assert np.abs(before - after).mean() < 20, "it shows what was seen"


def test_hidden_texts_of_a_png_and_further_frames_are_gone():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("note", SECRET.decode(), zip=False)
    more = picture().rotate(90, expand=True).resize((64, 48))
    raw = written("PNG", pnginfo=info, save_all=True, append_images=[more])
    assert SECRET in raw
    drawn, _ = redrawn(raw)
    assert SECRET not in drawn
    assert getattr(Image.open(BytesIO(drawn)), "n_frames", 1) == 1


def test_a_large_photo_is_made_smaller_and_the_same_one_is_kept_once(photos):
    large = written(image=picture(4000, 3000), quality=60)
    one, other = photos.take(large), photos.take(large)
    assert one == other
    assert max(one.width, one.height) == SIDE
    assert len(list(photos._folder.glob("*"))) == 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "no photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "no photo"),
        (b"<html><script>alert(1)</script>", "no photo"),
        (b"GIF89a" + written()[6:], "no photo"),
        (written("GIF"), "no photo"),
        (written("TIFF"), "no photo"),
        (written("BMP"), "no photo"),
        (b"%PDF-1.7\n" + written(), "no photo"),
        (b"MZ\x90\x00" + bytes(400), "no photo"),
        (written()[: len(written()) // 2], "broken"),
        (written("PNG")[:-40], "broken"),
        (written("WEBP")[:60], "no photo|broken"),
        (b"\xff\xd8\xff" + bytes(300), "no photo|broken"),
        (png(60_000, 60_000), "pixels"),
        (png(6_000, 4_001), "pixels"),
        (png(400, 400, zlib.compress(bytes(10))), "broken"),
        (png(2_000, 2_000, b"no zlib at all"), "broken"),
        (written() + bytes(MAX_BYTES), "bytes"),
    ],
)
def test_what_is_no_photo_or_too_much_is_refused_in_words(photos, raw, said):
    with pytest.raises(PhotoRefused, match=said) as refused:
        photos.take(raw)
    assert refused.value.remedy
    assert list(photos._folder.glob("**/*.jpg")) == []


def test_a_bomb_of_pixels_is_refused_before_it_is_decoded():
    rows = zlib.compress(bytes(3 * 20_000 + 1) * 20_000, 9)  # 1.2 GB in 1.2 MB
    begin = time.monotonic()
    with pytest.raises(PhotoRefused, match="too many pixels"):
        redrawn(png(20_000, 20_000, rows))
    assert time.monotonic() - begin < 2


def test_a_bomb_of_texts_is_refused():
    bomb = zlib.compress(bytes(80 << 20), 9)
    texts = b"".join(chunk(b"zTXt", b"n%d\0\0" % n + bomb) for n in range(4))
    raw = written("PNG")
    with pytest.raises(PhotoRefused, match="broken"):
        redrawn(raw[:33] + texts + raw[33:])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    spoilt=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 5_000),
)
def test_whatever_is_spoilt_in_a_photo_it_is_kept_or_refused_in_words(kind, spoilt, cut):
    raw = bytearray(written(kind))
    for place, value in spoilt:
        raw[place % len(raw)] = value
    with suppress(PhotoRefused):  # any other error fails
        drawn, _ = redrawn(bytes(raw[: max(1, cut)]))
        assert drawn.startswith(b"\xff\xd8\xff")


def test_they_go_when_they_were_kept_long_enough_and_there_is_a_most_of_all(tmp_path):
    drawn, _ = redrawn(written())
    limits = PhotoLimits(keep_s=3_600, max_total_bytes=int(2.5 * len(drawn)))
    photos = Photos(tmp_path / "photos", limits)
    kept = [photos.take(written(image=picture(64, 48 + n))) for n in range(2)]
    with pytest.raises(PhotoRefused, match="already"):
        photos.take(written(image=picture(64, 60)))
    old = time.time() - 3_700
    os.utime(photos.path(kept[0].digest), (old, old))
    assert photos.sweep() == 1
    assert photos.path(kept[0].digest) is None
    assert photos.path(kept[1].digest) is not None
    photos.take(written(image=picture(64, 60)))
