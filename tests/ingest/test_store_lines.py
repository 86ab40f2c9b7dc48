"""The text of points: equal to influxdb-client's Point, and every float64 reads back the same."""

import math
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.store.lines import LineEncoder
from rules.judge import CONFLICT, DUPLICATE, HEARD, JUDGED, LATE
from rules.readings import Readings
from tests import store_twin


def _rows(values, channels=None, **columns):
    n = len(values)
    return Readings.of(
        {
            "channel": channels if channels is not None else [0] * n,
            "judged_ns": 1_700_000_000_000_000_000 + np.arange(n),
            "value": values,
            **columns,
        }
    )


def _split(line):
    """Cut a line at the value: (all before, the value, the time)."""
    head, _, time = line.rpartition(" ")
    before, _, value = head.rpartition("value=")
    return before, value, time


def _bits(value):
    return struct.pack("<d", value)


floats = st.floats(allow_nan=True, allow_infinity=True, width=64)
names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-1, 3),
            floats,
            st.integers(0, 9),
            st.booleans(),
            st.sampled_from([JUDGED, DUPLICATE, LATE, CONFLICT]),
            st.integers(0, 2**62),
        ),
        max_size=12,
    ),
    district=names,
    simulation=st.booleans(),
)
def test_lines_are_those_of_point_one_by_one(rows, district, simulation):
    quantities = ("ch4", "pressure", "strain")
    registry = store_twin.registry(quantities=quantities, district=district, simulation=simulation)
    columns = [[r[k] for r in rows] for k in range(6)]
    readings = _rows(
        columns[1],
        columns[0],
        qc_flag=columns[2],
        usable=columns[3],
        judged_ns=columns[5],
    )
    verdict = np.array(columns[4], np.uint8)
    verdict[readings.channel < 0] = HEARD
    lines = LineEncoder(registry).encode(readings, verdict)
    expected = [p.to_line_protocol() for p in store_twin.points(readings, verdict, registry)]
    got = lines.body.decode().split("\n")
    assert got.pop() == ""
    assert lines.count == len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        before, value, time = _split(ours)
        point_before, point_value, point_time = _split(theirs)
        assert (before, time) == (point_before, point_time)
        assert _bits(float(value)) == _bits(float(point_value))
    wanted = np.isin(verdict, [JUDGED, LATE])
    finite = np.isfinite(readings.value)
    known = (readings.channel >= 0) & (readings.channel < 3)
    assert lines.not_finite == (wanted & ~finite & known).sum()
    assert lines.unknown == (wanted & ~known).sum()
    assert (
        lines.count + lines.not_finite + lines.unknown + lines.duplicates + lines.conflicts
        == (verdict != HEARD).sum()
    )


@settings(max_examples=300, deadline=None)
@given(bits=st.integers(0, 2**64 - 1))
def test_every_finite_float64_reads_back_bit_for_bit(bits):
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    lines = LineEncoder(store_twin.registry()).encode(_rows([value]), np.zeros(1, np.uint8))
    if math.isfinite(value):
        assert _bits(float(_split(lines.body.decode().rstrip("\n"))[1])) == _bits(value)
    else:
        assert (lines.body, lines.count, lines.not_finite) == (b"", 0, 1)


def test_the_edges_of_float64_read_back():
    edges = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e16]
    edges += [0.1, 1 / 3, 2**53 + 2.0, 1e22, 1e-7, 123456789012345680.0]
    lines = LineEncoder(store_twin.registry()).encode(_rows(edges), np.zeros(len(edges), np.uint8))
    read = [float(_split(line)[1]) for line in lines.body.decode().splitlines()]
    assert [_bits(v) for v in read] == [_bits(v) for v in edges]


def test_a_late_row_is_a_series_of_its_own_so_that_it_displaces_no_judged_one():
    encoder = LineEncoder(store_twin.registry())
    lines = encoder.encode(
        _rows([1.0, 2.0], judged_ns=[5, 5]), np.array([JUDGED, LATE], np.uint8)
    ).body.decode()
    first, second = lines.splitlines()
    assert ",late=1," not in first
    assert ",late=1," in second


def test_a_faulty_device_s_value_is_written_with_quality_4():
    lines = LineEncoder(store_twin.registry()).encode(
        _rows([-999.0], usable=[False], qc_flag=[3]), np.zeros(1, np.uint8)
    )
    assert b" quality=4i,value=-999.0 " in lines.body


def test_no_rows_give_no_bytes():
    lines = LineEncoder(store_twin.registry()).encode(Readings.empty(), np.zeros(0, np.uint8))
    assert (lines.body, lines.count) == (b"", 0)
