"""The compact codec keeps FRAME.md: both ways, and whatever the bytes."""

import struct

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs import compact
from ingest.codecs.compact import FLOAT32, FLOAT64, SCALED, Series, Wave
from ingest.frame import Undecodable

DEVICE = "410100-gas-nb-000123"
BASE_MS = 1_790_000_000_000


def frame(*blocks, **options):
    fields = {"device": DEVICE, "boot": 7, "sequence": 42, "time_base_ms": BASE_MS} | options
    return compact.encode(blocks=blocks, **fields)


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", google_crc32c.value(body))


def test_a_frame_comes_back_as_it_was_said():
    decoded = compact.decode(
        frame(
            Series(port=1, offsets_ms=[0, 1000], values=[1.25, 2.5], encoding=SCALED, scale=0.01),
            Series(port=2, offsets_ms=[-500], values=[np.nan], encoding=FLOAT32, status=2),
            simulation=True,
        )
    )
    assert (decoded.device, decoded.boot, decoded.sequence) == (DEVICE, 7, 42)
    assert decoded.simulation
    assert not decoded.clock_unset
    assert decoded.port.tolist() == [1, 1, 2]
    assert decoded.event_ns.tolist() == [
        BASE_MS * 1_000_000,
        (BASE_MS + 1000) * 1_000_000,
        (BASE_MS - 500) * 1_000_000,
    ]
    assert decoded.value[:2].tolist() == [1.25, 2.5]
    assert np.isnan(decoded.value[2])
    assert decoded.status.tolist() == [0, 0, 2]


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01, 0.001, 1e-4, 0.05, 0.125])
def test_scaled_integers_give_exact_decimals(scale):
    steps = np.arange(-2000, 2000, 7)
    wanted = steps / round(1 / scale)
    decoded = compact.decode(
        frame(
            Series(
                port=3,
                offsets_ms=np.arange(len(steps)),
                values=wanted,
                encoding=SCALED,
                scale=scale,
            )
        )
    )
    assert decoded.value.tolist() == wanted.tolist()


def test_a_waveform_comes_back_within_half_a_step():
    samples = np.sin(np.arange(500) / 9)
    decoded = compact.decode(
        frame(Wave(port=9, start_ms=-5000, period_us=10_000, samples=samples, scale=0.001))
    )
    (wave,) = decoded.blocks
    assert len(decoded) == 0
    assert (wave.port, wave.period_ns) == (9, 10_000_000)
    assert wave.start_ns == (BASE_MS - 5000) * 1_000_000
    assert np.abs(wave.samples - samples).max() <= 0.0005 + 1e-12


def test_a_frame_without_blocks_says_only_that_the_device_lives():
    decoded = compact.decode(frame())
    assert len(decoded) == 0
    assert decoded.device == DEVICE


@pytest.mark.parametrize("base_ms", [-(2**63), 2**63 - 1, 0, -1])
def test_an_absurd_time_base_is_clipped_and_nothing_overflows(base_ms):
    decoded = compact.decode(
        frame(Series(port=1, offsets_ms=[-(2**31), 2**31 - 1], values=[1, 2]), time_base_ms=base_ms)
    )
    assert decoded.event_ns[0] <= decoded.event_ns[1]


def test_a_block_with_an_impossible_scale_is_refused_and_the_others_count():
    good = frame(
        Series(port=1, offsets_ms=[0], values=[1.0], encoding=SCALED, scale=0.5),
        Series(port=2, offsets_ms=[0], values=[4.0]),
    )
    at = 24 + len(DEVICE) + 6
    broken = sealed(good[:at] + struct.pack("<f", 0.0) + good[at + 4 : -4])
    decoded = compact.decode(broken)
    assert decoded.port.tolist() == [2]
    assert [r.reason for r in decoded.rejects] == ["scale"]


def altered(at: int, value: int) -> bytes:
    body = bytearray(frame(Series(port=1, offsets_ms=[0], values=[1.0]))[:-4])
    body[at] = value
    return sealed(bytes(body))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "short"),
        (b"\0" * 70_000, "long"),
        (altered(0, 0), "magic"),
        (frame()[:-1] + b"\0\0", "checksum"),
        (altered(2, 2), "version"),
        (altered(3, 0x80), "flags"),
        (altered(4, 1), "signature"),
        (altered(6, 0), "device_id"),
        (altered(6, 49), "device_id"),
        (altered(24, ord("/")), "device_id"),
        (altered(7, 2), "lengths"),
        (altered(7, 0), "lengths"),
        (altered(24 + len(DEVICE) + 2, 5), "encoding"),
        (altered(24 + len(DEVICE) + 4, 0), "lengths"),
        (altered(24 + len(DEVICE) + 4, 2), "lengths"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_with_its_reason(payload, reason):
    with pytest.raises(Undecodable) as refused:
        compact.decode(payload)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("block", "word"),
    [
        (Series(port=1, offsets_ms=[0], values=[np.nan], encoding=SCALED), "does not fit"),
        (Series(port=1, offsets_ms=[0], values=[1e9], encoding=SCALED), "does not fit"),
        (Series(port=1, offsets_ms=[2**31], values=[1.0]), "does not fit"),
        (Series(port=70_000, offsets_ms=[0], values=[1.0]), "does not fit"),
        (Series(port=1, offsets_ms=[0, 1], values=[1.0]), "offsets"),
        (Series(port=1, offsets_ms=np.arange(9000), values=np.zeros(9000)), "at most"),
    ],
)
def test_encoding_what_does_not_fit_says_so(block, word):
    with pytest.raises(ValueError, match=word):
        frame(block)


finite = st.floats(-1e6, 1e6)
series = st.integers(1, 20).flatmap(
    lambda n: st.builds(
        Series,
        port=st.integers(0, 65_535),
        offsets_ms=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=n, max_size=n),
        values=st.lists(st.floats(width=32), min_size=n, max_size=n),
        encoding=st.sampled_from([FLOAT32, FLOAT64]),
        status=st.integers(0, 255),
    )
)


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(series, max_size=6),
    boot=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**32 - 1),
    stored=st.booleans(),
)
def test_any_frame_round_trips(blocks, boot, sequence, stored):
    decoded = compact.decode(frame(*blocks, boot=boot, sequence=sequence, stored=stored))
    assert (decoded.boot, decoded.sequence) == (boot, sequence)
    assert decoded.port.tolist() == [b.port for b in blocks for _ in b.values]
    wanted = np.array([v for b in blocks for v in b.values])
    np.testing.assert_array_equal(decoded.value, wanted)
    assert decoded.status.tolist() == [b.status for b in blocks for _ in b.values]
    offsets = [o for b in blocks for o in b.offsets_ms]
    assert decoded.event_ns.tolist() == [(BASE_MS + o) * 1_000_000 for o in offsets]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_a_frame_or_undecodable(noise, seal):
    head = frame()[: 24 + len(DEVICE)] if seal else b""
    payload = sealed(head[:7] + b"\x03" + head[8:] + noise) if seal else noise
    try:
        decoded = compact.decode(payload)
    except Undecodable:
        return
    n = len(decoded)
    assert len(decoded.port) == len(decoded.event_ns) == len(decoded.status) == n


def test_a_signalling_nan_is_a_missing_value():
    good = frame(Series(port=1, offsets_ms=[0], values=[1.0], encoding=FLOAT32))
    decoded = compact.decode(sealed(good[:-8] + struct.pack("<I", 0x7F800001)))
    assert np.isnan(decoded.value[0])
