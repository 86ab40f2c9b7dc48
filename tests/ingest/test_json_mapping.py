"""A vendor's JSON is read by a mapping: topic, paths, units and time are data."""

import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.codecs import Routing, json_mapping
from ingest.codecs.json_mapping import LIFELINE, MappedJson, Mapping
from ingest.codecs.mapping_file import load_mappings
from ingest.frame import Frame, Undecodable
from rules.problems import Invalid

NOW_NS = 1_790_000_000_000_000_000


def decode(mapping, payload):
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return MappedJson(mapping).decode(raw, receive_ns=NOW_NS)


def mapping(**keys):
    return Mapping.model_validate({"id": "vendor", "topic": "v/{device}/data"} | keys)


def test_members_of_an_object_are_several_readings_at_one_time():
    vendor = mapping(
        members="$.values",
        time={"path": "$.time", "format": "%Y%m%d%H%M%S", "zone": "Asia/Shanghai"},
        units={"t": "Cel"},
    )
    decoded = decode(vendor, {"time": "20260101080000", "values": {"ch4": 0.5, "t": "21.5"}})
    assert decoded.key == ["ch4", "t"]
    assert decoded.value.tolist() == [0.5, 21.5]
    assert decoded.unit == ["", "Cel"]
    assert decoded.event_ns.tolist() == [1_767_225_600 * 10**9] * 2


def test_rows_of_a_list_carry_their_own_time_and_fixed_fields():
    vendor = mapping(
        rows="$.data[*]",
        fields={"ch4": "@.gas[0]", "level": "@.deep.level"},
        time={"path": "@.at", "format": "iso8601"},
    )
    rows = [
        {"at": "2026-01-01T00:00:00Z", "gas": [1.5], "deep": {"level": None}},
        {"at": "2026-01-01T08:00:01+08:00", "gas": [2.5]},
    ]
    decoded = decode(vendor, {"data": rows})
    assert decoded.key == ["ch4", "level", "ch4"]
    assert decoded.value[[0, 2]].tolist() == [1.5, 2.5]
    assert math.isnan(decoded.value[1])
    assert decoded.event_ns.tolist() == [1_767_225_600 * 10**9] * 2 + [1_767_225_601 * 10**9]


def test_a_payload_without_time_has_the_receive_time_and_says_so():
    decoded = decode(mapping(fields={"ch4": "$.v"}), {"v": 1})
    assert decoded.event_ns.tolist() == [NOW_NS]
    assert not decoded.timed


def test_a_bad_row_or_value_costs_only_itself():
    rows = [
        {"key": "a", "v": 1, "t": "soon"},
        {"key": "b", "v": "much", "t": 1},
        {"key": 5, "v": 1, "t": 1},
        {"key": "c", "t": 1},
        {"key": "d", "v": 4, "t": 1, "status": 999},
        {"key": "e", "v": 5, "t": 1_700_000_000_123},
        7,
    ]
    decoded = decode(LIFELINE, {"device": "x", "readings": rows})
    assert decoded.key == ["e"]
    assert decoded.event_ns.tolist() == [1_700_000_000_123 * 10**6]
    reasons = [r.reason for r in decoded.rejects]
    assert reasons == ["time", "not_a_number", "name", "not_a_number", "not_whole", "not_a_number"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "json"),
        (b"[1]", "mapping"),
        (b'{"readings": 5}', "mapping"),
        (b'{"device": 5, "readings": []}', "device_id"),
        (b'{"seq": -5, "readings": []}', "not_whole"),
        (b'{"boot": 1e3, "readings": []}', "not_whole"),
    ],
)
def test_a_payload_that_is_not_the_mappings_is_refused(payload, reason):
    with pytest.raises(Undecodable) as refused:
        decode(LIFELINE, payload)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({}, "nothing is read"),
        ({"key": "@.k"}, "stand together"),
        ({"fields": {"a": "a.b"}}, "is no path"),
        ({"fields": {"a": "$.b["}}, "is no path"),
        ({"fields": {"a": "$.a"}, "rows": "$.list"}, "a list in the payload"),
        ({"fields": {"a": "$.a"}, "topic": "fixed"}, "needs {device}"),
        ({"fields": {"a": "$.a"}, "time": {"path": "$.t", "format": "unix"}}, "time format"),
        ({"fields": {"a": "$.a"}, "time": {"path": "$.t", "zone": "Mars/X"}}, "time zone"),
        ({"fields": {"a": "$.a"}, "feilds": {}}, "Extra inputs"),
    ],
)
def test_a_mapping_that_cannot_work_says_why(keys, word):
    with pytest.raises(ValidationError, match=word):
        mapping(**keys)


GOOD_FILE = """
version: 1
mappings:
- id: acme
  topic: acme/{device}/data
  fields: {ch4: $.gas.vol}
  time: {path: $.at, format: iso8601}
"""


def test_a_mapping_file_is_read_and_all_its_problems_told_with_their_lines(tmp_path):
    assert load_mappings(tmp_path / "none") == []
    (tmp_path / "a.yaml").write_text(GOOD_FILE)
    (acme,) = load_mappings(tmp_path)
    assert acme.subscription == "acme/+/data"
    (tmp_path / "b.yaml").write_text(
        GOOD_FILE.replace("$.gas.vol", "gas.vol").replace("iso8601", "someday")
    )
    (tmp_path / "c.yaml").write_text(GOOD_FILE)
    with pytest.raises(Invalid) as invalid:
        load_mappings(tmp_path)
    told = str(invalid.value)
    assert "b.yaml:6" in told
    assert "'gas.vol' is no path" in told
    assert "c.yaml:4" in told
    assert "stands twice" in told


def test_topics_choose_the_codec_and_name_the_device():
    routing = Routing([mapping(fields={"ch4": "$.v"})])
    assert routing.subscriptions == ("v/+/data",)
    device, codec = routing.of(Frame(b'{"v":3}', "mqtt", "v/gw.1/data", NOW_NS))
    assert device == "gw.1"
    assert codec(Frame(b'{"v":3}', "mqtt", "v/gw.1/data", NOW_NS)).value.tolist() == [3]
    assert routing.of(Frame(b"", "mqtt", "lifeline/v1/a/senml", 0))[0] == "a"
    assert routing.of(Frame(b"", "coap", "up/b", 0, content_format=110))[0] == "b"
    for transport, path, content_format in [
        ("mqtt", "lifeline/v1/a/b/up", None),
        ("mqtt", "v//data", None),
        ("coap", "lifeline/v1/a/up", None),
        ("coap", "up/b", 40),
    ]:
        with pytest.raises(Undecodable):
            routing.of(Frame(b"", transport, path, 0, content_format=content_format))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text("abc123/", min_size=1, max_size=6),
            st.integers(-(10**12), 10**13 // 2),
            st.floats(allow_infinity=False),
            st.integers(0, 255),
        ),
        max_size=8,
    ),
    sequence=st.none() | st.integers(0, 2**32),
    simulation=st.booleans(),
)
def test_any_message_of_ours_round_trips(rows, sequence, simulation):
    keys, ms, values, statuses = [list(c) for c in zip(*rows, strict=True)] or [[], [], [], []]
    decoded = decode(
        LIFELINE,
        json_mapping.encode(
            device="dev-1",
            keys=keys,
            event_ns=[m * 10**6 for m in ms],
            values=values,
            boot=3,
            sequence=sequence,
            statuses=statuses,
            simulation=simulation,
        ),
    )
    assert decoded.key == keys
    assert decoded.event_ns.tolist() == [m * 10**6 for m in ms]
    assert [None if math.isnan(v) else v for v in decoded.value.tolist()] == [
        None if math.isnan(v) else v for v in values
    ]
    assert decoded.status.tolist() == statuses
    assert (decoded.boot, decoded.sequence) == ((0, -1) if sequence is None else (3, sequence))
    assert decoded.simulation is simulation


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
members = st.dictionaries(st.sampled_from(["key", "v", "t", "status", "unit"]), anything)
FORMATS = ["unix_s", "unix_ms", "unix_us", "unix_ns", "iso8601", "%Y%m%d"]


@settings(max_examples=60, deadline=None)
@given(
    readings=st.lists(members | anything, max_size=3) | anything,
    head=st.dictionaries(st.sampled_from(["device", "boot", "seq", "simulation"]), anything),
    written=st.sampled_from(FORMATS),
)
def test_any_json_gives_columns_or_undecodable(readings, head, written):
    try:
        payload = orjson.dumps(head | {"readings": readings})
    except TypeError:  # an integer JSON libraries do not carry
        return
    vendor = LIFELINE.model_copy(
        update={"time": mapping(time={"path": "@.t", "format": written}, members="$").time}
    )
    for variant in (payload, payload[:-1], payload.replace(b"1", b"1e999")):
        try:
            decoded = decode(vendor, variant)
        except Undecodable:
            continue
        assert len(decoded.key) == len(decoded.event_ns) == len(decoded.value)
