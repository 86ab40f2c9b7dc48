"""Our own JSON read in bulk: the rows the slow reader gives, and what is odd is left to it."""

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import admission as admission_module
from ingest.admission import Admission
from ingest.codecs import json_bulk, json_keys, json_mapping
from ingest.codecs.json_mapping import LIFELINE, MappedJson
from ingest.frame import Frame
from ingest.key_index import KeyIndex
from rules.readings import HEARD_ONLY
from tests.intake_site import BRIDGE, GATEWAY, MODULE, NOW_MS, NOW_NS, equal_rows, mqtt, site

SLOW = MappedJson(LIFELINE)
SECOND = 10**9

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.floats(-1e4, 1e4).map(lambda x: round(x, 3)),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        [
            *(
                "0",
                "-0",
                "0.0",
                "-0.0",
                "1",
                "00",
                "01",
                "-01",
                ".5",
                "5.",
                "0.5",
                "-.5",
                "-",
                "+1",
            ),
            *("1e5", "1E-3", "1.5e+2", "12345678", "123456789", "0.123456", "1.234567", "-1.23456"),
            *("99999999", "-9999999", "1.2.3", "1..2", "null", "true", "false", "nul", "[]", "{}"),
            *("1,2", "NaN", "Infinity", "-Infinity", "0x10", "1_0", "١", "9007199254740993", "1e"),
            *("123456789012345678901234567890", "1e400", "5e-324", "0.1e1", "1.e1", "0.1,", ""),
        ]
    ),
)
KEYS = st.one_of(
    st.sampled_from(["ch4", "v", "t", "key", "a" * 8, "b" * 9, "c" * 16, "d" * 17, "", "é", "a b"]),
    st.text(max_size=20),
)
TIMES = st.one_of(
    st.integers(NOW_MS, NOW_MS + 1000),
    st.integers(-(10**20), 10**20),
    st.sampled_from([10**12, 10**13 - 1, 9_223_372_036_855, 1.5, None, "1790000000000", True]),
)


def spelled(rows, head):
    """Return a payload in the spelling that is read in bulk; values may be raw text."""
    parts = [
        b'{"key":%s,"t":%s,"v":%s}'
        % (
            orjson.dumps(key),
            str(t).encode() if isinstance(t, int) and t is not True else orjson.dumps(t),
            value.encode() if isinstance(value, str) else orjson.dumps(value),
        )
        for key, t, value in rows
    ]
    return head + b',"readings":[' + b",".join(parts) + b"]}"


HEADS = st.one_of(
    st.builds(
        lambda device, boot, seq: orjson.dumps({"device": device, "boot": boot, "seq": seq})[:-1],
        st.sampled_from([GATEWAY, MODULE, "", "é", 5]),
        st.sampled_from([0, 1, 2**63 - 1, 2**63, -1, 1.0, None, "1"]),
        st.sampled_from([0, 7, 2**62, 2**62 + 1, -1, True, None]),
    ),
    st.sampled_from(
        [
            b"{",
            b"{ ",
            b'{"device":"a"',
            b'{"simulation":true',
            b'{"simulation":1',
            b'{"x":1',
            b'{"device":"a","device":"b"',
            b'{"readings":[],"seq":1',
            b'{"device":"\xff"',
            b'{"device":"a\x01"',
            b'{"device":"a\\"',
            b'{"seq":1,',
            b'{"seq":01',
            b' {"seq":1',
        ]
    ),
)
ROWS = st.lists(st.tuples(KEYS, TIMES, NUMBERS), min_size=0, max_size=5)
PLAIN = st.lists(
    st.tuples(st.sampled_from(["ch4", "t", "a" * 16]), st.just(NOW_MS), NUMBERS),
    min_size=1,
    max_size=5,
)
PAYLOADS = st.builds(spelled, st.one_of(ROWS, PLAIN), HEADS)


@st.composite
def mutated(draw):
    """Return a payload with a byte changed, taken out or put in, or two payloads spliced."""
    payload = bytearray(draw(PAYLOADS))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(payload)))
        piece = draw(
            st.sampled_from(
                [b"", b'"', b"{", b"}", b",", b"0", b"-", b".", b" ", b"\\", b"]}", b":"]
            )
        )
        payload[at : at + draw(st.integers(0, 2))] = piece
    return bytes(payload)


def check(payloads):
    """Compare what is read in bulk with the slow reader; return how many were read."""
    bulk = json_bulk.read(payloads)
    assert bulk.message.tolist() == sorted(bulk.message.tolist())
    assert bulk.number.tolist() == sorted(set(bulk.number.tolist()))
    for place, number in enumerate(bulk.number.tolist()):
        slow = SLOW.decode(payloads[number], receive_ns=5)
        head, rows = bulk.heads[place], bulk.message == place
        assert (head.device, head.boot, head.simulation) == (
            slow.device,
            slow.boot,
            slow.simulation,
        )
        assert head.seq == slow.sequence
        assert not slow.rejects
        assert not any(slow.unit)
        assert not slow.status.any()
        assert slow.timed
        assert (
            bulk.key[rows].tobytes()
            == json_bulk.key_words([k.encode() for k in slow.key]).tobytes()
        )
        assert bulk.event_ns[rows].tolist() == slow.event_ns.tolist()
        assert bulk.value[rows].tobytes() == slow.value.tobytes(), payloads[number]
    return len(bulk.number)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.one_of(PAYLOADS, mutated(), st.binary(max_size=60)), max_size=6))
@example([b'{"seq":1,"readings":[]}'])
@example(
    [
        b'{"seq":1,"readings":[{"key":"a","t":1790000000000,"v":1}]}',
        b'{"seq":1,"readings":[{"key":"',
    ]
)
def test_what_is_read_in_bulk_equals_the_slow_reader(payloads):
    check(payloads)


def test_what_our_encoder_writes_is_read_in_bulk():
    """Any finite double, missing ones, keys of up to 16 characters, with and without a sequence."""
    random = np.random.default_rng(3)
    values = random.normal(20, 5, 4000)
    values[::7] = np.round(values[::7], 3)
    values[::11] = np.nan
    values[::13] = random.integers(-(10**6), 10**6, len(values[::13]))
    values[::17] *= 1e30
    values[5], values[6], values[7] = 0.0, -0.0, 1e-320
    payloads = [
        json_mapping.encode(
            device=GATEWAY,
            keys=[f"{'k' * (n % 13)}{i % 100:03d}" for i in range(40)],
            event_ns=[NOW_NS + i * SECOND for i in range(40)],
            values=values[40 * n : 40 * n + 40],
            boot=n,
            sequence=n if n % 3 else None,
            simulation=n % 2 == 0,
        )
        for n in range(100)
    ]
    assert check(payloads) == 100


def test_chunks_of_text_are_read_like_one(monkeypatch):
    payloads = [
        spelled([("ch4", NOW_MS + i, round(i / 7, 3)) for i in range(n % 9 + 1)], b'{"seq":%d' % n)
        for n in range(60)
    ]
    whole = json_bulk.read(payloads)
    for size in (1, 50, 500, 5_000):
        monkeypatch.setattr(json_bulk, "_CHUNK_BYTES", size)
        cut = json_bulk.read(payloads)
        assert cut.heads == whole.heads
        for name in ("number", "message", "key", "event_ns", "value"):
            assert getattr(cut, name).tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize("at", range(6))
def test_one_bad_message_costs_no_other_its_place(at):
    good = [spelled([("ch4", NOW_MS, n)], b'{"seq":%d' % n) for n in range(6)]
    one = good[0]
    broken = [b'"', b"", b"{}", one[:-3] + b"x}]}", one[:-2] + b",{]}"]
    broken += [one.replace(b"1790", b"0790"), one.replace(b'"v":', b'"w":')]
    broken += [one.replace(b"}]", b"},]"), one.replace(b'{"key"', b'{ "key"')]
    for bad in broken:
        payloads = [*good[:at], bad, *good[at:]]
        bulk = json_bulk.read(payloads)
        assert bulk.number.tolist() == [n for n in range(7) if n != at]
        assert bulk.value.tolist() == list(range(6))


def test_the_spelling_of_a_decimal_decides_nothing():
    """Each decimal of up to eight characters is the double its text says."""
    random = np.random.default_rng(5)
    texts = {"0", "-0", "0.0", "7", "-7.5", "12345678", "1.234567", "-123.456", "0.000001"}
    for _ in range(3000):
        digits = "".join(random.choice(list("0123456789"), random.integers(1, 8)))
        whole = digits[: random.integers(1, len(digits) + 1)]
        rest = digits[len(whole) :]
        texts.add(f"{int(whole)}.{rest}" if rest else str(int(whole)))
    ordered = sorted(texts)
    payload = spelled([("v", NOW_MS, text) for text in ordered], b'{"seq":1')
    assert check([payload]) == 1
    assert json_bulk.read([payload]).value.tolist() == [float(orjson.loads(t)) for t in ordered]


FRAMES = st.lists(
    st.one_of(
        st.builds(
            lambda payload, device, form: mqtt(payload, device=device, form=form),
            st.one_of(PAYLOADS, mutated()),
            st.sampled_from([GATEWAY, MODULE, BRIDGE, "stranger"]),
            st.sampled_from(["json", "json", "json", "senml", "up"]),
        ),
        st.builds(
            lambda n, keys, values: mqtt(
                json_mapping.encode(
                    device=GATEWAY, keys=keys, event_ns=[NOW_NS + n] * len(keys),
                    values=values[: len(keys)], boot=1, sequence=n,
                ),
                form="json",
            ),
            st.integers(0, 5),
            st.lists(st.sampled_from(["ch4", "t", "x"]), min_size=1, max_size=4),
            st.lists(st.sampled_from([1.0, -999.0, 300.0, np.nan, -0.0]), min_size=4, max_size=4),
        ),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(FRAMES, st.booleans())
def test_admission_gives_the_same_with_and_without_bulk(frames, simulation):
    registry = site(simulation=simulation)
    frames = [
        Frame(f.payload, f.transport, f.path, NOW_NS + n * SECOND) for n, f in enumerate(frames)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission_module, "_BULK_BYTES", 0)
        fast = Admission(registry).admit(frames)
        patch.setattr(admission_module, "_BULK_BYTES", 1 << 60)
        slow = Admission(registry).admit(frames)
    equal_rows(fast.readings, slow.readings)
    assert fast.quarantined == slow.quarantined
    assert fast.counters == slow.counters


def test_an_accepted_message_really_takes_the_bulk_way(monkeypatch):
    """Or the test above would compare the slow way with itself."""
    monkeypatch.setattr(admission_module, "_BULK_BYTES", 0)

    def never(*_):
        raise AssertionError("opened one by one")

    monkeypatch.setattr(Admission, "_open", never)
    payload = json_mapping.encode(
        device=GATEWAY, keys=["ch4", "t"], event_ns=[NOW_NS, NOW_NS - 1], values=[20, 21.5]
    )
    admitted = Admission(site()).admit([mqtt(payload, form="json")])
    assert admitted.readings.value.tolist() == [21.5, 1.0]
    assert admitted.readings.boot[0] > 0


def test_long_messages_are_named_by_the_one_before_them_only_where_they_are_alike(monkeypatch):
    monkeypatch.setattr("ingest.in_bulk._LONG", 0)
    monkeypatch.setattr("ingest.in_bulk._REMEMBERED_DEVICES", 2)
    monkeypatch.setattr(admission_module, "_BULK_BYTES", 0)
    said = [(GATEWAY, "ch4"), (GATEWAY, "t"), (MODULE, "ch4"), (BRIDGE, "x"), (BRIDGE, "y")]
    random = np.random.default_rng(3)
    registry = site()
    fast = Admission(registry)
    for turn in range(200):
        frames = []
        for number in range(3):
            device = said[random.integers(len(said))][0]
            keys = [key for who, key in said if who == device] * 2 + ["strange"]
            some = random.integers(0, len(keys), random.integers(1, 4)).tolist()
            payload = json_mapping.encode(
                device=device,
                keys=[keys[k] for k in some],
                event_ns=[NOW_NS] * len(some),
                values=[1.0] * len(some),
                boot=1,
                sequence=10 * turn + number,
            )
            frames.append(mqtt(payload, device=device, form="json"))
        got = fast.admit(frames)
        with monkeypatch.context() as patch:
            patch.setattr(admission_module, "_BULK_BYTES", 1 << 60)
            wanted = Admission(registry).admit(frames)
        equal_rows(got.readings, wanted.readings)
        assert got.quarantined == wanted.quarantined


def test_a_message_with_a_byte_less_is_never_taken_for_a_whole_one():
    payload = spelled([("ch4", NOW_MS, 12), ("t", NOW_MS, 1.5)], b'{"seq":1')
    pieces = [payload[:cut] + payload[cut + 1 :] for cut in range(len(payload))]
    assert 0 < check(pieces) < 12  # a digit of a value or a letter of a key may be missing


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 50), st.text(st.sampled_from("abc\0é"), max_size=18)),
        st.integers(0, 10**6),
        max_size=60,
    ),
    st.lists(
        st.tuples(st.integers(0, 50), st.text(st.sampled_from("abc"), max_size=16)), max_size=40
    ),
)
def test_the_key_index_finds_what_a_dictionary_finds(rows, asked):
    asked = [*asked, *(k for k in rows if k[1].isascii() and "\0" not in k[1] and len(k[1]) <= 16)]
    index = KeyIndex(rows)
    words = json_bulk.key_words([key.encode() for _, key in asked])
    found = index.find(np.array([device for device, _ in asked], np.int32), words)
    assert found.tolist() == [rows.get(each, HEARD_ONLY) for each in asked]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PAYLOADS, mutated(), st.binary(max_size=60)), max_size=6))
def test_keys_alone_are_those_of_the_whole_messages(payloads):
    """Where a message is read whole, its keys alone are the same, in the same order."""
    bulk, keys = json_bulk.read(payloads), json_keys.read_keys(payloads)
    at = np.repeat(keys.payloads, keys.counts)
    for place, number in enumerate(bulk.number.tolist()):
        assert number in keys.payloads
        assert keys.key[at == number].tobytes() == bulk.key[bulk.message == place].tobytes()


def test_keys_of_any_length_are_found_or_said_to_be_none():
    names = ["k" * n for n in range(1, 20)]
    payload = json_mapping.encode(
        device="d", keys=names, event_ns=[NOW_NS] * 19, values=[1.0] * 19, sequence=1
    )
    keys = json_keys.read_keys([b"", payload, b"{}", b'{"readings":[]}'])
    assert keys.payloads.tolist() == [1]
    assert keys.counts.tolist() == [19]
    fitting = [name.encode() for name in names[:16]]
    assert keys.key[:16].tobytes() == json_bulk.key_words(fitting).tobytes()
    assert (keys.key[16:] == 2**64 - 1).all()
    assert json_keys.read_keys([]).payloads.tolist() == []
