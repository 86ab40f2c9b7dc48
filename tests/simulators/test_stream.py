"""Whole cities as readings: any window is a slice of any longer one, and fast enough."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from lifeline.bench.simulation import measure
from rules.judge import DUPLICATE, JUDGED, LATE, Judge
from rules.readings import READINGS_DTYPES, Readings, Tick
from simulators.city import registry_of_city
from simulators.stream import City, Links

HOUR_NS = 3_600_000_000_000
BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00


@cache
def city(profile):
    return City(profile, seed=3)


def same(one, other):
    return all(getattr(one, k).tobytes() == getattr(other, k).tobytes() for k in READINGS_DTYPES)


@pytest.mark.parametrize("profile", ["demo", "bozhou"])
def test_any_window_is_the_slice_of_a_longer_one_byte_for_byte(profile):
    whole = city(profile).window(BEGIN_NS, BEGIN_NS + 6 * HOUR_NS)
    assert len(whole) > 100_000
    random = np.random.default_rng(5)
    cuts = np.sort(random.integers(BEGIN_NS, BEGIN_NS + 6 * HOUR_NS, 9))
    for begin, end in [*pairwise(cuts), (BEGIN_NS, cuts[0])]:
        part = slice(*np.searchsorted(whole.receive_ns, (begin, end)))
        assert same(city(profile).window(int(begin), int(end)), whole.take(part))


def test_a_city_made_anew_that_begins_at_noon_says_the_same_as_one_that_ran_all_morning():
    at, end = BEGIN_NS + 4 * HOUR_NS, BEGIN_NS + 5 * HOUR_NS
    before = city("demo").window(BEGIN_NS, end)
    part = slice(*np.searchsorted(before.receive_ns, (at, end)))
    assert same(City("demo", seed=3).window(at, end), before.take(part))
    assert not same(City("demo", seed=4).window(at, end), before.take(part))


def test_a_window_over_midnight_and_days_later_is_the_same_alone():
    midnight = BEGIN_NS + 16 * HOUR_NS
    whole = city("demo").window(midnight - HOUR_NS, midnight + HOUR_NS)
    halves = [city("demo").window(midnight - HOUR_NS, midnight)]
    city("demo").window(midnight + 900 * HOUR_NS, midnight + 901 * HOUR_NS)
    halves.append(city("demo").window(midnight, midnight + HOUR_NS))
    assert same(Readings.concatenate(halves), whole)


def test_without_faults_of_links_the_engine_takes_every_reading_for_new():
    clean = city("bozhou").under(links=Links())
    said = clean.window(BEGIN_NS, BEGIN_NS + 3 * HOUR_NS)
    verdicts = Judge(len(clean.registry.channels.id)).mark(said, np.arange(len(said))).verdict
    assert set(verdicts.tolist()) == {JUDGED}
    # and nothing is missing: as many as the schedule says, but for those still on their way
    rows, _ = clean.schedule.due(BEGIN_NS, BEGIN_NS + 3 * HOUR_NS)
    assert len(said) == pytest.approx(len(rows), rel=0.01)


def test_links_of_a_usual_day_lose_double_and_overtake_as_their_shares_say():
    said = city("bozhou").window(BEGIN_NS, BEGIN_NS + 6 * HOUR_NS)
    verdicts = Judge(len(city("bozhou").registry.channels.id)).mark(said, np.arange(len(said)))
    found = Counter(verdicts.verdict.tolist())
    assert 0.002 < found[DUPLICATE] / len(said) < 0.02
    assert found[LATE] > 0
    clean = city("bozhou").under(links=Links()).window(BEGIN_NS, BEGIN_NS + 6 * HOUR_NS)
    once = len(said) - found[DUPLICATE]
    assert 0.001 < 1 - once / len(clean) < 0.02


def test_records_for_an_engine_hold_every_row_and_a_tick_each_ten_seconds():
    records = [r for b in city("demo").records(BEGIN_NS, BEGIN_NS + HOUR_NS) for r in b]
    assert [r.offset for r in records] == list(range(len(records)))
    ticks = [r.body.tick_ns for r in records if isinstance(r.body, Tick)]
    assert np.diff(ticks).tolist() == [10_000_000_000] * 359
    rows = Readings.concatenate([r.body for r in records if isinstance(r.body, Readings)])
    assert same(rows, city("demo").window(BEGIN_NS, BEGIN_NS + HOUR_NS))
    for record, after in pairwise(records):
        if isinstance(record.body, Readings) and isinstance(after.body, Tick):
            assert record.body.receive_ns[-1] < after.body.tick_ns


def instruments(registry):
    """Return how many sensors there are; a gas well's thermometer belongs to its monitor."""
    sensors = {i.rsplit("/", 1)[0] for i in registry.channels.id}
    return sum("/bat-" not in s and not ("-gas-" in s and "/temp-" in s) for s in sensors)


def test_bozhou_has_the_numbers_it_is_known_for():
    registry = city("bozhou").registry
    assert 3_200 < instruments(registry) < 3_800
    gas = [
        q
        for q, a in zip(registry.channels.quantity, registry.channels.asset, strict=True)
        if registry.assets.domain[a] == "gas" and registry.assets.asset_type[a] == "manhole"
    ]
    assert gas.count("ch4") == 1840
    assert registry.assets.asset_type.count("bridge") == 17
    assert all(i.startswith("341600-") for i in registry.assets.id)
    assert set(registry.assets.domain) == {"gas", "bridge", "tunnel", "water", "drain", "heat",
                                           "gallery", "env"}  # fmt: skip


def test_neighbours_and_sewers_downstream_are_assets_of_the_registry():
    registry = city("bozhou").registry
    for attributes in registry.assets.attributes:
        for name in [*attributes.get("neighbours", ()), attributes.get("downstream")]:
            assert name is None or name in registry.asset_row


@pytest.mark.alone
def test_hefei_has_85_000_devices_and_runs_200_times_as_fast_as_real_time():
    registry = registry_of_city("hefei")
    assert 82_000 < instruments(registry) < 88_000
    (row,) = measure(("hefei",), hours=1)
    assert row["times_real_time"] >= 200
