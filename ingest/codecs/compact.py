"""The compact frame of gateway-firmware-sim/FRAME.md: header, blocks, checksum; both ways."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from ingest.frame import (
    MAX_EVENT_MS,
    STATUS_GOOD,
    Decoded,
    Reject,
    Undecodable,
    Waveform,
    ms_to_ns,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

MAGIC = b"CL"
VERSION = 1
MAX_FRAME_BYTES = 65_535
SIMULATION, CLOCK_UNSET, STORED = 1, 2, 4
SCALED, FLOAT32, FLOAT64, WAVEFORM = 1, 2, 3, 4

HEADER = struct.Struct("<2sBBBBBBIIq")
BLOCK = struct.Struct("<HBBH")
_WAVE = struct.Struct("<iIf")
_SCALE = struct.Struct("<f")
CHECKSUM = struct.Struct("<I")
DEVICE = re.compile(rb"[A-Za-z0-9._-]{1,48}")
VALUES: dict[int, np.dtype[Any]] = {
    SCALED: np.dtype("<i4"),
    FLOAT32: np.dtype("<f4"),
    FLOAT64: np.dtype("<f8"),
}
_I4 = np.dtype("<i4")
_I2 = np.dtype("<i2")
_EMPTY: dict[str, NDArray[Any]] = {
    "port": np.empty(0, np.int32),
    "event_ns": np.empty(0, np.int64),
    "value": np.empty(0),
    "status": np.empty(0, np.uint8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A block of scalar samples to encode: ``offsets_ms[n]`` from the time base, ``values[n]``."""

    port: int
    offsets_ms: ArrayLike
    values: ArrayLike
    encoding: int = FLOAT64
    scale: float = 0.01  # only for SCALED
    status: int = STATUS_GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A waveform block to encode: ``samples[n]``, rounded to int16 steps of ``scale``."""

    port: int
    start_ms: int
    period_us: int
    samples: ArrayLike
    scale: float = 0.001
    status: int = STATUS_GOOD


def unscale(integers: NDArray[Any], scale: float) -> NDArray[np.float64]:
    """Return ``integers × scale`` in float64, with exact decimals where the scale is one over n."""
    inverse = 1.0 / scale
    if inverse < 1 or inverse > 1e15:
        return integers * np.float64(scale)
    nearest = round(inverse)
    if abs(inverse - nearest) <= 1e-6 * nearest:
        return integers / np.float64(nearest)
    return integers * np.float64(scale)


def decode(payload: bytes) -> Decoded:
    """Return the columns of one frame.

    Raises
    ------
    Undecodable
        Checksum, lengths, version, flags, algorithm, encoding or device id are wrong.
    """
    header, device = _open(payload)
    flags, algorithm, signature, _, blocks, boot, sequence, base_ms = header
    if algorithm or signature:
        raise Undecodable("signature", f"algorithm {algorithm}: no key for this device")
    body = _Body(payload, HEADER.size + len(device), len(payload) - CHECKSUM.size, base_ms)
    for _ in range(blocks):
        body.read_block()
    body.finish()
    columns = body.columns()
    return Decoded(
        device=device.decode(),
        boot=boot,
        sequence=sequence,
        simulation=bool(flags & SIMULATION),
        clock_unset=bool(flags & CLOCK_UNSET),
        port=columns["port"],
        event_ns=columns["event_ns"],
        value=columns["value"],
        status=columns["status"],
        blocks=tuple(body.waves),
        rejects=tuple(body.rejects),
    )


def _open(payload: bytes) -> tuple[tuple[int, ...], bytes]:
    """Check what can be checked before the blocks; return header from flags on, device id."""
    if len(payload) < HEADER.size + CHECKSUM.size:
        raise Undecodable("short", f"{len(payload)} bytes, a frame has at least 29")
    if len(payload) > MAX_FRAME_BYTES:
        raise Undecodable("long", f"{len(payload)} bytes, a frame has at most {MAX_FRAME_BYTES}")
    magic, version, *header = HEADER.unpack_from(payload)
    if magic != MAGIC:
        raise Undecodable("magic", f"starts with {payload[:2].hex()}, not 434c")
    stated = CHECKSUM.unpack_from(payload, len(payload) - CHECKSUM.size)[0]
    if google_crc32c.value(payload[: -CHECKSUM.size]) != stated:
        raise Undecodable("checksum", f"stated {stated:08x}")
    if version != VERSION:
        raise Undecodable("version", f"{version}, this receiver knows {VERSION}")
    if header[0] & ~(SIMULATION | CLOCK_UNSET | STORED):
        raise Undecodable("flags", f"{header[0]:#04x}: bits 3-7 are not known")
    device = payload[HEADER.size : HEADER.size + header[3]]
    if len(device) != header[3] or not DEVICE.fullmatch(device):
        raise Undecodable("device_id", f"{device!r} is not 1-48 characters of [A-Za-z0-9._-]")
    return tuple(header), device


class _Body:
    """Reads blocks from ``at`` up to ``end``, collecting a list of columns per field."""

    def __init__(self, payload: bytes, at: int, end: int, base_ms: int) -> None:
        self.payload = payload
        self.at = at
        self.end = end
        # saturating here keeps base + offset within int64; ms_to_ns clips the sum
        self.base_ms = max(-MAX_EVENT_MS, min(MAX_EVENT_MS, base_ms))
        self.ports: list[int] = []  # one a block, as statuses and counts
        self.statuses: list[int] = []
        self.counts: list[int] = []
        self.offsets_ms: list[NDArray[Any]] = []
        self.values: list[NDArray[Any]] = []
        self.waves: list[Waveform] = []
        self.rejects: list[Reject] = []

    def read_block(self) -> None:
        port, encoding, status, n = BLOCK.unpack_from(self.payload, self._take(BLOCK.size))
        if n == 0:
            raise Undecodable("lengths", f"block of port {port} has no samples")
        if encoding == WAVEFORM:
            self._read_wave(port, status, n)
        elif encoding in VALUES:
            self._read_series(port, encoding, status, n)
        else:
            raise Undecodable("encoding", f"{encoding} of port {port}")

    def finish(self) -> None:
        if self.at != self.end:
            raise Undecodable("lengths", f"{self.end - self.at} bytes after the last block")

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the scalar rows of all blocks; few array operations, frames are many."""
        if not self.counts:
            return _EMPTY
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            value = np.concatenate(self.values, dtype=np.float64)
        times_ms = np.concatenate(self.offsets_ms, dtype=np.int64)
        times_ms += self.base_ms
        counts = np.array(self.counts)
        return {
            "port": np.array(self.ports, np.int32).repeat(counts),
            "event_ns": ms_to_ns(times_ms),
            "value": value,
            "status": np.array(self.statuses, np.uint8).repeat(counts),
        }

    def _take(self, size: int) -> int:
        at = self.at
        if at + size > self.end:
            raise Undecodable("lengths", f"{size} bytes wanted at {at}, {self.end - at} left")
        self.at += size
        return at

    def _read_series(self, port: int, encoding: int, status: int, n: int) -> None:
        scale = 1.0
        if encoding == SCALED:
            scale = _SCALE.unpack_from(self.payload, self._take(_SCALE.size))[0]
        offsets = np.frombuffer(self.payload, _I4, n, self._take(4 * n))
        dtype = VALUES[encoding]
        raw = np.frombuffer(self.payload, dtype, n, self._take(dtype.itemsize * n))
        if not 0 < scale < np.inf:
            self.rejects.append(Reject("scale", f"port {port}: scale {scale}"))
            return
        self.ports.append(port)
        self.statuses.append(status)
        self.counts.append(n)
        self.offsets_ms.append(offsets)
        self.values.append(unscale(raw, scale) if encoding == SCALED else raw)

    def _read_wave(self, port: int, status: int, n: int) -> None:
        start_ms, period_us, scale = _WAVE.unpack_from(self.payload, self._take(_WAVE.size))
        raw = np.frombuffer(self.payload, _I2, n, self._take(2 * n))
        if not 0 < scale < np.inf or period_us == 0:
            part = f"port {port}: scale {scale}, period {period_us} us"
            self.rejects.append(Reject("scale", part))
            return
        start_ns = int(ms_to_ns(np.array([self.base_ms + start_ms], np.int64))[0])
        samples = unscale(raw, scale)
        self.waves.append(Waveform(port, "", start_ns, period_us * 1000, samples, status))


def encode(
    *,
    device: str,
    boot: int,
    sequence: int,
    time_base_ms: int,
    blocks: Sequence[Series | Wave] = (),
    simulation: bool = False,
    clock_unset: bool = False,
    stored: bool = False,
) -> bytes:
    """Return the frame's bytes.

    Raises
    ------
    ValueError
        A field does not fit: device id, a number's range, more than 255 blocks or 65 535 bytes,
        or a value that is not finite in an integer encoding.
    """
    identity = device.encode("ascii", "replace")
    if not DEVICE.fullmatch(identity):
        raise ValueError(f"device id {device!r} is not 1-48 characters of [A-Za-z0-9._-]")
    flags = SIMULATION * simulation | CLOCK_UNSET * clock_unset | STORED * stored
    try:
        head = HEADER.pack(
            *(MAGIC, VERSION, flags, 0, 0, len(identity), len(blocks)),
            *(boot, sequence, time_base_ms),
        )
        coded = [_wave(b) if isinstance(b, Wave) else _series(b) for b in blocks]
    except struct.error as error:
        raise ValueError(f"frame of {device}: a field does not fit ({error})") from error
    body = b"".join((head, identity, *coded))
    frame = body + CHECKSUM.pack(google_crc32c.value(body))
    if len(frame) > MAX_FRAME_BYTES:
        raise ValueError(f"frame of {device} has {len(frame)} bytes, at most {MAX_FRAME_BYTES}")
    return frame


def _series(block: Series) -> bytes:
    offsets = np.atleast_1d(np.asarray(block.offsets_ms, np.int64))
    values = np.atleast_1d(np.asarray(block.values, np.float64))
    if offsets.shape != values.shape or offsets.ndim != 1 or not len(offsets):
        raise ValueError(f"port {block.port}: {offsets.shape} offsets, {values.shape} values")
    head = BLOCK.pack(block.port, block.encoding, block.status, len(values))
    times = _integers(offsets, _I4, f"port {block.port}: time offset")
    if block.encoding != SCALED:
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite: over-range, not lost
            return head + times + values.astype(VALUES[block.encoding]).tobytes()
    steps = _steps(values, block.scale)
    return (
        head + _SCALE.pack(block.scale) + times + _integers(steps, _I4, f"port {block.port}: value")
    )


def _wave(block: Wave) -> bytes:
    samples = np.atleast_1d(np.asarray(block.samples, np.float64))
    head = BLOCK.pack(block.port, WAVEFORM, block.status, len(samples))
    timing = _WAVE.pack(block.start_ms, block.period_us, block.scale)
    steps = _steps(samples, block.scale)
    return head + timing + _integers(steps, _I2, f"port {block.port}: sample")


def _steps(values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    steps: NDArray[np.float64] = np.rint(values / unscale(np.ones(1), float(np.float32(scale))))
    return steps


def _integers(numbers: NDArray[Any], dtype: np.dtype[Any], what: str) -> bytes:
    limits = np.iinfo(dtype)
    bad = ~((numbers >= limits.min) & (numbers <= limits.max))
    if bad.any():
        raise ValueError(f"{what} {numbers[bad][0]} does not fit {dtype.itemsize * 8} bits")
    return numbers.astype(dtype).tobytes()
