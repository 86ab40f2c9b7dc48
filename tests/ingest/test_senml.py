"""SenML packs resolve as RFC 8428 says, and a bad record costs only itself."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs import senml
from ingest.frame import Undecodable

NOW_NS = 1_790_000_000_000_000_000


def decode(records):
    payload = records if isinstance(records, bytes) else orjson.dumps(records)
    return senml.decode(payload, receive_ns=NOW_NS)


def test_the_example_of_the_rfc_gives_its_seven_records():
    """RFC 8428 section 5.1.3; the CBOR twin of the same pack is a published vector."""
    pack = [
        {
            "bn": "urn:dev:ow:10e2073a0108006:",
            "bt": 1.276020076001e09,
            "bu": "A",
            "bver": 5,
            "n": "voltage",
            "u": "V",
            "v": 120.1,
        },
        *({"n": "current", "t": t, "v": v} for t, v in zip(range(-5, 1), CURRENTS, strict=True)),
    ]
    decoded = decode(pack)
    assert decoded.device == "10e2073a0108006"
    assert decoded.key == ["voltage"] + ["current"] * 6
    assert decoded.unit == ["V"] + ["A"] * 6
    assert decoded.value.tolist() == [120.1, *CURRENTS]
    base_ns = 1_276_020_076_001_000_000
    wanted = [base_ns, *(base_ns + s * 10**9 for s in range(-5, 1))]
    assert decoded.event_ns.tolist() == wanted
    assert decoded.timed


CURRENTS = [1.2, 1.3, 1.4, 1.5, 1.6, 1.7]


def test_small_times_are_relative_to_the_receipt():
    decoded = decode([{"n": "ch4", "v": 1, "t": -5}, {"n": "ch4", "v": 2}])
    assert decoded.event_ns.tolist() == [NOW_NS - 5 * 10**9, NOW_NS]
    assert not decoded.timed


def test_base_value_and_booleans_are_numbers():
    decoded = decode([{"bn": "d:", "bv": 10, "n": "a", "v": 2}, {"n": "b"}, {"n": "c", "vb": True}])
    assert decoded.value.tolist() == [12, 10, 1]


def test_a_record_that_only_sets_bases_is_no_row():
    decoded = decode([{"bn": "d:", "bt": 1.7e9}, {"n": "a", "v": 2}])
    assert decoded.key == ["a"]
    assert decoded.event_ns.tolist() == [1_700_000_000 * 10**9]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "json"),
        (b"\xff\xfe", "json"),
        (b"{}", "senml"),
        (b"[1]", "senml"),
        (b"[]", "senml"),
        (b"[" * 5000, "json"),
        (b'[{"n":"a","v":1,"must_":1}]', "must_understand"),
        (b'[{"n":"a","v":1,"bver":11}]', "version"),
        (b'[{"n":"a","v":1,"bver":"5"}]', "version"),
    ],
)
def test_a_pack_not_to_be_read_is_refused_whole(payload, reason):
    with pytest.raises(Undecodable) as refused:
        decode(payload)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "a", "v": "1"}, "not_a_number"),
        ({"n": "a", "v": True}, "not_a_number"),
        ({"n": "a", "v": None}, "not_a_number"),
        ({"n": "a", "vs": "text"}, "not_a_number"),
        ({"n": "a", "vd": "AA"}, "not_a_number"),
        ({"n": "a", "vb": 1}, "not_a_number"),
        ({"n": "a"}, "no_value"),
        ({"v": 1}, "name"),
        ({"n": 5, "v": 1}, "not_text"),
        ({"n": "a", "v": 1, "t": "x"}, "not_a_number"),
        ({"n": "a", "v": 1, "st": 256}, "status"),
        ({"n": "other:a", "bn": "", "v": 1}, "device_mismatch"),
    ],
)
def test_a_bad_record_is_refused_and_the_others_count(record, reason):
    decoded = decode(
        [{"bn": "dev:", "n": "good", "v": 1}, record, {"bn": "dev:", "n": "g", "v": 2}]
    )
    assert decoded.key == ["good", "g"]
    assert [r.reason for r in decoded.rejects] == [reason]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["ch4", "o2", "3303/0/5700"]),
            st.integers(ABSOLUTE_MICROS := 2**28 * 10**6, 4 * 10**15),
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(0, 255),
        ),
        min_size=1,
        max_size=8,
    ),
    simulation=st.booleans(),
)
def test_any_pack_round_trips(rows, simulation):
    keys, micros, values, statuses = (list(column) for column in zip(*rows, strict=True))
    payload = senml.encode(
        device="410100-gas-nb-000123",
        keys=keys,
        event_ns=[m * 1000 for m in micros],
        values=values,
        units=["%{vol}"] * len(keys),
        statuses=statuses,
        simulation=simulation,
    )
    decoded = decode(payload)
    assert decoded.device == "410100-gas-nb-000123"
    assert decoded.key == keys
    assert decoded.value.tolist() == values
    assert decoded.event_ns.tolist() == [m * 1000 for m in micros]
    assert decoded.status.tolist() == statuses
    assert decoded.unit == ["%{vol}"] * len(keys)
    assert decoded.simulation is simulation


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
labels = st.sampled_from(
    ["bn", "bt", "bu", "bv", "bver", "n", "u", "v", "vs", "vb", "t", "st", "x"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(labels, json_values, max_size=5), max_size=4))
def test_any_records_give_columns_or_undecodable(records):
    try:
        payload = orjson.dumps(records)
    except TypeError:  # an integer JSON libraries do not carry
        return
    for variant in (payload, payload[:-1], payload.replace(b"1", b"1e999")):
        try:
            decoded = decode(variant)
        except Undecodable:
            continue
        assert len(decoded.key) == len(decoded.event_ns) == len(decoded.value)


def test_what_json_cannot_say_is_not_encoded():
    with pytest.raises(ValueError, match="no number for nan"):
        senml.encode(device="d", keys=["a"], event_ns=[0], values=[float("nan")])
