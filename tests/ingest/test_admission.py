"""Admission says who spoke, on which channel, in which unit, when, and how good it is."""

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.admission import Admission
from ingest.codecs import json_mapping, senml
from ingest.codecs.compact import Series, Wave
from rules.readings import HEARD_ONLY, Block, Readings
from tests.intake_site import (
    BRIDGE,
    GATEWAY,
    MODULE,
    NOW_MS,
    NOW_NS,
    coap,
    compact_payload,
    equal_rows,
    mqtt,
    one_reading,
    site,
)

SITE = site()
GAS, TEMPERATURE, NB_GAS, ACC_X, ACC_Y = range(5)
SECOND = 10**9


def admit(*frames, registry=SITE):
    return Admission(registry).admit(frames)


def reasons(admitted):
    return [(q.reason, q.whole) for q in admitted.quarantined]


def test_values_come_out_in_canonical_units():
    """The methane head says %LEL (5 %vol at 100 %LEL); °C stays."""
    admitted = admit(
        mqtt(
            compact_payload(
                Series(port=1, offsets_ms=[0], values=[20]),
                Series(port=2, offsets_ms=[0], values=[21.5]),
            )
        )
    )
    assert admitted.readings.channel.tolist() == [GAS, TEMPERATURE]
    assert admitted.readings.value.tolist() == [1.0, 21.5]
    assert admitted.readings.device.tolist() == [0, 0]
    assert admitted.readings.qc_flag.tolist() == [1, 1]
    assert not admitted.quarantined


def test_a_unit_the_payload_states_beats_the_registry_and_an_impossible_one_is_refused():
    pack = senml.encode(
        device=MODULE,
        keys=["ch4", "ch4", "ch4"],
        event_ns=[NOW_NS - 2 * SECOND, NOW_NS - SECOND, NOW_NS],
        values=[20, 1.5, 7],
        units=["%{LEL}", "%{vol}", "kPa"],
    )
    admitted = admit(coap(pack, content_format=110))
    assert admitted.readings.value.tolist() == [1.0, 1.5]
    assert reasons(admitted) == [("unit", False)]
    assert "kPa" in admitted.quarantined[0].detail


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (mqtt(one_reading(), device="410100-gas-gw-000009"), "device_mismatch"),
        (mqtt(one_reading(device="stranger"), device="stranger"), "unknown_device"),
        (mqtt(one_reading()[:-1]), "checksum"),
        (mqtt(one_reading(), form="down"), "topic"),
        (coap(b"", content_format=99), "content_format"),
        (mqtt(one_reading(simulation=True)), "simulation"),
        (mqtt(b"x" * (2 << 20)), "too_long"),
    ],
)
def test_a_frame_refused_whole_leaves_no_row(frame, reason):
    admitted = admit(frame)
    assert reasons(admitted) == [(reason, True)]
    assert admitted.quarantined[0].frame is frame
    assert len(admitted.readings) == 0


def test_a_simulated_frame_is_welcome_at_a_simulated_site():
    admitted = admit(mqtt(one_reading(simulation=True)), registry=site(simulation=True))
    assert len(admitted.readings) == 1
    assert not admitted.quarantined


def test_an_unknown_port_is_refused_and_the_rest_of_the_frame_counts():
    admitted = admit(
        mqtt(
            compact_payload(
                Series(port=77, offsets_ms=[0, 1], values=[1, 2]),
                Series(port=2, offsets_ms=[0], values=[3]),
            )
        )
    )
    assert admitted.readings.channel.tolist() == [TEMPERATURE]
    assert reasons(admitted) == [("unknown_channel", False)]
    assert admitted.quarantined[0].detail == "2 rows: port 77"


def test_a_frame_without_a_known_row_still_says_that_its_device_lives():
    admitted = admit(
        mqtt(compact_payload(sequence=5)),
        mqtt(one_reading(port=77, sequence=6)),
        mqtt(one_reading(3, sequence=7)),
    )
    assert admitted.readings.channel.tolist() == [HEARD_ONLY, HEARD_ONLY, GAS]
    assert admitted.readings.sequence.tolist() == [5, 6, 7]
    assert admitted.readings.device.tolist() == [0, 0, 0]
    assert admitted.readings.qc_flag.tolist() == [9, 9, 1]
    assert admitted.counters["heard_only"] == 2


def test_beyond_the_range_is_suspect_and_usable_for_the_worst_leak_is_over_the_range():
    admitted = admit(
        mqtt(
            compact_payload(
                Series(port=1, offsets_ms=[0, 1, 2, 3], values=[100, 101, -1, np.inf]),
            )
        )
    )
    assert admitted.readings.qc_flag.tolist() == [1, 3, 3, 3]
    assert admitted.readings.usable.all()
    assert admitted.counters["out_of_range"] == 3


def test_only_the_devices_own_fault_makes_a_row_unusable():
    series = [
        Series(port=1, offsets_ms=[0], values=[-999]),
        *(Series(port=2, offsets_ms=[s], values=[20], status=s) for s in range(5)),
        Series(port=2, offsets_ms=[9], values=[np.nan]),
    ]
    rows = admit(mqtt(compact_payload(*series, base_ms=NOW_MS - 9))).readings
    rows = rows.take(np.lexsort((rows.event_ns, rows.channel)))
    assert rows.usable.tolist() == [False, True, False, True, True, True, True]
    assert rows.qc_flag.tolist() == [4, 1, 3, 3, 3, 2, 9]


def test_rows_of_a_message_are_sorted_by_time_and_numbered_after_that():
    admitted = admit(
        mqtt(
            compact_payload(
                Series(port=1, offsets_ms=[0, -2000], values=[3, 1]),
                Series(port=2, offsets_ms=[-1000], values=[2]),
            )
        ),
        mqtt(one_reading(4, sequence=2, offset_ms=-5000)),
    )
    assert admitted.readings.value.tolist() == [0.05, 2, 0.15, 0.2]
    assert admitted.readings.index.tolist() == [0, 1, 2, 0]
    assert admitted.readings.sequence.tolist() == [1, 1, 1, 2]


def test_a_message_ahead_of_its_receipt_goes_back_as_a_whole():
    hour_ms = 3_600_000
    admitted = admit(
        mqtt(
            compact_payload(
                Series(port=1, offsets_ms=[hour_ms - 60_000, hour_ms], values=[1, 2]),
            )
        )
    )
    assert admitted.readings.judged_ns.tolist() == [NOW_NS - 60 * SECOND, NOW_NS]
    assert admitted.readings.event_ns.tolist() == [NOW_NS + 3540 * SECOND, NOW_NS + 3600 * SECOND]
    assert admitted.counters["shifted"] == 1


def test_an_old_message_keeps_its_times():
    night = admit(mqtt(one_reading(1, base_ms=NOW_MS - 8 * 3_600_000))).readings
    assert night.judged_ns.tolist() == [NOW_NS - 8 * 3600 * SECOND]
    assert night.event_ns.tolist() == night.judged_ns.tolist()


@pytest.mark.parametrize(
    "clock",
    [{"clock_unset": True, "base_ms": NOW_MS}, {"clock_unset": True, "base_ms": 0}, {"base_ms": 5}],
)
def test_a_clock_that_was_never_set_gives_the_receive_time_and_keeps_the_spacing(clock):
    blocks = Series(port=1, offsets_ms=[0, 60_000], values=[1, 2])
    admitted = admit(mqtt(compact_payload(blocks, **clock)))
    assert admitted.readings.judged_ns.tolist() == [NOW_NS - 60 * SECOND, NOW_NS]
    assert admitted.readings.event_ns.tolist() == admitted.readings.judged_ns.tolist()


@pytest.mark.parametrize("base_ms", [-(2**63), 2**63 - 1, 9_223_372_036_854])
def test_absurd_times_neither_crash_nor_overflow(base_ms):
    blocks = (
        Series(port=1, offsets_ms=[-(2**31), 2**31 - 1], values=[1, 2]),
        Wave(port=10, start_ms=2**31 - 1, period_us=2**32 - 1, samples=np.zeros(30_000)),
    )
    admitted = admit(mqtt(compact_payload(*blocks, base_ms=base_ms)))
    rows = admitted.readings
    assert (rows.judged_ns <= NOW_NS).all()
    assert (np.diff(rows.judged_ns) >= 0).all()
    assert abs(int(rows.judged_ns[0])) < 2**62


def test_messages_without_sequence_are_told_apart_by_a_hash_only_if_they_carry_time():
    timed = json_mapping.encode(device=GATEWAY, keys=["ch4"], event_ns=[NOW_NS], values=[1])
    untimed = orjson.dumps({"device": GATEWAY, "readings": [{"key": "ch4", "v": 1}]})
    rows = admit(*(mqtt(p, form="json") for p in (timed, timed, untimed))).readings
    assert rows.sequence.tolist() == [-1, -1, -1]
    assert rows.boot[0] == rows.boot[1] > 0
    assert rows.boot[2] == 0


def test_waveforms_of_one_run_become_one_block_after_their_messages_rows():
    samples = np.sin(np.arange(100) / 5)
    message = compact_payload(
        Series(port=10, offsets_ms=[0], values=[1.0]),
        *(Wave(port=p, start_ms=-990, period_us=10_000, samples=samples) for p in (10, 11, 99)),
        device=BRIDGE,
    )
    later = mqtt(one_reading(5), receive_ns=NOW_NS + SECOND)
    admitted = admit(mqtt(message, device=BRIDGE), later)
    first, block, second = admitted.bodies()
    assert isinstance(first, Readings)
    assert isinstance(block, Block)
    assert isinstance(second, Readings)
    assert block.channel.tolist() == [ACC_X, ACC_Y]
    assert block.samples.shape == (2, 100)
    assert block.rate_hz == 100
    assert block.judged_ns == NOW_NS - 990 * 10**6
    assert (first.channel.tolist(), second.channel.tolist()) == ([ACC_X], [GAS])
    assert reasons(admitted) == [("unknown_channel", False)]


def test_a_message_of_waveforms_only_has_a_row_that_says_the_device_lives():
    wave = Wave(port=10, start_ms=0, period_us=10_000, samples=[1, 2])
    admitted = admit(mqtt(compact_payload(wave, device=BRIDGE), device=BRIDGE))
    heard, block = admitted.bodies()
    assert heard.channel.tolist() == [HEARD_ONLY]
    assert block.channel.tolist() == [ACC_X]


def test_many_frames_admitted_together_give_the_rows_they_give_alone():
    frames = [
        mqtt(
            compact_payload(
                Series(port=1 + n % 3, offsets_ms=[0, -n], values=[n, n + 1]), sequence=n
            ),
            receive_ns=NOW_NS + n,
        )
        for n in range(30)
    ]
    together = admit(*frames)
    alone = Readings.concatenate([admit(f).readings for f in frames])
    equal_rows(together.readings, alone)


def test_a_mistake_of_ours_costs_the_frame_that_shows_it(monkeypatch):
    admission = Admission(SITE)
    real = admission.table.of_ports

    def mistaken(device, port):
        assert 66 not in port
        return real(device, port)

    monkeypatch.setattr(admission.table, "of_ports", mistaken)
    wave = Wave(port=10, start_ms=0, period_us=1000, samples=[1, 2])
    frames = [
        mqtt(one_reading(1, sequence=1)),
        mqtt(compact_payload(wave, device=BRIDGE, sequence=2), device=BRIDGE),
        mqtt(one_reading(1, port=66, sequence=3)),
        mqtt(one_reading(2, sequence=4)),
    ]
    admitted = admission.admit(frames)
    assert reasons(admitted) == [("admission_failed", True)]
    assert admitted.quarantined[0].frame is frames[2]
    assert admitted.readings.sequence.tolist() == [1, 2, 4]
    assert [type(b).__name__ for b in admitted.bodies()] == ["Readings", "Block", "Readings"]


frames = st.builds(
    lambda payload, form, device: mqtt(payload, form=form, device=device),
    st.binary(max_size=60)
    | st.builds(one_reading, st.floats(width=32), port=st.integers(0, 3))
    | st.sampled_from(
        [b"[]", b"[{}]", b'[{"n":"ch4","v":1}]', b'{"readings":[{"key":"t","v":1}]}']
    ),
    st.sampled_from(["up", "senml", "json", "x", ""]),
    st.sampled_from([GATEWAY, MODULE, "", "\udcff", "a" * 200]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(frames, max_size=6))
def test_any_frames_are_admitted_or_refused_and_none_is_lost(many):
    admitted = admit(*many)
    whole = sum(q.whole for q in admitted.quarantined)
    messages = {(int(d), int(s), int(b)) for d, s, b in zip(*identity(admitted), strict=True)}
    assert whole <= len(many)
    assert bool(len(admitted.readings)) == (whole < len(many))
    assert len(messages) <= len(many) - whole
    assert all(not q.reason.endswith("_failed") for q in admitted.quarantined)


def identity(admitted):
    rows = admitted.readings
    return rows.device, rows.sequence, rows.boot
