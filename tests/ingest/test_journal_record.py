"""A record is exactly the bytes of docs/journal.md, told by a decoder that knows only struct."""

from __future__ import annotations

import json
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import EventLines, Frames, RecordTooLarge, UnknownFormat, columns
from ingest.journal import record as fast
from rules.readings import READINGS_DTYPES, Block, Control, Readings, Tick
from tests.journal_kit import rows, same, slow_crc32c

I64 = st.integers(-(2**63), 2**63 - 1)


def encode(body: fast.Entry, offset: int = 7, durable: int = 5, time_ns: int = 9) -> bytes:
    return bytes(fast.encode(body, offset=offset, durable=durable, time_ns=time_ns, journal=11))


def decode(data: bytes, at: int = 0) -> fast.Entry:
    header = fast.parse_header(data, at)
    assert header is not None
    assert fast.payload_is_good(data, at, header)
    return fast.decode(data, at, header)


# ---------------------------------------------------------------- the twin


def slow_frame(data: bytes) -> tuple[dict[str, int], bytes]:
    """Return the header's fields and the payload, each checked by hand."""
    magic, version, kind, flags, length, count = struct.unpack_from("<4sBBHII", data, 0)
    numbers = struct.unpack_from("<QQqQII", data, 16)
    offset, durable, time_ns, journal, payload_crc, header_crc = numbers
    assert magic == bytes.fromhex("c14a524e")
    assert (version, flags) == (1, 0)
    assert header_crc == slow_crc32c(data[:52])
    assert journal == 11
    assert len(data) % 8 == 0
    assert len(data) - 56 - length in range(8)
    assert payload_crc == slow_crc32c(data[56:])
    assert data[56 + length :] == b"\0" * (len(data) - 56 - length)
    names = {"kind": kind, "rows": count, "offset": offset, "durable": durable, "time": time_ns}
    return names, data[56 : 56 + length]


def slow_table(data: bytes, at: int) -> dict[int, int]:
    """Return place by field number of the flatbuffers table at ``at``."""
    vtable = at - struct.unpack_from("<i", data, at)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    places = struct.unpack_from(f"<{(size - 4) // 2}H", data, vtable + 4)
    return {field: at + place for field, place in enumerate(places) if place}


def slow_arrow(payload: bytes) -> tuple[int, list[bytes]]:
    """Return the length and the data buffers (empty ones left out) of an Arrow record batch."""
    mark, meta_length = struct.unpack_from("<II", payload, 0)
    assert mark == 0xFFFFFFFF
    meta = payload[8 : 8 + meta_length]
    message = slow_table(meta, struct.unpack_from("<I", meta, 0)[0])
    assert meta[message[1]] == 3, "a RecordBatch"
    batch_at = message[2] + struct.unpack_from("<I", meta, message[2])[0]
    batch = slow_table(meta, batch_at)
    (length,) = struct.unpack_from("<q", meta, batch[0])
    buffers_at = batch[2] + struct.unpack_from("<I", meta, batch[2])[0]
    (count,) = struct.unpack_from("<I", meta, buffers_at)
    held = [struct.unpack_from("<qq", meta, buffers_at + 4 + 16 * i) for i in range(count)]
    start = 8 + meta_length
    return length, [payload[start + at : start + at + size] for at, size in held if size]


def test_the_slow_checksum_is_the_published_one():
    assert slow_crc32c(b"123456789") == 0xE3069283


def test_readings_are_their_columns_one_after_another():
    body = rows(3, 1000)
    names, payload = slow_frame(encode(body))
    assert names == {"kind": 1, "rows": 3, "offset": 7, "durable": 5, "time": 9}
    length, buffers = slow_arrow(payload)
    assert length == 3
    forms = ["3i", "3i", "3q", "3q", "3q", "3d", "3B", "3?", "3q", "3q", "3i"]
    for (name, form), raw in zip(zip(READINGS_DTYPES, forms, strict=True), buffers, strict=True):
        held = struct.unpack_from("<" + form, raw)
        assert list(held) == getattr(body, name).tolist(), name


def test_a_block_is_its_channels_its_samples_and_its_numbers_in_each_row():
    samples = np.arange(6, dtype=np.float32).reshape(2, 3)
    body = Block(np.array([4, 9], np.int32), 1, 10, 11, 12, 50.0, samples, 3, 8)
    names, payload = slow_frame(encode(body))
    assert (names["kind"], names["rows"]) == (2, 2)
    _, buffers = slow_arrow(payload)
    forms = ["2i", "3i", "6f", "2i", "2q", "2q", "2q", "2d", "2q", "2q"]
    wanted = [[4, 9], [0, 3, 6], list(range(6)), [1] * 2, [10] * 2, [11] * 2, [12] * 2, [50.0] * 2]
    held = [list(struct.unpack_from("<" + f, b)) for f, b in zip(forms, buffers, strict=True)]
    assert held == [*wanted, [3] * 2, [8] * 2]
    again = decode(encode(body))
    assert isinstance(again, Block)
    assert again.samples.tolist() == samples.tolist()
    assert (again.device, again.event_ns, again.judged_ns, again.receive_ns) == (1, 10, 11, 12)
    assert (again.rate_hz, again.boot, again.sequence) == (50.0, 3, 8)


def test_ticks_controls_and_event_lines_are_plain():
    assert slow_frame(encode(Tick(-5)))[1] == struct.pack("<q", -5)
    assert json.loads(slow_frame(encode(Control("ack", {"by": "井"})))[1]) == {
        "type": "ack",
        "data": {"by": "井"},
    }
    names, payload = slow_frame(encode(EventLines(12, (b"{}", b'{"a":1}'))))
    assert (names["kind"], names["rows"], payload) == (5, 2, b'12\n{}\n{"a":1}')


# ---------------------------------------------------------------- there and back


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_readings_come_back_bit_for_bit(data: st.DataObject):
    n = data.draw(st.integers(0, 20))
    columns = {}
    for name, dtype in READINGS_DTYPES.items():
        raw = data.draw(st.binary(min_size=n * 8, max_size=n * 8))
        kind = np.dtype(dtype)
        held = np.frombuffer(raw, kind, n) if kind != np.bool_ else np.frombuffer(raw, "i1", n) > 0
        columns[name] = held
    body = Readings(**columns)
    assert same(decode(encode(body)), body)


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(
        st.builds(Tick, I64),
        st.builds(Control, st.text(), st.dictionaries(st.text(), st.one_of(st.text(), I64))),
        st.builds(
            EventLines,
            st.integers(0, 2**62),
            st.lists(st.binary().filter(lambda b: b"\n" not in b)).map(tuple),
        ),
    )
)
def test_other_kinds_come_back_equal(body: fast.Entry):
    assert decode(encode(body)) == body


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 64, 1000])
def test_the_quick_message_is_the_one_arrow_makes_and_other_layouts_are_read_too(n: int):
    body = rows(n, 50)
    wire = [getattr(body, k).view("u1" if d is np.bool_ else d) for k, d in READINGS_DTYPES.items()]
    batch = pa.RecordBatch.from_arrays([pa.array(c) for c in wire], schema=columns.READINGS_SCHEMA)
    arrow = bytes(batch.serialize())
    assert columns.readings_behind(8, body) == bytes(8) + arrow
    other = _more_padding(arrow)
    assert same(columns.readings(arrow, 0, len(arrow), n), body)
    assert same(columns.readings(other, 0, len(other), n), body)


def _more_padding(message: bytes) -> bytes:
    """Return the message with 64 more bytes of padding behind the metadata."""
    (size,) = struct.unpack_from("<I", message, 4)
    return (
        message[:4]
        + struct.pack("<I", size + 64)
        + message[8 : 8 + size]
        + b"\0" * 64
        + message[8 + size :]
    )


def test_frames_come_back_with_their_bytes_and_reasons():
    body = Frames.of(
        [
            (5, None, "mqtt", "lifeline/v1/x/up", "", "", b"\xff\x00"),
            (4, 42, "coap", "up/é", "bad checksum", "at 12", b""),
        ]
    )
    again = decode(encode(body))
    assert isinstance(again, Frames)
    assert again.receive_ns.tolist() == [5, 4]
    assert again.content_format.tolist() == [-1, 42]
    assert again.path == body.path
    assert again.reason == ("", "bad checksum")
    assert again.payload == (b"\xff\x00", b"")
    assert len(decode(encode(Frames.of([])))) == 0  # type: ignore[arg-type]


def test_decoded_columns_are_read_only_views():
    data = encode(rows(100, 5))
    body = decode(data)
    assert isinstance(body, Readings)
    whole = np.frombuffer(data, np.uint8)
    for name in READINGS_DTYPES:
        column = getattr(body, name)
        assert np.shares_memory(column, whole), name
        assert not column.flags.writeable
        assert column.flags.aligned


def test_what_cannot_be_kept_whole_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="newline"):
        encode(EventLines(1, (b"a\nb",)))
    with pytest.raises(ValueError, match="one channel a row: 1 for 2 rows"):
        encode(Block(np.zeros(1, np.int32), 0, 0, 0, 0, 1.0, np.zeros((2, 4), np.float32)))
    with pytest.raises(ValueError, match="samples"):
        encode(Block(np.zeros(2, np.int32), 0, 0, 0, 0, 1.0, np.zeros((2, 0), np.float32)))
    monkeypatch.setattr(fast, "MAX_PAYLOAD_BYTES", 1000)
    with pytest.raises(RecordTooLarge, match=r"record 7: .* cut the batch"):
        encode(rows(1000, 5))


@pytest.mark.parametrize(("at", "value"), [(4, 2), (5, 99), (6, 1)])
def test_a_record_of_a_newer_format_is_not_taken_for_damage(at: int, value: int):
    data = bytearray(encode(Tick(1)))
    data[at] = value
    data[52:56] = struct.pack("<I", slow_crc32c(bytes(data[:52])))
    with pytest.raises(UnknownFormat, match=r"record 7: .*use the version that wrote"):
        fast.parse_header(bytes(data))


def test_a_header_cut_short_is_none():
    data = encode(Tick(1))
    assert fast.parse_header(data[:55]) is None
    header = fast.parse_header(data)
    assert header is not None
    assert not fast.payload_is_good(data[:-1], 0, header)
