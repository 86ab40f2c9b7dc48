"""Faults over a city's readings: each does what it says, within its time, and any cut agrees."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from rules.judge import DUPLICATE, LATE, Judge
from rules.readings import QC_MISSING, READINGS_DTYPES, Readings
from simulators.faults import FAULTS, Break, Unfit, make, truth_of_faults
from simulators.faults.draw import USUAL_RATES, usual_faults
from simulators.incidents import KINDS, Onset
from simulators.stream import City, Links

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00
FROM_NS, LASTS_S = BEGIN_NS + HOUR_NS, 2 * 3600
SENSOR = "410100-gas-mh-000003/ch4-01"
CHANNEL = f"{SENSOR}/vol"
MODULE = "410100-gas-nb-000003"
GATEWAY = "410100-tunnel-gw-000001"


@cache
def city():
    return City("demo", seed=3, links=Links())


def broken(kind, place, **options):
    told = Break(id=f"{kind}-1", kind=kind, place=place, begin_ns=FROM_NS, lasts_s=LASTS_S,
                 options=options)  # fmt: skip
    fault = make(city().registry, told)
    return fault, city().under(faults=[fault])


def shown(under, channel, hours=4):
    """Return (times, values, usable) of a channel in its own true time."""
    row = np.array([under.registry.channel_row[channel]], np.int32)
    held = under.samples(BEGIN_NS, BEGIN_NS + hours * HOUR_NS, row)
    order = np.argsort(held.t_ns)
    return held.t_ns[order], held.value[order], held.usable[order]


def quiet_and_broken(kind, channel=CHANNEL, **options):
    _, under = broken(kind, channel.rsplit("/", 1)[0], **options)
    t, quiet, _ = shown(city(), channel)
    again, value, usable = shown(under, channel)
    common = np.isin(t, again)
    keep = np.isin(again, t)
    t, quiet, value, usable = t[common], quiet[common], value[keep], usable[keep]
    inside = (t >= FROM_NS) & (t < FROM_NS + LASTS_S * 10**9)
    assert np.array_equal(quiet[~inside], value[~inside]), "it changes what is outside its time"
    return t[inside], quiet[inside], value[inside], usable[inside]


def test_drift_grows_and_bias_stands():
    t, quiet, value, _ = quiet_and_broken("drift", range_day=1.2)
    slope = np.polyfit((t - t[0]) / 86_400e9, value - quiet, 1)[0]
    assert slope == pytest.approx(1.2 * 5, rel=0.02)  # of a range of 5 %vol
    _, quiet, value, _ = quiet_and_broken("bias", range=0.05)
    assert value - quiet == pytest.approx(0.25, abs=1e-9)


def test_a_wrong_zero_shifts_no_peak_of_live_load():
    _, quiet, value, _ = quiet_and_broken("bias", "410100-bridge-sp-000001/st-01/peak", range=0.05)
    assert np.array_equal(value, quiet)
    _, quiet, value, _ = quiet_and_broken("bias", "410100-bridge-sp-000001/st-01/mean", range=0.05)
    assert value - quiet == pytest.approx(150, abs=0.1)


def test_a_stuck_sensor_repeats_what_it_showed_last():
    t, _, value, _ = quiet_and_broken("stuck", "410100-gas-rg-000001/plp-01/mean")
    assert len(np.unique(value)) == 1
    before_t, before, _ = shown(city(), "410100-gas-rg-000001/plp-01/mean")
    assert value[0] == before[np.searchsorted(before_t, t[0]) - 1]


def test_spikes_noise_gaps_and_codes_come_in_their_shares():
    _, quiet, value, _ = quiet_and_broken("spikes", share=0.2, range=0.3)
    assert 0.05 < np.mean(np.abs(value - quiet) > 0.1) < 0.4
    _, quiet, value, _ = quiet_and_broken("noise", "410100-gas-rg-000001/plp-01/mean", steps=10)
    assert np.std(value - quiet) == pytest.approx(0.1, rel=0.25)
    _, _, value, usable = quiet_and_broken("dropout", share=0.4)
    assert 0.2 < np.isnan(value).mean() < 0.6
    assert usable.all()
    _, _, value, usable = quiet_and_broken("dropout", share=0.4, code=1)
    assert np.array_equal(np.isnan(value), ~usable)


def test_a_missing_value_and_a_fault_code_reach_the_receiver_as_such():
    _, under = broken("dropout", SENSOR, share=0.4, code=1)
    said = under.window(FROM_NS, FROM_NS + 2 * HOUR_NS)
    mine = said.take(said.channel == under.registry.channel_row[CHANNEL])
    gone = np.isnan(mine.value)
    assert gone.any()
    assert set(mine.qc_flag[gone].tolist()) == {QC_MISSING}
    assert not mine.usable[gone].any()
    assert mine.usable[~gone].all()


def test_saturation_and_a_wrong_unit_go_beyond_the_range_and_fail_loud():
    fault, _ = broken("saturation", SENSOR)
    assert fault.fails_loud
    _, _, value, _ = quiet_and_broken("saturation")
    assert np.all(value > 5)
    _, quiet, value, _ = quiet_and_broken("wrong_unit", factor=20)
    assert value == pytest.approx(20 * quiet, abs=0.006)
    _, _, value, _ = quiet_and_broken("saturation", low=1)
    assert np.all(value == 0)


def test_test_gas_is_a_square_of_two_point_two_percent():
    t, quiet, value, _ = quiet_and_broken("calibration")
    flat = (t > t[0] + MINUTE_NS) & (t < t[-1] - MINUTE_NS)
    assert (value - quiet)[flat] == pytest.approx(2.2, abs=1e-9)
    with pytest.raises(Unfit, match="no methane"):
        broken("calibration", "410100-gas-rg-000001/plp-01")


def test_condensate_false_echoes_and_counters():
    _, _, value, _ = quiet_and_broken("condensate")
    assert np.all(value == 0)
    _, _, value, _ = quiet_and_broken("condensate", over=1)
    assert np.all(value > 5)
    level = "410100-drain-mh-000001/lvl-01/level"
    _, _, value, _ = quiet_and_broken("false_echo", level, share=0.4)
    assert 0.1 < np.mean(value > 9) < 0.7
    _, quiet, value, _ = quiet_and_broken("counter_wrap", level, at=0.2)
    assert np.all(value < 0.2 + 0.005)
    assert value == pytest.approx(np.mod(quiet, 0.2), abs=0.006)


def heard(under, device, begin=BEGIN_NS, end=BEGIN_NS + 5 * HOUR_NS):
    said = under.window(begin, end)
    return said.take(said.device == under.registry.device_row[device])


def test_a_gateway_that_stores_sends_all_of_it_afterwards_in_order():
    _, under = broken("gateway_loss", GATEWAY)
    got, want = heard(under, GATEWAY), heard(city(), GATEWAY)
    assert len(got) == len(want)
    end = FROM_NS + LASTS_S * 10**9
    assert not ((got.receive_ns >= FROM_NS) & (got.receive_ns < end)).any()
    late = got.take((got.event_ns >= FROM_NS + MINUTE_NS) & (got.event_ns < end - MINUTE_NS))
    assert late.receive_ns.min() >= end
    assert late.receive_ns.max() < end + MINUTE_NS
    assert np.all(np.diff(got.sequence) >= 0)


def test_a_gateway_without_power_says_nothing_and_starts_with_a_new_boot():
    _, under = broken("gateway_loss", GATEWAY, stored=0)
    got = heard(under, GATEWAY)
    end = FROM_NS + LASTS_S * 10**9
    assert not ((got.receive_ns >= FROM_NS + MINUTE_NS) & (got.receive_ns < end)).any()
    assert set(got.boot[got.receive_ns < FROM_NS].tolist()) == {1}
    after = got.take(got.receive_ns >= end)
    assert set(after.boot.tolist()) == {2}
    assert after.sequence.min() in (0, 1)
    incident = KINDS["silent_gateway"](
        city().registry, Onset(id="x", place=GATEWAY, begin_ns=FROM_NS, lasts_s=LASTS_S)
    )
    same = heard(city().under(incidents=[incident]), GATEWAY)
    assert all(np.array_equal(getattr(same, k), getattr(got, k), equal_nan=k == "value")
               for k in READINGS_DTYPES)  # fmt: skip


def test_a_sleeping_module_sends_batches_hours_late_and_loses_nothing():
    _, under = broken("psm_batches", MODULE, of_s=3000, every_s=3600)
    got, want = heard(under, MODULE), heard(city(), MODULE)
    assert sorted(got.event_ns.tolist()) == sorted(want.event_ns.tolist())
    age = (got.receive_ns - got.event_ns) / 1e9
    assert age.max() > 2500
    usual = ((want.receive_ns - want.event_ns) / 1e9).max()
    assert usual < 700


def judged(under):
    said = under.window(BEGIN_NS, BEGIN_NS + 5 * HOUR_NS)
    verdict = Judge(len(under.registry.channels.id)).mark(said, np.arange(len(said))).verdict
    return said, verdict


def test_duplicates_losses_and_overtaken_messages_are_taken_for_what_they_are():
    _, under = broken("duplicates", GATEWAY, share=0.5)
    said, verdict = judged(under)
    assert {under.registry.devices.id[d] for d in said.device[verdict == DUPLICATE]} == {GATEWAY}
    _, under = broken("reordering", GATEWAY, share=0.3)
    said, verdict = judged(under)
    assert {under.registry.devices.id[d] for d in said.device[verdict == LATE]} == {GATEWAY}
    _, under = broken("lossy", GATEWAY, share=0.5)
    gone = len(heard(city(), GATEWAY)) - len(heard(under, GATEWAY))
    assert 0.3 < gone / (len(heard(city(), GATEWAY)) * LASTS_S / (5 * 3600)) < 0.7


def test_clocks_run_off_jump_and_begin_in_1970():
    _, under = broken("clock_skew", GATEWAY, offset_s=60, ppm=0)
    got, want = heard(under, GATEWAY), heard(city(), GATEWAY)
    off = got.event_ns - want.event_ns
    assert set(off.tolist()) == {0, 60 * 10**9}
    assert np.all(got.judged_ns <= got.receive_ns)  # a clock ahead is shifted back by admission
    _, under = broken("clock_skew", GATEWAY, ppm=1e4)
    run = heard(under, GATEWAY).event_ns - want.event_ns
    assert run.max() == pytest.approx(LASTS_S * 1e4 / 1e6 * 1e9, rel=0.05)
    _, under = broken("clock_unset", GATEWAY)
    assert heard(under, GATEWAY).event_ns.min() < 86_400 * 10**9


def test_a_reboot_begins_anew_and_warms_up():
    _, under = broken("reboot", GATEWAY)
    got = heard(under, GATEWAY)
    assert set(got.boot.tolist()) == {1, 2}
    co = under.registry.channel_row["410100-tunnel-ts-000001/co-01/value"]
    first = got.take((got.channel == co) & (got.boot == 2))
    assert first.value[0] == 0
    assert first.value[-1] > 0


def test_any_window_of_a_broken_city_is_a_slice_of_a_longer_one():
    registry = city().registry
    faults = [
        make(registry, Break(id=kind, kind=kind, place=place, begin_ns=FROM_NS, lasts_s=LASTS_S))
        for kind, place in [
            *((k, SENSOR) for k in ("drift", "spikes", "stuck", "dropout")),
            *((k, MODULE) for k in ("psm_batches", "clock_skew", "reboot")),
            *((k, GATEWAY) for k in ("gateway_loss", "duplicates", "reordering")),
            ("ageing", "*"), ("sprinkled", "*"),
        ]
    ]  # fmt: skip
    leak = KINDS["gas_leak"](registry, Onset(id="x", place="410100-gas-mh-000010",
                                             begin_ns=FROM_NS, lasts_s=1800))  # fmt: skip
    under = City("demo", seed=3).under(faults=faults, incidents=[leak])
    whole = under.window(BEGIN_NS, BEGIN_NS + 5 * HOUR_NS)
    cuts = [BEGIN_NS, FROM_NS + 777 * 10**9, FROM_NS + HOUR_NS, FROM_NS + 2 * HOUR_NS + 10**9,
            BEGIN_NS + 5 * HOUR_NS]  # fmt: skip
    parts = [under.window(a, b) for a, b in pairwise(cuts)]
    joined = Readings.concatenate(parts)
    for name in READINGS_DTYPES:
        assert getattr(joined, name).tobytes() == getattr(whole, name).tobytes(), name


def test_a_module_that_finds_gas_reports_at_once_and_then_each_minute():
    big = City("bozhou", seed=5, links=Links())
    place = "341600-gas-mh-000020"
    leak = KINDS["gas_leak"](big.registry, Onset(id="x", place=place, begin_ns=FROM_NS,
                                                 lasts_s=5400))  # fmt: skip
    said = big.under(incidents=[leak]).window(FROM_NS, FROM_NS + 3 * HOUR_NS)
    mine = said.take(said.channel == big.registry.channel_row[f"{place}/ch4-01/vol"])
    found = mine.take(mine.value > 0.45)
    assert np.diff(found.event_ns).max() <= MINUTE_NS
    assert ((found.receive_ns - found.event_ns) / 1e9).max() < 10
    first = found.receive_ns[0]
    quiet = big.window(FROM_NS, FROM_NS + 3 * HOUR_NS)
    usual = quiet.take(quiet.channel == mine.channel[0])
    assert (usual.receive_ns - usual.event_ns).max() > 15 * MINUTE_NS
    assert first < FROM_NS + leak.deadline_s * 1e9


def test_a_citys_own_faults_follow_from_the_seed_and_come_at_their_rates():
    registry = City("bozhou", seed=5).registry
    month = 30 * 24 * HOUR_NS
    faults = usual_faults(registry, seed=1, begin_ns=BEGIN_NS, end_ns=BEGIN_NS + month)
    again = usual_faults(registry, seed=1, begin_ns=BEGIN_NS, end_ns=BEGIN_NS + month)
    assert [(f.id, f.begin_ns, f.end_ns) for f in faults] == [
        (f.id, f.begin_ns, f.end_ns) for f in again
    ]
    kinds = {rate.kind for rate in USUAL_RATES} | {"ageing", "sprinkled"}
    assert {f.kind for f in faults} >= kinds - {"saturation", "clock_unset"}
    stuck = sum(f.kind == "stuck" for f in faults)
    sensors = len({i.rsplit("/", 1)[0] for i, q in zip(registry.channels.id,
                   registry.channels.quantity, strict=True)
                   if q not in ("battery", "rssi", "heartbeat", "state")})  # fmt: skip
    assert stuck == pytest.approx(0.2 * sensors * 30 / 365.25, rel=0.3)
    assert all(BEGIN_NS <= f.begin_ns < f.end_ns <= BEGIN_NS + month + 10**9 for f in faults)
    truth = truth_of_faults(faults[:50], registry)
    assert {"id", "kind", "place", "begin_ns", "end_ns", "subjects", "fails_loud"} <= set(truth[0])


def test_an_unknown_fault_or_place_is_named():
    registry = city().registry
    with pytest.raises(Unfit, match='did you mean "stuck"'):
        make(registry, Break(id="x", kind="stuk", place=SENSOR, begin_ns=0, lasts_s=1))
    for kind in FAULTS:
        with pytest.raises(Unfit, match="nowhere"):
            make(registry, Break(id="x", kind=kind, place="nowhere", begin_ns=0, lasts_s=1))
