"""Compact frames read in bulk: the rows of the one-frame codec, and what is odd is left to it."""

import struct

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import admission as admission_module
from ingest.admission import Admission
from ingest.codecs import compact, compact_bulk
from ingest.codecs.compact import FLOAT32, FLOAT64, SCALED, Series, Wave
from ingest.frame import Frame, Undecodable
from tests.intake_site import (
    BRIDGE,
    GATEWAY,
    MODULE,
    NOW_MS,
    NOW_NS,
    compact_payload,
    equal_rows,
    mqtt,
    one_reading,
    site,
)

SECOND = 10**9
HEADER = 24
SCALES = [0.01, 0.001, 1.0, 3.0, 0.3, 1e-20, 1e30, 0.0, -0.01, np.inf, np.nan, 1e-45, 0.0099999]
BASES = [NOW_MS, 0, -(2**62), 2**62, 9_223_372_036_854, -2_305_843_009_213, 4_611_686_018_427]


def sealed(body):
    return bytes(body) + struct.pack("<I", google_crc32c.value(bytes(body)))


def raw_block(port, encoding, status, offsets, values, scale):
    """Return a block's bytes, whatever is asked for."""
    head = struct.pack("<HBBH", port, encoding, status, len(offsets))
    times = np.array(offsets, "<i4").tobytes()
    if encoding == SCALED:
        steps = np.array(values).view("<i4")[::2]  # any integers
        return head + struct.pack("<f", scale) + times + steps.tobytes()
    kind = "<f4" if encoding == FLOAT32 else "<f8"
    with np.errstate(over="ignore"):
        return head + times + np.array(values).astype(kind).tobytes()


@st.composite
def blocks(draw, layout):
    """Return the blocks of a layout, ((encoding, samples), …), with anything in them."""
    parts = []
    for encoding, n in layout:
        offset = st.one_of(st.sampled_from([0, 1000, -1000, 7]), st.integers(-(2**31), 2**31 - 1))
        parts.append(
            raw_block(
                draw(st.sampled_from([1, 2, 3, 10, 65_535])),
                encoding,
                draw(st.sampled_from([0, 0, 0, 1, 2, 3, 200])),
                draw(st.lists(offset, min_size=n, max_size=n)),
                draw(st.lists(st.floats(width=64), min_size=n, max_size=n)),
                draw(st.sampled_from(SCALES)),
            )
        )
    return parts


LAYOUTS = st.lists(
    st.tuples(st.sampled_from([SCALED, FLOAT32, FLOAT64]), st.sampled_from([1, 2, 3, 300])),
    min_size=0,
    max_size=4,
)


@st.composite
def frames(draw, layout):
    """Return a frame of a layout; now and then with a header that is to be refused."""
    parts = draw(blocks(layout))
    device = draw(st.sampled_from([GATEWAY, MODULE, BRIDGE]))
    magic, version, algorithm, signed = draw(
        st.sampled_from([(b"CL", 1, 0, 0)] * 9 + [(b"CM", 1, 0, 0), (b"CL", 2, 0, 0)])
        | st.sampled_from([(b"CL", 1, 1, 0), (b"CL", 1, 0, 16), (b"CL", 1, 9, 9)])
    )
    flags = draw(st.sampled_from([0, 0, 0, 0, 1, 2, 4, 5, 7, 8, 255]))
    head = struct.pack(
        "<2sBBBBBBIIq",
        *(magic, version, flags, algorithm, signed, len(device), len(parts)),
        draw(st.sampled_from([0, 1, 2**32 - 1])),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.sampled_from([NOW_MS] * 4 + BASES)),
    )
    body = bytearray(head + device.encode() + b"".join(parts))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1]))):
        at = draw(st.integers(0, len(body) - 1))
        body[at] = draw(st.integers(0, 255))
    payload = sealed(body)
    cut = draw(st.sampled_from([0, 0, 0, 0, 0, 1, 4]))
    return payload[: len(payload) - cut]


@st.composite
def payloads(draw):
    """Return frames of a few layouts, mixed."""
    layouts = draw(st.lists(LAYOUTS, min_size=1, max_size=3))
    some = [draw(frames(draw(st.sampled_from(layouts)))) for _ in range(draw(st.integers(1, 8)))]
    return [*some, *draw(st.lists(st.binary(max_size=60), max_size=1))]


def check(sent, *, least=0):
    """Compare what is read in bulk with the codec; return the numbers that were read."""
    bulk = compact_bulk.read(sent, least=least)
    assert bulk.message.tolist() == sorted(bulk.message.tolist())
    assert bulk.number.tolist() == sorted(set(bulk.number.tolist()))
    for place, number in enumerate(bulk.number.tolist()):
        slow = compact.decode(sent[number])
        assert not slow.rejects
        assert not slow.blocks
        assert not slow.clock_unset
        assert bulk.device[place] == slow.device
        assert bulk.boot[place] == slow.boot
        assert bulk.sequence[place] == slow.sequence
        assert bulk.simulation[place] == slow.simulation
        rows = bulk.message == place
        order = np.argsort(slow.event_ns, kind="stable")
        for name in ("port", "event_ns", "value", "status"):
            got, wanted = getattr(bulk, name)[rows], getattr(slow, name)[order]
            assert got.dtype == wanted.dtype
            assert got.tobytes() == wanted.tobytes(), name
    return bulk.number.tolist()


@settings(max_examples=400, deadline=None)
@given(payloads())
def test_what_is_read_in_bulk_equals_the_codec(sent):
    check(sent)


@settings(max_examples=150, deadline=None)
@given(payloads())
def test_nothing_good_is_left_to_the_codec_without_a_reason(sent):
    """Left is what the codec refuses, wholly or in part, or what only it knows."""
    read = set(check(sent))
    for number, payload in enumerate(sent):
        if number in read:
            continue
        try:
            slow = compact.decode(payload)
        except Undecodable:
            continue
        far = (slow.event_ns < -(1 << 61)) | (slow.event_ns > 1 << 62)
        assert slow.rejects or slow.blocks or slow.clock_unset or not len(slow) or far.any()


def gateway(n, sequence, *, device=GATEWAY, encoding=FLOAT64, samples=2, **flags):
    """Return a frame of ``n`` ports with some samples each."""
    random = np.random.default_rng(sequence)
    return compact_payload(
        *(
            Series(
                port=port,
                offsets_ms=np.arange(samples) * 1000,
                values=np.round(random.normal(20, 5, samples), 2),
                encoding=encoding,
            )
            for port in range(n)
        ),
        device=device,
        sequence=sequence,
        **flags,
    )


@pytest.mark.parametrize("encoding", [SCALED, FLOAT32, FLOAT64])
def test_what_gateways_send_is_read_in_bulk(encoding):
    sent = [gateway(40, k, encoding=encoding) for k in range(5)]
    assert check(sent, least=16) == [0, 1, 2, 3, 4]


def test_layouts_of_one_size_are_told_apart():
    """Two samples of float64 and their head are as long as three of scaled numbers less four."""
    several = [
        [(FLOAT64, 2), (FLOAT32, 1)],
        [(FLOAT32, 1), (FLOAT64, 2)],
        [(SCALED, 1), (FLOAT64, 1), (FLOAT32, 1)],
    ]
    sent = []
    for turn in range(6):
        parts = [
            raw_block(port, encoding, 0, [port] * n, [1.5] * n, 0.5)
            for port, (encoding, n) in enumerate(several[turn % 3])
        ]
        head = struct.pack("<2sBBBBBBIIq", b"CL", 1, 0, 0, 0, 1, len(parts), 1, turn, NOW_MS)
        sent.append(sealed(head + b"d" + b"".join(parts)))
    assert len({len(payload) for payload in sent}) < len(several)
    assert check(sent) == list(range(6))


def test_each_refusal_leaves_the_neighbours_alone():
    good = [gateway(20, k) for k in range(4)]
    one = bytearray(good[0][:-4])

    def changed(at, *octets):
        body = bytearray(one)
        body[at : at + len(octets)] = bytes(octets)
        return sealed(body)

    first = HEADER + len(GATEWAY)
    refused = {
        "short": b"CL",
        "long": b"CL" + bytes(70_000),
        "magic": changed(0, ord("X")),
        "checksum": good[0][:-1] + bytes([good[0][-1] ^ 1]),
        "version": changed(2, 2),
        "flags": changed(3, 8),
        "device_id": changed(HEADER, ord("/")),
        "signature": changed(4, 1),
        "encoding": changed(first + 2, 9),
        "lengths": changed(first + 4, 0, 0),
    }
    for reason, bad in refused.items():
        with pytest.raises(Undecodable) as error:
            compact.decode(bad)
        assert error.value.reason == reason
        for at in range(5):
            numbers = check([*good[:at], bad, *good[at:]], least=16)
            assert numbers == [n for n in range(5) if n != at]


def test_waves_and_unset_clocks_are_the_codecs():
    wave = Wave(port=9, start_ms=0, period_us=1000, samples=[1.0, 2.0])
    series = Series(port=1, offsets_ms=[0], values=[1.0])
    sent = [
        compact_payload(series, wave),
        gateway(20, 2, clock_unset=True),
        gateway(20, 3, stored=True),
        gateway(20, 4),
        compact_payload(),
    ]
    assert check(sent) == [2, 3]


def test_few_blocks_are_sooner_opened_one_by_one():
    assert check([one_reading(sequence=k) for k in range(15)], least=16) == []
    assert check([one_reading(sequence=k) for k in range(16)], least=16) == list(range(16))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(mqtt, payloads().map(lambda sent: sent[0]),
                      device=st.sampled_from([GATEWAY, BRIDGE, "stranger"])),
            st.builds(
                lambda n, k, flags: mqtt(gateway(n, k, encoding=SCALED, **flags)),
                st.integers(1, 3),
                st.integers(0, 5),
                st.sampled_from([{}, {}, {"simulation": True}, {"base_ms": 5}]),
            ),
            st.builds(
                lambda value, port, k: mqtt(one_reading(value, port=port, sequence=k)),
                st.sampled_from([1.0, -999.0, 300.0, np.nan, np.inf, -0.0]),
                st.sampled_from([1, 2]),
                st.integers(0, 5),
            ),
        ),
        max_size=6,
    ),
    st.booleans(),
)  # fmt: skip
def test_admission_gives_the_same_with_and_without_bulk(sent, simulation):
    registry = site(simulation=simulation)
    sent = [Frame(f.payload, f.transport, f.path, NOW_NS + n * SECOND) for n, f in enumerate(sent)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission_module, "_BULK_BLOCKS", 0)
        fast = Admission(registry).admit(sent)
        patch.setattr(admission_module, "_BULK_BLOCKS", 1 << 60)
        slow = Admission(registry).admit(sent)
    equal_rows(fast.readings, slow.readings)
    assert fast.quarantined == slow.quarantined
    assert fast.counters == slow.counters


def test_an_accepted_frame_really_takes_the_bulk_way(monkeypatch):
    """Or the test above would compare the slow way with itself."""

    def never(*_):
        raise AssertionError("opened one by one")

    monkeypatch.setattr(Admission, "_open", never)
    sent = [mqtt(one_reading(20 + k, sequence=k)) for k in range(16)]
    admitted = Admission(site()).admit(sent)
    assert admitted.readings.value.tolist() == [each / 20 for each in range(20, 36)]  # %vol
